"""What a long evaluation keeps in memory."""

import weakref

from train.__main__ import main
from train.config import GPTConfig
from train.data import open_shards
from train.evaluate import held_out as evaluate
from train.evaluate.held_out import hosts_of
from train.model import GPT


def test_the_hosts_of_one_file_are_held_at_a_time_and_each_document_counts_once(
    shards_folder, monkeypatch
):
    shards, alive, most = open_shards(shards_folder), [], []
    model = GPT(GPTConfig(1, 1, 8, 48, 97)).eval()
    model.reset_parameters(1)
    assert len(shards.split("train")) == 2

    class Hosts(list):
        pass

    def watched(file):
        hosts = Hosts(hosts_of(file))
        alive.append(weakref.ref(hosts))
        most.append(sum(held() is not None for held in alive[:-2]))
        return hosts

    monkeypatch.setattr(evaluate, "hosts_of", watched)
    files = 2 * shards.split("train")  # as if there were four
    by_host = evaluate._ByHost()
    for file, start, losses_T in evaluate.token_losses(model, files):
        by_host.add(file, start, losses_T)
    assert len(alive) == 4 and most == [0] * 4
    documents = {score.host: score.documents for score in by_host.scores()}
    assert documents == {"many.example": 80, "few.example": 40}


def test_fewer_tokens_than_none_are_refused(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), "--tokens", "-5"]) == 2
    assert "--tokens is -5; it must be 0 or more" in capsys.readouterr().err


def test_hosts_of_urls_that_are_not_utf_8_are_read(make_shards, tmp_path):
    path = make_shards(tmp_path) / "val_000000.urls.txt"
    path.write_bytes(path.read_bytes().replace(b".example/", b".example/\xff"))
    file = open_shards(tmp_path).split("val")[0]
    assert set(hosts_of(file)) == {"many.example", "few.example"}
