import signal
from types import SimpleNamespace

import pytest
import torch

from train import loop
from train.errors import Stopped
from train.host_copies import on_host


def test_the_values_are_those_of_the_tensor():
    assert on_host(torch.tensor([1.5, -2.0, 0.0]))() == [1.5, -2.0, 0.0]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_reading_does_not_wait_for_what_was_begun_since():
    read = on_host(torch.full((3,), 2.0, device="cuda"))
    torch.cuda._sleep(2_000_000_000)  # about a second of cycles
    end = torch.cuda.Event()
    end.record()
    assert read() == [2.0] * 3
    assert not end.query()


def test_ranks_on_gpus_agree_one_step_late_and_save_once(monkeypatch):
    monkeypatch.setattr(loop, "sent", lambda tensor, device: tensor)
    now = [0.0]
    monkeypatch.setattr("train.loop.time.monotonic", lambda: now[0])
    run = SimpleNamespace(
        settings=SimpleNamespace(stop_after_s=None, save_every_s=10.0),
        choices=SimpleNamespace(device="cuda"), recipe=SimpleNamespace(steps=9),
        signals=SimpleNamespace(received=None),
        world=SimpleNamespace(ranks=2, sum=lambda tensor: tensor, share=lambda make: make()),
        progress=SimpleNamespace(step=3), names={}, optimizer=SimpleNamespace(state={}),
        _requested=loop.NO_REQUESTS, _saved_at=0.0, _read_numbers=lambda: None, _saved=(0, None),
        _moved_step=3, saver=None, val_loss=None, log=SimpleNamespace(write=lambda *_, **__: None),
    )  # fmt: skip
    assert not loop.Loop._save_is_requested(run, 0.0)
    now[0] = 11.0
    assert not loop.Loop._save_is_requested(run, 0.0)
    assert loop.Loop._save_is_requested(run, 0.0)
    loop.Loop.save(run)
    run.signals.received = signal.SIGTERM
    assert not loop.Loop._save_is_requested(run, 0.0)
    with pytest.raises(Stopped, match="SIGTERM after step 3"):
        loop.Loop._save_is_requested(run, 0.0)
