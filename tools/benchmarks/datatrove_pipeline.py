"""FineWeb's pipeline by datatrove over WARC files, for datatrove.py: it imports nothing of ours.

As examples/fineweb.py of datatrove has it, with three differences: its list of blocked URLs is left
out, languages are given by URL (its model would be downloaded), and no page is given up after a
second, since the machine may be shared.
"""

import json
from functools import partial
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


def run(warcs: str, languages: str, out: str, workers: int) -> dict[str, Any]:
    """URLs of the texts that are kept; `languages` is a JSON file with one for each URL.

    A task is a WARC file, which one of the workers reads; a single worker is this very process.
    """
    known = json.loads(Path(languages).read_text())
    tasks = len(list(Path(warcs).glob("*.warc.gz")))
    execute = partial(_execute, out, workers)
    reader = WarcReader(warcs, glob_pattern="*.warc.gz")
    step = f"{out}/filtered"
    filters = [
        GopherRepetitionFilter(), GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter(),
    ]  # fmt: skip
    execute(
        "filter", tasks, reader, Trafilatura(favour_precision=True, timeout=TIMEOUT_S),
        LambdaFilter(lambda document: known.get(document.metadata["url"]) == "en"),
        *filters, JsonlWriter(step, compression=None),
    )  # fmt: skip
    texts = JsonlReader(step)
    signed, buckets, removed = (f"{out}/{name}" for name in ("signed", "buckets", "removed"))
    execute("sign", tasks, texts, MinhashDedupSignature(signed, config=CONFIG))
    execute("bands", CONFIG.num_buckets, MinhashDedupBuckets(signed, buckets, config=CONFIG))
    execute("cluster", 1, MinhashDedupCluster(buckets, removed, config=CONFIG))
    kept = JsonlWriter(f"{out}/kept", compression=None)
    execute("remove", tasks, texts, MinhashDedupFilter(removed), kept)
    rows = [json.loads(line) for path in sorted(Path(out, "kept").glob("*.jsonl"))
            for line in path.read_text().splitlines()]  # fmt: skip
    return {
        "urls": [row["metadata"]["url"] for row in rows],
        "chars": sum(len(row["text"]) for row in rows),
    }


def _execute(out: str, workers: int, name: str, tasks: int, *pipeline: Any) -> None:
    LocalPipelineExecutor(
        pipeline=list(pipeline),
        tasks=tasks,
        workers=min(workers, tasks),
        logging_dir=f"{out}/logs/{name}",
    ).run()
