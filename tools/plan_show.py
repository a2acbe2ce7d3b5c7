"""A plan for people: see plan.py."""

from typing import Any

from rich.filesize import decimal
from rich.table import Table

from tools.status import console_for_tables
from train.log import duration


def show(found: dict[str, Any]) -> None:
    """Print the plan for a person."""
    console, inputs = console_for_tables(), found["inputs"]
    warcs = f"{decimal(inputs['warc_bytes'])} of WARC files: about {inputs['captures']:,} captures"
    if inputs["linked"] is not None:
        warcs += f", {inputs['linked']:,} of them linked"
    console.print(
        f"{decimal(inputs['dump_bytes'])} of dumps: about {inputs['submissions']:,} submissions"
        + (f"; {warcs}" if "pages" in found["stages"] else "")
    )
    table = Table("stage", "from about")
    for name in ("CPU time", "time", "on disk", "scratch", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, stage in found["stages"].items():
        times = [_time(stage[key]) for key in ("cpu_s", "wall_s")]
        sizes = [decimal(stage[f"{key}_bytes"]) for key in ("disk", "scratch", "memory")]
        table.add_row(name, f"{stage['rows']:,} {stage['unit']}", *times, *sizes)
    console.print(table)
    if found["sources"]:
        console.print(_sources_table(found["sources"]))
        console.print(_archive_line(found["sources"]))
    if learning := found["tokenizer"]:
        console.print(
            f"tokenizer: {learning['merges']:,} merges, {learning['merges_per_s']:,} a second, "
            f"from about {learning['pretokens']:,} different pre-tokens"
        )
    if found["model"]:
        console.print(_model_line(found["model"]))
    free = found["free_disk_bytes"]
    where = "in the bucket" if free is None else f"of disk ({decimal(free)} are free)"
    console.print(
        f"in all {_time(found['wall_s'])} on {found['cores']} cores{_besides(found['sources'])}, "
        f"{decimal(found['disk_bytes'])} {where}, {decimal(found['memory_bytes'])} of memory"
    )
    if slow := inputs["slow_dump_bytes"]:
        console.print(
            f"{decimal(slow)} of the dumps are .bz2 or .xz: links may take three times as long as "
            "told here, which is measured with .zst"
        )
    console.print(
        f"Rates measured on {found['measured_on']}; by a probe this machine takes "
        f"{found['slowness']:.2f} times as long. {_assumed(inputs)}--json names each source.",
        style="dim",
    )


def _assumed(inputs: dict[str, Any]) -> str:
    if inputs["linked"] is None:
        return "Pages are counted as if links and captures met. "
    return ""


def _sources_table(sources: dict[str, Any]) -> Table:
    shown = Table("source of pages", "asked for at most", "requests", "time", "which hangs on")
    for each in sources["sources"]:
        requests = "not known" if each["requests"] is None else f"{each['requests']:,}"
        links = f"{each['links']:,} links"
        shown.add_row(each["source"], links, requests, _time(each["wall_s"]), each["bound"])
    return shown


def _archive_line(sources: dict[str, Any]) -> str:
    links = sources["links"]
    return (
        f"{links['count']:,} links ({links['source']}); up to {decimal(sources['archive_bytes'])} "
        f"of WARC files from the sources, {decimal(sources['page_bytes'])} a page"
    )


def _besides(sources: dict[str, Any] | None) -> str:
    if not sources:
        return ""
    wall_s = sources["wall_s"]
    return f" and {_time(wall_s)} for the sources" if wall_s is not None else " besides the sources"


def _model_line(model: dict[str, Any]) -> str:
    paper = f" (the paper says {model['paper']})" if model["paper"] else ""
    parts = ", ".join(f"{decimal(size)} {name}" for name, size in model["memory"].items())
    device = f"{model['threads']} cores" if model["device"] == "cpu" else model["device"]
    return (
        f"model: {model['preset']}, {model['parameters']:,} parameters{paper}, {model['steps']:,} "
        f"steps of {model['batch_tokens']:,} tokens, {model['flops']:.2g} FLOPs on {device}; of its"
        f" memory {parts}, one sequence at a time"
    )


def _time(seconds: float | None) -> str:
    return "not known" if seconds is None else duration(seconds)
