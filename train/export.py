"""Writes Hugging Face folders: what they hold loads with `transformers` and no code of ours.

Each is read back and compared before it stands under its names: an export that is refused leaves
nothing.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from train.config import GPTConfig
from train.errors import CheckpointError, SettingsError
from train.given import SINGLE, read_folder
from train.hugging_face import ARCHITECTURES, kind_of, to_their_config, to_theirs
from train.model import GPT
from train.runs import TOKENIZER, TokenizerFile, load_model, read_run
from train.settings import ExportSettings
from train.text import check_tokenizer, for_text, tokens_of

FILES = {SINGLE, "config.json", "generation_config.json"}
TOKENIZER_FILES = {TOKENIZER, "tokenizer_config.json"}
ASIDE = ".export.tmp"  # in the folder, for what is not compared yet
# In the head of the weights' file, where transformers reads only "format".
METADATA = {"format": "pt", "written_by": "webtext export"}
# Logits of the reloaded export may differ from the model's by so much of their largest value.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-2}


def export_folder(
    model: GPT, folder: Path, *, eot_id: int | None, tokenizer: Path | None, dtype: torch.dtype
) -> float:
    """Write the folder and read it back; the largest difference of logits, as a share of them.

    Raises CheckpointError if weights are not finite or logits differ by more than rounding: then
    nothing is left of it, and what was in the folder stands.
    """
    about = to_their_config(model.config, eot_id, dtype)
    held = TokenizerFile(tokenizer, tokenizer.read_bytes()) if tokenizer else None
    about_tokenizer = _tokenizer_config(model.config, held, eot_id) if held else None
    weights = {name: p.detach().cpu() for name, p in model.named_parameters()}
    tensors = {
        name: tensor.to(dtype).contiguous()
        for name, tensor in to_theirs(model.config, weights).items()
    }
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(
                f"{name} is not finite: the run diverged; nothing was written to {folder}"
            )
    ends = {"bos_token_id": eot_id, "eos_token_id": eot_id, "pad_token_id": eot_id}
    with _published(folder) as aside:
        save_file(tensors, aside / SINGLE, metadata=METADATA)
        _write_json(aside / "config.json", about)
        _write_json(aside / "generation_config.json", ends)
        if held:
            (aside / TOKENIZER).write_bytes(for_text(held))
            _write_json(aside / "tokenizer_config.json", about_tokenizer)
        difference = _difference(model, aside)
        if not difference <= TOLERANCE[dtype]:  # NaN is no difference that passes
            raise CheckpointError(
                f"{folder}: the exported model's logits differ by {difference:.1e} of them; "
                "nothing was written"
            )
    return difference


@contextmanager
def _published(folder: Path) -> Iterator[Path]:
    """A folder whose files come into `folder` when the block ends, and go when it fails.

    It is within `folder`, which may be the root of a disk: nothing is moved between two.
    """
    is_new, aside = not folder.exists(), folder / ASIDE
    shutil.rmtree(aside, ignore_errors=True)  # of an export that was killed
    aside.mkdir(parents=True)
    try:
        yield aside
        # The weights come first: by their head an export that was killed here is known as ours.
        for path in sorted(aside.iterdir(), key=lambda path: path.name != SINGLE):
            path.replace(folder / path.name)
        aside.rmdir()
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise


def check_out(folder: Path, *, tokenizer: bool) -> None:
    """Refuse to write where an export would mix with what is there, or take its place.

    What may be there is nothing, or an earlier export of ours with no file that this one does not
    write anew: transformers would read the others too. Raises SettingsError with what is there.
    """
    whole = folder.resolve()
    run = next((place for place in (whole, *whole.parents) if (place / "run.json").exists()), None)
    if run == whole:
        raise SettingsError(f"--out {folder} is the folder of a run; give one of its own")
    if run:
        raise SettingsError(f"--out {folder} is within the run {run}; give a folder outside of it")
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"--out {folder} is a file; give a folder")
    held = {path.name for path in folder.iterdir()} - {ASIDE} if folder.exists() else set()
    if foreign := sorted(held - FILES - (TOKENIZER_FILES if tokenizer else set())):
        raise SettingsError(
            f"--out {folder} holds {foreign[0]}, which this export does not write; give a new "
            "folder, or an empty one"
        )
    if held and not _is_ours(folder / SINGLE):
        raise SettingsError(
            f"--out {folder} holds {min(held)} of a model that was not exported by this version of "
            "webtext; give a new folder, or an empty one"
        )


def _is_ours(path: Path) -> bool:
    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {}) == METADATA
    except (OSError, SafetensorError):
        return False


def _tokenizer_config(
    config: GPTConfig, tokenizer: TokenizerFile, eot_id: int | None
) -> dict[str, Any]:
    """tokenizer_config.json, for `AutoTokenizer` of transformers 4 and 5.

    Without the names of the inputs, transformers 4 gives token_type_ids, whose embedding GPT-2's
    class adds to each token.
    """
    check_tokenizer(tokenizer, config.vocab_size)
    end = next((token for token, at in tokens_of(tokenizer).items() if at == eot_id), None)
    if end is None and eot_id is not None:
        raise SettingsError(f"{tokenizer.path} has no token of the id {eot_id}, which ends texts")
    return {
        "tokenizer_class": _tokenizer_class(tokenizer),
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": config.n_ctx,
        "add_prefix_space": False,
        # None in characters of nanoGPT's, of which none ends a text.
        **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), end),
    }


def _tokenizer_class(tokenizer: TokenizerFile) -> str:
    """GPT-2's class where it splits texts as this file says: transformers 5 makes it anew."""
    about = json.loads(for_text(tokenizer))
    model, split = about["model"], about.get("pre_tokenizer") or {}
    form = (split.get("type"), split.get("add_prefix_space"), split.get("use_regex", True))
    more = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    plain = model.get("type") == "BPE" and not any(model.get(key) for key in more)
    other = about.get("normalizer") or model.get("ignore_merges") or model.get("fuse_unk")
    is_gpt2 = form == ("ByteLevel", False, True) and plain and not other
    return "GPT2TokenizerFast" if is_gpt2 else "PreTrainedTokenizerFast"


@torch.no_grad()
def _difference(model: GPT, folder: Path) -> float:
    """max |logit - logit of the folder| / max |logit|, over 64 fixed random tokens."""
    config = model.config
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (1, min(64, config.n_ctx)), generator=generator)
    wanted = model(ids.to(model.head_weight.device)).float().cpu()
    again = GPT(replace(config, dropout=0.0))
    again.load_state_dict(read_folder(folder)[1])
    found = again.eval()(ids)
    return float((wanted - found).abs().max() / wanted.abs().max())


def export(settings: ExportSettings, note: Callable[[str], None]) -> dict[str, Any]:
    """What `python -m train export` prints."""
    source = Path(settings.run)
    run = read_run(source)
    tokenizer = Path(settings.tokenizer or run.folder / TOKENIZER)
    check_out(Path(settings.out), tokenizer=tokenizer.is_file())
    model, checkpoint = load_model(source, run, best=settings.best, device="cpu", note=note)
    if not tokenizer.is_file():
        note(f"{tokenizer}: no tokenizer there; the folder gets none")
    dtype = torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32
    difference = export_folder(
        model, Path(settings.out), eot_id=run.eot_id, dtype=dtype,
        tokenizer=tokenizer if tokenizer.is_file() else None,
    )  # fmt: skip
    return {
        "folder": settings.out,
        "architecture": ARCHITECTURES[kind_of(model.config)],
        "checkpoint": checkpoint.path.name,
        "parameters": model.config.parameters(),
        "logits_difference": difference,
    }


def _write_json(path: Path, value: dict[str, Any] | None) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
