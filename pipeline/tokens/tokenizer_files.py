"""A tokenizer in any of the files that people have, told by name and content.

tokenizer.json                 of Hugging Face's tokenizers
vocab.json and merges.txt      of transformers, and of older tokenizers
encoder.json and vocab.bpe     OpenAI's
*.tiktoken                     tiktoken's ranks
tokenizer.bin                  llm.c's
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from pipeline.errors import InputError, SettingsError
from pipeline.tokens.ranks import is_llm_c, is_tiktoken, read_llm_c, read_tiktoken
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer
from pipeline.tokens.tokenizer_json import MEND, Pair, Read, checked, read_json, refusal

VOCABULARIES = {"vocab.json": "merges.txt", "encoder.json": "vocab.bpe"}
_HEAD_BYTES = 1 << 10
_HEADER = "#version:"  # of a file of merges; "# #" and the like are merges


def load(path: Path) -> Tokenizer:
    """The tokenizer of a file, of a pair of which one is named, or of the folder that holds them.

    Raises InputError for a file that is cut or is none of these forms, SettingsError unless it is a
    byte-level BPE in GPT-2's form whose ids tiktoken gives too, with `<|endoftext|>` as its last id
    and its one special token: others would give ids that the shards' readers misread.
    """
    found = read(path)
    if found.problem:
        raise refusal(files_of(path)[0], found.problem)
    return found.tokenizer


def read(path: Path) -> Read:
    """As `load`, for whom it does not matter that tiktoken gives other ids."""
    first, *merges = files_of(path)
    content = first.read_bytes()
    if merges:
        return _read_pair(first, content, merges[0])
    if is_llm_c(content):
        return read_llm_c(first, content)
    return (read_tiktoken if is_tiktoken(content[:_HEAD_BYTES]) else read_json)(first, content)


def is_json(files: Sequence[Path]) -> bool:
    """Whether the files of a tokenizer are one tokenizer.json."""
    if len(files) > 1:
        return False
    with files[0].open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return not (is_llm_c(head) or is_tiktoken(head))


def files_of(path: Path) -> tuple[Path, ...]:
    """The files of the tokenizer: one, or a vocabulary and its merges.

    A folder may be the --out of `webtext tokenizer train`. Raises SettingsError for no tokenizer.
    """
    if path.is_dir():
        found = next((files for folder in (path, path / "tokenizer") for files in _in(folder)), ())
        if not found:
            raise SettingsError(
                f"{path}: no tokenizer there: no tokenizer.json, vocab.json with merges.txt, "
                "encoder.json with vocab.bpe, .tiktoken or tokenizer.bin; `webtext tokenizer "
                "train` makes one"
            )
        return found
    if not path.is_file():
        raise SettingsError(f"{path}: no such file; `webtext tokenizer train` makes one")
    for vocabulary, merges in VOCABULARIES.items():
        for one, other in ((vocabulary, merges), (merges, vocabulary)):
            if path.name.endswith(one):
                twin = path.with_name(path.name.removesuffix(one) + other)
                if not twin.is_file():
                    mend = "A vocabulary and its merges are two files; put them side by side."
                    raise InputError(path, "", f"there is no {twin.name} beside it", mend)
                return (path, twin) if one == vocabulary else (twin, path)
    return (path,)


def _in(folder: Path) -> Iterator[tuple[Path, ...]]:
    """The tokenizers that a folder holds, the fullest form first."""
    whole = [("tokenizer.json",), *VOCABULARIES.items(), ("tokenizer.bin",)]
    whole[-1:-1] = [(file.name,) for file in sorted(folder.glob("*.tiktoken"))]
    for names in whole:
        files = tuple(folder / name for name in names)
        if all(file.is_file() for file in files):
            yield files


def _read_pair(path: Path, content: bytes, merges_path: Path) -> Read:
    try:
        vocab = msgspec.json.decode(content, type=dict[str, int])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(path, "", f"not a vocabulary, tokens with ids: {error}", MEND) from None
    end = vocab.pop(END_OF_TEXT, None)
    if end != len(vocab):
        told = f"id {end}" if end is not None else "not there"
        raise refusal(path, f"its {END_OF_TEXT} is {told}, not the last id, {len(vocab)}")
    return checked(path, vocab, list(_merges(merges_path)))


def _merges(path: Path) -> Iterator[Pair]:
    try:
        lines = path.read_bytes().decode("utf-8-sig").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(path, f"byte {error.start}", "is not UTF-8", MEND) from None
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith(_HEADER):
            continue
        left, space, right = line.removesuffix("\r").partition(" ")
        if not (left and space and right) or " " in right:
            raise InputError(path, f"line {number}", f"{line[:40]!r} is not of two tokens", MEND)
        yield left, right
