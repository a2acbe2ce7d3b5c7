"""The stages of the flow, in order: the one list of their names. Imports nothing: help is quick."""

STAGES = ("links", "pages", "documents", "corpus", "tokenizer", "shards", "model", "report")
# Published by the engine, each with a manifest; the model is the trainer's, the report one file.
ENGINE_STAGES = STAGES[: STAGES.index("model")]
