"""The folder of a run: run.json, log.jsonl, tokenizer.json, checkpoints/, lock."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from torch import Tensor

from train.checkpoint import Checkpoint, load, not_finite, synced
from train.config import GPTConfig
from train.errors import BusyError, CheckpointError, SettingsError
from train.hardware import Choices
from train.model import GPT
from train.options import from_options, key_of
from train.plain import characters
from train.settings import TrainSettings

TOKENIZER = "tokenizer.json"
FORMAT = "webtext-run/1"
SHAPE = ("n_layer", "n_head", "n_embd", "n_ctx", "vocab_size")  # every version wrote them
T = TypeVar("T")
RUN_WANTED = "give the --out folder of a training run"
MEND = "; put back the run.json that the trainer wrote there"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder: the system lets go of it when the process ends, however it ends.

    Raises BusyError with the process id of the holder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise BusyError(
                f"{folder}: process {file.read().strip()} trains in this folder; wait for it, "
                "end it (it saves and leaves on SIGTERM), or give another --out"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


@dataclass(frozen=True)
class Run:
    """What run.json keeps: all that is needed to go on, to sample, and to know what this was."""

    folder: Path  # where it was read, or will be written; not kept
    settings: TrainSettings
    config: GPTConfig
    choices: Choices
    data: str
    data_digest: str
    eot_id: int | None  # None where no token ends a text: nanoGPT's characters
    versions: dict[str, str]
    ranks: int

    def to_json(self) -> dict[str, Any]:
        """The object of run.json."""
        return {
            "format": FORMAT,
            "settings": asdict(self.settings),
            "config": asdict(self.config),
            "parameters": self.config.parameters(),
            "choices": asdict(self.choices),
            "data": self.data,
            "data_digest": self.data_digest,
            "eot_id": self.eot_id,
            "versions": self.versions,
            "ranks": self.ranks,
        }

    @classmethod
    def from_json(cls, value: Any, path: Path) -> "Run":
        """The run of an object that this version wrote, or an earlier one of the same format.

        Settings that it does not know are left out, those that are not there have their defaults.
        Raises CheckpointError with what of `path` is missing or not what it must be.
        """
        found = value.get("format") if isinstance(value, dict) else None
        if found != FORMAT:
            raise CheckpointError(f"{path}: format {found!r}; this version reads {FORMAT!r}")
        try:
            known = {f.name: key_of(f.name) for f in fields(TrainSettings)}
            settings = {known[k]: v for k, v in value["settings"].items() if k in known}
            return cls(
                folder=path.parent,
                settings=from_options(TrainSettings, settings),
                config=_config(value["config"]),
                choices=_choices(value["choices"]),
                data=_typed("data", value["data"], str),
                data_digest=_typed("data_digest", value["data_digest"], str),
                eot_id=_eot_id(value["eot_id"], _config(value["config"]).vocab_size),
                versions=_typed("versions", value["versions"], dict),
                ranks=_typed("ranks", value["ranks"], int),
            )
        except KeyError as error:
            raise CheckpointError(f"{path}: {error} is missing{MEND}") from None
        except (AttributeError, TypeError, ValueError, SettingsError) as error:
            raise CheckpointError(f"{path}: {error}{MEND}") from None


def _config(value: dict[str, Any]) -> GPTConfig:
    for name in SHAPE:
        if type(value[name]) is int and value[name] < 1:
            raise ValueError(f"{name} is {value[name]}; it must be 1 or more")
    return from_options(GPTConfig, value)


def _choices(value: Any) -> Choices:
    found = Choices(**_typed("choices", value, dict))
    for name, kind in get_type_hints(Choices).items():
        _typed(name, getattr(found, name), get_origin(kind) or kind)
    return found


def _eot_id(value: Any, vocab_size: int) -> int | None:
    if value is None or 0 <= _typed("eot_id", value, int) < vocab_size:
        return value
    raise ValueError(f"eot_id is {value}; the vocabulary has {vocab_size:,}")


def _typed(name: str, value: Any, kind: type[T]) -> T:
    if type(value) is not kind:
        raise ValueError(f"{name} is {value!r}; it must be {kind.__name__}")
    return value


def read_run(folder: Path) -> Run:
    """run.json of a run, of the run that a checkpoint folder belongs to, or of a build's model."""
    folder = _holder(folder)
    for place in (folder, folder.parent.parent):
        path = place / "run.json"
        if path.exists():
            try:
                return Run.from_json(json.loads(path.read_text(encoding="utf-8")), path)
            except (ValueError, RecursionError) as error:
                raise CheckpointError(f"{path}: not valid JSON ({error}){MEND}") from None
    run = folder.parent.parent if (folder / "state.json").exists() else folder
    if any((run / "checkpoints").glob("*")):
        raise CheckpointError(about_orphans(run))
    if not folder.exists():
        raise SettingsError(f"{folder}: there is no such folder. Check the name.")
    if (folder / "shards").is_dir():
        raise SettingsError(
            f"{folder} holds shards and no model; `webtext train {folder} --out RUN` trains one"
        )
    raise SettingsError(f"{folder}: no run.json there; {RUN_WANTED}")


def _holder(folder: Path) -> Path:
    """The folder of the run: this one, or model/ in that of a build."""
    within = folder / "model"
    is_within = not (folder / "run.json").exists() and (within / "run.json").exists()
    return within if is_within else folder


def about_orphans(folder: Path) -> str | None:
    """What is wrong with a folder that has no run.json but holds what only a run leaves.

    A new run would mix its own with it: its checkpoints would be removed as the older ones, and
    another run's weights be taken for its result. None where nothing is wrong.
    """
    if (folder / "run.json").exists():
        return None
    steps = sorted(path.name for path in (folder / "checkpoints").glob("*"))
    left = [f"checkpoints/{steps[-1]}"] if steps else []
    left += [name for name in ("log.jsonl", TOKENIZER) if (folder / name).exists()]
    if not left:
        return None
    return (
        f"{folder} holds {', '.join(left)}, but no run.json, which says what run they are of{MEND}"
    )


def write_run(run: Run) -> None:
    """Write run.json, whole or not at all, even if the machine goes down."""
    aside = run.folder / "run.json.tmp"
    text = json.dumps(run.to_json(), indent=1, ensure_ascii=False, allow_nan=False)
    aside.write_text(text + "\n", encoding="utf-8")
    synced(aside)
    aside.replace(run.folder / "run.json")
    synced(run.folder)


def keep_micro_batch(folder: Path, micro_batch: int) -> None:
    """Note a micro-batch that was found while running, so that a resumed run takes it again."""
    run = read_run(folder)
    write_run(replace(run, choices=replace(run.choices, micro_batch=micro_batch)))


def load_model(
    folder: Path, run: Run, *, best: bool, device: str, note: Callable[[str], None]
) -> tuple[GPT, Checkpoint]:
    """The model of a run's newest (or best) whole checkpoint, ready to evaluate."""
    checkpoint = load(_holder(folder), best=best, weights_only=True, note=note)
    if checkpoint is None:
        raise SettingsError(f"{folder}: no checkpoint there yet; train it first, with --resume")
    model = GPT(run.config)
    load_weights(model, checkpoint.model, checkpoint.path)
    return model.to(device).eval(), checkpoint


def load_weights(model: GPT, weights: dict[str, Tensor], place: Path) -> None:
    """Put the weights of `place` into a model; CheckpointError names what does not fit."""
    own = {name: tuple(p.shape) for name, p in model.named_parameters()}
    found = {name: tuple(t.shape) for name, t in weights.items()}
    wrong = sorted(name for name in own.keys() | found.keys() if own.get(name) != found.get(name))
    if wrong:
        raise CheckpointError(
            f"{place}: the weights do not fit the model: {wrong[0]} is {found.get(wrong[0])}, "
            f"wanted {own.get(wrong[0])} ({len(wrong)} such)"
        )
    if name := not_finite(weights):
        raise CheckpointError(
            f"{place}: {name} holds numbers that are not finite: the run diverged. Take an "
            "earlier checkpoint (its folder may be given), or train anew with a lower --lr"
        )
    model.load_state_dict(weights)


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer.json: what it holds, and the file that it is of or was made from."""

    path: Path
    content: bytes


def tokenizer_for(run: Path, data: Path, given: str, *, own: bool) -> TokenizerFile | None:
    """The tokenizer.json that belongs into a run, so that sampling needs nothing else.

    It is the run's `own` if there is one, else where it is `given`, beside the shards, or in the
    build that these belong to; of nanoGPT's characters (meta.pkl) one is made. Raises SettingsError
    if none is where it is given; without any the run has none.
    """
    if own and (run / TOKENIZER).exists():
        return TokenizerFile(run / TOKENIZER, (run / TOKENIZER).read_bytes())
    places = [Path(given)] if given else [data / TOKENIZER, data.parent / "tokenizer" / TOKENIZER]
    source = next((p for p in places if p.is_file()), None)
    if given and not source:
        raise SettingsError(f"--tokenizer: no file at {given}")
    if source:
        return TokenizerFile(source, source.read_bytes())
    listed = characters(data)
    made = listed.tokenizer_json() if listed else None
    return TokenizerFile(data / "meta.pkl", made.encode()) if made else None


def keep_tokenizer(found: TokenizerFile | None, run: Path) -> None:
    """Write a tokenizer.json into the run, unless it is the run's own."""
    if found is None or found.path.resolve() == (run / TOKENIZER).resolve():
        return
    aside = run / f"{TOKENIZER}.tmp"  # a kill must not leave half of it
    aside.write_bytes(found.content)
    aside.replace(run / TOKENIZER)
