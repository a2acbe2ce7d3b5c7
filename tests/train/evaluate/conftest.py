"""A small drawn model with a byte-level tokenizer, as the tasks examine it."""

import pytest
import torch
from tokenizers import Tokenizer

from train.config import GPTConfig
from train.evaluate.scoring import Subject
from train.export import export_folder
from train.text import Text

CONFIG = GPTConfig(n_layer=2, n_head=2, n_embd=32, n_ctx=48, vocab_size=300)


@pytest.fixture(scope="session")
def subject(drawn, tokenizer_path):
    eot_id = Tokenizer.from_file(str(tokenizer_path)).token_to_id("<|endoftext|>")
    return Subject(drawn(CONFIG), Text(tokenizer_path), eot_id, "drawn")


@pytest.fixture
def by_hand(subject):
    """ln p of each token from `first` on, one at a time from the model's logits."""

    @torch.no_grad()
    def log_probabilities(ids, first):
        n_ctx = subject.model.config.n_ctx
        found = []
        for at in range(first, len(ids)):
            seen = torch.tensor([list(ids[max(0, at - n_ctx) : at])])
            found.append(float(subject.model(seen)[0, -1].log_softmax(-1)[ids[at]]))
        return found

    return log_probabilities


@pytest.fixture(scope="session")
def exported(subject, tokenizer_path, tmp_path_factory):
    """The model as a Hugging Face folder with its tokenizer."""
    folder = tmp_path_factory.mktemp("exported")
    export_folder(
        subject.model, folder, eot_id=subject.eot_id, tokenizer=tokenizer_path, dtype=torch.float32
    )
    return folder
