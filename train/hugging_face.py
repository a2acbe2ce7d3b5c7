"""Weights and configurations of `transformers`, both ways: pure rules, no files.

Weights have the names of GPT2LMHeadModel, OpenAIGPTLMHeadModel (post-norm) or GPTNeoForCausalLM
(banded). Those libraries store four matrices of a block as (in, out), and GPT-Neo keeps query, key
and value apart and does not scale scores by 1/sqrt(head width).
"""

import json
import re
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from train.config import GPTConfig
from train.errors import CheckpointError, SettingsError
from train.model import GPT

Kind = Literal["gpt2", "openai-gpt", "gpt_neo"]
ARCHITECTURES: dict[Kind, str] = {
    "gpt2": "GPT2LMHeadModel",
    "openai-gpt": "OpenAIGPTLMHeadModel",
    "gpt_neo": "GPTNeoForCausalLM",
}
IN_OUT = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")
GPT1_NAMES = {"wte": "tokens_embed", "wpe": "positions_embed"}
# Buffers that older versions saved: the causal mask and the score of what it hides.
CONSTANTS = re.compile(r"\.attn\.(attention\.)?(masked_)?bias$|(^|\.)position_ids$")
HEAD = "lm_head.weight"

# The names that `transformers` gives GELU in its tanh form; they differ by rounding alone. GPT-1's
# code calls it "gelu", which elsewhere is the form with erf.
TANH_GELU = ("gelu_new", "gelu_pytorch_tanh", "gelu_python_tanh", "gelu_fast", "gelu_accurate")
# What a config.json may say, of all that decides logits; a key that is not there has the first of
# these values. Other keys of the three classes change no logit of a language model (dropout,
# initialisation, ids of special tokens, heads for other tasks), or only the order of roundings
# (reorder_and_upcast_attn).
ONLY: dict[Kind, dict[str, tuple[Any, ...]]] = {
    "gpt2": {
        "activation_function": TANH_GELU,
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False, True),
        "add_cross_attention": (False,),
    },
    "openai-gpt": {"afn": ("gelu",)},
    "gpt_neo": {"activation_function": TANH_GELU},
}
FOR_ALL: dict[str, tuple[Any, ...]] = {
    "is_encoder_decoder": (False,),
    "pruned_heads": ({}, None),
    "quantization_config": (None,),
}
# Of each size: the key of GPTConfig, those of each class (with what older or other tools write),
# and the value of its class where a file leaves it out.
SIZES: dict[Kind, dict[str, tuple[tuple[str, ...], int]]] = {
    "gpt2": {
        "n_layer": (("n_layer", "num_hidden_layers"), 12),
        "n_head": (("n_head", "num_attention_heads"), 12),
        "n_embd": (("n_embd", "hidden_size"), 768),
        "n_ctx": (("n_positions", "max_position_embeddings"), 1024),
        "vocab_size": (("vocab_size",), 50_257),
    },
    "gpt_neo": {
        "n_layer": (("num_layers", "num_hidden_layers"), 24),
        "n_head": (("num_heads", "num_attention_heads"), 16),
        "n_embd": (("hidden_size",), 2048),
        "n_ctx": (("max_position_embeddings",), 2048),
        "vocab_size": (("vocab_size",), 50_257),
        "band": (("window_size",), 256),
    },
}
INNER: dict[Kind, str] = {"gpt2": "n_inner", "gpt_neo": "intermediate_size"}  # width of the MLP
SIZES["openai-gpt"] = SIZES["gpt2"] | {
    "n_ctx": (SIZES["gpt2"]["n_ctx"][0], 512),
    "vocab_size": (("vocab_size",), 40_478),
}


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
    """The inverse of `to_theirs`; fills the padding with zeros and leaves out constants.

    Raises CheckpointError by the name of a weight that is missing, has another shape, is there
    twice or has no place here; and where the head is not the token embedding.
    """
    kind, ours = kind_of(config), {}
    for theirs_name, tensor in theirs.items():
        name = f"transformer.{theirs_name.removeprefix('transformer.')}"
        if theirs_name == HEAD or CONSTANTS.search(name):
            continue
        if kind == "openai-gpt":
            for short, long in GPT1_NAMES.items():
                name = name.replace(long, short)
        if kind == "gpt_neo":
            name = name.replace(".attn.attention.out_proj.", ".attn.c_proj.")
        if name in ours:
            raise CheckpointError(f"{theirs_name} is there twice, with and without 'transformer.'")
        ours[name] = tensor.t() if kind != "gpt_neo" and name.endswith(IN_OUT) else tensor
    if kind == "gpt_neo":
        _from_neo(config, ours)
    _check_fit(config, ours)
    table = ours["transformer.wte.weight"]
    if HEAD in theirs and not torch.equal(theirs[HEAD], table):
        raise CheckpointError(
            f"{HEAD} is not the token embedding (tie_word_embeddings=false); a GPT of ours has one "
            "matrix for both: supported are tied heads"
        )
    padding = table.new_zeros(config.padded_vocab - table.shape[0], table.shape[1])
    ours["transformer.wte.weight"] = torch.cat((table, padding))
    return {name: tensor.contiguous() for name, tensor in ours.items()}


def _from_neo(config: GPTConfig, ours: dict[str, Tensor]) -> None:
    for layer in range(config.n_layer):
        base = f"transformer.h.{layer}.attn"
        parts = [ours.pop(f"{base}.attention.{part}_proj.weight", None) for part in "qkv"]
        found = [part for part in parts if part is not None]
        if len(found) < 3:
            raise CheckpointError(f"no weight there for query, key or value of {base}.attention")
        query, key, value = found
        ours[f"{base}.c_attn.weight"] = torch.cat((query * config.head_width**0.5, key, value))


def _check_fit(config: GPTConfig, ours: dict[str, Tensor]) -> None:
    with torch.device("meta"):
        own = {name: tuple(p.shape) for name, p in GPT(config).named_parameters()}
    own["transformer.wte.weight"] = (config.vocab_size, config.n_embd)
    found = {name: tuple(tensor.shape) for name, tensor in ours.items()}
    missing = [name for name in own if name not in found]
    if missing:
        raise CheckpointError(f"no weight there for {missing[0]} ({len(missing)} such)")
    wrong = [name for name in own if own[name] != found[name]]
    if wrong:
        name = wrong[0]
        raise CheckpointError(
            f"the weight of {name} is {found[name]}, the configuration says {own[name]} "
            f"({len(wrong)} such; matrices between attention and MLP are 4 widths wide)"
        )
    if more := sorted(found.keys() - own.keys()):
        raise CheckpointError(
            f"{more[0]} has no place in a GPT of ours ({len(more)} such); save it as "
            f"{ARCHITECTURES[kind_of(config)]}, without other heads or adapters"
        )


def to_their_config(config: GPTConfig, eot_id: int | None, dtype: torch.dtype) -> dict[str, Any]:
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
    """The configuration that a config.json describes, without dropout.

    Raises SettingsError by the key and its value where logits would not be those of transformers.
    """
    kind = theirs.get("model_type")
    if kind not in tuple(ARCHITECTURES):
        raise SettingsError(f"model_type is {kind!r}; known: {', '.join(ARCHITECTURES)}")
    for key, known in (FOR_ALL | ONLY[kind]).items():
        if theirs.get(key, known[0]) not in known:
            raise SettingsError(f"{key} is {_json(theirs[key])}; supported: {_json(*known)}")
    if "AutoModel" in _json(theirs.get("auto_map")):
        raise SettingsError(
            f"auto_map is {_json(theirs['auto_map'])}, a model by code of its own; supported: the "
            "classes of transformers"
        )
    sizes: dict[str, Any] = {
        name: _size(theirs, keys, default) for name, (keys, default) in SIZES[kind].items()
    }
    config = GPTConfig(
        **sizes, norm="post" if kind == "openai-gpt" else "pre", norm_eps=_epsilon(theirs)
    )
    if config.n_embd % config.n_head:
        raise SettingsError(
            f"its width {config.n_embd} is no multiple of its {config.n_head} heads"
        )
    key = INNER.get(kind, "")
    if theirs.get(key) not in (None, 4 * config.n_embd):
        raise SettingsError(
            f"{key} is {_json(theirs[key])}; supported: 4 times the width, {4 * config.n_embd}"
        )
    if kind == "gpt_neo":
        _check_layers(theirs, config.n_layer)
        return replace(config, attention="banded", qkv_bias=False)
    return config


def _json(*values: Any) -> str:
    return ", ".join(json.dumps(value) for value in values)


def _size(theirs: dict[str, Any], keys: tuple[str, ...], default: int) -> int:
    given = [key for key in keys if key in theirs] or [keys[0]]
    key, value = given[0], theirs.get(given[0], default)
    for other in given[1:]:
        if theirs[other] != value:
            raise SettingsError(
                f"{key} is {_json(value)} and {other} is {_json(theirs[other])}, which name one "
                "size; take out the wrong one"
            )
    if type(value) is not int or value < 1:
        raise SettingsError(f"{key} is {_json(value)}; it must be a whole number from 1")
    return value


def _epsilon(theirs: dict[str, Any]) -> float:
    value = theirs.get("layer_norm_epsilon", 1e-5)
    if type(value) not in (int, float) or not 0 < value < 1:
        raise SettingsError(f"layer_norm_epsilon is {_json(value)}; it must be between 0 and 1")
    return float(value)


def _check_layers(theirs: dict[str, Any], n_layer: int) -> None:
    """GPT-Neo's pattern, whether by groups or by layers: global and local in turn, as GPT-3's."""
    wanted = ["global" if layer % 2 == 0 else "local" for layer in range(n_layer)]
    types = theirs.get("attention_types") or [[["global", "local"], 12]]
    try:
        by_types = [name for group, times in types for _ in range(times) for name in group]
    except (TypeError, ValueError):
        by_types = []
    for key, found in (
        ("attention_types", by_types),
        ("attention_layers", theirs.get("attention_layers", wanted)),
    ):
        if found != wanted:
            raise SettingsError(
                f"{key} is {_json(theirs.get(key, types))} of {n_layer} layers; supported: "
                "global and local in turn"
            )


def fold_layer_scale(config: GPTConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """`scale_attn_by_inverse_layer_idx` put into the weights of the queries: 1/1, 1/2, 1/3 …"""
    folded = dict(weights)
    for layer in range(config.n_layer):
        for kind in ("weight", "bias"):
            name = f"transformer.h.{layer}.attn.c_attn.{kind}"
            query, key, value = folded[name].chunk(3)
            folded[name] = torch.cat((query / (layer + 1), key, value))
    return folded
