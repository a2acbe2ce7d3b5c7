"""Settings: one frozen dataclass a stage. Each field says all that is known of a setting.

What it does, its unit, its default, the values that make sense, and what WebText did: help,
`webtext init`, docs/settings.md and the messages of refused values are made from these fields.
settings_file.py reads them from `webtext.toml` and from options.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from pipeline.languages import LANGUAGES, nearest_language
from pipeline.limits import WANTED, read_limit

# The values of a type, in words.
VALUES_OF: dict[type, str] = {
    bool: "true or false",
    str: "text",
    date: "a day, such as 2012-09-30",
    tuple: "a list",
}


class Valid(NamedTuple):
    """The values of the right type that make sense: told in words, and as a test."""

    wanted: str
    holds: Callable[[Any], bool]


COUNT = Valid("0 or more", lambda n: n >= 0)
POSITIVE = Valid("1 or more", lambda n: n > 0)
SHARE = Valid("from 0 to 1", lambda share: 0 <= share <= 1)
OTHER_FIELDS = ("id", "url", "host", "karma")  # what else is read of a row
# Where pages come from, by the names in pages.sources (pages/archive/outcomes.py), and what their
# owners may ask, by the names in pages.respect (pages/owners/preferences.py).
SOURCES = ("warc", "commoncrawl", "wayback", "live")
PREFERENCES = ("robots", "ai_agents", "noai", "noimageai", "tdm", "content_signal", "content_usage")
NUMBER_MAX = 2**63  # a column of whole numbers holds no larger one
POWER_OF_TWO = Valid("a power of two", lambda n: n > 0 and n & (n - 1) == 0)


def option(default: Any, text: str, *, valid: Valid | None = None, paper: str = "") -> Any:
    """A field of a settings class: what it does, and what WebText did (with the source).

    The text is a sentence without its period, as help shows it. A number without `valid` is 0 or
    more.
    """
    is_number = type(default) in (int, float)
    about = {"help": text, "valid": valid or (COUNT if is_number else None), "paper": paper}
    return field(default=default, metadata=about)


def is_name(name: str) -> bool:
    """Whether a field can be called so: bytes that are not UTF-8 come as lone surrogates."""
    return bool(name) and not any("\ud800" <= char <= "\udfff" for char in name)


@dataclass(frozen=True)
class InputSettings:
    """Where a build reads from: files or glob patterns, relative to the settings file, or URIs."""

    dumps: tuple[str, ...] = option(
        (),
        "Reddit dumps of submissions (RS_*): JSON lines, JSON arrays, Parquet or CSV",
    )
    warcs: tuple[str, ...] = option((), "WARC files that hold the pages")


@dataclass(frozen=True)
class EngineSettings:
    """How the work runs. Only item_cpu_s, item_wall_s and worker_memory_bytes change the result."""

    runner: str = option(
        "local",
        "What runs the work: local (worker processes here), dask (a Dask cluster), portable "
        "(Beam's job service), or the path of a Beam runner's class, such as package.module.Runner",
    )
    scheduler: str = option("", "Address of the Dask scheduler, such as tcp://10.0.0.5:8786")
    runner_options: tuple[str, ...] = option((), "Options of the Beam runner, passed on as given")
    workers: int = option(0, "Worker processes; 0: one a core")
    parts_in_flight: int = option(
        2,
        "Parts of a stage that the local runner works on at once; more where one worker process "
        "does a whole part",
        valid=POSITIVE,
    )
    exchange: Literal["auto", "files", "shuffle"] = option(
        "auto",
        "How rows of one key come together: files, shuffle (the Beam runner's own), auto (files "
        "with local and dask, shuffle with others)",
    )
    buckets: int = option(
        16,
        "Hash buckets of an exchange; with another number its reduce steps are made again",
        valid=POWER_OF_TWO,
    )
    bucket_bytes_max: int = option(
        256 << 20,
        "Size in bytes above which a bucket is cut, by files of the machine that works on it",
        valid=POSITIVE,
    )
    scratch: str = option(
        "",
        "Folder of this machine for unfinished files of a build in a bucket; "
        "empty: the system's temporary folder",
    )
    free_disk_min_bytes: int = option(1 << 30, "Free bytes of disk below which the work stops")
    item_cpu_s: int = option(
        # About ten times the worst page within the budgets of [documents].
        120, "CPU seconds after which a page is dropped (timed_out)", valid=POSITIVE
    )  # fmt: skip
    item_wall_s: int = option(
        360, "Seconds by the clock after which a page is dropped (timed_out)", valid=POSITIVE
    )
    worker_memory_bytes: int = option(
        2 << 30,
        "Bytes of memory for one page; a page that needs more is dropped (out_of_memory)",
        valid=POSITIVE,
    )
    worker_items: int = option(
        # lxml grows.
        2000,
        "Pages after which a worker process is replaced by a new one, since its memory grows",
        valid=POSITIVE,
    )


@dataclass(frozen=True)
class LinksSettings:
    """Which submissions count, and which links are kept (stage links)."""

    karma_min: int = option(
        3, "Minimum karma of a link", paper="at least 3 karma (GPT-2 paper, 2.1)"
    )
    karma_rule: Literal["max", "sum", "first"] = option(
        "max",
        "The karma of a link with several submissions: the max of theirs, the sum, or that of the "
        "first",
        paper="not said; OpenWebText: max, OpenWebText2: sum",
    )
    date_min: date = option(date(2005, 1, 1), "First day (UTC) whose submissions count")
    date_max: date = option(
        date(2017, 12, 31),
        "Last day (UTC) whose submissions count",
        paper="no link after December 2017 (2.1)",
    )
    over_18: bool = option(True, "Whether submissions marked as not safe for work count")
    accept_removed: bool = option(
        False, "Whether submissions count that Reddit or their author removed"
    )
    accept_torn: bool = option(
        False, "Whether a dump that breaks off is used up to there; if not, it is an error"
    )
    accept_immature_scores: bool = option(
        False,
        "Whether a month may count whose scores were read within a day of posting; if not, it "
        "fails a quality gate (exit code 3)",
    )
    url_chars_max: int = option(2048, "Maximum length of a URL in characters", valid=POSITIVE)
    blocked_domains: tuple[str, ...] = option(
        (), "Hosts whose links are dropped, with all subdomains"
    )
    blocked_subreddits: tuple[str, ...] = option((), "Subreddits whose submissions do not count")
    removed_by_request: tuple[str, ...] = option(
        (), "URLs, hosts or link ids to drop because someone asked for their removal"
    )


@dataclass(frozen=True)
class PagesSettings:
    """Which capture gives the page of a link (stage pages)."""

    hops_max: int = option(
        5,
        "Maximum number of redirects that are followed",
        valid=Valid("from 0 to 20", lambda n: 0 <= n <= 20),
    )
    accept_torn: bool = option(
        False, "Whether a WARC file that breaks off is used up to there; if not, it is an error"
    )
    range_bytes: int = option(
        256 << 20, "Size in bytes of the parts in which a larger WARC file is read", valid=POSITIVE
    )
    sources: tuple[str, ...] = option(
        ("warc",),
        "Where pages come from, in this order, until a link has one: warc (the files of "
        "input.warcs), commoncrawl, wayback, live. Only what is named here is downloaded from",
        valid=Valid(
            f"a list of some of {', '.join(SOURCES)}, each once",
            lambda names: set(names) <= set(SOURCES) and len(names) == len(set(names)) > 0,
        ),
        paper="fetched them from the live web",
    )
    respect: tuple[str, ...] = option(
        PREFERENCES,
        "What owners of pages ask for and is obeyed; [] obeys nothing",
        valid=Valid(
            f"a list of some of {', '.join(PREFERENCES)}",
            lambda names: set(names) <= set(PREFERENCES),
        ),
        paper="asked nobody; most of these did not exist",
    )
    max_distance_days: int = option(
        0,
        "Days between the post and a capture of an archive beyond which it does not count; 0: any",
    )


@dataclass(frozen=True)
class CommonCrawlSettings:
    """Captures from Common Crawl, or from an archive in its layout (source commoncrawl)."""

    place: str = option(
        "https://data.commoncrawl.org/",
        "Where the index lies: https://…, s3://BUCKET/PREFIX (Common Crawl's: s3://commoncrawl, "
        "which wants credentials), or a folder",
        valid=Valid("a place", bool),
    )
    warcs: str = option(
        "", "Where the WARC files lie that the index names; empty: in the same place"
    )
    crawls: tuple[str, ...] = option(
        (),
        "Crawls to ask, such as CC-MAIN-2017-04; empty: all that there are, where the place can be "
        "listed (https cannot)",
    )
    robots: bool = option(
        True, "Whether the robots.txt that was captured nearest to a page is fetched with it"
    )
    connections: int = option(
        8, "Requests that are under way at once", valid=Valid("from 1 to 64", lambda n: 0 < n <= 64)
    )
    gap_bytes: int = option(
        64 << 10, "Bytes between two captures of a file up to which one request reads both"
    )
    read_bytes_max: int = option(
        8 << 20, "Maximum bytes of one request for several captures", valid=POSITIVE
    )
    record_bytes_max: int = option(
        16 << 20, "Maximum size of a capture in bytes, compressed or not", valid=POSITIVE
    )
    attempts: int = option(
        6, "How often a read is tried before it fails (range_failed)", valid=POSITIVE
    )
    wait_s: float = option(
        1.0,
        "Seconds to wait after a first failure, or a first refusal (403, 429, 503); doubled by "
        "each further one",
    )
    timeout_s: int = option(60, "Seconds without a byte after which a read fails", valid=POSITIVE)
    batch_links: int = option(
        250_000,
        "Links that go to the index at once; with one capture each they take 3.4 kB of memory",
        valid=POSITIVE,
    )
    ca_file: str = option("", "A file of certificates to trust besides those of the system")


@dataclass(frozen=True)
class WaybackSettings:
    """Captures from the Wayback Machine, or from an archive that answers as it does (wayback)."""

    url: str = option(
        "https://web.archive.org/",
        "The archive: below it are cdx/search/cdx and web/TIMEid_/URL",
        valid=Valid(
            "an address that begins with https:// or http://", lambda u: u.startswith("http")
        ),
    )
    delay_s: float = option(6.0, "Seconds from one request to the next")
    links_max: int = option(
        1_000, "Links above which nothing is asked: two requests a link are a day for 7,000 links"
    )
    candidates: int = option(
        5, "Captures of a URL that are asked for on each side of the post", valid=POSITIVE
    )
    attempts: int = option(4, "How often a request is tried before it fails", valid=POSITIVE)
    timeout_s: int = option(
        120, "Seconds without a byte after which a request fails", valid=POSITIVE
    )
    body_bytes_max: int = option(16 << 20, "Maximum size of an answer in bytes", valid=POSITIVE)
    ca_file: str = option("", "A file of certificates to trust besides those of the system")


@dataclass(frozen=True)
class FetchSettings:
    """How pages are fetched from the live web (command fetch)."""

    contact: str = option(
        "",
        "Where the owner of a site reaches you: an e-mail address or a web page of yours. It goes "
        "into every request; without it nothing is fetched",
    )
    connections: int = option(500, "Requests at once", valid=POSITIVE)
    address_connections: int = option(
        # Content networks have thousands of sites behind an address.
        20, "Requests at once to one IP address", valid=POSITIVE
    )  # fmt: skip
    delay_s: float = option(
        1.0,
        "Seconds between two requests to one registrable domain, more where a Crawl-delay asks",
    )
    rounds: int = option(
        3, "How often a link is tried that failed for a reason that may pass", valid=POSITIVE
    )
    round_wait_s: float = option(
        900.0, "Seconds until a link is tried again, three times as many for the next time"
    )
    host_failures_max: int = option(
        5, "Failures in a row after which a host is left alone until the next round", valid=POSITIVE
    )
    dns_s: float = option(10.0, "Seconds to look up an address")
    connect_s: float = option(10.0, "Seconds to connect, TLS included")
    idle_s: float = option(20.0, "Seconds that a server may be silent")
    total_s: float = option(60.0, "Seconds for one request and its answer")
    header_bytes_max: int = option(
        64 << 10, "Maximum size of the headers of an answer in bytes", valid=POSITIVE
    )
    body_bytes_max: int = option(
        8 << 20, "Maximum size of a page in bytes as it is sent", valid=POSITIVE
    )
    decoded_bytes_max: int = option(
        16 << 20, "Maximum size of a page in bytes, uncompressed", valid=POSITIVE
    )
    url_chars_max: int = option(
        8_000, "Maximum length of an address that a redirect names, in characters", valid=POSITIVE
    )
    accept_invalid_certificates: bool = option(
        False, "Whether a host is asked whose certificate is not valid"
    )
    ports: tuple[str, ...] = option(("80", "443"), "Ports that may be asked")
    networks: tuple[str, ...] = option(
        (), "Networks that may be asked although they are not public, such as 127.0.0.0/8"
    )
    resolve: tuple[str, ...] = option(
        (),
        "Where hosts are instead of where DNS says, as HOST:PORT=ADDRESS:PORT or "
        "HOST:PORT=nowhere; *:PORT for all others. For tests",
    )
    proxy: str = option(
        "",
        "A proxy for all requests. The addresses of hosts are then seen by the proxy alone: it "
        "must refuse private ones",
    )
    segment_bytes: int = option(
        256 << 20, "Size in bytes at which a WARC file is finished", valid=POSITIVE
    )
    segment_s: float = option(600.0, "Seconds after which a WARC file is finished")


@dataclass(frozen=True)
class DocumentsSettings:
    """How a page becomes a text, and which texts are kept (stage documents)."""

    extractor: Literal["trafilatura", "combined", "combined-fast", "resiliparse"] = option(
        "combined",
        "What finds the main text of a page: our own scores of its blocks, or a library",
        paper="Dragnet, which scores blocks too, and Newspaper (2.1); neither is maintained",
    )
    body_bytes_max: int = option(
        8 << 20, "Maximum size of a page in bytes, uncompressed", valid=POSITIVE
    )
    depth_max: int = option(
        # libxml2 reads no deeper than 256 and leaves out the rest in silence.
        240, "Maximum nesting depth of HTML elements", valid=POSITIVE
    )  # fmt: skip
    tag_attributes_max: int = option(500, "Maximum attributes of one tag", valid=POSITIVE)
    attributes_max: int = option(200_000, "Maximum attributes of a page", valid=POSITIVE)
    tags_max: int = option(
        # Every "<" counts; of 4,229 real pages the most are 112,660.
        120_000, "Maximum tags of a page", valid=POSITIVE
    )  # fmt: skip
    class_chars_max: int = option(
        1_000_000, "Maximum characters of all class and id attributes of a page", valid=POSITIVE
    )
    page_chars_max: int = option(
        2_000_000, "Maximum characters of a page outside tags, scripts and comments", valid=POSITIVE
    )
    cells_max: int = option(100_000, "Maximum table cells of a page", valid=POSITIVE)
    row_cells_max: int = option(1_000, "Maximum cells of one table row", valid=POSITIVE)
    text_chars_min: int = option(200, "Minimum length of a text in characters")
    text_chars_max: int = option(
        1_000_000, "Maximum length of a text in characters", valid=POSITIVE
    )
    languages: tuple[str, ...] = option(
        ("en",),
        "Languages to keep, by ISO 639 code; empty: all",
        paper="English (3.7)",
    )
    language_score_min: float = option(
        0.5, "Probability below which the language of a text counts as unknown", valid=SHARE
    )


@dataclass(frozen=True)
class CorpusSettings:
    """Which documents are dropped as bad, as copies or as Wikipedia's (stage corpus)."""

    wikipedia: bool = option(
        False, "Whether pages of Wikipedia and of its mirrors are kept", paper="removed (2.1)"
    )
    quality: tuple[str, ...] = option(
        (),
        "What a text must be to be kept, by numbers of its column quality (docs/files.md), such as "
        '"function_words >= 0.12"; code, recipes and verse are excepted where numbers mislead',
        valid=Valid(WANTED, lambda limits: all(map(read_limit, limits))),
        paper="no such rule is told",
    )
    near_order: Literal["karma", "length"] = option(
        "karma",
        "Which of several near copies is kept: the one with the most karma, or the longest; one "
        "that repeats itself only if no other is there",
        paper="not said",
    )
    near_measure: Literal["jaccard", "containment", "coverage"] = option(
        "jaccard",
        "How alike a text is, by its 5-word shingles: jaccard (shared with a kept text, of both), "
        "containment (of its own, those that a kept text has), coverage (of its own, those that "
        "kept texts have together; one of them, the keeper, has half)",
        paper="not said; OpenWebText: jaccard",
    )
    near_threshold: float = option(
        0.5,
        "The measure from which on a text is a near copy",
        valid=Valid("above 0, at most 1", lambda share: 0 < share <= 1),
        paper="not said; OpenWebText: 0.5",
    )
    boilerplate: bool = option(
        False,
        "Whether short lines are cut from the edges of texts that a large share of the documents "
        "of their host have there",
        paper="not said",
    )
    pii: bool = option(
        False,
        "Whether e-mail addresses, public IP addresses and telephone numbers are masked",
        paper="not said",
    )


@dataclass(frozen=True)
class TextsSettings:
    """How texts of your own are read (commands dedup, tokenizer train, shards; not by a build)."""

    ids: Literal["given", "place"] = option(
        "given",
        "What names a text: given (its id, which no other may have), place (its file and line)",
    )
    text_field: str = option(
        "text",
        "The field (of JSON) or column (of Parquet) that holds the text",
        valid=Valid(
            "a field's name, not that of the id, url, host or karma",
            lambda name: is_name(name) and name not in OTHER_FIELDS,
        ),
    )
    id_field: str = option(
        "id",
        "The field or column that holds the id",
        valid=Valid("a field's name", is_name),
    )


@dataclass(frozen=True)
class TokenizerSettings:
    """The byte-level BPE tokenizer (stage tokenizer)."""

    vocab_size: int = option(
        50_257,
        "Number of tokens, the end-of-text token included",
        valid=Valid(
            "from 257 (256 bytes and end-of-text) to 65,536 (shards hold 16-bit ids)",
            lambda n: 257 <= n <= 65_536,
        ),
        paper="50,257 (2.2)",
    )
    min_frequency: int = option(2, "How often a pair of tokens must occur to be merged")
    token_bytes_max: int = option(
        0,
        "Tokens of more than two bytes have fewer bytes than this, as by Hugging Face's "
        "max_token_length; 0: any length",
        valid=COUNT,
    )
    sample_bytes_max: int = option(
        1 << 30, "Bytes of text to train on, of documents drawn by hash; 0: all", valid=COUNT
    )
    document_bytes_max: int = option(
        0, "Bytes of one document that are trained on, from its start; 0: all", valid=COUNT
    )
    min_count: int = option(
        1,
        "How often a pre-token must occur to be trained on; 2 leaves out those that occur once",
        valid=POSITIVE,
    )
    path: str = option(
        "",
        "A tokenizer to use instead of training one: a tokenizer.json, vocab.json with merges.txt, "
        "encoder.json with vocab.bpe, tiktoken ranks or llm.c's tokenizer.bin; or their folder",
    )


@dataclass(frozen=True)
class ShardsSettings:
    """Token files for the trainer (stage shards)."""

    seed: int = option(1, "Random seed of the documents' order, and of which are held out")
    val_share: float = option(
        0.05,
        "Share of the documents that is held out (split val)",
        valid=Valid("from 0 to below 1", lambda share: 0 <= share < 1),
        paper="5 % (3)",
    )
    split_by: Literal["document", "host", "block"] = option(
        "document",
        "What is held out as a whole: a document, all documents of a host, or a block of about "
        "4,096 characters",
    )
    shard_tokens_max: int = option(100_000_000, "Maximum tokens of a shard", valid=POSITIVE)
    encoder: Literal["tiktoken", "gigatoken"] = option(
        "tiktoken",
        "What encodes texts: tiktoken, or gigatoken (of the extra `fast`), many times as fast; the "
        "ids are the same",
    )


@dataclass(frozen=True)
class Settings:
    """All settings. `train` is handed to the trainer's own parser as it is."""

    profile: Literal["paper", "clean"] = "paper"
    input: InputSettings = field(default_factory=InputSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    links: LinksSettings = field(default_factory=LinksSettings)
    pages: PagesSettings = field(default_factory=PagesSettings)
    commoncrawl: CommonCrawlSettings = field(default_factory=CommonCrawlSettings)
    wayback: WaybackSettings = field(default_factory=WaybackSettings)
    fetch: FetchSettings = field(default_factory=FetchSettings)
    documents: DocumentsSettings = field(default_factory=DocumentsSettings)
    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    texts: TextsSettings = field(default_factory=TextsSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    shards: ShardsSettings = field(default_factory=ShardsSettings)
    train: Mapping[str, Any] = field(default_factory=dict)


# Chosen on texts that were read by eye: tools/benchmarks/quality.tsv, with what each limit costs.
CLEAN = (
    "stop_words >= 2",
    "function_words >= 0.12",
    "function_words >= 0.18 or punctuated_lines >= 0.06",
    "word_chars <= 10",
    "alphabetic_words >= 0.3",
    "lorem_ipsum <= 0",
    "duplicate_5_grams <= 0.55",
)
# A profile names the defaults that differ from those above. `paper` is the defaults themselves,
# what is known of WebText; `clean` is what is done today.
PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {},
    "clean": {
        "corpus": {
            "quality": CLEAN,
            "near_order": "length",
            "near_measure": "coverage",
            "near_threshold": 0.88,
            "boilerplate": True,
            "pii": True,
        }
    },
}
SECTIONS = tuple(f.name for f in fields(Settings) if f.name not in ("profile", "train"))


@dataclass(frozen=True)
class Described:
    """A setting as people read of it; `key` is "links.karma_min"."""

    key: str
    text: str
    default: Any
    values: str
    paper: str
    kind: Any


PROFILE = Described(
    "profile",
    "A named set of defaults; clean sets limits on the quality of texts, cuts and masks, and "
    "compares by corpus.near_measure coverage",
    "paper",
    values=f"one of {', '.join(PROFILES)}", paper="", kind=str,
)  # fmt: skip


def described(section: str) -> list[Described]:
    """The settings of a section, in their order."""
    owner = type(getattr(Settings(), section))
    hints = get_type_hints(owner)
    return [
        Described(
            key=f"{section}.{f.name}",
            text=f.metadata["help"],
            default=f.default,
            values=_values(hints[f.name], f.metadata["valid"]),
            paper=f.metadata["paper"],
            kind=hints[f.name],
        )
        for f in fields(owner)
    ]


def _values(kind: Any, valid: Valid | None) -> str:
    """The values that a setting may have, in words."""
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        return f"one of {', '.join(choices)}" if len(choices) > 1 else f"{choices[0]} only"
    kind = get_origin(kind) or kind
    if kind in VALUES_OF:
        return VALUES_OF[kind]
    return valid.wanted if valid else "a number"


def as_tables(settings: Settings) -> dict[str, Any]:
    """All settings as plain nested tables, for manifests and settings files."""
    return asdict(settings)


def refusals(settings: Settings) -> list[tuple[str, Any, str]]:
    """Key, value and wanted values of each setting that has the right type and makes no sense."""
    found = []
    for section in SECTIONS:
        part = getattr(settings, section)
        for f in fields(part):
            valid, value = f.metadata["valid"], getattr(part, f.name)
            if valid and not valid.holds(value):
                found.append((f"{section}.{f.name}", value, valid.wanted))
            elif isinstance(value, int | float) and not value < NUMBER_MAX:
                found.append((f"{section}.{f.name}", value, "below 2^63"))
    for code in settings.documents.languages:
        if code not in LANGUAGES:
            near = nearest_language(code)
            told = f"{len(LANGUAGES)} codes are known: docs/settings.md lists them"
            hint = f"did you mean {near}?" if near else told
            found.append(("documents.languages", code, f"codes such as en or zh; {hint}"))
    links, texts = settings.links, settings.texts
    if texts.id_field == texts.text_field:
        found.append(("texts.id_field", texts.id_field, "another field than texts.text_field"))
    if links.date_min > links.date_max:
        found.append(("links.date_min", links.date_min, "before links.date_max"))
    return found
