"""FineWeb's pipeline by datatrove over WARC files, for datatrove.py: it imports nothing of ours.

As examples/fineweb.py of datatrove has it, with three differences: its list of blocked URLs is left
out, languages are given by URL (its model would be downloaded), and no page is given up after a
second, since the machine may be shared.
"""

import json
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor  # type: ignore[import-not-found]
from datatrove.pipeline.dedup import (  # type: ignore[import-not-found]
    MinhashConfig,
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.extractors import Trafilatura  # type: ignore[import-not-found]
from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LambdaFilter,
)
from datatrove.pipeline.readers import JsonlReader, WarcReader  # type: ignore[import-not-found]
from datatrove.pipeline.writers import JsonlWriter  # type: ignore[import-not-found]
from datatrove.utils.hashing import HashConfig  # type: ignore[import-not-found]

TIMEOUT_S = 60
CONFIG = MinhashConfig(
    hash_config=HashConfig(hash_fc="sha1", precision=64),
    num_buckets=14,
    hashes_per_bucket=8,
    n_grams=5,
)


def run(warcs: str, languages: str, out: str) -> dict[str, Any]:
    """URLs of the texts that are kept; `languages` is a JSON file with one for each URL."""
    known = json.loads(Path(languages).read_text())
    reader = WarcReader(warcs, glob_pattern="*.warc.gz")
    step = f"{out}/filtered"
    filters = [
        GopherRepetitionFilter(), GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter(),
    ]  # fmt: skip
    _execute(
        out, "filter", reader, Trafilatura(favour_precision=True, timeout=TIMEOUT_S),
        LambdaFilter(lambda document: known.get(document.metadata["url"]) == "en"),
        *filters, JsonlWriter(step, compression=None),
    )  # fmt: skip
    texts = JsonlReader(step)
    signed, buckets, removed = (f"{out}/{name}" for name in ("signed", "buckets", "removed"))
    _execute(out, "sign", texts, MinhashDedupSignature(signed, config=CONFIG))
    _execute(out, "bands", MinhashDedupBuckets(signed, buckets, config=CONFIG), tasks=14)
    _execute(out, "cluster", MinhashDedupCluster(buckets, removed, config=CONFIG))
    kept = JsonlWriter(f"{out}/kept", compression=None)
    _execute(out, "remove", texts, MinhashDedupFilter(removed), kept)
    rows = [json.loads(line) for path in sorted(Path(out, "kept").glob("*.jsonl"))
            for line in path.read_text().splitlines()]  # fmt: skip
    return {
        "urls": [row["metadata"]["url"] for row in rows],
        "chars": sum(len(row["text"]) for row in rows),
    }


def _execute(out: str, name: str, *pipeline: Any, tasks: int = 1) -> None:
    LocalPipelineExecutor(
        pipeline=list(pipeline), tasks=tasks, workers=1, logging_dir=f"{out}/logs/{name}"
    ).run()
