import json
import math

import numpy as np
import pytest
import torch

from train.__main__ import main
from train.config import GPTConfig
from train.data import documents_of, open_shards
from train.evaluate.beside import by_document, documents
from train.evaluate.language import Document
from train.export import export_folder
from train.text import Text


@pytest.fixture
def shards(make_shards, tmp_path, tokenizer_path):
    """Shards whose tokens are those of the tokenizer, which ends texts by its token 0."""
    folder = make_shards(tmp_path / "shards", vocab=Text(tokenizer_path).vocab_size, documents=9)
    for path in folder.glob("*.bin"):
        raw = np.fromfile(path, "<u2")
        tokens = raw[512:]
        tokens[tokens == 0] = 1
        tokens[tokens == 299] = 0
        raw.tofile(path)
    about = json.loads((folder / "shards.json").read_text()) | {"eot_id": 0}
    (folder / "shards.json").write_text(json.dumps(about))
    return folder


def test_documents_are_those_of_the_index_as_text(shards, subject):
    opened = open_shards(shards)
    (file,) = opened.split("val")
    found = list(documents(opened, "val", subject.text))
    starts = documents_of(file).starts
    assert len(found) == len(starts) - 1 == 3
    ids = file.read(int(starts[0]) + 1, int(starts[1] - starts[0]) - 1).tolist()
    assert found[0].text == subject.text.decode(ids)
    assert found[0].units == len(found[0].text.encode())


def test_each_document_is_scored_from_its_beginning(shards, subject, by_hand):
    texts = list(documents(open_shards(shards), "val", subject.text))
    for text, found in zip(texts, by_document(subject, texts), strict=True):
        ids = subject.begin(text.text)
        assert found["id"] == text.id and found["tokens"] == len(ids) - 1
        assert found["bytes"] == pytest.approx(text.units)
    short = Document("x", texts[0].text[:12], 12)
    (one,) = by_document(subject, [short])
    wanted = -sum(by_hand(subject.begin(short.text), 1))
    assert one["nats"] == pytest.approx(wanted, abs=1e-3)


def test_a_run_stands_beside_a_given_folder(
    shards, exported, drawn, tokenizer_path, tmp_path, capsys
):
    config = GPTConfig(n_layer=1, n_head=2, n_embd=16, n_ctx=32, vocab_size=300)
    other = tmp_path / "other"
    export_folder(drawn(config), other, eot_id=0, tokenizer=tokenizer_path, dtype=torch.float32)
    command = ["evaluate", str(exported), "--beside", str(other), "--data", str(shards)]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    mine, theirs = found["rows"]
    assert found["documents"] == 3 and mine["bytes_per_token"] == theirs["bytes_per_token"]
    wanted = mine["loss"] / math.log(2) / mine["bytes_per_token"]
    assert mine["bits_per_byte"] == pytest.approx(wanted)
    assert found["difference"] == pytest.approx(mine["bits_per_byte"] - theirs["bits_per_byte"])
    assert main([*command, "--limit", "2"]) == 0
    head, first, second, *_, last = capsys.readouterr().out.splitlines()
    assert last.startswith("2 documents")
    assert len(head) == len(first) == len(second)


def test_a_folder_without_data_of_its_own_wants_shards(exported, capsys):
    assert main(["evaluate", str(exported), "--beside", str(exported)]) == 2
    assert "give --data SHARDS" in capsys.readouterr().err
