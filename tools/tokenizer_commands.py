"""The commands that use a tokenizer, each a function; see commands.py."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from tools.commands import exit_code
from tools.options import InputPlace, SettingsFrom

Form = Literal["hugging-face", "openai", "tiktoken", "llm.c"]


def tokenizer_encode(
    tokenizer: Path, /, *files: InputPlace, out: Path | None = None, pieces: bool = False
) -> None:
    """Turn text into token ids: a line a file, the ids parted by spaces.

    Example: webtext tokenizer encode bpe notes.txt

    Example: echo "The city" | webtext tokenizer encode gpt2/vocab.bpe - --pieces

    The text is taken as it is, to its last byte: `webtext tokenizer decode` gives
    it back. A literal <|endoftext|> in it is text.

    Parameters
    ----------
    tokenizer
        {tokenizer}
    files
        Files of text in UTF-8, compressed or not; - for stdin, which is read if none is named.
    out
        The file to write; if not given, stdout.
    pieces
        Show a token a line: its id, and its text in quotes, as \\xe4 where it is part of a
        character.
    """
    from tools.tokenizer_text import encode_files

    encode_files(tokenizer, files, out, pieces=pieces)


def tokenizer_decode(tokenizer: Path, /, *files: InputPlace, out: Path | None = None) -> None:
    """Turn token ids into the text that they stand for.

    Example: webtext tokenizer decode bpe ids.txt

    Example: echo 464 1748 | webtext tokenizer decode gpt2/encoder.json -

    Ids that stop amid a character are told on stderr; what is no UTF-8 is written
    as \\xe4. An id that the tokenizer has not is named, and nothing is written.

    Parameters
    ----------
    tokenizer
        {tokenizer}
    files
        Files of ids parted by white space or commas; - for stdin, which is read if none is named.
    out
        The file to write; if not given, stdout.
    """
    from tools.tokenizer_text import decode_files

    decode_files(tokenizer, files, out)


def tokenizer_count_tokens(
    tokenizer: Path,
    /,
    *files: InputPlace,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> None:
    """Count the tokens of texts, without end-of-text tokens between them.

    Example: webtext tokenizer count-tokens bpe notes.txt "corpus/*.jsonl"

    Parameters
    ----------
    tokenizer
        {tokenizer}
    files
        Files, folders, patterns, or - for stdin: JSON lines, JSON arrays, Parquet, CSV or plain
        text, compressed or not; the content tells which.
    as_json
        Print the counts as JSON: tokens, text_bytes and texts of each file.
    """
    from tools.tokenizer_text import count_tokens

    counts = count_tokens(tokenizer, files, settings_from(None).texts)
    if as_json:
        print(json.dumps(counts))
        return
    if len(counts) > 1:
        names = ("tokens", "text_bytes", "texts")
        counts["all"] = {name: sum(each[name] for each in counts.values()) for name in names}
    for name, each in counts.items():
        print(f"{each['tokens']:>15,} tokens {each['text_bytes']:>17,} bytes  {name}")


def tokenizer_eval(
    *tokenizers: Path,
    text: Annotated[list[str], Parameter(consume_multiple=True)],
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> int:
    """Tell how good tokenizers are, side by side: on texts, and by what they hold.

    Example: webtext tokenizer eval bpe gpt2/encoder.json --text held-out.jsonl

    Bytes a token, tokens a word, share of the vocabulary in use, by language and
    for prose and code; tokens that nothing makes; the way back from ids for every
    byte and every code point, with exit code 3 if one is lost.

    Parameters
    ----------
    tokenizers
        {tokenizer} GPT-2's own is known by its content.
    text
        Files, folders, patterns, or - for stdin, as `webtext shards` reads them. Take texts that
        the tokenizers were not trained on.
    as_json
        Print the figures as JSON, a list with an object for each tokenizer.
    """
    from tools.tokenizer_eval import evaluate, show

    found = evaluate(tokenizers, text, settings_from(None).texts)
    if as_json:
        print(json.dumps(found))
    else:
        show(found)
    lost = [each for each in found if each["broken_bytes"] or each["broken_characters"]]
    return exit_code([f"{each['name']}: some characters do not come back" for each in lost])


def tokenizer_export(
    tokenizer: Path,
    /,
    *,
    out: Path,
    form: Annotated[list[Form] | None, Parameter(consume_multiple=True)] = None,
) -> None:
    """Write a tokenizer in the files of other programs.

    Example: webtext tokenizer export bpe --out for-llm.c --form llm.c

    hugging-face: tokenizer.json, tokenizer_config.json, vocab.json and merges.txt, for
    tokenizers and transformers. openai: encoder.json and vocab.bpe. tiktoken: its
    ranks. llm.c: tokenizer.bin, which holds no token above 255 bytes.

    Parameters
    ----------
    tokenizer
        {tokenizer}
    out
        The folder to write.
    form
        The forms to write; if not given, all.
    """
    from pipeline.tokens.export import FORMS, export
    from pipeline.tokens.tokenizer_files import load
    from tools.places import require_folder

    require_folder(out)
    made = load(tokenizer)
    out.mkdir(parents=True, exist_ok=True)
    for name in export(made, out, form or list(FORMS)):
        print(out / name)


_TOKENIZER = (
    "The --out folder of `webtext tokenizer train`, or a tokenizer.json, vocab.json with "
    "merges.txt, encoder.json with vocab.bpe, tiktoken ranks, llm.c's tokenizer.bin, or a folder "
    "with one."
)
for _command in (
    *(tokenizer_encode, tokenizer_decode, tokenizer_count_tokens, tokenizer_eval, tokenizer_export),
):
    _command.__doc__ = (_command.__doc__ or "").replace("{tokenizer}", _TOKENIZER)
