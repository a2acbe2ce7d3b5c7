"""The trainer reads a tokenizer.json; one in another of people's files is given to it as that."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

OPTION = "--tokenizer"


@contextmanager
def with_tokenizer_json(words: Sequence[str]) -> Iterator[list[str]]:
    """The trainer's words; the file that stands for a tokenizer in them lives as long as this.

    A tokenizer.json stays as it is: the trainer takes those of other models too. Raises what
    `tokenizer_files.load` does.
    """
    words = [part for word in words for part in _split(word)]
    at = words.index(OPTION) + 1 if OPTION in words else len(words)
    if at >= len(words) or not Path(words[at]).exists():  # the trainer tells of it
        yield words
        return
    from pipeline.tokens.export import export
    from pipeline.tokens.tokenizer_files import files_of, is_json, load

    place = Path(words[at])
    if is_json(files := files_of(place)):
        yield [*words[:at], str(files[0]), *words[at + 1 :]]
        return
    with TemporaryDirectory(prefix="webtext-") as scratch:
        folder = Path(scratch, place.name)
        folder.mkdir()
        export(load(place), folder, ["hugging-face"])
        yield [*words[:at], str(folder / "tokenizer.json"), *words[at + 1 :]]


def _split(word: str) -> list[str]:
    return [OPTION, word.removeprefix(f"{OPTION}=")] if word.startswith(f"{OPTION}=") else [word]
