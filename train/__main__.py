"""The commands of the trainer: train, `evaluate`, `sample`, `score` and `export`.

    python -m train DATA --out RUN
    python -m train evaluate RUN
    python -m train sample RUN --prompt TEXT
    python -m train score RUN TEXT
    python -m train export RUN --out FOLDER


Use `python -P -m train` where the current folder may hold a train.py of its own. Results go to
stdout, progress to stderr. Exit codes: 0 done, 1 failed, 2 settings or inputs, 130 Ctrl-C, 75
SIGTERM or --stop-after; after the last two `--resume` goes on.
"""

import difflib
import json
import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from train.errors import Diverged, SettingsError, TrainError
from train.options import flag, parse, refuse_senseless
from train.packages import require_packages
from train.settings import (
    STEPS,
    EvaluateSettings,
    ExportSettings,
    SampleSettings,
    ScoreSettings,
    TrainSettings,
)
from train.stop import ending_at_once

# What `evaluate` can be asked for, the first that is given; the options that each reads. "" is the
# held-out loss.
HEARD = {
    "compare": "",
    "beside": "data split limit tokenizer best",
    "errors": "data limit stride tokenizer best",
    "suite": "data limit stride items tokenizer best",
    "": "data split tokens tokenizer best",
}
OF_A_DRAW = ("tokens", "samples", "temperature", "top_k", "top_p", "seed", "stop")
NO_MEMORY = "out of memory|can't allocate memory"  # as torch says it, of a GPU and of a CPU


def main(argv: Sequence[str] | None = None, prog: str = "python -m train") -> int:
    """Run one command and give back its exit code; errors go to stderr without a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    with ending_at_once(lambda by: f"{_name(prog)}: stopped by {by}; {_left(words)}"):
        return _run(words, prog)


def _run(words: list[str], prog: str) -> int:
    # Read when torch is loaded. Threads that spin while they wait cost three times the CPU time
    # and half the speed on two cores that others use too (demo preset, load 4).
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    command = COMMANDS.get(words[0]) if words else None
    try:
        if command:
            return command(words[1:], f"{prog} {words[0]}")
        _refuse_misspelt(words)
        return _train(words, prog)
    except TrainError as error:
        _tell(prog, str(error))
        return error.exit_code
    except BrokenPipeError:
        # Whoever reads has enough, such as `head`; what is still to be written goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A full disk, a read-only folder: whatever was committed stands.
        _tell(prog, f"{error}; {_left(words)}")
        return 1
    except (MemoryError, RuntimeError) as error:  # torch's are RuntimeErrors
        told = (str(error) or "of this process").partition("\n")[0]
        if not isinstance(error, MemoryError) and not re.search(NO_MEMORY, told):
            raise
        need = "a smaller model, --batch-tokens or --micro-batch needs less"
        _tell(prog, f"memory ran out ({told}): {need}; {_left(words)}")
        return 1
    except KeyboardInterrupt:
        _tell(prog, f"stopped by Ctrl-C; {_left(words)}")
        return 130


def _tell(prog: str, text: str) -> None:
    """An error begins with the name of the program, as all of webtext's do."""
    print(f"{_name(prog)}: {text}", file=sys.stderr)


def _name(prog: str) -> str:
    return "webtext" if prog.startswith("webtext") else "train"


def _left(words: list[str]) -> str:
    """What stands of a command that was cut off, and how to go on."""
    if words and words[0] in COMMANDS:
        return "the run stands as it was; run the same command again"
    out = ""
    for word, following in pairwise([*words, ""]):
        out = following if word == "--out" else word[6:] if word.startswith("--out=") else out
    saved = sorted(Path(out, "checkpoints").glob(STEPS)) if out else []
    if not saved:
        return "no checkpoint was written yet; run it again, with --resume"
    return f"the checkpoint of step {int(saved[-1].name[5:]):,} stands; --resume goes on from it"


def _refuse_misspelt(words: list[str]) -> None:
    """SettingsError for a first word that is nearly a command and no folder."""
    first = words[0] if words else ""
    near = difflib.get_close_matches(first, COMMANDS, n=1)
    if near and not Path(first).exists():
        raise SettingsError(f"{first}: no such command or folder; did you mean {near[0]}?")


def _train(argv: list[str], prog: str) -> int:
    settings, given, as_json = parse(TrainSettings, argv, prog)
    refuse_senseless(settings)
    require_packages()
    from train.log import LiveLine, duration, told_perplexity
    from train.start import train

    result = train(settings, given, LiveLine())
    if as_json:
        _print_json(asdict(result))
        return 0
    print(f"{result.step:,} steps, {result.tokens:,} tokens in {duration(result.seconds)}")
    if result.val_loss is not None:
        perplexity = told_perplexity(result.val_loss)
        print(f"held-out loss {result.val_loss:.4f}, perplexity {perplexity}")
    print(f"run: {settings.out}")
    return 0


def _evaluate(argv: list[str], prog: str) -> int:
    settings, given, as_json = parse(EvaluateSettings, argv, prog)
    refuse_senseless(settings)
    if not settings.list:
        _refuse_unheard(settings, given)
    if settings.list or any(getattr(settings, name) for name in HEARD if name):
        return _evaluate_tasks(settings, as_json)
    _require_run(settings.run)
    from train.evaluate.held_out import evaluate

    found = evaluate(settings, _note)
    if as_json:
        _print_json(found)
    else:
        _print_score(found)
    if not math.isfinite(found["loss"]):
        raise Diverged(f"{settings.run}: the loss is {found['loss']}; the run diverged")
    return 0


def _refuse_unheard(settings: EvaluateSettings, given: Iterable[str]) -> None:
    """SettingsError for an option that what is asked for does not read."""
    asked = next(name for name in HEARD if not name or getattr(settings, name))
    heard = {"run", "device", asked, *HEARD[asked].split()}
    for name in given:
        if name not in heard and getattr(settings, name):
            where = [
                flag(other) for other, names in HEARD.items() if other and name in names.split()
            ]
            mend = f"it goes with {' or '.join(where)}" if where else "leave it out"
            what = f"with {flag(asked)}" if asked else "for a held-out loss"
            raise SettingsError(f"{flag(name)} does nothing {what}; {mend}")


def _evaluate_tasks(settings: EvaluateSettings, as_json: bool) -> int:
    require_packages()
    if not settings.list:
        _require_run(settings.run)
    from train.evaluate.command import answer

    found, told = answer(settings, _note)
    if as_json:
        _print_json(found)
    else:
        print(told)
    if settings.suite and any(math.isnan(row["value"]) for row in found["rows"]):
        raise Diverged(f"{settings.run}: a result is no number; the run diverged")
    return 0


def _print_score(found: dict[str, Any]) -> None:
    from train.log import told_perplexity

    bits = found["bits_per_byte"]
    print(f"{found['checkpoint']}, split {found['split']}, {found['tokens']:,} tokens")
    print(f"loss {found['loss']:.4f} nats a token, perplexity {told_perplexity(found['loss'])}")
    print(f"bits per byte {bits:.4f}" if bits else "bits per byte: not known for these tokens")
    if found["hosts"]:
        print(f"\n{'host':<40}{'documents':>11}{'tokens':>12}{'loss':>9}")
    for row in found["hosts"]:
        name, loss = row["host"] or "(no URL)", f"{row['loss']:.4f}"
        print(f"{name:<40}{row['documents']:>11,}{row['tokens']:>12,}{loss:>9}")
    if found["hosts_in_all"] > len(found["hosts"]):
        print(f"and {found['hosts_in_all'] - len(found['hosts']):,} hosts of fewer tokens")


def _sample(argv: list[str], prog: str) -> int:
    settings, given, as_json = parse(SampleSettings, argv, prog)
    _require_run(settings.run)
    if settings.top:
        if drawn := next((name for name in given if name in OF_A_DRAW), ""):
            raise SettingsError(f"{flag(drawn)} does nothing with --top; leave it out")
        return _likeliest(settings, as_json=as_json)
    from train.sample import sample

    shown = ""  # the last piece

    def show(piece: str) -> None:
        nonlocal shown
        print(piece, end="", flush=True)
        shown = piece or shown

    try:
        found = sample(settings, _note, (lambda _: None) if as_json else show)
    except BaseException:
        if shown and not shown.endswith("\n"):  # what is said of it has a line of its own
            print(flush=True)
        raise
    if as_json:
        _print_json(found)
    return 0


def _likeliest(settings: SampleSettings, *, as_json: bool) -> int:
    from train.score import likeliest

    found = likeliest(settings, _note)
    if as_json:
        _print_json(found)
        return 0
    for one in found["next"]:
        print(f"{_share(one['log_probability'])}  {_quoted(one)}")
    return 0


def _score(argv: list[str], prog: str) -> int:
    settings, _, as_json = parse(ScoreSettings, argv, prog)
    refuse_senseless(settings)
    _require_run(settings.run)
    from train.log import told_perplexity
    from train.score import score_text

    found = score_text(settings, _note)
    if as_json:
        _print_json(found)
        return 0
    for one in found["scores"]:
        ln_p = one["log_probability"]
        told = f"{'':>9}  {'':>9}" if ln_p is None else f"{ln_p:>9.4f}  {_share(ln_p)}"
        print(f"{told}  {_quoted(one)}")
    told = told_perplexity(-found["log_probability"] / found["tokens"])
    print(
        f"{found['log_probability']:.4f} is ln p of {found['tokens']:,} tokens, perplexity {told}"
    )
    return 0


def _share(ln_p: float) -> str:
    """A probability in 9 columns; the smallest keep their exponent."""
    share = 100 * math.exp(ln_p)
    return f"{share:>7.2f} %" if share >= 0.01 else f"{share:>7.0e} %"


def _quoted(one: dict[str, Any]) -> str:
    """A token's text in quotation marks; of a part of a character the tokenizer's spelling."""
    partial = "\N{REPLACEMENT CHARACTER}" in one["text"] or not one["text"]
    return one["token"] if partial else json.dumps(one["text"], ensure_ascii=False)


def _export(argv: list[str], prog: str) -> int:
    settings, _, as_json = parse(ExportSettings, argv, prog)
    _require_run(settings.run)
    if not settings.out:
        raise SettingsError("--out is missing: the folder to write")
    from train.export import export

    found = export(settings, _note)
    if as_json:
        _print_json(found)
        return 0
    print(f"{found['architecture']} of {found['parameters']:,} parameters: {found['folder']}")
    print(f"read back, its logits differ by {found['logits_difference']:.1e} of the largest")
    return 0


def _require_run(run: str) -> None:
    if not run:
        raise SettingsError("RUN is missing: the folder of a training run")
    require_packages()


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def _print_json(value: dict[str, Any]) -> None:
    from train.log import plain

    print(json.dumps(plain(value), ensure_ascii=False, allow_nan=False))


COMMANDS = {"evaluate": _evaluate, "sample": _sample, "score": _score, "export": _export}


if __name__ == "__main__":
    sys.exit(main())
