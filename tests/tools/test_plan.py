import bz2
import gzip
import json
import lzma
import random
from datetime import UTC, datetime
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.engine.manifest import read_manifest
from pipeline.engine.store import Disk
from pipeline.errors import InputError, SettingsError
from pipeline.settings import LinksSettings
from pipeline.settings_file import load
from tools import plan as planning
from tools import plan_inputs, rates, speed
from tools.cli import main
from tools.demo.captures import Capture, write_warc
from tools.flow import ENGINE_STAGES
from tools.plan import plan
from tools.plan_pages import measured_pages
from tools.status import status
from train.config import PRESETS
from train.cost import cost

SHAPE = {"train.preset": "demo", "train.device": "cpu", "engine.workers": 4}


@pytest.fixture(autouse=True)
def nothing_is_measured(monkeypatch):
    """This machine is that of the rates, and its pages are as those of the real build."""
    monkeypatch.setattr(planning, "measured_pages", lambda settings, captures: None)
    monkeypatch.setattr(planning, "slowness", lambda: 1.0)


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


def counts(submissions, captures):
    """What inputs of such a size hold: a link of ten submissions, as WebText has."""
    found = {"submissions": submissions, "links": submissions // 10, "captures": captures}
    sizes = {"records": captures, "capture_bytes": captures * rates.PAGE_BYTES}
    return {**found, **sizes, "linked": None}


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
    (inputs.parent / "RS.bz2").write_bytes(bz2.compress(b'{"id": "a", "score": 1}\n'))
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
    monkeypatch.setattr(plan_inputs, "DUMP_SAMPLE_BYTES", 1 << 20)
    draw = random.Random(3)
    lines = [f'{{"score": 1, "id": "{draw.randbytes(60).hex()}"}}\n' for _ in range(60_000)]
    path = tmp_path / f"RS{ending}"
    path.write_bytes(PACK[ending]("".join(lines).encode()))
    links = plan_inputs.LinkSample(LinksSettings())
    sample = plan_inputs.sampled_dump(path, links, accept_torn=False)
    assert sample.read_bytes < path.stat().st_size / 2
    assert plan_inputs.extrapolated([path] * 3, lambda _: sample, 1) == [
        pytest.approx(180_000, rel=0.15)
    ]
    assert 5_000 < links.judged <= plan_inputs.LINES_JUDGED


def post(name, url, score, created_s=1_400_000_000):
    fields = {"url": url, "score": score, "created_utc": created_s, "is_self": False}
    return json.dumps({"id": name, "title": "t", "subreddit": "s", "over_18": False, **fields})


@pytest.mark.parametrize(("rule", "share"), [("max", 3 / 6), ("sum", 4 / 6), ("first", 2 / 6)])
def test_links_of_a_plan_are_those_that_the_rules_keep_of_the_first_submissions(
    tmp_path, rule, share
):
    lines = [
        post("a", "https://one.example/", 1, 1_400_000_000),
        post("b", "https://one.example/#top", 5, 1_400_000_001),
        post("c", "https://two.example/", 9),
        post("d", "https://three.example/", 2, 1_400_000_000),
        post("e", "https://three.example/", 2, 1_400_000_001),
        post("f", "https://four.example/", 3),
    ]
    for name, some in (("RS_1.jsonl", lines[:4]), ("RS_2.jsonl", lines[4:])):
        (tmp_path / name).write_text("\n".join(some) + "\n")
    settings = load(None, {"input.dumps": ["RS_*.jsonl"], "links.karma_rule": rule})
    found, _ = plan_inputs.measured_inputs(settings, tmp_path, "links")
    assert found["submissions"] == 6
    assert found["links"] == round(6 * share)


def test_links_that_have_a_capture_are_told_where_samples_tell_them(tmp_path, monkeypatch):
    moment = datetime(2015, 3, 1, tzinfo=UTC)
    urls = [f"https://a.example/{n}" for n in range(80)]
    pages = [Capture(url, moment, b"<p>A page.") for url in urls[:40]]
    write_warc(tmp_path / "web.warc.gz", pages, stored=False)
    lines = [post(f"p{n}", url, 9) for n, url in enumerate(urls[20:])]
    (tmp_path / "RS.jsonl").write_text("\n".join(lines) + "\n")
    files = {"input.dumps": ["RS.jsonl"], "input.warcs": ["web.warc.gz"]}
    settings = load(None, {**SHAPE, **files})

    def linked():
        found, pages = plan_inputs.measured_inputs(settings, tmp_path, "pages")
        return found["linked"], planning._rows(found, settings)["pages"], len(pages)

    assert linked() == (20, 20, 40)
    monkeypatch.setattr(plan_inputs, "LINES_JUDGED", 15)  # a quarter: of the 40 pages none is told
    assert linked() == (None, 40, 40)
    monkeypatch.setattr(plan_inputs, "LINKED_MIN", 15)  # the first 15 lines have 15 of the pages
    assert linked() == (60, 60, 15)
    fetched = load(None, {**SHAPE, **files, "pages.sources": ["warc", "live"]})
    found, _ = plan_inputs.measured_inputs(fetched, tmp_path, "pages")
    assert planning._rows(found, fetched)["pages"] == 60


def test_dumps_of_other_forms_are_counted_by_their_rows(tmp_path):
    rows = [json.loads(post(f"p{n}", f"https://a.example/{n}", n)) for n in range(10)]
    (tmp_path / "RS_1.json").write_text(json.dumps(rows, indent=1))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "RS_2.parquet")
    for name, links in (("RS_1.json", 7), ("RS_2.parquet", 7), ("RS_*", 7)):
        settings = load(None, {"input.dumps": [name]})
        found, _ = plan_inputs.measured_inputs(settings, tmp_path, "links")
        assert found["submissions"] == (20 if name == "RS_*" else 10)
        assert found["links"] == links


def test_a_slower_machine_takes_longer_and_the_plan_says_so(inputs, capsys, monkeypatch):
    times = {}
    for slow in (1.0, 3.0):
        monkeypatch.setattr(planning, "slowness", lambda slow=slow: slow)
        assert main(["plan", str(inputs), "--to", "shards"]) == 0
        assert f"takes {slow:.2f} times as long" in " ".join(capsys.readouterr().out.split())
        found = plan(load(inputs, SHAPE), inputs.parent, inputs.parent / "build", "shards")
        times[slow] = found["stages"]
    for name in ENGINE_STAGES:
        assert times[3.0][name]["wall_s"] == pytest.approx(3 * times[1.0][name]["wall_s"], abs=0.2)
    assert speed.slowness() > 0


def test_pages_of_the_inputs_are_extracted_to_tell_what_they_take(finished, monkeypatch):
    monkeypatch.setattr(planning, "measured_pages", measured_pages)
    settings = load(finished.input.settings_path)
    found = plan(settings, finished.input.settings_path.parent, finished.folder)
    page = found["inputs"]["page"]
    assert page["pages"] > 30
    assert 0.5 < page["documents"] < 1
    stage = found["stages"]["documents"]
    assert stage["cpu_s"] > 0.5 * found["inputs"]["linked"] * page["cpu_s"]


def test_pages_that_cannot_be_read_stop_the_plan_as_they_stop_a_build(inputs, monkeypatch):
    monkeypatch.setattr(planning, "measured_pages", measured_pages)
    assert planned(inputs)["inputs"]["page"]["pages"] > 0
    with (inputs.parent / "web.warc.gz").open("r+b") as file:
        file.truncate(file.seek(0, 2) // 2)
    with pytest.raises(InputError, match=r"web\.warc\.gz"):
        planned(inputs)


def test_larger_pages_take_longer():
    settings, found = load(None, SHAPE), counts(10**6, 10**5)
    small, large = (
        planning._rows({**found, "capture_bytes": size * 10**5}, settings)
        for size in (2_000, 40_000)
    )
    stages = [planning._stage("documents", rows, 2, settings) for rows in (small, large)]
    assert stages[0].cpu_s < stages[1].cpu_s


def test_more_files_than_are_sampled_count_by_their_bytes(tmp_path):
    paths = [tmp_path / f"{n:03}" for n in range(100)]
    for path in paths:
        path.write_bytes(b"x" * 50)
    seen = []

    def sample(path):
        seen.append(path)
        return plan_inputs.Sample(25, (3, 2))

    assert plan_inputs.extrapolated(paths, sample, 2) == [100 * 6, 100 * 4]
    assert 1 < len(seen) <= plan_inputs.SAMPLED_FILES
    assert seen[0] == paths[0]


def test_more_cores_take_less_time_but_for_what_one_process_does():
    settings = load(None, SHAPE)
    rows = planning._rows(counts(10**7, 10**6), settings)
    for name in ENGINE_STAGES:
        few, many = (planning._stage(name, rows, cores, settings) for cores in (1, 8))
        assert few.cpu_s == many.cpu_s
        alone_s = sum(r.one_core * r.cpu_s * rows[r.unit] for r in rates.RATES[name])
        fixed_s = rates.START_S[name][1] + alone_s
        assert few.wall_s - fixed_s == pytest.approx(8 * (many.wall_s - fixed_s), abs=1)
    assert {name for name, own in rates.RATES.items() if any(rate.one_core for rate in own)} == {
        "corpus", "tokenizer",
    }  # fmt: skip


def test_the_walk_of_the_corpus_takes_as_long_on_many_cores():
    settings = load(None, SHAPE)
    rows = planning._rows(counts(10**7, 10**6), settings)
    many = planning._stage("corpus", rows, 1_000, settings)
    assert many.wall_s == pytest.approx(rates.START_S["corpus"][1] + many.cpu_s / 5, rel=0.01)


def test_pages_are_the_links_or_the_captures_whichever_are_fewer():
    settings = load(None, SHAPE)
    for submissions, captures in ((1000, 50), (1000, 5000)):
        found = counts(submissions, captures)
        assert planning._rows(found, settings)["pages"] == min(captures, found["links"])


def test_the_tokenizers_sample_is_what_the_settings_allow():
    many = counts(10**9, 10**8)
    assert planning._rows(many, load(None, SHAPE))["sampled bytes"] == 1 << 30
    whole = load(None, {"tokenizer.sample_bytes_max": 0, "shards.val_share": 0.5})
    rows = planning._rows(many, whole)
    assert rows["sampled bytes"] == rows["text bytes"] / 2
    given = load(None, {"tokenizer.path": "tokenizer.json"})
    rows = planning._rows(many, given)
    assert rows["sampled bytes"] == 0
    assert planning._training(given, rows) is None


@pytest.mark.parametrize(
    ("sample", "pretokens", "cpu_s", "memory"),
    [
        (125_000_000, 539_512, 10.8, 400e6),
        (500_000_000, 976_015, 14.9, 527e6),
        (2_000_000_000, 2_352_270, 31.5, 1_046e6),
    ],
)
def test_training_is_reckoned_within_a_third_of_what_was_measured(
    sample, pretokens, cpu_s, memory
):  # BENCHMARKS.md, Tokenizer
    settings = load(None, {"tokenizer.sample_bytes_max": sample})
    rows = planning._rows(counts(10**9, 10**8), settings)
    found = planning._training(settings, rows)
    assert found["pretokens"] == pytest.approx(pretokens, rel=1 / 3)
    assert found["merges"] / found["merges_per_s"] == pytest.approx(cpu_s, rel=1 / 3)
    stage = planning._stage("tokenizer", rows, 1, settings)
    assert stage.memory_bytes == pytest.approx(memory, rel=1 / 3)


def test_webtext_itself_takes_what_others_report():
    # 430 M submissions, 45 M captures: 8 M documents took 40 GB, and about 375 core-hours at 30 ms
    # a page (OpenAI's and our own estimates); a plan is of that order.
    rows = planning._rows(counts(430_648_127, 45_000_000), load(None, {}))
    settings = load(None, {})
    stage = planning._stage("documents", rows, 2, settings)
    assert 250 < stage.cpu_s / 3600 < 750
    links = planning._stage("links", rows, 2, settings)
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
        wanted = rates.MODEL_START_S + cost(recipe, flops_per_s).hours * 3600
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
