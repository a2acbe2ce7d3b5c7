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
        Rate("records", 0.7e-3, 290, 0, "the real build: step index"),
        Rate("links", 16e-6, 220, 710, "Exchange: 4 us, four times; sizes of the real build"),
    ),
    # Extraction takes what it took for pages of the plan's own WARC files, where there are some.
    "documents": (
        Rate("pages", 0.3e-3, 0, 0, "the real build: place and gather"),
        Rate("page seconds", 1.0, 0, 0, "pages of these WARC files, else of the real build"),
        Rate("text bytes", 0.5e-6, 0.74, 0, "the real build: step documents, and its texts twice"),
    ),
    # The walk takes 0.05 of the 0.26 ms of `dedup` for a text (the 8,000 of Near duplicates, nearly
    # half of them copies); of this stage in small builds it is a twentieth.
    "corpus": (
        Rate("documents", 0.95e-3, 0, 0, "the real build, sketches included", one_core=0.2),
        Rate("text bytes", 0, 0.38, 1.4, "the real build"),
    ),
    # Training is one process; its unit is a merge times the root of the different pre-tokens.
    "tokenizer": (
        Rate("sampled bytes", 0.035e-6, 0, 0, "Tokenizer: 500 MB counted in 17 CPU-s"),
        Rate("pre-tokens", 0, 17, 0, "the real build: counts and vocabulary"),
        Rate("merge work", 0.3e-6, 0, 0, "Tokenizer: training by pre-tokens", one_core=1.0),
    ),
    "shards": (Rate("text bytes", 0.09e-6, 0.57, 0.55, "the real build: 16.8 MB in 1.2 CPU-s"),),
}
# CPU-seconds and seconds that a stage takes for no rows at all: those of the demo and the real
# builds, less what their rows took. Those of `links` hold the start of Beam and of the workers.
START_S: dict[str, tuple[float, float]] = {
    "links": (0.7, 2.0),
    "pages": (1.6, 3.6),
    "documents": (0.5, 2.0),
    "corpus": (0.7, 1.4),
    "tokenizer": (0.1, 0.6),
    "shards": (0.1, 0.6),
}
MODEL_START_S = 23.0  # torch three times, looks at the held-out loss, evaluation, samples
BUSY = 0.95  # of the cores, while parts are at work (Engine)

# Shares and sizes of the real build, where no page of the plan's own can be read.
DOCUMENTS_A_PAGE = 0.81
TEXTS_A_DOCUMENT = 0.98  # the rest are copies; the whole of the web has more of them
CPU_S_A_PAGE_BYTE = 2.8e-6  # of a page as it is stored, so compressed
TEXT_BYTES_A_PAGE_BYTE = 0.69  # of those that give a document
PRETOKENS_A_ROOT = 48  # different ones by the root of the bytes, from 125 MB to 2 GB (Tokenizer)
TOKENS_A_BYTE = 0.27  # with 8,192 entries in the vocabulary; GPT-2's 50,257 take about 0.23

# Memory of all processes together, in bytes.
BUILD_MEMORY = 189_000_000  # 100 parts of nothing (Engine)
LINK_MEMORY = 63  # a link, on top: 644 MB at 5 million (Exchange, files)
WORKER_MEMORY = 193_000_000  # so that a build of two workers takes what the real one took
DOCUMENT_MEMORY = 770  # a document in the walk, if each shares a bucket (pipeline/corpus/near.py)
PRETOKEN_MEMORY = 330  # of training, a different pre-token: 1,046 MB for 2.4 million (Tokenizer)
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
