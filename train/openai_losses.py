"""Held-out losses of OpenAI's released weights, where they are known: on nanoGPT's OpenWebText.

Figures of nanoGPT's README ("baselines"). They are facts about its val.bin and say nothing about
other held-out tokens, so they are given only where shards hold exactly as many tokens as its
data/openwebtext says.
"""

from train.config import PRESETS
from train.data import Shards

OPENWEBTEXT_TOKENS = {"train": 9_035_582_198, "val": 4_434_897}
VAL_LOSSES = {"gpt2": 3.12, "gpt2-medium": 2.84, "gpt2-large": 2.67, "gpt2-xl": 2.54}


def released_loss(shards: Shards, parameters: int) -> float | None:
    """The held-out loss of the released model of so many parameters; None if not known."""
    if {split: shards.tokens(split) for split in OPENWEBTEXT_TOKENS} != OPENWEBTEXT_TOKENS:
        return None
    sizes = {PRESETS[name].config.parameters(): loss for name, loss in VAL_LOSSES.items()}
    return sizes.get(parameters)
