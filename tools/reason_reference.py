"""docs/reasons.md: every reason for which a row is dropped, and every quality gate.

python -m tools.reason_reference > docs/reasons.md
"""

from dataclasses import dataclass

from pipeline.charsets import MIXED_SHARE_MAX
from pipeline.links.stage import UNREAD_SHARE_MAX, YOUNG_SHARE_MAX
from pipeline.reasons import FAULTS, Reason
from pipeline.texts import FALLEN_SHARE_MAX

HEAD = """\
# Reasons and quality gates

<!-- Made by `python -m tools.reason_reference > docs/reasons.md`; do not edit. -->

Every row that a stage drops has one reason: the first that holds, as the stage tests them.
`webtext status build --json` counts them, and the report shows real examples of each.
`webtext why REASON --build build` tells rows that were dropped for one.
"""

FAULTS_TEXT = """\
The reasons {faults} depend on the machine and its load.
`webtext build --replay documents` tries such pages again.
"""

GATES_HEAD = """\
## Quality gates

A quality gate looks at what a stage or a command has made.
If it fails, the results are there all the same.
A message says what is wrong, and the exit code is 3.

| where | it fails when | what to do |
|---|---|---|
"""


@dataclass(frozen=True)
class Group:
    """Reasons for which a stage drops its units: from `first` to the next group's."""

    stage: str
    unit: str
    first: Reason
    note: str = ""


GROUPS = (
    Group("links", "submission", Reason.LINE_INVALID),
    Group("pages", "link", Reason.NOT_CAPTURED),
    Group(
        "pages",
        "WARC record",
        Reason.OTHER_CAPTURE,
        "A link whose best capture is no page, or cannot be read, is dropped for `not_a_page` or "
        "`unreadable`.",
    ),
    Group(
        "documents",
        "page",
        Reason.PAGE_EMPTY,
        "`webtext extract` has these too, for pages of your own.\n"
        "For what is no page it has `status_error`, `not_a_page`, `unreadable`, `line_invalid`, "
        "`line_not_object` and `text_missing`.",
    ),
    Group("corpus", "document", Reason.WIKIPEDIA_DOMAIN),
    Group("tokenizer", "pre-token", Reason.PRETOKEN_RARE),
    Group(
        "Texts of your own",
        "row",
        Reason.OTHER_CHARSET,
        "The commands `dedup`, `tokenizer train` and `shards` have these.\n"
        "They have `line_invalid`, `line_not_object` and `charset_unknown` too, and `dedup` has "
        "`too_long` and those of its limits on quality: `little_prose`, `repetitive`, `odd_words`."
        "\n"
        "In a build the stage corpus has `empty_text`.",
    ),
)


@dataclass(frozen=True)
class Gate:
    """One quality gate. `module` is the one that declares it to the engine or to `dedup`."""

    where: str
    fails: str
    mend: str
    module: str


def _percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")


GATES = (
    Gate(
        "links",
        "a dump is cut off, and `links.accept_torn` is true",
        "Download the dump again.",
        "pipeline.links.stage",
    ),
    Gate(
        "links",
        f"more than {_percent(UNREAD_SHARE_MAX)} of a dump's lines cannot be read as submissions",
        "Check that the file is a dump of submissions (`RS_*`).",
        "pipeline.links.stage",
    ),
    Gate(
        "links",
        f"more than {_percent(YOUNG_SHARE_MAX)} of a month's scores were read less than a day "
        "after posting",
        "Leave the month out, or set `links.accept_immature_scores`.",
        "pipeline.links.stage",
    ),
    Gate(
        "pages",
        "a WARC file is cut off, and `pages.accept_torn` is true",
        "Get the WARC file again.",
        "pipeline.pages.stage",
    ),
    Gate(
        "tokenizer",
        "fewer tokens were learnt than `tokenizer.vocab_size`",
        "Give more text, or lower `tokenizer.vocab_size`.",
        "pipeline.tokens.stage",
    ),
    Gate(
        "shards",
        "no document is held out, though `shards.val_share` is above 0",
        'Raise `shards.val_share`, set it to 0, or set `shards.split_by` to `"block"`.',
        "pipeline.tokens.stage",
    ),
    Gate(
        "shards",
        "all documents are held out",
        "Lower `shards.val_share`, or give more documents.",
        "pipeline.tokens.stage",
    ),
    Gate(
        "`dedup`, `tokenizer train`, `shards`",
        f"more than {_percent(FALLEN_SHARE_MAX)} of a file's rows are dropped",
        "The message names the commonest reason and the first such row; mend the file.",
        "pipeline.tokens.texts_stage",
    ),
    Gate(
        "`dedup`, `tokenizer train`, `shards`",
        f"more than {_percent(MIXED_SHARE_MAX)} of a file's rows are in another encoding than the "
        "rest",
        "Convert the file to UTF-8, with `iconv` for example.",
        "pipeline.tokens.texts_stage",
    ),
)


def reasons_page() -> str:
    """docs/reasons.md."""
    lines = [HEAD]
    for group, reasons in grouped():
        lines += [f"## {group.stage}: {group.unit}s", ""]
        lines += ["| reason | what it says |", "|---|---|"]
        lines += [f"| `{reason}` | {reason.sentence} |" for reason in reasons]
        lines += ["", *([group.note, ""] if group.note else [])]
        if FAULTS & set(reasons):
            names = [f"`{reason}`" for reason in reasons if reason in FAULTS]
            told = f"{', '.join(names[:-1])} and {names[-1]}"
            lines.append(FAULTS_TEXT.format(faults=told))
    rows = [f"| {gate.where} | {gate.fails} | {gate.mend} |" for gate in GATES]
    return "\n".join(lines) + "\n" + GATES_HEAD + "\n".join(rows) + "\n"


def grouped() -> list[tuple[Group, list[Reason]]]:
    """The groups in order, each with its reasons."""
    reasons = list(Reason)
    starts = [reasons.index(group.first) for group in GROUPS]
    ends = [*starts[1:], len(reasons)]
    return [
        (group, reasons[start:end]) for group, start, end in zip(GROUPS, starts, ends, strict=True)
    ]


if __name__ == "__main__":
    print(reasons_page(), end="")
