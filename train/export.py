"""Hugging Face folders, both ways. What is written loads with `transformers` and no code of ours.

Weights go to `model.safetensors` under the names of GPT2LMHeadModel, OpenAIGPTLMHeadModel
(post-norm) or GPTNeoForCausalLM (banded). Those libraries store four matrices of a block as
(in, out), and GPT-Neo keeps query, key and value apart and does not scale scores by
1/sqrt(head width).
"""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from train.config import GPTConfig
from train.errors import CheckpointError, SettingsError
from train.model import GPT
from train.runs import TOKENIZER, load_model, read_run
from train.settings import ExportSettings

Kind = Literal["gpt2", "openai-gpt", "gpt_neo"]
ARCHITECTURES: dict[Kind, str] = {
    "gpt2": "GPT2LMHeadModel",
    "openai-gpt": "OpenAIGPTLMHeadModel",
    "gpt_neo": "GPTNeoForCausalLM",
}
IN_OUT = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
GPT1_NAMES = {"wte": "tokens_embed", "wpe": "positions_embed"}
# Logits of the reloaded export may differ from the model's by so much of their largest value.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 5e-2}


def kind_of(config: GPTConfig) -> Kind:
    """The published architecture of a configuration; SettingsError names what none of them has."""
    if config.attention == "strided":
        raise SettingsError("strided attention has no counterpart in transformers")
    if config.norm == "post":
        if config.attention != "dense" or not config.qkv_bias:
            raise SettingsError("transformers' GPT-1 has dense attention with biases only")
        return "openai-gpt"
    if config.attention == "dense":
        if not config.qkv_bias:
            raise SettingsError("transformers' GPT-2 has biases in c_attn; this model has none")
        return "gpt2"
    if config.qkv_bias:
        raise SettingsError(
            "transformers' GPT-Neo has no biases of query, key and value, this banded model has: "
            "train with --no-qkv-bias to export it"
        )
    return "gpt_neo"


def to_theirs(config: GPTConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of ours under the names and in the layout of `kind_of(config)`, without padding."""
    kind, theirs = kind_of(config), {}
    for name, tensor in weights.items():
        if name.endswith("wte.weight"):
            tensor = tensor[: config.vocab_size]
        if kind == "gpt_neo":
            theirs.update(_to_neo(config, name, tensor))
            continue
        if kind == "openai-gpt":
            name = re.sub(r"wte|wpe", lambda found: GPT1_NAMES[found[0]], name)
        theirs[name] = tensor.t() if name.endswith(IN_OUT) else tensor
    return theirs


def _to_neo(config: GPTConfig, name: str, tensor: Tensor) -> dict[str, Tensor]:
    if name.endswith("attn.c_attn.weight"):
        base = name.replace("c_attn.weight", "attention.")
        query, key, value = tensor.chunk(3)
        scaled = query * config.head_width**-0.5
        return {
            f"{base}{part}_proj.weight": t for part, t in (("q", scaled), ("k", key), ("v", value))
        }
    return {name.replace(".attn.c_proj.", ".attn.attention.out_proj."): tensor}


def from_theirs(config: GPTConfig, theirs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `to_theirs`; fills the padding with zeros and ignores their constant masks."""
    kind, ours = kind_of(config), {}
    for name, tensor in theirs.items():
        name = name if name.startswith("transformer.") else f"transformer.{name}"
        if kind == "openai-gpt":
            for short, long in GPT1_NAMES.items():
                name = name.replace(long, short)
        if kind == "gpt_neo":
            name = name.replace(".attn.attention.out_proj.", ".attn.c_proj.")
        ours[name] = tensor.t() if kind != "gpt_neo" and name.endswith(IN_OUT) else tensor
    if kind == "gpt_neo":
        for layer in range(config.n_layer):
            base = f"transformer.h.{layer}.attn"
            query, key, value = (ours[f"{base}.attention.{p}_proj.weight"] for p in "qkv")
            ours[f"{base}.c_attn.weight"] = torch.cat((query * config.head_width**0.5, key, value))
    table = ours["transformer.wte.weight"]
    padding = table.new_zeros(config.padded_vocab - table.shape[0], table.shape[1])
    ours["transformer.wte.weight"] = torch.cat((table, padding))
    with torch.device("meta"):
        own = dict(GPT(config).named_parameters())
    missing = sorted(
        name for name, p in own.items() if name not in ours or ours[name].shape != p.shape
    )
    if missing:
        raise CheckpointError(
            f"the folder has no fitting weight for {missing[0]} ({len(missing)} such)"
        )
    return {name: ours[name].contiguous() for name in own}


def to_their_config(config: GPTConfig, eot_id: int, dtype: torch.dtype) -> dict[str, Any]:
    """config.json of an export."""
    kind = kind_of(config)
    common = {
        "architectures": [ARCHITECTURES[kind]], "model_type": kind, "vocab_size": config.vocab_size,
        "tie_word_embeddings": True, "dtype": str(dtype).removeprefix("torch."),
        "initializer_range": config.init_std, "layer_norm_epsilon": config.norm_eps,
        "bos_token_id": eot_id, "eos_token_id": eot_id,
    }  # fmt: skip
    if kind == "gpt_neo":
        pairs, odd = divmod(config.n_layer, 2)
        pattern = [[["global", "local"], pairs]] + ([[["global"], 1]] if odd else [])
        return common | {
            "hidden_size": config.n_embd, "num_layers": config.n_layer, "num_heads": config.n_head,
            "max_position_embeddings": config.n_ctx, "window_size": config.band,
            "attention_types": pattern, "activation_function": "gelu_new",
            "embed_dropout": config.dropout, "attention_dropout": config.dropout,
            "resid_dropout": config.dropout,
        }  # fmt: skip
    activation = {"activation_function": "gelu_new"} if kind == "gpt2" else {"afn": "gelu"}
    return common | activation | {
        "n_embd": config.n_embd, "n_layer": config.n_layer, "n_head": config.n_head,
        "n_positions": config.n_ctx, "embd_pdrop": config.dropout, "attn_pdrop": config.dropout,
        "resid_pdrop": config.dropout,
    }  # fmt: skip


def from_their_config(theirs: dict[str, Any]) -> GPTConfig:
    """The configuration that a config.json describes; SettingsError where it is none of ours."""
    kind = theirs.get("model_type")
    if kind not in ARCHITECTURES:
        raise SettingsError(f"model_type is {kind!r}; known: {', '.join(ARCHITECTURES)}")
    activation = theirs.get("activation_function", theirs.get("afn", "gelu_new"))
    if activation != ("gelu" if kind == "openai-gpt" else "gelu_new"):
        raise SettingsError(f"its activation {activation!r} is not GPT's tanh GELU")
    common = GPTConfig(
        vocab_size=theirs["vocab_size"],
        norm="post" if kind == "openai-gpt" else "pre",
        norm_eps=theirs.get("layer_norm_epsilon", 1e-5),
    )
    if kind == "gpt_neo":
        if theirs["attention_types"][0][0] != ["global", "local"]:
            raise SettingsError(
                f"attention_types {theirs['attention_types']} is not GPT-3's pattern"
            )
        return replace(
            common, n_layer=theirs["num_layers"], n_head=theirs["num_heads"],
            n_embd=theirs["hidden_size"], n_ctx=theirs["max_position_embeddings"],
            attention="banded", band=theirs["window_size"], qkv_bias=False,
        )  # fmt: skip
    return replace(
        common, n_layer=theirs["n_layer"], n_head=theirs["n_head"], n_embd=theirs["n_embd"],
        n_ctx=theirs["n_positions"],
    )  # fmt: skip


def export_folder(
    model: GPT, folder: Path, *, eot_id: int, tokenizer: Path | None, dtype: torch.dtype
) -> float:
    """Write the folder and read it back; the largest difference of logits, as a share of them.

    Raises CheckpointError if the logits differ by more than rounding: then nothing should use it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: p.detach().cpu() for name, p in model.named_parameters()}
    theirs = to_theirs(model.config, weights)
    tensors = {name: t.to(dtype).contiguous() for name, t in theirs.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    ends = {"bos_token_id": eot_id, "eos_token_id": eot_id, "pad_token_id": eot_id}
    _write_json(folder / "config.json", to_their_config(model.config, eot_id, dtype))
    _write_json(folder / "generation_config.json", ends)
    if tokenizer:
        shutil.copyfile(tokenizer, folder / TOKENIZER)
        _write_json(folder / "tokenizer_config.json", _tokenizer_config(model.config))
    difference = _difference(model, folder)
    if difference > TOLERANCE[dtype]:
        raise CheckpointError(
            f"{folder}: the exported model's logits differ by {difference:.1e} of them"
        )
    return difference


def _tokenizer_config(config: GPTConfig) -> dict[str, Any]:
    ends = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    return {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config.n_ctx, **ends}


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


def read_folder(folder: Path) -> tuple[GPTConfig, dict[str, Tensor]]:
    """The configuration and the fp32 weights, under our names, of a Hugging Face folder."""
    try:
        config = from_their_config(json.loads((folder / "config.json").read_text()))
        files = sorted(folder.glob("model*.safetensors"))
        theirs = {name: t.float() for file in files for name, t in load_file(file).items()}
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise CheckpointError(
            f"{folder}: cannot be read as a Hugging Face folder: {error!r}"
        ) from None
    if not theirs:
        raise CheckpointError(f"{folder}: no model.safetensors there")
    return config, from_theirs(config, theirs)


def read_weights(place: Path, note: Callable[[str], None]) -> tuple[GPTConfig, dict[str, Tensor]]:
    """The configuration and weights of a run of ours, or of a Hugging Face folder."""
    if (place / "config.json").exists():
        return read_folder(place)
    run = read_run(place)
    model, _ = load_model(place, run, best=False, device="cpu", note=note)
    return model.config, {name: p.detach() for name, p in model.named_parameters()}


def export(settings: ExportSettings, note: Callable[[str], None]) -> dict[str, Any]:
    """What `python -m train export` prints."""
    source = Path(settings.run)
    run = read_run(source)
    model, checkpoint = load_model(source, run, best=settings.best, device="cpu", note=note)
    tokenizer = Path(settings.tokenizer or run.folder / TOKENIZER)
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


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")
