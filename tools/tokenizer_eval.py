"""Tokenizers side by side, for `webtext tokenizer eval`."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipeline.documents.language import classify
from pipeline.errors import InputError, SettingsError
from pipeline.languages import told_language
from pipeline.settings import TextsSettings
from pipeline.texts import Odd, told
from pipeline.tokens.evaluate import Evaluation, as_dict, encode_by
from pipeline.tokens.tokenizer_files import read
from tools.places import place_of
from tools.tokenizer_text import given, rows_of

SURE = 0.5  # a language that is less likely is not told
LANGUAGES_SHOWN = 12
SHOWN_CHARS = 40  # of a long token
LABEL, COLUMN = 30, 16


def evaluate(
    tokenizers: Sequence[Path], words: Sequence[str], rules: TextsSettings
) -> list[dict[str, Any]]:
    """The figures of each tokenizer on all texts. InputError where no text is found."""
    if not tokenizers:
        raise SettingsError("name at least one tokenizer")
    reads = [read(path) for path in tokenizers]
    found = [Evaluation(each.tokenizer, encode_by(each)) for each in reads]
    odd, texts = Odd(), 0
    with given([place_of(word) for word in words]) as paths:
        for path in paths:
            for text in rows_of(path, rules, odd):
                language, probability = classify(text)
                for one in found:
                    one.add(text, language if probability >= SURE else "")
                texts += 1
    for sentence in told(odd):
        print(sentence, file=sys.stderr)
    if not texts:
        raise InputError(words[0], "", "there is no text to try tokenizers on", "Name another.")
    rows = zip(tokenizers, found, reads, strict=True)
    return [
        {"name": str(path), "texts": texts, **as_dict(one, each.problem)}
        for path, one, each in rows
    ]


def show(found: Sequence[dict[str, Any]]) -> None:
    """Print the figures, a column for each tokenizer."""
    first = found[0]
    print(f"{first['texts']:,} texts, {first['text_bytes']:,} bytes of UTF-8")
    row = _row(found)
    row("", lambda one: one["known_as"] or Path(one["name"]).name)
    row("entries of the vocabulary", lambda one: f"{one['vocab_size']:,}")
    row("bytes a token", lambda one: f"{one['bytes_per_token']:.3f}")
    row("tokens a word", lambda one: f"{one['tokens_per_word']:.3f}")
    row("vocabulary in use", lambda one: f"{100 * one['used_share']:.1f} %")
    row("ids never used", lambda one: f"{len(one['unused_ids']):,}")
    row("tokens of a single byte", lambda one: f"{100 * one['single_byte_share']:.2f} %")
    row("entries that nothing makes", lambda one: f"{len(one['made_by_nothing']):,}")
    row("bytes that are lost", lambda one: f"{len(one['broken_bytes']):,} of 256")
    row("characters that are lost", lambda one: f"{len(one['broken_characters']):,} of 1,112,064")
    for title, key in (("kind", "by_kind"), ("language", "by_language")):
        print(f"\nBytes a token (tokens a word) by {title}")
        names = list(first[key])
        for name in names[:LANGUAGES_SHOWN]:
            row(_told(name, title), lambda one, k=key, n=name: _figures(one[k][n]))
        if len(names) > LANGUAGES_SHOWN:
            print(f"  and {len(names) - LANGUAGES_SHOWN:,} more: --json tells of all")
    for one in found:
        print(f"\n{one['name']}")
        longest = ", ".join(f"{_short(each)} ({each['bytes']})" for each in one["longest"])
        print(f"  longest entries, with their bytes: {longest}")
        left = len(one["unused_ids"]) - len(one["unused_first"])
        more = f" and {left:,} more: --json" if left else ""
        print(f"  never used: {_listed(one['unused_first']) or 'none'}{more}")
        if one["made_by_nothing"]:
            print(f"  made by nothing, the first: {_listed(one['made_by_nothing_first'])}")
        if one["problem"]:
            print(f"  no shards can be written with it: {one['problem']}")


def _row(found: Sequence[dict[str, Any]]) -> Callable[[str, Callable[..., str]], None]:
    def row(label: str, figure: Callable[..., str]) -> None:
        print(f"{label:<{LABEL}}" + "".join(f" {figure(one):>{COLUMN}}" for one in found))

    return row


def _told(name: str, title: str) -> str:
    return f"  {name if title == 'kind' else told_language(name)}"


def _figures(sums: dict[str, Any]) -> str:
    words = f" ({sums['tokens_per_word']:.2f})" if sums["tokens_per_word"] else ""
    return f"{sums['bytes_per_token']:.2f}{words}"


def _listed(tokens: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{each['id']} {_short(each)}" for each in tokens)


def _short(token: dict[str, Any]) -> str:
    text = str(token["token"])
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…'"
