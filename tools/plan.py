"""What a build will take: rows, time, disk and memory of each stage, before anything is started.

Rows are counted in samples of the inputs (plan_inputs.py), and some pages extracted
(plan_pages.py); other rates are measured ones (rates.py), scaled by cores and by this machine's
speed (speed.py). It is a plan, not a promise: where samples do not tell how many links have a
capture, pages are the smaller number of the two. What sources after the WARC files take is told by
plan_sources.py. xz and bzip2 dumps take longer to unpack than the zstd that was measured;
`plan_show` says so.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.settings import Settings
from tools import rates
from tools.flow import reaches
from tools.model import check_settings
from tools.places import Place
from tools.plan_inputs import measured_inputs
from tools.plan_pages import measured_pages
from tools.speed import slowness
from train.cost import CONVENTION, cost, memory, sustained_flops
from train.options import from_options
from train.settings import TrainSettings, recipe_for


@dataclass(frozen=True)
class StagePlan:
    """What one stage takes. Bytes and seconds; `wall_s` is None where the device is not known."""

    rows: int
    unit: str
    cpu_s: float | None
    wall_s: float | None
    disk_bytes: int  # that stay
    scratch_bytes: int  # besides, until the stage is published
    memory_bytes: int  # of all its processes
    source: str


def plan(
    settings: Settings, base: Path, out: Place, to: str = "report", *, ask_index: bool = False
) -> dict[str, Any]:
    """The plan of a build to the stage `to`, in plain form.

    `base` is what paths in the settings are relative to. `ask_index` has Common Crawl's index tell
    what is to be read of it, for the links that the build has made. `model` and
    `tokenizer` are None where none is trained, `sources` where there are only WARC files, the free
    bytes for a bucket. Raises SettingsError and InputError as a build would for its inputs and
    settings.
    """
    inputs, captures = measured_inputs(settings, base, to)
    slow = slowness()
    if reaches(to, "documents"):
        costs = measured_pages(settings, captures)
        inputs["page"] = asdict(costs) if costs else None
    cores = settings.engine.workers or os.cpu_count() or 1
    trainer = _trainer(settings, cores) if reaches(to, "model") else None
    stages = _stages(inputs, cores, trainer, settings, to, slow)
    walls = [stage.wall_s for stage in stages.values()]
    sources = _sources(inputs, settings, out, to, ask_index=ask_index)
    rows = _rows(inputs, settings, slow)
    training = _training(settings, rows, slow) if reaches(to, "tokenizer") else None
    return {
        "inputs": inputs,
        "sources": sources,
        "cores": cores,
        "stages": {name: asdict(stage) for name, stage in stages.items()},
        "tokenizer": training,
        "model": trainer,
        "wall_s": None if None in walls else round(sum(wall for wall in walls if wall), 1),
        "disk_bytes": _peak(stages.values()) + (sources["archive_bytes"] if sources else 0),
        "memory_bytes": max(stage.memory_bytes for stage in stages.values()),
        "free_disk_bytes": free_bytes(out) if isinstance(out, Path) else None,
        "measured_on": rates.MEASURED_ON,
        "slowness": round(slow, 2),
    }


def needed_bytes(settings: Settings, base: Path, out: Place, to: str) -> int:
    """Bytes on disk when they are most, of a build that ends with the stage `to`."""
    inputs, _ = measured_inputs(settings, base, to)
    cores = settings.engine.workers or os.cpu_count() or 1
    trainer = _trainer(settings, cores) if reaches(to, "model") else None
    sources = _sources(inputs, settings, out, to)
    archive_bytes: int = sources["archive_bytes"] if sources else 0
    return _peak(_stages(inputs, cores, trainer, settings, to).values()) + archive_bytes


def _sources(
    inputs: dict[str, Any], settings: Settings, out: Place, to: str, *, ask_index: bool = False
) -> dict[str, Any] | None:
    """What the sources after the WARC files take; None where there are none."""
    if not reaches(to, "pages") or set(settings.pages.sources) == {"warc"}:
        return None
    from tools import plan_sources  # a second of libraries, of no use for most plans

    links = plan_sources.links_of(out, settings, inputs["links"])
    index = plan_sources.index_plan(out, settings) if ask_index else None
    plans = plan_sources.plan_sources(settings, links, inputs["captures"], index)
    return plan_sources.as_tables(links, plans)


def _stages(
    inputs: dict[str, Any],
    cores: int,
    trainer: dict[str, Any] | None,
    settings: Settings,
    to: str,
    slow: float = 1.0,
) -> dict[str, StagePlan]:
    rows = _rows(inputs, settings, slow)
    names = [name for name in rates.RATES if reaches(to, name)]
    stages = {name: _stage(name, rows, cores, settings, slow) for name in names}
    return {**stages, "model": _model(trainer)} if trainer else stages


def _rows(inputs: dict[str, Any], settings: Settings, slow: float = 1.0) -> dict[str, float]:
    """How many rows of each unit there will be; seconds are those of the machine of the rates."""
    links, captures, records = inputs["links"], inputs["captures"], inputs["records"]
    capture_bytes = inputs["capture_bytes"]
    if set(settings.pages.sources) != {"warc"}:  # at most: the sources have all that is lacking
        lacking = max(0.0, links - captures)
        captures, records = captures + lacking, records + rates.RECORDS_A_LINK * lacking
        capture_bytes += rates.PAGE_BYTES * lacking
    pages = min(links, captures)
    if set(settings.pages.sources) == {"warc"} and inputs.get("linked") is not None:
        pages = inputs["linked"]
    if page := inputs.get("page"):
        page_s = page["cpu_s"] / slow
        documents, text = page["documents"] * pages, page["text_bytes"]
    else:
        page_bytes = capture_bytes / captures if captures else rates.PAGE_BYTES
        page_s = rates.CPU_S_A_PAGE_BYTE * page_bytes
        documents = rates.DOCUMENTS_A_PAGE * pages
        text = rates.TEXT_BYTES_A_PAGE_BYTE * page_bytes
    text_bytes = text * rates.TEXTS_A_DOCUMENT * documents
    sample = (1 - settings.shards.val_share) * text_bytes
    if settings.tokenizer.sample_bytes_max:
        sample = min(sample, settings.tokenizer.sample_bytes_max)
    if settings.tokenizer.path:
        sample = 0
    pretokens = rates.PRETOKENS_A_ROOT * sample**0.5
    return {
        "submissions": inputs["submissions"],
        "records": records,
        "links": links,
        "pages": pages,
        "page seconds": page_s * pages,
        "documents": documents,
        "text bytes": text_bytes,
        "sampled bytes": sample,
        "pre-tokens": pretokens,
        "merge work": merges_of(settings) * pretokens**0.5,
        "tokens": rates.TOKENS_A_BYTE * text_bytes,
    }


def merges_of(settings: Settings) -> int:
    """Merges of a tokenizer: its entries without the bytes and end-of-text."""
    return settings.tokenizer.vocab_size - 257


def _training(
    settings: Settings, rows: dict[str, float], slow: float = 1.0
) -> dict[str, int] | None:
    """How fast merges are learnt, and from how many pre-tokens; None where a tokenizer is given."""
    if not rows["pre-tokens"]:
        return None
    learning = next(rate for rate in rates.RATES["tokenizer"] if rate.unit == "merge work")
    return {
        "merges": merges_of(settings),
        "pretokens": round(rows["pre-tokens"]),
        "merges_per_s": round(1 / (slow * learning.cpu_s * rows["pre-tokens"] ** 0.5)),
    }


def _stage(
    name: str, rows: dict[str, float], cores: int, settings: Settings, slow: float = 1.0
) -> StagePlan:
    """A stage on a machine that is `slow` times slower than that of the rates."""
    own = rates.RATES[name]
    rows_s = slow * sum(rate.cpu_s * rows[rate.unit] for rate in own)
    alone_s = slow * sum(rate.one_core * rate.cpu_s * rows[rate.unit] for rate in own)
    together_s = (rows_s - alone_s) / (cores * rates.BUSY)
    start_cpu_s, start_s = rates.START_S[name]
    return StagePlan(
        rows=round(rows[own[0].unit]),
        unit=own[0].unit,
        cpu_s=round(slow * start_cpu_s + rows_s, 1),
        wall_s=round(slow * start_s + alone_s + together_s, 1),
        disk_bytes=round(sum(rate.disk_bytes * rows[rate.unit] for rate in own)),
        scratch_bytes=round(sum(rate.scratch_bytes * rows[rate.unit] for rate in own)),
        memory_bytes=rates.BUILD_MEMORY + round(_memory(name, rows, cores, settings)),
        source="; ".join(rate.source for rate in own),
    )


def _memory(name: str, rows: dict[str, float], cores: int, settings: Settings) -> float:
    """What a stage's rows take in memory, besides what every build takes."""
    shard = min(rows["tokens"], settings.shards.shard_tokens_max)
    taken = {
        "documents": rates.WORKER_MEMORY * cores,
        "corpus": rates.DOCUMENT_MEMORY * rows["documents"],
        "tokenizer": rates.PRETOKEN_MEMORY * rows["pre-tokens"],
        "shards": rates.TOKEN_MEMORY * shard,
    }
    return taken.get(name, rates.LINK_MEMORY * rows["links"])


def _trainer(settings: Settings, cores: int) -> dict[str, Any]:
    """The recipe and what it takes by the trainer's own arithmetic.

    Memory is for one sequence at a time: the trainer takes more at once where there is room.
    """
    wanted = from_options(TrainSettings, check_settings(settings.train))
    gpu = None if wanted.device == "cpu" else _gpu_name()
    name, recipe = recipe_for(wanted, settings.tokenizer.vocab_size, has_gpu=gpu is not None)
    threads = wanted.threads or cores
    needs = cost(recipe, sustained_flops(gpu or "cpu", threads))
    return {
        "preset": name,
        "parameters": recipe.config.parameters(),
        "paper": recipe.paper,
        "steps": recipe.steps,
        "batch_tokens": recipe.batch_tokens,
        "flops": needs.flops,
        "convention": CONVENTION,
        "device": gpu or "cpu",
        "threads": threads,
        "hours": needs.hours,
        "checkpoints": wanted.keep + 1,  # the best is kept besides
        "memory": vars(memory(recipe.config, wanted.micro_batch or 1, item_bytes=4)),
    }


def _model(trainer: dict[str, Any]) -> StagePlan:
    """The stage `model`, with the evaluation and the samples after training."""
    hours = trainer["hours"]
    wall_s = None if hours is None else round(rates.MODEL_START_S + 3600 * hours, 1)
    checkpoint = 3 * trainer["memory"]["weights"]  # weights and AdamW's two moments
    return StagePlan(
        rows=trainer["steps"] * trainer["batch_tokens"],
        unit="tokens to read",
        cpu_s=round(wall_s * trainer["threads"], 1)
        if wall_s and trainer["device"] == "cpu"
        else None,
        wall_s=wall_s,
        disk_bytes=checkpoint * trainer["checkpoints"],
        scratch_bytes=checkpoint,  # one more while it is written
        memory_bytes=rates.BUILD_MEMORY + rates.TRAINER_MEMORY + sum(trainer["memory"].values()),
        source="train/cost.py",
    )


def _gpu_name() -> str | None:
    """The first GPU by NVIDIA's own tool: torch would take seconds to import."""
    if not shutil.which("nvidia-smi"):
        return None
    words = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        told = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:  # a driver that hangs
        return None
    names = told.stdout.splitlines()
    return names[0] if told.returncode == 0 and names else None


def _peak(stages: Iterable[StagePlan]) -> int:
    """Bytes on disk when they are most: each stage's scratch lies beside all results before it."""
    kept, peak = 0, 0
    for stage in stages:
        kept += stage.disk_bytes
        peak = max(peak, kept + stage.scratch_bytes)
    return peak


def free_bytes(out: Path) -> int:
    """Bytes that are free on the disk where `out` is, or would be made."""
    there = next(place for place in (out.absolute(), *out.absolute().parents) if place.exists())
    return shutil.disk_usage(there).free
