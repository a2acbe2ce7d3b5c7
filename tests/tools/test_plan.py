import bz2
import gzip
import json
import lzma
import random
from datetime import UTC, datetime
from functools import partial

import pytest
import zstandard

from pipeline.engine.manifest import read_manifest
from pipeline.engine.store import Disk
from pipeline.errors import SettingsError
from pipeline.settings_file import load
from tools import plan as planning
from tools import rates
from tools.cli import main
from tools.demo.captures import Capture, write_warc
from tools.flow import ENGINE_STAGES
from tools.plan import plan
from tools.status import status
from train.config import PRESETS
from train.cost import cost

SHAPE = {"train.preset": "demo", "train.device": "cpu", "engine.workers": 4}


@pytest.fixture
def inputs(tmp_path):
    """The settings of 300 submissions and 20 captures."""
    lines = [json.dumps({"id": f"p{n}", "score": n}) + "\n" for n in range(300)]
    (tmp_path / "RS.jsonl.gz").write_bytes(gzip.compress("".join(lines).encode()))
    moment = datetime(2015, 3, 1, tzinfo=UTC)
    pages = [Capture(f"http://a.example/{n}", moment, b"<p>A page.") for n in range(20)]
    write_warc(tmp_path / "web.warc.gz", pages, stored=False)
    request = b"WARC/1.0\r\nWARC-Type: request\r\nContent-Length: 3\r\n\r\nGET\r\n\r\n"
    with (tmp_path / "web.warc.gz").open("ab") as file:
        file.write(gzip.compress(request))
    path = tmp_path / "webtext.toml"
    path.write_text('[input]\ndumps = ["RS.jsonl.gz"]\nwarcs = ["web.warc.gz"]\n')
    return path


def planned(path, **more):
    settings = load(path, {**SHAPE, **{k.replace("__", "."): v for k, v in more.items()}})
    return plan(settings, path.parent, path.parent / "build")


def test_small_inputs_are_counted_to_the_last_row(inputs):
    found = planned(inputs)["inputs"]
    assert (found["submissions"], found["captures"]) == (300, 20)
    assert found["records"] == 21  # a request is no capture
    assert found["warc_bytes"] == (inputs.parent / "web.warc.gz").stat().st_size


def test_a_plan_to_the_links_needs_no_captures_and_names_only_what_is_made(inputs, capsys):
    inputs.write_text('[input]\ndumps = ["RS.jsonl.gz"]\n')
    assert main(["plan", str(inputs), "--to", "links", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["stages"]) == ["links"]
    assert found["model"] is None
    assert found["wall_s"] == found["stages"]["links"]["wall_s"]
    assert main(["plan", str(inputs), "--to", "links"]) == 0
    told = capsys.readouterr().out
    assert "about 300 submissions\n" in told
    assert "model" not in told
    assert main(["plan", str(inputs)]) == 2
    assert "or make the links alone: --to links" in capsys.readouterr().err
    assert main(["plan", str(inputs), "--to", "lnks"]) == 2
    assert "--to lnks: no such stage" in capsys.readouterr().err


def test_dumps_that_take_longer_to_unpack_are_told(inputs, capsys):
    words = ["plan", str(inputs), "--to", "links"]
    assert main(words) == 0
    assert "three times" not in capsys.readouterr().out
    (inputs.parent / "RS.bz2").write_bytes(bz2.compress(b'{"id": "a"}\n'))
    assert main([*words, "--input.dumps", "RS.bz2"]) == 0
    assert "are .bz2 or .xz: links may take three times as long" in capsys.readouterr().out


def test_a_plan_counts_what_the_build_then_counts_and_its_disk_is_enough(finished):
    settings = load(finished.input.settings_path)
    found = plan(settings, finished.input.settings_path.parent, finished.folder)
    stages = status(finished.folder)["stages"]
    assert found["inputs"]["submissions"] == stages["links"]["rows_in"]
    for name in ("documents", "corpus", "shards"):
        files = read_manifest(Disk(finished.folder), name).all_files()
        assert found["stages"][name]["disk_bytes"] > sum(file.bytes for file in files) / 2


PACK = {
    "": bytes,
    ".gz": partial(gzip.compress, compresslevel=1),
    ".bz2": partial(bz2.compress, compresslevel=1),
    ".xz": partial(lzma.compress, preset=0),
    ".zst": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("ending", PACK)
def test_large_dumps_are_sampled_and_the_rest_is_reckoned(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(planning, "DUMP_SAMPLE_BYTES", 1 << 20)
    draw = random.Random(3)
    lines = [f'{{"id": "{draw.randbytes(60).hex()}"}}\n' for _ in range(60_000)]
    path = tmp_path / f"RS{ending}"
    path.write_bytes(PACK[ending]("".join(lines).encode()))
    sample = planning._sampled_dump(path, accept_torn=False)
    assert sample[0] < path.stat().st_size / 2
    assert planning._extrapolated([path] * 3, lambda _: sample) == (
        pytest.approx(180_000, rel=0.15), 0,
    )  # fmt: skip


def test_more_files_than_are_sampled_count_by_their_bytes(tmp_path):
    paths = [tmp_path / f"{n:03}" for n in range(100)]
    for path in paths:
        path.write_bytes(b"x" * 50)
    seen = []

    def sample(path):
        seen.append(path)
        return 25, 3, 2

    assert planning._extrapolated(paths, sample) == (100 * 6, 100 * 4)
    assert 1 < len(seen) <= planning.SAMPLED_FILES
    assert seen[0] == paths[0]


def test_more_cores_take_less_time_but_for_what_one_process_does():
    settings = load(None, SHAPE)
    counts = {"submissions": 10**7, "captures": 10**6, "records": 10**6}
    rows = planning._rows(counts, settings)
    for name in ENGINE_STAGES:
        few, many = (planning._stage(name, rows, cores, settings) for cores in (1, 8))
        assert few.cpu_s == many.cpu_s
        alone_s = sum(r.one_core * r.cpu_s * rows[r.unit] for r in rates.RATES[name])
        fixed_s = rates.START_S[name] + alone_s
        assert few.wall_s - fixed_s == pytest.approx(8 * (many.wall_s - fixed_s), abs=1)
    assert {name for name, own in rates.RATES.items() if any(rate.one_core for rate in own)} == {
        "corpus", "tokenizer",
    }  # fmt: skip


def test_the_walk_of_the_corpus_takes_as_long_on_many_cores():
    settings = load(None, SHAPE)
    counts = {"submissions": 10**7, "captures": 10**6, "records": 10**6}
    rows = planning._rows(counts, settings)
    many = planning._stage("corpus", rows, 1_000, settings)
    assert many.wall_s == pytest.approx(rates.START_S["corpus"] + many.cpu_s / 5, rel=0.01)


def test_pages_are_the_links_or_the_captures_whichever_are_fewer():
    settings = load(None, SHAPE)
    for submissions, captures in ((1000, 50), (1000, 5000)):
        counts = {"submissions": submissions, "captures": captures, "records": captures}
        pages = planning._rows(counts, settings)["pages"]
        assert pages == min(captures, rates.LINKS_A_SUBMISSION * submissions)


def test_the_tokenizers_sample_is_what_the_settings_allow():
    counts = {"submissions": 10**9, "captures": 10**8, "records": 10**8}
    assert planning._rows(counts, load(None, SHAPE))["sampled bytes"] == 1 << 30
    whole = load(None, {"tokenizer.sample_bytes_max": 0, "shards.val_share": 0.5})
    rows = planning._rows(counts, whole)
    assert rows["sampled bytes"] == rows["text bytes"] / 2
    given = load(None, {"tokenizer.path": "tokenizer.json"})
    rows = planning._rows(counts, given)
    assert rows["sampled bytes"] == 0
    assert planning._training(given, rows) is None


@pytest.mark.parametrize(
    ("sample", "pretokens", "cpu_s", "memory"),
    [
        (125_000_000, 539_307, 25.3, 402e6),
        (500_000_000, 975_769, 27.0, 567e6),
        (1_000_000_000, 1_487_621, 30.6, 697e6),
    ],
)
def test_training_is_reckoned_within_a_third_of_what_was_measured(
    sample, pretokens, cpu_s, memory
):  # BENCHMARKS.md, Tokenizer
    counts = {"submissions": 10**9, "captures": 10**8, "records": 10**8}
    settings = load(None, {"tokenizer.sample_bytes_max": sample})
    rows = planning._rows(counts, settings)
    found = planning._training(settings, rows)
    assert found["pretokens"] == pytest.approx(pretokens, rel=1 / 3)
    assert found["merges"] / found["merges_per_s"] == pytest.approx(cpu_s, rel=1 / 3)
    stage = planning._stage("tokenizer", rows, 1, settings)
    assert stage.memory_bytes == pytest.approx(memory, rel=1 / 3)


def test_webtext_itself_takes_what_others_report():
    # 430 M submissions, 45 M captures: 8 M documents took 40 GB, and about 375 core-hours at 30 ms
    # a page (OpenAI's and our own estimates); a plan is of that order.
    counts = {"submissions": 430_648_127, "captures": 45_000_000, "records": 45_000_000}
    settings = load(None, {})
    stage = planning._stage("documents", planning._rows(counts, settings), 2, settings)
    assert 250 < stage.cpu_s / 3600 < 750
    links = planning._stage("links", planning._rows(counts, settings), 2, settings)
    assert 2 < links.cpu_s / 3600 < 6


@pytest.mark.parametrize(
    ("gpu", "preset", "flops_per_s"),
    [
        (None, "demo", 4 * 4e10),
        ("NVIDIA H100 80GB HBM3", "gpt2", 0.4 * 989e12),
        ("NVIDIA Never Heard Of", "gpt2", None),
    ],
)
def test_the_model_is_planned_for_the_device_that_is_here(
    inputs, monkeypatch, gpu, preset, flops_per_s
):
    monkeypatch.setattr(planning, "_gpu_name", lambda: gpu)
    found = plan(load(inputs, {"engine.workers": 4}), inputs.parent, inputs.parent)
    model, recipe = found["stages"]["model"], PRESETS[preset]
    assert model["rows"] == recipe.steps * recipe.batch_tokens
    weights = 4 * (recipe.config.parameters() + 47 * recipe.config.n_embd)  # 50,304 padded rows
    assert model["disk_bytes"] == 3 * 3 * weights  # two checkpoints and the best, with moments
    assert found["model"]["preset"] == preset
    assert found["model"]["parameters"] == recipe.config.parameters()
    assert model["memory_bytes"] > sum(found["model"]["memory"].values()) > 4 * weights
    if flops_per_s is None:
        assert (model["wall_s"], found["wall_s"]) == (None, None)
    else:
        wanted = rates.START_S["model"] + cost(recipe, flops_per_s).hours * 3600
        assert model["wall_s"] == pytest.approx(wanted, rel=0.01)
        walls = [stage["wall_s"] for stage in found["stages"].values()]
        assert found["wall_s"] == pytest.approx(sum(walls))


def test_the_peak_of_the_disk_is_a_stages_scratch_beside_all_results_before_it(inputs):
    found = planned(inputs)
    stages = list(found["stages"].values())
    peaks = [
        sum(s["disk_bytes"] for s in stages[: n + 1]) + stages[n]["scratch_bytes"]
        for n in range(len(stages))
    ]
    assert found["disk_bytes"] == max(peaks)
    assert found["free_disk_bytes"] > 0


def test_the_json_and_the_table_name_every_stage(inputs, capsys):
    words = ["plan", str(inputs), *(w for k, v in SHAPE.items() for w in (f"--{k}", str(v)))]
    assert main([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["stages"]) == [*ENGINE_STAGES, "model"]
    assert found["cores"] == 4
    assert "AMD EPYC" in found["measured_on"]
    assert all(stage["source"] for stage in found["stages"].values())
    assert main(words) == 0
    told = capsys.readouterr().out
    for name in found["stages"]:
        assert f"│ {name} " in told
    assert "300 submissions" in told
    assert "on 4 cores" in told
    parameters = PRESETS["demo"].config.parameters()
    line = f"model: demo, {parameters:,} parameters, 200 steps of 2,048 tokens"
    assert line in " ".join(told.split())


def test_inputs_and_settings_are_checked_as_a_build_checks_them(inputs):
    with pytest.raises(SettingsError, match=r"did you mean train\.steps"):
        planned(inputs, train__stepz=3)
    (inputs.parent / "RS.jsonl.gz").unlink()
    with pytest.raises(SettingsError, match="no file matches"):
        planned(inputs)
