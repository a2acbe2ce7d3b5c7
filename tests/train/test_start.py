import json
import math
import shutil

import pytest

from train import hardware, start
from train.__main__ import main
from train.checkpoint import Checkpointer, load
from train.config import PRESETS
from train.log import read_log
from train.runs import keep_tokenizer, tokenizer_for
from train.settings import TrainSettings


def test_a_run_tells_it_once_and_not_when_it_goes_on(shards_folder, tiny, tmp_path, capsys):
    command = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny]
    assert main([*command, "--steps", "3"]) == 0
    told = capsys.readouterr().err
    first = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[2])["loss"]
    assert told.count(f"first loss {first:.3f}, as it should be") == 1
    assert main([*command, "--steps", "5", "--resume"]) == 0
    assert "first loss" not in capsys.readouterr().err


def test_weights_of_another_run_are_judged_as_trained_ones(shards_folder, tiny, tmp_path, capsys):
    one, two = tmp_path / "one", tmp_path / "two"
    assert main([str(shards_folder), "--out", str(one), *tiny]) == 0
    assert main([str(shards_folder), "--out", str(two), *tiny, "--init", str(one)]) == 0
    assert "as it should be of trained weights" in capsys.readouterr().err


@pytest.mark.parametrize(("compiler", "header"), [(True, False), (False, True), (True, True)])
def test_a_gpu_run_is_compiled_where_triton_finds_what_it_builds_with(
    monkeypatch, tmp_path, compiler, header
):
    if header:
        (tmp_path / "Python.h").touch()
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}" if compiler else None)
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr("train.hardware.device_of", lambda _: "cuda")
    monkeypatch.setattr("train.hardware.free_memory", lambda _: 80 << 30)
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    found = hardware.choose(TrainSettings(dtype="bfloat16"), PRESETS["gpt2"])
    assert found.compile == (compiler and header)
    assert ("which Triton needs" in found.reasons["compile"]) != found.compile
    assert found.micro_batch == 64  # 65,536 tokens of a pass


def test_a_model_that_memory_cannot_hold_is_refused_before_its_weights_are_drawn(
    shards_folder, tmp_path, capsys, monkeypatch
):
    drawn = []
    monkeypatch.setattr(start, "_model", lambda *_: drawn.append(1))
    monkeypatch.setattr("train.hardware.free_memory", lambda _: 80 * 10**9)
    words = [str(shards_folder), "--out", str(tmp_path / "run"), "--preset", "gpt3-175b"]
    assert main([*words, "--device", "cpu", "--dtype", "float32", "--n-ctx", "64"]) == 2
    assert "parameters take 2,7" in (said := capsys.readouterr().err)
    assert "GB with their gradients and moments, and 80.0 GB are free here" in said
    assert not drawn and not (tmp_path / "run" / "run.json").exists()


def test_a_tokenizer_that_is_not_there_is_refused(shards_folder, tiny, tmp_path, capsys):
    run = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny]
    assert main([*run, "--tokenizer", str(tmp_path / "none.json")]) == 2
    assert "--tokenizer: no file at" in capsys.readouterr().err


def test_other_weights_cannot_be_given_to_a_run_that_goes_on(shards_folder, tiny, tmp_path, capsys):
    run, again = tmp_path / "run", ["--out", str(tmp_path / "run"), "--resume", "--steps", "2"]
    assert main([str(shards_folder), "--out", str(run), *tiny, "--steps", "1"]) == 0
    assert main([*again, "--init", str(run)]) == 2
    assert "--init is" in capsys.readouterr().err


def test_weights_stay_split_on_resume_unless_told_otherwise(
    shards_folder, tiny, tmp_path, monkeypatch
):
    assert main([str(shards_folder), "--out", str(tmp_path), *tiny, "--steps", "1"]) == 0
    run = json.loads((tmp_path / "run.json").read_text())
    run["settings"]["fsdp"] = True
    (tmp_path / "run.json").write_text(json.dumps(run))
    wanted = TrainSettings(resume=True)
    assert start._needed_to_join(tmp_path, wanted, {}) == ("cpu", False)
    monkeypatch.setattr(start, "ranks_started", lambda: 2)
    assert start._needed_to_join(tmp_path, wanted, {}) == ("cpu", True)
    assert start._needed_to_join(tmp_path, wanted, {"fsdp": False}) == ("cpu", False)


def test_ranks_of_one_machine_share_its_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    assert hardware.cores() == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert hardware.cores() == 2
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert hardware.cores() == 1


def test_a_run_that_goes_on_keeps_its_tokenizer_unless_another_is_given(tmp_path):
    data, run, other = tmp_path / "data", tmp_path / "run", tmp_path / "other.json"
    data.mkdir(), run.mkdir()

    def kept(given, *, own):
        keep_tokenizer(tokenizer_for(run, data, given, own=own), run)
        return (run / "tokenizer.json").read_text()

    (data / "tokenizer.json").write_text("first")
    assert kept("", own=False) == "first"
    (data / "tokenizer.json").write_text("second")
    assert kept("", own=True) == "first"
    other.write_text("third")
    assert kept(str(other), own=False) == "third"
    (run / "tokenizer.json").unlink()  # a kill came before it was copied
    assert kept(str(other), own=True) == "third"


def contents(folder):
    """Every file of a folder but its lock, which names the last process."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "lock")
    return {path.relative_to(folder): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def finished(shards_folder, tiny, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished") / "run"
    assert main([str(shards_folder), "--out", str(out), *tiny, "--save-steps", "20"]) == 0
    return out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", "10"], "the run is at step 40, past --steps 10"),
        (["--steps", "50", "--micro-batch", "3"], "--micro-batch is 3"),
        (["--steps", "50", "--sample-every", "5"], "--sample-every needs --tokenizer"),
        (["--steps", "50", "--tokenizer", "none.json"], "--tokenizer: no file"),
        (["--steps", "50", "--fsdp"], "--fsdp splits the model over several processes"),
        (["--steps", "50", "--keep", "0"], "--keep is 0"),
        (["--steps", "50", "--seed", "2"], "--seed is 2"),
    ],
)
def test_a_refused_resume_changes_nothing_in_the_folder(
    finished, tmp_path, options, message, capsys
):
    run = shutil.copytree(finished, tmp_path / "run")
    before = contents(run)
    assert main(["--out", str(run), "--resume", *options]) == 2
    assert message in capsys.readouterr().err
    assert contents(run) == before
    assert main(["--out", str(run), "--resume"]) == 0


def test_moments_that_are_missing_are_refused_before_anything_is_written(
    finished, tmp_path, monkeypatch, capsys
):
    run = shutil.copytree(finished, tmp_path / "run")
    before = contents(run)

    def some(*args, **options):
        found = load(*args, **options)
        found.optimizer.popitem()
        return found

    monkeypatch.setattr(start, "load", some)
    assert main(["--out", str(run), "--resume", "--steps", "50"]) == 1
    assert "no optimizer state for" in capsys.readouterr().err
    assert contents(run) == before


@pytest.mark.parametrize("left", ["checkpoints", "log.jsonl", "tokenizer.json"])
@pytest.mark.parametrize("resume", [[], ["--resume"]], ids=["new", "resumed"])
def test_what_another_run_left_is_refused_and_stays(
    shards_folder, finished, tiny, tmp_path, left, resume, capsys
):
    run = tmp_path / "run"
    run.mkdir()
    if left == "checkpoints":
        shutil.copytree(finished / left, run / left)
    else:
        (run / left).write_text('{"kind": "step", "step": 1}\n')
    before = contents(run)
    words = [str(shards_folder), "--out", str(run), *tiny, "--steps", "5", *resume]
    assert main(words) == 2
    named = "checkpoints/step-000000040" if left == "checkpoints" else left
    error = capsys.readouterr().err
    assert f"{run} holds {named}, but no run.json" in error and "another --out" in error
    assert contents(run) == before


@pytest.mark.parametrize("of", ["run", "checkpoint"])
def test_every_command_names_checkpoints_without_run_json(finished, tmp_path, of, capsys):
    run = shutil.copytree(finished, tmp_path / "run")
    (run / "run.json").unlink()
    given = str(run if of == "run" else run / "checkpoints" / "step-000000040")
    for words in (["evaluate", given], ["sample", given], ["export", given, "--out", "x"]):
        assert main(words) == 1
        wanted = f"{run} holds checkpoints/step-000000040, log.jsonl, but no run.json"
        assert wanted in capsys.readouterr().err


def test_other_steps_on_resume_tell_how_far_the_rate_jumps(finished, tmp_path, capsys):
    run = shutil.copytree(finished, tmp_path / "run")
    assert main(["--out", str(run), "--resume", "--steps", "80"]) == 0
    told = capsys.readouterr().err
    rates = {e["step"]: e["lr"] for e in read_log(run) if e["kind"] == "step"}
    assert rates[41] > 5 * rates[40]
    assert (
        f"that of step 41 is 0.0003 by --steps 40 and {rates[41]:g} by --steps 80 "
        f"({rates[41] / 3e-4:.3g} times)"
    ) in told
    assert main(["--out", str(run), "--resume"]) == 0
    assert "the rate jumps" not in capsys.readouterr().err


def test_a_warm_up_that_the_run_does_not_finish_is_told(shards_folder, tiny, tmp_path, capsys):
    words = [str(shards_folder), "--out", str(tmp_path / "run"), *tiny, "--steps", "3"]
    assert main([*words, "--warmup-steps", "700"]) == 0
    assert "rate: 1.28571e-05 is reached at the last step, 3" in capsys.readouterr().err


def with_weights(run, value):
    """Writes a newest checkpoint whose first weight is `value`, as an older version would have."""
    found = load(run, note=pytest.fail)
    weights = {name: tensor.clone() for name, tensor in found.model.items()}
    weights["transformer.wte.weight"][0, 0] = value
    saver = Checkpointer(run / "checkpoints", 2, pytest.fail)
    saver.save(weights, found.optimizer, {**found.state, "step": found.step + 1})
    saver.wait()
    return run / "checkpoints" / f"step-{found.step + 1:09d}"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_weights_that_are_not_finite_are_refused_by_name(
    shards_folder, finished, tiny, tmp_path, tokenizer_path, value, capsys
):
    run = shutil.copytree(finished, tmp_path / "run")
    place, new = with_weights(run, value), ["--out", str(tmp_path / "new")]
    before = contents(run)
    tokenizer = ["--tokenizer", str(tokenizer_path)]
    for words in (
        ["evaluate", str(run), "--json"], ["export", str(run), *new], ["evaluate", str(place)],
        ["sample", str(run), *tokenizer], ["--out", str(run), "--resume", "--steps", "50"],
        [str(shards_folder), *new, *tiny, "--init", str(run)],
    ):  # fmt: skip
        assert main(words) == 1
        told = capsys.readouterr()
        wanted = f"train: {place}: transformer.wte.weight holds numbers that are not finite"
        assert wanted in told.err and told.out == ""
    assert contents(run) == before and not contents(tmp_path / "new")


@pytest.mark.parametrize(
    "large", [["--batch-tokens", str(1 << 50)], ["--n-embd", "10000000", "--n-head", "1"]]
)
def test_memory_that_nobody_has_is_an_error_without_a_traceback(
    shards_folder, tiny, tmp_path, large, capsys, monkeypatch
):
    monkeypatch.setattr(start, "check_room", lambda *_: None)  # where it cannot be told before
    assert main([str(shards_folder), "--out", str(tmp_path / "run"), *tiny, *large]) == 1
    error = capsys.readouterr().err
    assert "train: memory ran out (" in error and "no checkpoint was written yet" in error


def test_an_error_of_the_program_itself_keeps_its_traceback(monkeypatch, tmp_path):
    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(start, "train", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        main([str(tmp_path), "--out", str(tmp_path / "run")])


@pytest.mark.parametrize("gone", ["folder", "content"])
def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(finished, tmp_path, gone, capsys):
    run = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    if gone == "content":
        (run / "checkpoints").mkdir()
    before = contents(run)
    assert main(["--out", str(run), "--resume"]) == 2
    assert "knows step 40, but no checkpoint; put checkpoints/ back" in capsys.readouterr().err
    assert contents(run) == before


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(finished, tmp_path):
    run = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    lines = (run / "log.jsonl").read_text().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if '"save"' in line)
    (run / "log.jsonl").write_text("".join(lines[: first + 1]))
    assert main(["--out", str(run), "--resume"]) == 0


def test_a_new_run_does_not_take_the_place_of_one_without_checkpoints(
    shards_folder, finished, tiny, tmp_path, capsys
):
    run = shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    before = contents(run)
    assert main([str(shards_folder), "--out", str(run), *tiny, "--n-embd", "16"]) == 2
    assert f"{run} holds a run; give --resume" in capsys.readouterr().err
    assert contents(run) == before


def test_checkpoints_that_are_a_file_are_named(shards_folder, tiny, tmp_path, capsys):
    (tmp_path / "checkpoints").touch()
    assert main([str(shards_folder), "--out", str(tmp_path), *tiny]) == 2
    assert f"{tmp_path / 'checkpoints'} is a file" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]
