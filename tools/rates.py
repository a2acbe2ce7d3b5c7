"""What each stage takes for each row, as measured: the one table that `webtext plan` reckons with.

Measured on two cores of an AMD EPYC without AVX-512, Python 3.11. CPU-seconds are of one such core.
Bytes are those of the real build (BENCHMARKS.md), read from its manifests; so are shares that no
benchmark gives. Where a figure is a bound, it is an upper one.
"""

from dataclasses import dataclass

MEASURED_ON = "two cores of an AMD EPYC without AVX-512, Python 3.11 (BENCHMARKS.md)"


@dataclass(frozen=True)
class Rate:
    """What a stage takes for one row of `unit`. Scratch is gone when the stage is published.

    Of the CPU-seconds a share of `one_core` is spent by one process, whatever the cores.
    """

    unit: str
    cpu_s: float
    disk_bytes: float
    scratch_bytes: float
    source: str
    one_core: float = 0.0


RATES: dict[str, tuple[Rate, ...]] = {
    "links": (
        Rate(
            "submissions", 34e-6, 81, 164, "Links: 26.1 us a line of a .zst; Exchange: 4 us, twice"
        ),
    ),
    "pages": (
        Rate("records", 0.46e-3, 290, 0, "the real build: step index"),
        Rate("links", 16e-6, 220, 710, "Exchange: 4 us, four times; sizes of the real build"),
    ),
    "documents": (Rate("pages", 45e-3, 2_240, 0, "Extraction: 22.4 pages a CPU-second"),),
    # The walk takes 0.05 of the 0.26 ms of `dedup` for a text (the 8,000 of Near duplicates, nearly
    # half of them copies); of this stage in small builds it is a twentieth.
    "corpus": (
        Rate("documents", 1.4e-3, 2_750, 10_300, "the real build, sketches included", one_core=0.2),
    ),
    # Training is one process; its unit is a merge times the root of the different pre-tokens.
    "tokenizer": (
        Rate("sampled bytes", 0.06e-6, 0.1, 0, "Tokenizer: 200 MB counted in 12.8 CPU-s"),
        Rate("merge work", 0.6e-6, 0, 0, "Tokenizer: training by pre-tokens", one_core=1.0),
    ),
    "shards": (Rate("text bytes", 0.155e-6, 0.57, 0.55, "the real build: 15.8 MB in 2.4 CPU-s"),),
}
# Seconds that a stage takes for no rows at all: the demo's stages, wall time less what its rows
# took. Those of `links` hold the start of Beam and of the workers.
START_S = {
    "links": 4.0, "pages": 8.5, "documents": 1.5, "corpus": 3.5, "tokenizer": 0.5, "shards": 1.3,
    "model": 23.0,  # torch three times, looks at the held-out loss, evaluation, samples
}  # fmt: skip
BUSY = 0.95  # of the cores, while parts are at work (Engine)

# Shares and sizes of the real build. Its karma >= 3; WebText had 0.10 links a submission.
LINKS_A_SUBMISSION = 0.157
DOCUMENTS_A_PAGE = 0.81
TEXTS_A_DOCUMENT = 0.98  # the rest are copies; the whole of the web has more of them
TEXT_BYTES_A_DOCUMENT = 7_600  # WebText: 40 GB in 8 million documents, so 5,000
PRETOKENS_A_ROOT = 48  # different ones by the root of the bytes, from 125 MB to 1 GB (Tokenizer)
TOKENS_A_BYTE = 0.27  # with 8,192 entries in the vocabulary; GPT-2's 50,257 take about 0.23

# Memory of all processes together, in bytes.
BUILD_MEMORY = 331_000_000  # 100 parts of nothing (Engine)
LINK_MEMORY = 63  # a link, on top: 644 MB at 5 million (Exchange, files)
WORKER_MEMORY = 515_000_000  # at most: the largest process of the real build
DOCUMENT_MEMORY = 770  # a document in the walk, if each shares a bucket (pipeline/corpus/near.py)
PRETOKEN_MEMORY = 330  # of training, a different pre-token: 697 MB for 1.5 million (Tokenizer)
TOKEN_MEMORY = 6  # a token of one shard
TRAINER_MEMORY = 266_000_000  # python and torch, before any weight (torch 2.13 on a CPU)

# Sources of pages.
WEBTEXT_LINKS = 45_000_000  # the paper, 2.1
ANSWER_S = 2.0  # of a connection for a request, those that fail included: assumed, not measured
RECORDS_A_LINK = 3  # request, response and metadata
PAGE_BYTES = 20_000  # compressed, in the archive
PAGE_BYTES_SOURCE = (
    "WARC files of the real build: 11.3 kB a record, most of them chosen below 16 kB; 21.6 kB in "
    "pages-en-2, which has large ones too"
)
