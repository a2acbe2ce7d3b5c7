"""Two processes on the CPU (gloo) against one."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from train.__main__ import main

pytestmark = pytest.mark.slow  # each rank imports torch anew
ROOT = Path(__file__).resolve().parents[2]
SHORT = ["--steps", "12", "--warmup-steps", "4", "--eval-every", "6"]


def two_ranks(*words, program=("-m", "train")):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = str(found.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    processes = [
        subprocess.Popen(
            [sys.executable, *program, *words], cwd=ROOT, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True,
            env={**os.environ, **world, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(2)
    ]  # fmt: skip
    errors = [p.communicate(timeout=120)[1] for p in processes]
    return [p.returncode for p in processes], errors


def numbers(out):
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [e.get("loss", e.get("val_loss")) for e in entries if e["kind"] in ("step", "eval")]


@pytest.fixture(scope="module")
def one(shards_folder, tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "run"
    assert main([str(shards_folder), "--out", str(out), *tiny, *SHORT]) == 0
    return numbers(out)


@pytest.mark.parametrize("way", ["averaged", "sharded"])
def test_two_ranks_train_like_one_and_one_goes_on_alone(shards_folder, tiny, tmp_path, one, way):
    options = [*tiny, *SHORT, *(["--fsdp"] if way == "sharded" else [])]
    out = tmp_path / "run"
    codes, errors = two_ranks(str(shards_folder), "--out", str(out), *options)
    assert codes == [0, 0], errors
    assert "x 2 ranks" in errors[0] and errors[1] == ""
    assert numbers(out) == pytest.approx(one, abs=1e-5)
    again = [str(shards_folder), "--out", str(out), "--resume", "--steps", "14"]
    assert main(again) == 0
    assert len(numbers(out)) == len(one) + 3


@pytest.mark.parametrize("way", [[], ["--fsdp"]], ids=["averaged", "sharded"])
def test_two_ranks_go_on_with_what_one_left(shards_folder, tiny, tmp_path, one, way):
    out = str(tmp_path / "run")
    assert main([str(shards_folder), "--out", out, *tiny, *SHORT, "--stop-after", "0s"]) == 75
    codes, errors = two_ranks("--out", out, "--resume", "--stop-after", "1h", *way)
    assert codes == [0, 0], errors
    assert numbers(tmp_path / "run") == pytest.approx(one, abs=1e-5)


@pytest.mark.parametrize("way", [[], ["--fsdp"]], ids=["averaged", "sharded"])
def test_a_stopped_run_of_two_ranks_needs_only_resume_and_goes_on_bit_for_bit(
    shards_folder, tiny, tmp_path, way
):
    options = [*tiny, *SHORT, "--dropout", "0.1", "--micro-batch", "2", *way]
    for out, words in (("whole", []), ("cut", ["--stop-after", "0s"])):
        codes, errors = two_ranks(
            str(shards_folder), "--out", str(tmp_path / out), *options, *words
        )
        assert codes == [75 if words else 0] * 2, errors
    codes, errors = two_ranks("--out", str(tmp_path / "cut"), "--resume", "--stop-after", "1h")
    assert codes == [0, 0], errors
    assert numbers(tmp_path / "cut") == numbers(tmp_path / "whole")
    assert "weights split" in errors[0] or not way
    whole, cut = (
        [
            hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted((tmp_path / out).glob("checkpoints/step-000000012/*.safetensors"))
        ]
        for out in ("whole", "cut")
    )
    assert len(whole) == 2 and whole == cut


# The second rank alone is sent a signal, at step 5.
INTERRUPTED = """
import os, signal, sys
from train.__main__ import main
from train.loop import Loop

step = Loop._step

def _step(self, tokens):
    step(self, tokens)
    if self.world.rank == 1 and self.progress.step == 5:
        os.kill(os.getpid(), signal.SIGINT)

Loop._step = _step
sys.exit(main(sys.argv[1:]))
"""


def test_a_signal_to_one_rank_stops_all_and_is_named(shards_folder, tiny, tmp_path):
    words = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny, *SHORT]
    codes, errors = two_ranks(*words, program=("-c", INTERRUPTED))
    assert codes == [130, 130], errors
    assert "stopped by Ctrl-C after step 5" in errors[0]
    assert max((tmp_path / "run" / "checkpoints").iterdir()).name == "step-000000005"


# One rank ends at once in step 5, as the system ends it where memory is short.
ENDED = """
import os, signal, sys
from train.__main__ import main
from train.loop import Loop

step, gone = Loop._step, int(sys.argv.pop(1))

def _step(self, tokens):
    if self.world.rank == gone and self.progress.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    step(self, tokens)

Loop._step = _step
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("gone", [0, 1])
@pytest.mark.parametrize("way", [[], ["--fsdp"]], ids=["averaged", "sharded"])
def test_a_rank_that_dies_ends_the_other_with_a_message(
    shards_folder, tiny, tmp_path, one, gone, way
):
    words = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny, *SHORT, *way]
    words += ["--save-steps", "3"]
    codes, errors = two_ranks(str(gone), *words, program=("-c", ENDED))
    assert codes[gone] == -signal.SIGKILL and codes[1 - gone] == 1
    last = errors[1 - gone].splitlines()[-1]
    assert last.startswith(f"train: rank {1 - gone} of 2: another rank has ended")
    assert "Traceback" not in errors[1 - gone]
    assert main(["--out", str(tmp_path / "run"), "--resume"]) == 0
    assert numbers(tmp_path / "run") == pytest.approx(one, abs=1e-5)


@pytest.mark.skipif(not shutil.which("c++"), reason="compiling on a CPU needs a C++ compiler")
@pytest.mark.parametrize("split", [[], ["--fsdp"]], ids=["averaged", "sharded"])
@pytest.mark.parametrize("again", [[], ["--checkpoint-activations"]], ids=["kept", "recomputed"])
def test_two_ranks_train_compiled_blocks(shards_folder, tiny, tmp_path, one, split, again):
    options = [*tiny, *SHORT, "--compile", "on", "--micro-batch", "2", *split, *again]
    codes, errors = two_ranks(str(shards_folder), "--out", str(tmp_path / "run"), *options)
    assert codes == [0, 0], errors
    assert numbers(tmp_path / "run") == pytest.approx(one, abs=1e-4)
