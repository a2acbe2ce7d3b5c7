"""What a long evaluation keeps in memory."""

import weakref

from train import evaluate
from train.config import GPTConfig
from train.data import open_shards
from train.evaluate import hosts_of
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
