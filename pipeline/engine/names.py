"""The names of a build's files, below its folder or its bucket's prefix.

    build.json                                  the format of the build
    data/<fingerprint>-<attempt>.<ending>       written once, never changed: a name for each attempt
    parts/<stage>-<step>/<fingerprint>.json     a record: the part exists
    steps/<stage>-<step>-<fingerprint>.json     a journal: all records of a finished step
    <stage>/manifest.json                       the stage is published
    <stage>/part-<publication>-00017.parquet …  a view for people: links to files in data/
    forget/<stage>.json                         what a redo or a replay has yet to remove
    archive/<source>/<time>-<id>.warc.gz …      pages of other sources, never cleaned, never redone
    runs/<run>/run.json, stop, heartbeats/, failures/    of the run at work
    scratch/                                    what is being written, on a disk
    lock  log.jsonl  inputs.json                in a bucket lock/<claim>.json, log/<run>.jsonl

Only the store (store.py) knows where these lie.
"""

import re
import time
import uuid

FIXED = "build.json"
LOCK = "lock"
LOG = "log.jsonl"
INPUTS = "inputs.json"
MANIFEST = "manifest.json"  # in a stage's folder
DATA = "data"
RECORDS = "parts"
JOURNALS = "steps"
RUNS = "runs"
FORGET = "forget"
SCRATCH = "scratch"
ARCHIVE = "archive"
OWN = re.compile(r"[0-9a-f]{32}-[0-9a-f]{12}\.")  # how each name in data/ begins


def new_attempt() -> str:
    """A name that no other attempt has, on whatever machine."""
    return uuid.uuid4().hex[:12]


def data(fingerprint: str, attempt: str, ending: str) -> str:
    """A file that one attempt at a part, or at a publication, wrote."""
    return f"{DATA}/{fingerprint}-{attempt}.{ending}"


def records(stage: str, step: str) -> str:
    """The folder of a step's records."""
    return f"{RECORDS}/{stage}-{step}"


def record(stage: str, step: str, fingerprint: str) -> str:
    """The commit of a part."""
    return f"{records(stage, step)}/{fingerprint}.json"


def journal(stage: str, step: str, fingerprint: str) -> str:
    """The records of a finished step, by the step's fingerprint."""
    return f"{JOURNALS}/{stage}-{step}-{fingerprint}.json"


def is_of(stage: str, name: str) -> bool:
    """Whether a journal, or a folder of records, is the stage's."""
    return name.rpartition("/")[2].startswith(f"{stage}-")


def manifest(stage: str) -> str:
    """The publication of a stage."""
    return f"{stage}/{MANIFEST}"


def view(stage: str, publication: str, number: int) -> str:
    """A table as people see it. Each publication has names of its own, so that none are mixed."""
    return f"{stage}/part-{publication[:8]}-{number:05d}.parquet"


def forget(stage: str) -> str:
    """What is to be removed before the stage is made again."""
    return f"{FORGET}/{stage}.json"


def log(run: str) -> str:
    """The log of one run, where none can be appended to; in order of time."""
    return f"log/{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{run}.jsonl"


def run(run: str) -> str:
    """What a run is at; it is over where this is not there."""
    return f"{RUNS}/{run}/run.json"


def stop(run: str) -> str:
    """The request to a run's parts to stop."""
    return f"{RUNS}/{run}/stop"


def heartbeats(run: str) -> str:
    """The folder in which a run's parts say how far they are."""
    return f"{RUNS}/{run}/heartbeats"


def failures(run: str) -> str:
    """The folder in which a run's parts say why they failed."""
    return f"{RUNS}/{run}/failures"
