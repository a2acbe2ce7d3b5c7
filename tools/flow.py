"""The stages of the flow, in order: the one list of their names. Imports nothing: help is quick."""

STAGES = ("links", "pages", "documents", "corpus", "tokenizer", "shards", "model", "report")
# Published by the engine, each with a manifest; the model is the trainer's, the report one file.
ENGINE_STAGES = STAGES[: STAGES.index("model")]
# In the order in which people see them; counts are made by a command alone.
SHOWN = (*ENGINE_STAGES[:4], "counts", *ENGINE_STAGES[4:])
# The stages that a stage is made of.
INPUTS = {
    "pages": ("links",),
    "documents": ("pages",),
    "corpus": ("documents",),
    "tokenizer": ("corpus",),
    "shards": ("corpus", "tokenizer"),
}


def reaches(to: str, stage: str) -> bool:
    """Whether a build that ends with the stage `to` makes this stage."""
    return STAGES.index(to) >= STAGES.index(stage)
