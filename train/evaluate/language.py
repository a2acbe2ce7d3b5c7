"""Texts as a whole: perplexity by word, bits by byte or by character.

A loss is a sum over the model's own tokens. So that it can be compared between vocabularies it is
divided by what the text has of itself: the words of its original tokenization, with the end of each
line, or its bytes or characters.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from train.errors import DataError
from train.evaluate.detokenize import PTB, WIKITEXT, Detokenizer
from train.evaluate.scoring import Request, Subject, windows
from train.evaluate.task import (
    DataFile,
    Found,
    Four,
    Metric,
    Outcome,
    Task,
    bits,
    exponential,
    nothing,
    ratio,
)

HELD_OUT = 5_000_000  # last bytes of enwik8 and text8, their test part by custom
Unit = Literal["words", "bytes", "characters"]


@dataclass(frozen=True)
class Document:
    """A text that is scored in one piece, and how many units of the original it has.

    Of its lines some cannot be had back from their detokenized form, and so stay as they were.
    """

    id: str
    text: str
    units: int
    lines: int = 0
    exceptions: int = 0

    def whole(self) -> str:
        """The text."""
        return self.text


@dataclass(frozen=True)
class Window:
    """A request, and the share of its document's units that falls to its scored tokens."""

    id: str
    request: Request
    tokens: int
    units: float


def cut(subject: Subject, documents: Sequence[Document], stride: int) -> list[Window]:
    """Windows that score every token once; `stride` 0 is the context's length: no overlap.

    A document's units are shared out by tokens, so that their sum is exact over the whole document.
    """
    n_ctx, found = subject.model.config.n_ctx, []
    step = min(stride or n_ctx, n_ctx)
    for document in documents:
        ids = subject.begin(document.text)
        for start, done, end in windows(len(ids), 1, n_ctx, step):
            share = document.units * (end - done) / (len(ids) - 1)
            name = f"{document.id}:{done}-{end}"  # other windows are other items to compare
            found.append(Window(name, Request(ids[start:end], done - start), end - done, share))
    return found


def score(subject: Subject, items: Sequence[Window], unit: Unit) -> Iterator[Outcome]:
    """The loss of each window, its tokens and its share of units."""
    found = subject.score([item.request for item in items])
    for item, one in zip(items, found, strict=True):
        yield {"id": item.id, "nats": -one.total, "tokens": item.tokens, unit: item.units}


def words_of(text: str) -> int:
    """Words of a tokenized text as its perplexity is counted by custom: one more for each line."""
    return len(text.split()) + text.count("\n")


def read_tokenized(files: Sequence[Found], detokenizer: Detokenizer) -> list[Document]:
    """A file of tokenized lines as one text; lines that cannot be had back stay as they are."""
    (file,) = files
    text = file.text()
    if not text.strip():
        raise DataError(f"{file.path}: no text there; put back the original file")
    return [_document(1, text, words_of(text), detokenizer)]


def _document(number: int, text: str, units: int, detokenizer: Detokenizer) -> Document:
    told, exceptions = detokenizer.text(text)
    lines = text.removesuffix("\n").count("\n") + 1
    return Document(str(number), told, units, lines, exceptions)


def exceptions_told(documents: Sequence[Document]) -> str:
    """How many lines of all documents could not be had back."""
    lines = sum(document.lines for document in documents)
    kept = sum(document.exceptions for document in documents)
    return f"{kept:,} of {lines:,} lines stay tokenized, since nothing else gives them back"


TITLE = re.compile(r"(?m)^(?= = [^=].* = $)")


def read_articles(files: Sequence[Found], detokenizer: Detokenizer) -> list[Document]:
    """The articles of WikiText, each a text of its own; what precedes the first title is one too.

    Words are those between white space alone, without ends of lines, as lm-eval counts them.
    """
    (file,) = files
    parts = [part for part in TITLE.split(file.text()) if part.strip()]
    return [
        _document(number, part, len(part.split()), detokenizer)
        for number, part in enumerate(parts, 1)
    ]


def read_sentences(files: Sequence[Found]) -> list[Document]:
    """The lines of 1BW, each a text of its own: they are shuffled."""
    (file,) = files
    lines = [line for line in file.lines() if line.strip()]
    return [
        _document(number, f" {line} ", len(line.split()) + 1, WIKITEXT)
        for number, line in enumerate(lines, 1)
    ]


def read_tail(files: Sequence[Found]) -> list[Document]:
    """The last five million bytes; a character that the cut parts is left out.

    Bytes that are no UTF-8 are read as U+FFFD, since the tokenizer takes text.
    """
    (file,) = files
    content = file.content[-HELD_OUT:]
    content = content.lstrip(bytes(range(0x80, 0xC0))) if len(file.content) > HELD_OUT else content
    if not content:
        raise DataError(f"{file.path}: no text there; put back the original file")
    return [Document("1", content.decode("utf-8", errors="replace"), len(content))]


def language_task(
    name: str, title: str, file: DataFile, read: Callable[[Sequence[Found]], Sequence[Document]],
    unit: Unit, paper: Four | None, how: dict[str, str], differs: str, *, format_seen: bool = False,
) -> Task:  # fmt: skip
    """A task whose documents are scored whole, by perplexity a word or bits a byte or character."""
    by_word = unit == "words"
    metric = Metric(
        "perplexity a word" if by_word else f"bits a {unit.removesuffix('s')}",
        ratio("nats", unit, exponential if by_word else bits),
        "perplexity" if by_word else "bits", paper, ("nats", unit),
    )  # fmt: skip
    task = Task(
        name, title, (file,), read, partial(score, unit=unit), (metric,),
        how | {"unit": how.get("unit", unit), "context": "end-of-text, then the text"},
        differs, format_seen=format_seen, remark=exceptions_told if by_word else nothing,
    )  # fmt: skip
    return with_stride(task, 0)


def with_stride(task: Task, stride: int) -> Task:
    """The task with windows that score `stride` tokens each; 0 for no overlap."""
    told = f"each scores {stride} tokens" if stride else "disjoint"
    protocol = {**task.protocol, "windows": f"of the model's context, {told}"}
    return replace(task, arrange=partial(cut, stride=stride), protocol=protocol)


_GLUED = {"detokenizer": WIKITEXT.name, "unit": "words of the file, and one a line"}
_WINDOWS = "the paper says nothing of windows; others come to 29.17 for 117M with disjoint ones"
WIKITEXT2 = language_task(
    "wikitext2", "WikiText-2, test",
    DataFile(
        ("wikitext2.test.tokens", "wiki.test.tokens", "wikitext-2/wiki.test.tokens"),
        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
    partial(read_tokenized, detokenizer=WIKITEXT), "words", (29.41, 22.76, 19.93, 18.34), _GLUED,
    f"the paper's detokenizer is not published, and it says nothing of <unk>; {_WINDOWS} "
    "(transformers #483)", format_seen=True,
)  # fmt: skip
WIKITEXT2_ARTICLES = language_task(
    "wikitext2_articles", "WikiText-2, test, by article", WIKITEXT2.files[0],
    partial(read_articles, detokenizer=WIKITEXT), "words", None,
    {"detokenizer": WIKITEXT.name, "unit": "words of the file, without ends of lines",
     "documents": "articles"},
    "not in the GPT-2 paper: texts and words are lm-eval's, the detokenizer is not",
    format_seen=True,
)  # fmt: skip
WIKITEXT103 = language_task(
    "wikitext103", "WikiText-103, test",
    DataFile(("wikitext103.test.tokens", "wikitext-103/wiki.test.tokens")),
    partial(read_tokenized, detokenizer=WIKITEXT), "words", (37.50, 26.37, 22.05, 17.48), _GLUED,
    "the paper's detokenizer and windows are not published; its test part is that of WikiText-2 "
    "but for rare words",
)  # fmt: skip
PTB_TASK = language_task(
    "ptb", "Penn Treebank, test", DataFile(("ptb.test.txt",)),
    partial(read_tokenized, detokenizer=PTB), "words", (65.85, 47.33, 40.31, 35.76),
    {"detokenizer": PTB.name, "unit": "words of the file, and one a line"},
    "the paper's detokenizer and windows are not published",
)  # fmt: skip
ENWIK8 = language_task(
    "enwik8", "enwik8, last 5 MB", DataFile(("enwik8",)), read_tail, "bytes",
    (1.16, 1.01, 0.97, 0.93), {"part": "the last 5,000,000 bytes"},
    "the paper does not say which part it scored",
)  # fmt: skip
TEXT8 = language_task(
    "text8", "text8, last 5 MB", DataFile(("text8",)), read_tail, "characters",
    (1.17, 1.06, 1.02, 0.98), {"part": "the last 5,000,000 characters"},
    "the paper does not say which part it scored",
)  # fmt: skip
BILLION_WORDS = language_task(
    "1bw", "One Billion Words, test", DataFile(("news.en.heldout-00000-of-00050",)),
    read_sentences, "words", (75.20, 55.72, 44.575, 42.16),
    _GLUED | {"documents": "lines"},
    "the paper does not say whether sentences were scored apart, nor which of the 50 files",
)  # fmt: skip
LANGUAGE = (
    WIKITEXT2, WIKITEXT2_ARTICLES, WIKITEXT103, PTB_TASK, ENWIK8, TEXT8, BILLION_WORDS,
)  # fmt: skip
