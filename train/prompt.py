"""A model with the tokenizer of its texts, and what a person gives it to read."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from train.errors import SettingsError
from train.evaluate.scoring import Subject
from train.given import is_hugging_face, opened
from train.hardware import device_of
from train.runs import TOKENIZER
from train.settings import SampleSettings, checked_sampling
from train.text import Text, text_for, tokenizer_at

PROMPT = ("--prompt", "--prompt-file")


class ModelSettings(Protocol):
    """What says which model is read, and where."""

    @property
    def run(self) -> str: ...  # noqa: D102 (fields of settings.py, described there)
    @property
    def best(self) -> bool: ...  # noqa: D102
    @property
    def tokenizer(self) -> str: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102


def open_with_text(settings: ModelSettings, note: Callable[[str], None]) -> Subject:
    """The model of a run or of a Hugging Face folder, with its own tokenizer or the given one.

    Raises SettingsError where there is no tokenizer, or one of another size.
    """
    device = device_of(settings.device)
    given = opened(Path(settings.run), best=settings.best, device=device, note=note)
    path = Path(settings.tokenizer or given.folder)
    found = tokenizer_at(path)
    if not found:
        place = path if settings.tokenizer else path / TOKENIZER
        raise SettingsError(f"{place}: no tokenizer there; give --tokenizer PATH to tokenizer.json")
    text = text_for(found, given.model.config.vocab_size)
    return Subject(given.model, text, given.eot_id, given.name, given.data, given.folder)


def open_for_tasks(settings: ModelSettings, note: Callable[[str], None]) -> Subject:
    """The same; SettingsError where no token ends a text, with which those of tasks begin."""
    found = open_with_text(settings, note)
    if found.eot_id is None:
        what = "config.json has no eos_token_id" if is_hugging_face(found.folder) else "no token"
        raise SettingsError(
            f"{found.folder}: {what} of the vocabulary that ends a text; tasks begin with it"
        )
    return found


def given_text(text: str, file: str, names: tuple[str, str]) -> str:
    """A text, or that of a file, - being stdin, without its last line break; `names` are options.

    Raises SettingsError where both are given, or the file is not UTF-8.
    """
    if not file:
        return text
    if text:
        raise SettingsError(f"{names[0]} and {names[1]} are both given; leave one out")
    try:
        held = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return held.decode().removesuffix("\n").removesuffix("\r")
    except FileNotFoundError:
        raise SettingsError(f"{names[1]}: no file at {file}") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{names[1]}: {file} is not UTF-8 at byte {error.start}") from None


def beginning(text: Text, prompt: str, eot_id: int | None) -> list[int]:
    """The ids that a sample goes on from: a document's start and the prompt.

    Where tokens are characters no id ends a text, and nanoGPT begins with a line break.
    """
    if eot_id is not None:
        return [eot_id, *text.encode(prompt)]
    return text.encode(prompt) or text.encode("\n") or [0]


def first_ids(
    given: Subject, prompt: str, note: Callable[[str], None], *, eot: bool, what: str = "prompt"
) -> list[int]:
    """The ids of a person's text; with `eot` after a document's start.

    Raises SettingsError where there is nothing to begin with.
    """
    read = given.text.decode(given.text.encode(prompt))
    if read != prompt:
        note(f"the tokenizer reads the {what} as {read!r}")
    if not eot:
        if not read:
            raise SettingsError("--no-eot leaves nothing to begin with: give a text")
        return given.text.encode(prompt)
    if given.eot_id is None and is_hugging_face(given.folder):
        raise SettingsError(
            f"{given.folder / 'config.json'}: no eos_token_id of the vocabulary there; it begins "
            "and ends a text. With --no-eot a text begins by itself"
        )
    return beginning(given.text, prompt, given.eot_id)


def opened_with_prompt(
    settings: SampleSettings, note: Callable[[str], None]
) -> tuple[Subject, str, list[int]]:
    """A model, the prompt that it is given, and its ids; SettingsError for what is amiss."""
    checked_sampling(settings)
    given = open_with_text(settings, note)
    prompt = given_text(settings.prompt, settings.prompt_file, PROMPT)
    ids = first_ids(given, prompt, note, eot=not settings.no_eot)
    if not settings.slide:
        check_room(ids, given.model.config.n_ctx, "--prompt")
    return given, prompt, ids


def check_room(ids: list[int], n_ctx: int, what: str) -> None:
    """SettingsError for a text that leaves no room for one more token."""
    if len(ids) > n_ctx - 1:
        raise SettingsError(
            f"{what} has {len(ids)} tokens; the model sees {n_ctx}. With --slide it reads on, the "
            "earliest tokens out of its sight"
        )
