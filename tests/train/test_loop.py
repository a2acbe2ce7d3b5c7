import hashlib
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import weakref
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from train.__main__ import main
from train.checkpoint import load

ROOT = Path(__file__).resolve().parents[2]


def train(shards, out, *options):
    return main([str(shards), "--out", str(out), *options])


def lines(out, kind):
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [entry for entry in entries if entry["kind"] == kind]


def losses(out):
    return [(entry["step"], entry["loss"]) for entry in lines(out, "step")]


def weights(out):
    """Digests of weights and moments of the last checkpoint."""
    newest = max((out / "checkpoints").glob("step-*"))
    return [
        hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(newest.glob("*.safetensors"))
    ]


@pytest.fixture(scope="module")
def whole_run(shards_folder, tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "whole"
    assert train(shards_folder, out, *tiny) == 0
    return out


def test_the_loss_falls_from_guessing_and_every_step_is_logged(whole_run):
    evals = lines(whole_run, "eval")
    assert [e["step"] for e in evals] == [0, 20, 40]
    assert evals[0]["val_loss"] == pytest.approx(math.log(97), abs=0.05)
    assert evals[-1]["val_loss"] < 3.5
    steps = lines(whole_run, "step")
    assert [s["step"] for s in steps] == list(range(1, 41))
    assert [s["tokens"] for s in steps] == [256 * n for n in range(1, 41)]
    assert steps[3]["lr"] == pytest.approx(3e-3) and steps[-1]["lr"] < 4e-4


def test_a_tiny_model_learns_a_tiny_text_by_heart(make_shards, tiny, tmp_path):
    shards = make_shards(tmp_path / "shards", documents=6)
    options = [*tiny, "--steps", "150", "--batch-tokens", "1024", "--eval-every", "0"]
    assert train(shards, tmp_path / "run", *options) == 0
    assert losses(tmp_path / "run")[-1][1] < 0.5


def test_accumulation_gives_the_losses_of_one_pass(shards_folder, tiny, whole_run, tmp_path):
    assert train(shards_folder, tmp_path / "run", *tiny, "--micro-batch", "2") == 0
    for (_, one), (_, four) in zip(losses(whole_run), losses(tmp_path / "run"), strict=True):
        assert one == pytest.approx(four, abs=1e-5)


# A trainer that kills itself at a random moment after step AT, and never gets to its last step: who
# kills from outside must be quicker than the run, which on a busy machine it is not.
KILLED = """
import os, random, signal, sys, threading, time
from train.__main__ import main
from train.loop import Loop

step, at, killer = Loop._step, int(sys.argv.pop(1)), []

def killed_soon(self, tokens):
    if self.progress.step >= at and not killer:
        words = os.getpid(), signal.SIGKILL
        killer.append(threading.Timer(random.random() * 0.1, os.kill, words))
        killer[0].start()
    if self.progress.step + 1 == self.recipe.steps:
        time.sleep(60)
    step(self, tokens)

Loop._step = killed_soon
sys.exit(main())
"""


def test_a_run_that_was_killed_goes_on_bit_for_bit(shards_folder, tiny, tmp_path):
    extra = ["--dropout", "0.1", "--micro-batch", "2", "--steps", "120", "--save-steps", "3"]
    options = [*tiny, *extra]
    assert train(shards_folder, tmp_path / "whole", *options) == 0
    for at in ("10", "50"):
        words = [at, str(shards_folder), "--out", str(tmp_path / "cut"), "--resume", *options]
        child = subprocess.run(
            [sys.executable, "-c", KILLED, *words], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        assert child.returncode == -signal.SIGKILL
    assert train(shards_folder, tmp_path / "cut", *options, "--resume") == 0
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_saves_and_leaves(
    shards_folder, tiny, tmp_path, whole_run, signum, code, monkeypatch
):
    from train.loop import Loop

    step = Loop._step

    def interrupted(self, tokens):
        step(self, tokens)
        if self.progress.step == 13:
            os.kill(os.getpid(), signum)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", interrupted)
        assert train(shards_folder, tmp_path / "run", *tiny) == code
    assert max((tmp_path / "run" / "checkpoints").iterdir()).name == "step-000000013"
    assert main(["--out", str(tmp_path / "run"), "--resume"]) == 0
    assert losses(tmp_path / "run") == losses(whole_run)
    assert weights(tmp_path / "run") == weights(whole_run)


def test_a_signal_in_a_long_step_leaves_it_undone(
    shards_folder, tiny, tmp_path, whole_run, monkeypatch, capsys
):
    from train.loss import LanguageModelLoss

    forward, passes = LanguageModelLoss.forward, []

    def interrupted(self, ids):
        if self.training:
            passes.append(len(ids))
            if len(passes) == 4 * 12 + 2:
                os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, ids)

    options = [*tiny, "--micro-batch", "2"]
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModelLoss, "forward", interrupted)
        assert train(shards_folder, tmp_path / "run", *options) == 75
    assert len(passes) == 4 * 12 + 2
    assert "stopped by SIGTERM after step 12" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "run"), "--resume"]) == 0
    assert train(shards_folder, tmp_path / "whole", *options) == 0
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_the_second_interrupt_leaves_at_once(shards_folder, tiny, tmp_path, monkeypatch):
    from train.loop import Loop

    def interrupted(self, tokens):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")

    monkeypatch.setattr(Loop, "_step", interrupted)
    assert train(shards_folder, tmp_path / "run", *tiny) == 130
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_a_time_limit_saves_and_leaves(shards_folder, tiny, tmp_path):
    assert train(shards_folder, tmp_path / "run", *tiny, "--stop-after", "0s") == 75
    assert max((tmp_path / "run" / "checkpoints").iterdir()).name == "step-000000001"


def test_a_damaged_newest_checkpoint_is_named_and_the_run_ends_the_same(
    shards_folder, tiny, tmp_path, whole_run, capsys
):
    run = shutil.copytree(whole_run, tmp_path / "run")
    path = run / "checkpoints" / "step-000000040" / "model.safetensors"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    assert main(["--out", str(run), "--resume"]) == 0
    assert "step-000000040 is damaged" in capsys.readouterr().err
    assert losses(run) == losses(whole_run) and weights(run) == weights(whole_run)


def test_after_a_damaged_checkpoint_the_new_ones_are_kept(
    shards_folder, tiny, tmp_path, monkeypatch, capsys
):
    from train.checkpoint import Checkpointer

    run, kept, write = tmp_path / "run", [], Checkpointer._write

    def write_and_look(self, copies, state):
        write(self, copies, state)
        kept.append(sorted(path.name for path in self.folder.glob("step-*")))

    assert train(shards_folder, run, *tiny, "--save-steps", "20") == 0
    path = run / "checkpoints" / "step-000000040" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.setattr(Checkpointer, "_write", write_and_look)
    resumed = ["--out", str(run), "--resume", "--keep", "1", "--save-steps", "10"]
    assert main([*resumed, "--eval-every", "0"]) == 0
    assert kept[0][-1] == "step-000000030" and kept[1][-1] == "step-000000040"
    assert "damaged checkpoint is kept as damaged-step-000000040" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's /proc")
def test_a_resumed_run_lets_go_of_the_files_that_it_read(whole_run, tmp_path, monkeypatch):
    from train.loop import Loop

    run, step, maps = shutil.copytree(whole_run, tmp_path / "run"), Loop._step, []

    def looked(self, tokens):
        maps.append(Path("/proc/self/maps").read_text())
        step(self, tokens)

    monkeypatch.setattr(Loop, "_step", looked)
    assert main(["--out", str(run), "--resume", "--steps", "42"]) == 0
    assert len(maps) == 2 and not any(str(run) in text for text in maps)


def test_the_last_step_is_the_best_where_its_loss_is_lowest(shards_folder, tiny, tmp_path):
    options = [*tiny, "--steps", "25", "--save-steps", "5", "--eval-every", "10"]
    assert train(shards_folder, tmp_path / "run", *options) == 0
    best = load(tmp_path / "run", best=True, note=pytest.fail)
    assert best.step == 25
    assert best.state["val_loss"] == lines(tmp_path / "run", "eval")[-1]["val_loss"]


def test_logged_rates_count_all_steps_since_the_line_before_and_no_pause(
    shards_folder, tiny, tmp_path, monkeypatch
):
    from train.loop import Loop

    now, step, score = [0.0], Loop._step, Loop._score

    def second(self, tokens):
        now[0] += 1.0  # a step of 256 tokens takes a second, a look at the held-out loss a hundred
        step(self, tokens)

    def slow(self):
        now[0] += 100.0
        return score(self)

    monkeypatch.setattr("train.loop.time.monotonic", lambda: now[0])
    monkeypatch.setattr(Loop, "_step", second)
    monkeypatch.setattr(Loop, "_score", slow)
    options = [*tiny, "--log-every", "10", "--eval-every", "5", "--save-every", "1d"]
    assert train(shards_folder, tmp_path / "run", *options) == 0
    assert [e["tokens_per_s"] for e in lines(tmp_path / "run", "step")] == [256.0] * 4


def test_every_key_of_the_log_is_explained(whole_run, tmp_path):
    from train import log

    for entry in map(json.loads, (whole_run / "log.jsonl").read_text().splitlines()):
        about = next(
            part for part in log.__doc__.split("\n- ") if part.startswith(entry["kind"] + ":")
        )
        for key in entry.keys() - {"kind", "step"}:
            assert re.search(rf"\b{key}\b", about), (entry["kind"], key)


def test_a_log_holds_any_text_whatever_the_locale(tmp_path):
    code = (
        "import sys; from pathlib import Path; from train.log import RunLog\n"
        "log = RunLog(Path(sys.argv[1]), print)\n"
        "log.write('sample', step=1, text=chr(0x65E5)); log.cut(1)"
    )
    path = tmp_path / "log.jsonl"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    words = [sys.executable, "-c", code, str(path)]
    subprocess.run(words, cwd=ROOT, env=environment, check=True)
    assert json.loads(path.read_text(encoding="utf-8"))["text"] == "日"


def test_more_steps_may_be_given_to_a_finished_run(whole_run, tmp_path):
    run = shutil.copytree(whole_run, tmp_path / "run")
    assert main(["--out", str(run), "--resume", "--steps", "50"]) == 0
    assert [step for step, _ in losses(run)] == list(range(1, 51))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "9"], "--seed is 9, but the run in --out has 1"),
        (["--n-embd", "64"], "--n-embd is 64, but the run in --out has 32"),
        (["--steps", "10"], "past --steps 10"),
    ],
)
def test_a_resumed_run_cannot_become_another(whole_run, options, message, capsys):
    assert main(["--out", str(whole_run), "--resume", *options]) == 2
    assert message in capsys.readouterr().err


def test_other_data_is_refused_on_resume(make_shards, whole_run, tmp_path, capsys):
    other = make_shards(tmp_path / "other", seed=8)
    assert main([str(other), "--out", str(whole_run), "--resume"]) == 2
    assert "holds other tokens than the run was trained on" in capsys.readouterr().err


def test_a_run_is_not_overwritten_without_being_asked(shards_folder, whole_run, tiny, capsys):
    assert train(shards_folder, whole_run, *tiny) == 2
    assert "give --resume to go on" in capsys.readouterr().err


def test_the_micro_batch_is_halved_where_memory_runs_out(
    shards_folder, tiny, tmp_path, whole_run, monkeypatch
):
    from train.loss import LanguageModelLoss

    forward, sizes = LanguageModelLoss.forward, []

    def small(self, ids):
        if self.training:
            sizes.append(len(ids))
            if len(ids) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, ids)

    monkeypatch.setattr(LanguageModelLoss, "forward", small)
    run = tmp_path / "run"
    assert train(shards_folder, run, *tiny) == 0
    assert sizes[:3] == [8, 4, 2] and set(sizes[3:]) == {2}
    assert json.loads((run / "run.json").read_text())["choices"]["micro_batch"] == 2
    assert losses(run)[-1][1] == pytest.approx(losses(whole_run)[-1][1], abs=1e-5)
    odd = [*tiny, "--batch-tokens", "480"]  # 15 sequences: no half of them divides a step
    assert train(shards_folder, tmp_path / "odd", *odd, "--stop-after", "0s") == 75
    assert sizes[-17:-15] == [15, 5] and set(sizes[-15:]) == {1}
    assert train(shards_folder, tmp_path / "odd", *odd, "--resume", "--stop-after", "1h") == 0


def test_memory_that_runs_out_later_is_an_error_that_says_what_to_do(
    shards_folder, tiny, tmp_path, monkeypatch, capsys
):
    from train import loop

    made = loop.training_step

    def small(objective, optimizer, tokens, step, *, choices, **rest):
        if step >= 20 and choices.micro_batch > 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.\nMore")
        return made(objective, optimizer, tokens, step, choices=choices, **rest)

    monkeypatch.setattr(loop, "training_step", small)
    run = tmp_path / "run"
    assert train(shards_folder, run, *tiny, "--save-steps", "20") == 1
    error = capsys.readouterr().err
    assert "train: memory ran out in step 21: --resume with --micro-batch 4 (CUDA out" in error
    # The process that goes on halves it in its own first step.
    assert train(shards_folder, run, *tiny, "--resume") == 0
    assert "memory ran out: 4 sequences at a time from now on" in capsys.readouterr().err
    assert json.loads((run / "run.json").read_text())["choices"]["micro_batch"] == 4


def test_a_pass_that_ran_out_of_memory_is_let_go_before_the_next(
    shards_folder, tiny, tmp_path, monkeypatch
):
    from train.loss import LanguageModelLoss

    forward, kept, alive = LanguageModelLoss.forward, [], []

    class Large(torch.autograd.Function):
        @staticmethod
        def forward(ctx, loss, rows):
            ctx.rows, ctx.kept = rows, set()
            kept.append(weakref.ref(ctx.kept))
            return loss.clone()

        @staticmethod
        def backward(ctx, gradient):
            if ctx.rows > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return gradient, None

    def large(self, ids):
        if self.training:
            alive.append([held() is not None for held in kept])
        loss = forward(self, ids)
        return Large.apply(loss, len(ids)) if self.training else loss

    monkeypatch.setattr(LanguageModelLoss, "forward", large)
    assert train(shards_folder, tmp_path / "run", *tiny, "--steps", "1") == 0
    assert alive[:3] == [[], [False], [False, False]]


def test_a_full_disk_is_noted_and_the_run_goes_on(
    shards_folder, tiny, tmp_path, monkeypatch, capsys
):
    from train import checkpoint

    real, calls = checkpoint.save_file, []

    def full(tensors, path):
        calls.append(path)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr("train.checkpoint.save_file", full)
    assert train(shards_folder, tmp_path / "run", *tiny, "--save-steps", "10") == 0
    problem = next(f for f in lines(tmp_path / "run", "fault"))["problem"]
    assert "No space left" in problem and "step-000000010" in problem
    assert max((tmp_path / "run" / "checkpoints").iterdir()).name == "step-000000040"


@pytest.fixture
def small_disk(tmp_path):
    """A folder that holds 64 KiB: a real file system of that size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True
    )
    if made.returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_lines_that_find_no_room_are_written_when_there_is(small_disk):
    from train.log import RunLog

    told = []
    log, filler = RunLog(small_disk / "log.jsonl", told.append), small_disk / "filler"
    log.write("step", step=1, text="a" * 5000)
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    for step in (2, 3, 4):
        log.write("step", step=step, text="b" * 3000)
    assert told == [f"{log.path}: No space left on device; its lines wait in memory"]
    filler.unlink()
    log.write("step", step=5)
    log.close()
    assert [e["step"] for e in lines(small_disk, "step")] == [1, 2, 3, 4, 5]
    assert len(told) == 1


def test_lines_that_never_find_room_are_said_to_be_lost(monkeypatch):
    from train.log import RunLog

    told = []
    log = RunLog(Path("/dev/full"), told.append)
    log.write("step", step=1)
    log.write("step", step=2)
    log.close()
    assert told[-1] == "/dev/full: no room was found for the last 2 lines; they are lost"


def test_two_trainers_in_one_folder_are_refused(shards_folder, tiny, tmp_path, capsys):
    from train.runs import locked

    with locked(tmp_path / "run"):
        assert train(shards_folder, tmp_path / "run", *tiny) == 1
    assert f"process {os.getpid()} trains in this folder" in capsys.readouterr().err
    assert train(shards_folder, tmp_path / "run", *tiny, "--steps", "2") == 0


def test_the_log_says_what_guessing_and_counting_would_lose(whole_run):
    run = lines(whole_run, "run")[0]
    assert run["uniform_loss"] == pytest.approx(math.log(97))
    assert 3.5 < run["unigram_loss"] < run["uniform_loss"]


def test_without_held_out_files_a_run_trains_and_evaluate_says_so(
    make_shards, tiny, tmp_path, capsys
):
    shards, run = make_shards(tmp_path / "shards"), tmp_path / "run"
    about = json.loads((shards / "shards.json").read_text())
    about["files"] = [f for f in about["files"] if f["split"] == "train"]
    about["splits"]["val"] = {"documents": 0, "tokens": 0, "text_bytes": 0}
    (shards / "shards.json").write_text(json.dumps(about))
    assert train(shards, run, *tiny, "--steps", "3", "--json") == 0
    assert json.loads(capsys.readouterr().out)["val_loss"] is None
    assert main(["evaluate", str(run)]) == 2
    assert "nothing to score in the split val" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_an_error_without_a_traceback(
    shards_folder, tiny, tmp_path, capsys
):
    (tmp_path / "file").write_text("")
    for place, code in (("file", 2), ("file/run", 1)):
        assert train(shards_folder, tmp_path / place, *tiny) == code
        assert "train: " in (error := capsys.readouterr().err) and "Traceback" not in error


def test_a_run_of_another_format_is_refused(whole_run, tmp_path, capsys):
    run = shutil.copytree(whole_run, tmp_path / "run")
    (run / "run.json").write_text('{"format": "webtext-run/9"}')
    assert main(["--out", str(run), "--resume"]) == 1
    assert "format 'webtext-run/9'" in capsys.readouterr().err


def test_no_data_and_no_folder_are_usage_errors(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "x")]) == 2
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path / "absent"), "--out", str(tmp_path / "x")]) == 2
    assert "DATA is missing" in (error := capsys.readouterr().err)
    assert "--out is missing" in error and "no such folder" in error


def test_the_result_is_one_json_object_on_stdout(shards_folder, tiny, tmp_path, capsys):
    assert train(shards_folder, tmp_path / "run", *tiny, "--steps", "3", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["step"] == 3 and result["val_loss"] < result["first_val_loss"]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="compiling on a CPU needs a C++ compiler")
def test_compiled_blocks_train_like_eager_ones_and_resume_bit_for_bit(
    shards_folder, tiny, tmp_path, whole_run
):
    options = [*tiny, "--compile", "on", "--save-steps", "7"]
    assert train(shards_folder, tmp_path / "whole", *options) == 0
    for (_, eager), (_, compiled) in zip(
        losses(whole_run), losses(tmp_path / "whole"), strict=True
    ):
        assert compiled == pytest.approx(eager, abs=1e-3)
    cut = tmp_path / "cut"
    assert train(shards_folder, cut, *options, "--stop-after", "0s") == 75
    torch.compiler.reset()
    assert main(["--out", str(cut), "--resume", "--stop-after", "1h"]) == 0
    assert losses(cut) == losses(tmp_path / "whole") and weights(cut) == weights(tmp_path / "whole")


def test_a_reader_that_has_enough_is_no_error(whole_run):
    words = [sys.executable, "-P", "-m", "train", "evaluate", str(whole_run), "--json"]
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert done.returncode == 1 and "rror" not in done.stderr


def test_a_run_that_ends_where_it_was_stopped_keeps_the_loss_of_that_step(
    shards_folder, tiny, tmp_path, capsys
):
    run, options = tmp_path / "run", [*tiny, "--eval-every", "0"]
    assert train(shards_folder, run, *options, "--stop-after", "0s") == 75
    first = load(run, note=pytest.fail)
    assert first.step == 1 and first.state["val_loss"] is None
    capsys.readouterr()
    assert main(["--out", str(run), "--resume", "--steps", "1", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    best = load(run, best=True, note=pytest.fail)
    assert best.state["val_loss"] == best.state["best_val_loss"] == result["val_loss"]
    assert best.state["val_loss"] == lines(run, "eval")[-1]["val_loss"]
    assert (
        weights(run)[0]
        == hashlib.sha256((best.path / "model.safetensors").read_bytes()).hexdigest()
    )
    for name, tensor in first.model.items():
        assert torch.equal(tensor, best.model[name])
    assert main(["--out", str(run), "--resume"]) == 0
    assert [entry["step"] for entry in lines(run, "save")] == [1, 1]


def test_a_step_made_again_in_smaller_passes_is_that_of_a_run_that_began_so(
    shards_folder, tiny, tmp_path, monkeypatch
):
    from train.loss import LanguageModelLoss

    forward = LanguageModelLoss.forward

    def small(self, ids):
        loss = forward(self, ids)
        if self.training and len(ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss

    options = [*tiny, "--dropout", "0.1"]
    assert train(shards_folder, tmp_path / "whole", *options, "--micro-batch", "2") == 0
    monkeypatch.setattr(LanguageModelLoss, "forward", small)
    assert train(shards_folder, tmp_path / "run", *options) == 0
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    assert weights(tmp_path / "run") == weights(tmp_path / "whole")


def test_memory_that_runs_out_in_the_update_is_found_too(
    shards_folder, tiny, tmp_path, monkeypatch, whole_run
):
    from train import step

    update, calls = step.update, []

    def partly(optimizer, loss, rate, clip):
        calls.append(loss)
        if len(calls) == 1:  # the moments of the first parameter are made, in part
            optimizer.state[optimizer.param_groups[0]["params"][0]]["step"] = torch.zeros(())
            raise torch.OutOfMemoryError("CUDA out of memory")
        return update(optimizer, loss, rate, clip)

    monkeypatch.setattr(step, "update", partly)
    assert train(shards_folder, tmp_path / "run", *tiny) == 0
    assert losses(tmp_path / "run")[-1][1] == pytest.approx(losses(whole_run)[-1][1], abs=1e-5)
