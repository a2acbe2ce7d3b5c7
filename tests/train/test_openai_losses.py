import os

import pytest

from train.config import PRESETS
from train.data import open_shards
from train.openai_losses import OPENWEBTEXT_TOKENS, released_loss


def tokens(folder, **counts):
    """Files of so many tokens, all of them holes."""
    for split, count in counts.items():
        with (folder / f"{split}.bin").open("wb") as file:
            os.truncate(file.fileno(), 2 * count)
    return open_shards(folder)


@pytest.mark.parametrize(
    ("name", "loss"),
    [("gpt2", 3.12), ("gpt2-medium", 2.84), ("gpt2-large", 2.67), ("gpt2-xl", 2.54), ("cpu", None)],
)
def test_a_model_of_a_released_size_on_openwebtext_has_a_loss_to_reach(tmp_path, name, loss):
    shards = tokens(tmp_path, **OPENWEBTEXT_TOKENS)
    assert released_loss(shards, PRESETS[name].config.parameters()) == loss


@pytest.mark.parametrize("split", ["train", "val"])
def test_on_other_tokens_nothing_is_known(tmp_path, split):
    counts = {**OPENWEBTEXT_TOKENS, split: OPENWEBTEXT_TOKENS[split] - 1}
    assert released_loss(tokens(tmp_path, **counts), PRESETS["gpt2"].config.parameters()) is None
