"""Weights that are given, not trained here: a run of ours or a Hugging Face folder.

Of such a folder the files are read that `transformers` would read. All weights are floating and
finite, or the file and the weight are named.
"""

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from train.config import GPTConfig
from train.errors import CheckpointError, SettingsError
from train.hugging_face import CONSTANTS, HEAD, fold_layer_scale, from_their_config, from_theirs
from train.model import GPT
from train.runs import (
    RUN_WANTED,
    Run,
    TokenizerFile,
    load_model,
    load_weights,
    read_run,
)
from train.text import check_size, tokenizer_at, tokens_of

FLOATING = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
SINGLE, PICKLED = "model.safetensors", "pytorch_model.bin"
INDEX = ".index.json"  # behind the name of the single file; says which shard holds which weight


def is_hugging_face(place: Path) -> bool:
    """Whether this is a folder of `transformers`, and no run of ours."""
    return (place / "config.json").exists() and not (place / "run.json").exists()


def read_folder(folder: Path) -> tuple[GPTConfig, dict[str, Tensor]]:
    """The configuration and the fp32 weights, under our names, of a Hugging Face folder.

    Raises SettingsError for a configuration that is not supported, CheckpointError for files.
    """
    about = _read_json(folder / "config.json")
    try:
        config = from_their_config(about)
    except SettingsError as error:
        raise SettingsError(f"{folder / 'config.json'}: {error}") from None
    theirs = _read_tensors(folder)
    if about.get("tie_word_embeddings") is False and HEAD not in theirs:
        raise CheckpointError(
            f"{folder}: tie_word_embeddings is false in config.json and there is no {HEAD}; "
            "supported are tied heads"
        )
    try:
        weights = from_theirs(config, theirs)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    if about.get("scale_attn_by_inverse_layer_idx"):
        weights = fold_layer_scale(config, weights)
    return config, weights


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: holds no JSON object")
    return found


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    """All weights of the folder in fp32, under their names; where shards are, the index decides."""
    tensors: dict[str, Tensor] = {}
    for file, names in _files(folder).items():
        held = _load(folder / file)
        if missing := sorted(set(names or held) - held.keys()):
            raise CheckpointError(f"{folder / file}: no {missing[0]} there, which the index names")
        tensors |= {
            name: _checked(folder / file, name, held[name])
            for name in names or held
            if not CONSTANTS.search(f".{name}")
        }
    return tensors


def _files(folder: Path) -> dict[str, list[str]]:
    """The files to be read, and what of each; an empty list is all of it."""
    for single in (SINGLE, PICKLED):
        whole, index = (folder / single).exists(), folder / f"{single}{INDEX}"
        if whole and index.exists():
            raise CheckpointError(
                f"{folder}: holds {single} and {index.name}, of which one is stale; remove it"
            )
        if whole:
            return {single: []}
        if index.exists():
            return _indexed(index)
    raise CheckpointError(f"{folder}: no {SINGLE}, no {PICKLED} and no index of shards there")


def _indexed(index: Path) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    places = _read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index}: has no weight_map")
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file:
            raise CheckpointError(f"{index}: {name} is in {file!r}, which is no file beside it")
        files.setdefault(file, []).append(name)
    return files


def _load(path: Path) -> dict[str, Tensor]:
    """The tensors of a file. Pickles are read with torch's list of what is harmless."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, LookupError) as error:
        told = str(error).partition("\n")[0]
        raise CheckpointError(f"{path}: is no file of torch with tensors alone: {told}") from None
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise CheckpointError(f"{path}: holds other things than named tensors")
    return found


def _checked(place: Path, name: str, tensor: Tensor) -> Tensor:
    """The weight in fp32; CheckpointError if it is of no such type, or not finite."""
    if tensor.dtype not in FLOATING:
        raise CheckpointError(
            f"{place}: {name} is {str(tensor.dtype).removeprefix('torch.')}; supported: weights in "
            "fp32, fp16, bf16 or fp64"
        )
    tensor = tensor.float()
    if not tensor.isfinite().all():
        wrong = int((~tensor.isfinite()).sum())
        raise CheckpointError(
            f"{place}: {name} has {wrong:,} of {tensor.numel():,} numbers that are not finite (NaN "
            "or infinite); take weights from before it diverged"
        )
    return tensor


def read_weights(place: Path, note: Callable[[str], None]) -> tuple[GPTConfig, dict[str, Tensor]]:
    """The configuration and weights of a run of ours, or of a Hugging Face folder."""
    if is_hugging_face(place):
        return read_folder(place)
    model, checkpoint = load_model(place, _read_run(place), best=False, device="cpu", note=note)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    return model.config, {n: _checked(checkpoint.path, n, t) for n, t in weights.items()}


def _read_run(place: Path) -> Run:
    try:
        return read_run(place)
    except SettingsError as error:
        if not str(error).endswith(RUN_WANTED):
            raise
        raise SettingsError(f"{error}, or a Hugging Face folder with config.json") from None


def cropped(
    config: GPTConfig, weights: dict[str, Tensor], n_ctx: int | None, note: Callable[[str], None]
) -> tuple[GPTConfig, dict[str, Tensor]]:
    """A model that sees only the first `n_ctx` positions, where that is fewer; None keeps all.

    Raises SettingsError for more: learned positions end where training ended.
    """
    if n_ctx is None or n_ctx == config.n_ctx:
        return config, weights
    if n_ctx > config.n_ctx:
        raise SettingsError(
            f"--n-ctx is {n_ctx}; the given weights have {config.n_ctx} learned positions, and no "
            f"more can be made of them: give {config.n_ctx} or less, or leave it out"
        )
    note(f"positions: the first {n_ctx} of the {config.n_ctx} that were given")
    name = "transformer.wpe.weight"
    return replace(config, n_ctx=n_ctx), weights | {name: weights[name][:n_ctx].clone()}


def with_given(own: TokenizerFile | None, place: Path, config: GPTConfig) -> TokenizerFile | None:
    """The tokenizer.json of a run that starts from given weights: its `own`, else theirs.

    SettingsError if theirs has another size than the weights, or other tokens than the run's own.
    """
    folder = place if is_hugging_face(place) else read_run(place).folder
    found = tokenizer_at(folder)
    if not found:
        return own
    check_size(found, config.vocab_size)
    if own is None:
        return found
    ids, known = tokens_of(own), tokens_of(found)
    for token in known:
        if ids.get(token) != known[token]:
            raise SettingsError(
                f"{found.path} has {token!r} as {known[token]}, the tokenizer of the data as "
                f"{ids.get(token)}: what the weights learned would be mixed up. Give --tokenizer "
                "PATH if you know better"
            )
    return own


@dataclass(frozen=True)
class Opened:
    """A model that is ready to evaluate or to sample, and what is known beside its weights.

    Of a Hugging Face folder `data` and `data_digest` are empty, `eot_id` is None if it says none.
    """

    model: GPT
    name: str
    folder: Path  # where its tokenizer.json lies
    data: str
    data_digest: str
    eot_id: int | None


def opened(place: Path, *, best: bool, device: str, note: Callable[[str], None]) -> Opened:
    """The newest (or best) checkpoint of a run, or the model of a Hugging Face folder."""
    if not is_hugging_face(place):
        run = _read_run(place)
        model, checkpoint = load_model(place, run, best=best, device=device, note=note)
        about = run.folder, run.data, run.data_digest, run.eot_id
        return Opened(model, checkpoint.path.name, *about)
    if best:
        raise SettingsError(f"--best: {place} is a Hugging Face folder, which has one model")
    config, weights = read_folder(place)
    model = GPT(config)
    load_weights(model, weights, place)
    end = _read_json(place / "config.json").get("eos_token_id")
    end = end[0] if isinstance(end, list) and len(end) == 1 else end
    known = type(end) is int and 0 <= end < config.vocab_size
    return Opened(model.to(device).eval(), place.name, place, "", "", end if known else None)
