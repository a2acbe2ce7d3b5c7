"""What a run tells when its processes do not find or understand each other."""

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor

from train import distributed
from train.__main__ import main
from train.distributed import World, joined
from train.errors import RankLost, SettingsError, TrainError


class Work:
    def __init__(self, fault=None):
        self.fault = fault

    def wait(self, timeout):
        if self.fault:
            raise self.fault


@pytest.fixture
def two(monkeypatch):
    """Rank 1 of two, as torchrun tells it, among stand-ins for torch's collectives."""
    world = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}
    for name, value in {**world, "MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "29500"}.items():
        monkeypatch.setenv(name, value)

    def reduced(numbers, async_op):
        numbers.copy_(torch.tensor([2.0, 1.0]))
        return Work()

    def sent(word, source, async_op):
        word.fill_(0.0)
        return Work()

    fakes = {
        "init_process_group": lambda *_, **__: None, "destroy_process_group": lambda: None,
        "get_rank": lambda: 1, "all_reduce": reduced, "broadcast": sent,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(distributed.dist, name, fake)
    return monkeypatch


def entered():
    with joined("cpu", sharded=False) as world:
        return world


def test_ranks_that_reach_each_other_are_a_world(two):
    assert entered() == World(1, 2)


def test_a_broken_network_is_told_before_the_model_is_built(two, capsys, shards_folder):
    fault = RuntimeError("Timed out waiting 120000ms")
    two.setattr(distributed.dist, "all_reduce", lambda *_, **__: Work(fault))
    with pytest.raises(TrainError, match=r"rank 1 of 2 cannot reach the others: Timed out"):
        entered()
    assert main([str(shards_folder), "--out", "nowhere", "--device", "cpu"]) == 1
    assert "train: rank 1 of 2 cannot reach" in capsys.readouterr().err


def test_a_sum_that_comes_out_wrong_is_told(two):
    two.setattr(distributed.dist, "all_reduce", lambda *_, **__: Work())
    with pytest.raises(TrainError, match=r"a test sum over the ranks gave \[1.0, 1.0\]"):
        entered()


@pytest.mark.parametrize(
    "fault",
    [
        RuntimeError("[/x/gloo/transport/tcp/pair.cc:537] Connection reset by peer\nand more"),
        dist.DistBackendError("ncclRemoteError: a rank has ended"),
    ],
)
def test_a_rank_that_is_lost_later_is_told_without_a_traceback(two, fault):
    lost = pytest.raises(RankLost, match="rank 1 of 2: another rank has ended")
    with lost as caught, joined("cpu", sharded=False):
        raise fault
    assert "--resume" in str(caught.value) and "and more" not in str(caught.value)


def test_an_error_of_our_own_is_not_taken_for_a_lost_rank(two):
    with pytest.raises(RuntimeError, match="a bug"), joined("cpu", sharded=False):
        raise RuntimeError("a bug")


def test_a_meeting_point_that_is_not_there_is_named(two):
    def absent(*_, **__):
        raise dist.DistNetworkError("The client socket has failed to connect")

    two.setattr(distributed.dist, "init_process_group", absent)
    with pytest.raises(TrainError, match=r"rank 1 of 2 finds no meeting point at 10.0.0.7:29500"):
        entered()


def test_half_an_environment_of_torchrun_is_a_usage_error(two):
    two.delenv("MASTER_PORT")
    with pytest.raises(SettingsError, match="WORLD_SIZE is 2, but MASTER_PORT is not set"):
        entered()


def test_a_split_tensor_is_whole_on_the_first_rank_and_let_go_on_the_others():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        split = distribute_tensor(torch.arange(6.0), init_device_mesh("cpu", (1,)), [Shard(0)])
        assert World(0, 2, sharded=True).gathered(split).tolist() == list(range(6))
        assert World(1, 2, sharded=True).gathered(split).numel() == 0
    finally:
        dist.destroy_process_group()
    plain = torch.ones(3)
    assert World(1, 2).gathered(plain) is plain


@pytest.mark.parametrize("sharded", [False, True])
def test_each_rank_looks_at_its_slice_and_all_make_as_many_passes(
    shards_folder, tiny, tmp_path, monkeypatch, sharded
):
    from train import loop

    seen = []

    class Sums(World):
        def sum(self, tensor):
            return tensor

    def scored(objective, windows, choices):
        seen[-1].append([id(window) for window in windows])
        return loop.Score(1.0, max(1, len(windows)))

    def looked(self):
        for rank in range(3):
            seen.append([])
            self.world = Sums(rank, 3, sharded)
            score(self)
        raise TrainError("enough")

    score = loop.Loop._score
    monkeypatch.setattr(loop, "score", scored)
    monkeypatch.setattr("train.evaluate.held_out.ROWS", 2)
    monkeypatch.setattr(loop.Loop, "_score", looked)
    assert main([str(shards_folder), "--out", str(tmp_path / "run"), *tiny]) == 1
    windows = [window for calls in seen for window in calls[0]]
    assert len(windows) == 1024 // 32 and len(set(windows)) == len(windows)
    passes = [sum(-(-len(call) // 2) for call in calls) for calls in seen]
    assert passes == ([6] * 3 if sharded else [6, 6, 5])
