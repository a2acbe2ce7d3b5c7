import gzip
import json
import re
from types import SimpleNamespace

import pytest
import torch
from torch.autograd.profiler_util import DeviceType

from train import trace
from train.__main__ import main


def profiled(shards, out, *options):
    code = main([str(shards), "--out", str(out), *options])
    path = out / "profile.json.gz"
    return code, json.loads(gzip.decompress(path.read_bytes())) if path.exists() else None


def test_the_asked_steps_are_traced_after_the_warm_up(shards_folder, tiny, tmp_path, capsys):
    code, found = profiled(shards_folder, tmp_path / "run", *tiny, "--profile", "3")
    assert code == 0
    # The optimizer runs once a step, in both spellings of torch.
    updates = [e for e in found["traceEvents"] if "Optimizer.step" in str(e.get("name"))]
    assert len({e["ts"] for e in updates}) == 3
    told = capsys.readouterr().err
    assert "profile of 3 steps" in told
    rows = re.findall(r"^(\S+) +(\d+) +([\d.]+) +([\d.]+)%$", told, re.M)
    assert 3 <= len(rows) <= trace.ROWS and any(name.startswith("aten::") for name, *_ in rows)
    own = [float(ms) for *_, ms, _ in rows]
    assert own == sorted(own, reverse=True)
    assert sum(float(share) for *_, share in rows) <= 100.1


def test_profiling_changes_no_loss_and_is_never_left_on(shards_folder, tiny, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(
        trace, "profile", lambda **k: started.append(k) or torch.profiler.profile(**k)
    )

    def losses(run):
        entries = map(json.loads, (run / "log.jsonl").read_text().splitlines())
        return [e["loss"] for e in entries if e["kind"] == "step"]

    with_it, without = tmp_path / "with", tmp_path / "without"
    assert profiled(shards_folder, with_it, *tiny, "--profile", "2")[0] == 0
    assert profiled(shards_folder, without, *tiny) == (0, None)
    assert losses(with_it) == losses(without) and len(started) == 1
    (with_it / "profile.json.gz").unlink()
    assert profiled(shards_folder, with_it, *tiny, "--steps", "60", "--resume") == (0, None)
    assert len(started) == 1


def test_a_run_that_ends_first_writes_what_it_has(shards_folder, tiny, tmp_path, capsys):
    steps = str(trace.WARM_UP_STEPS + 2)
    code, found = profiled(
        shards_folder, tmp_path / "run", *tiny, "--steps", steps, "--profile", "9"
    )
    assert code == 0 and found["traceEvents"]
    assert "profile of 2 steps" in capsys.readouterr().err


def test_the_time_of_a_gpu_counts_once_though_operators_and_their_kernels_both_have_it():
    def row(key, kind, us):
        return SimpleNamespace(key=key, device_type=kind, count=1, self_device_time_total=us)

    rows = [row("aten::mm", DeviceType.CPU, 3000.0), row("gemm_kernel", DeviceType.CUDA, 3000.0)]
    rows += [row("aten::add", DeviceType.CPU, 1000.0), row("add_kernel", DeviceType.CUDA, 1000.0)]
    rows.append(row("Optimizer.step", DeviceType.CUDA, 4000.0))  # a range around kernels
    _, *found = trace.table(rows, "cuda")
    assert [line.split() for line in found] == [
        ["aten::mm", "1", "3.0", "75.0%"], ["aten::add", "1", "1.0", "25.0%"],
    ]  # fmt: skip


@pytest.mark.parametrize("steps", ["-1", "x"])
def test_a_number_of_steps_that_is_none_is_refused(shards_folder, tmp_path, steps, capsys):
    assert main([str(shards_folder), "--out", str(tmp_path), "--profile", steps]) == 2
    assert "--profile is" in capsys.readouterr().err
