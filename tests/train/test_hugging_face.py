"""Every key of the three classes' configurations: taken as transformers takes it, or refused."""

import pytest
import torch
import transformers
from transformers.activations import ACT2FN

from train.errors import CheckpointError, SettingsError
from train.given import read_folder
from train.hugging_face import TANH_GELU, from_their_config
from train.model import GPT

KINDS = {
    "gpt2": (
        transformers.GPT2LMHeadModel, transformers.GPT2Config,
        {"n_layer": 3, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 97},
    ),
    "openai-gpt": (
        transformers.OpenAIGPTLMHeadModel, transformers.OpenAIGPTConfig,
        {"n_layer": 3, "n_head": 2, "n_embd": 32, "n_positions": 64, "vocab_size": 97},
    ),
    "gpt_neo": (
        transformers.GPTNeoForCausalLM, transformers.GPTNeoConfig,
        {"num_layers": 3, "num_heads": 2, "hidden_size": 32, "max_position_embeddings": 64,
         "vocab_size": 97, "window_size": 16,
         "attention_types": [[["global", "local"], 1], [["global"], 1]]},
    ),
}  # fmt: skip
# What decides logits, and is not one value: sizes, and what the tests below go through.
DECIDING = {
    "gpt2": {
        "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner",
        "activation_function", "layer_norm_epsilon", "scale_attn_weights",
        "scale_attn_by_inverse_layer_idx", "add_cross_attention", "tie_word_embeddings",
    },
    "openai-gpt": {
        "vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "afn", "layer_norm_epsilon",
        "tie_word_embeddings",
    },
    "gpt_neo": {
        "vocab_size", "max_position_embeddings", "hidden_size", "num_layers", "attention_types",
        "attention_layers", "num_heads", "intermediate_size", "window_size",
        "activation_function", "layer_norm_epsilon", "tie_word_embeddings",
    },
}  # fmt: skip
# Dropout, initialisation, other tasks' heads, caches, special tokens, files: no logit of these.
IDLE = {
    "resid_pdrop", "embd_pdrop", "attn_pdrop", "resid_dropout", "embed_dropout",
    "attention_dropout", "classifier_dropout", "initializer_range", "summary_type",
    "summary_use_proj", "summary_activation", "summary_proj_to_labels", "summary_first_dropout",
    "use_cache", "bos_token_id", "eos_token_id", "pad_token_id", "reorder_and_upcast_attn",
}  # fmt: skip


def made(kind, **more):
    """A model of transformers whose biases and norms are not those of a start."""
    model_class, config_class, sizes = KINDS[kind]
    torch.manual_seed(0)
    model = model_class(config_class(**{**sizes, **more})).eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn(p.shape))
    return model


def check_same_logits(theirs, folder):
    theirs.save_pretrained(folder)
    config, weights = read_folder(folder)
    ours = GPT(config)
    ours.load_state_dict(weights)
    ids = torch.randint(97, (2, 64), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, wanted = ours.eval()(ids), theirs(ids).logits
    assert (found - wanted).abs().max() < 1e-5 * wanted.abs().max()


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_class_was_decided(kind):
    config_class = KINDS[kind][1]
    base = set(transformers.PretrainedConfig().to_dict()) | {"model_type"}
    assert set(config_class().to_dict()) - base - IDLE - DECIDING[kind] == set()


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("gpt2", {}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
        ("gpt2", {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True}),
        ("gpt2", {"reorder_and_upcast_attn": True, "attn_implementation": "eager"}),
        ("gpt2", {"activation_function": "gelu_pytorch_tanh"}),
        ("gpt2", {"layer_norm_epsilon": 1e-3, "n_inner": 128}),
        ("openai-gpt", {}),
        ("openai-gpt", {"layer_norm_epsilon": 1e-3}),
        ("gpt_neo", {}),
        ("gpt_neo", {"num_layers": 1, "attention_types": [[["global"], 1]]}),
        ("gpt_neo", {"num_layers": 2, "attention_types": [[["global"], 1], [["local"], 1]]}),
        ("gpt_neo", {"intermediate_size": 128, "activation_function": "gelu_fast"}),
    ],
)
def test_what_transformers_writes_has_its_logits_here(kind, more, tmp_path):
    check_same_logits(made(kind, **more), tmp_path)


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("gpt2", {"scale_attn_weights": False}, "scale_attn_weights is false; supported: true"),
        ("gpt2", {"n_inner": 64}, "n_inner is 64; supported: 4 times the width, 128"),
        ("gpt2", {"activation_function": "gelu"}, 'activation_function is "gelu"; supported: "gel'),
        ("gpt2", {"activation_function": "relu"}, 'activation_function is "relu"'),
        ("gpt2", {"add_cross_attention": True}, "add_cross_attention is true"),
        ("openai-gpt", {"afn": "swish"}, 'afn is "swish"; supported: "gelu"'),
        ("gpt_neo", {"activation_function": "gelu"}, 'activation_function is "gelu"'),
        ("gpt_neo", {"intermediate_size": 64}, "intermediate_size is 64"),
        *(
            ("gpt_neo", {"attention_types": types}, "attention_types is .*global and local in turn")
            for types in (
                [[["global"], 3]],
                [[["local"], 3]],
                [[["local", "global"], 1], [["local"], 1]],
                [[["global", "local"], 1], [["local"], 1]],
            )
        ),
    ],
)
def test_what_would_have_other_logits_is_refused_by_its_key(kind, more, message, tmp_path):
    made(kind, **more).save_pretrained(tmp_path)
    with pytest.raises(SettingsError, match=message):
        read_folder(tmp_path)


NEO = {"model_type": "gpt_neo", "num_layers": 2, "attention_types": [[["global", "local"], 1]]}


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"model_type": "llama"}, "model_type is 'llama'; known: gpt2"),
        ({}, "model_type is None"),
        (NEO | {"attention_layers": ["local", "global"]}, "attention_layers is"),
        (NEO | {"num_layers": 3}, "attention_types is .* of 3 layers"),
        (NEO | {"attention_types": 7}, "attention_types is 7"),
        ({"model_type": "gpt2", "n_layer": "12"}, 'n_layer is "12"; it must be a whole number'),
        ({"model_type": "gpt2", "n_embd": 770}, "770 is no multiple of its 12 heads"),
        ({"model_type": "gpt2", "layer_norm_epsilon": None}, "layer_norm_epsilon is null"),
        ({"model_type": "gpt2", "quantization_config": {"bits": 4}}, "quantization_config is"),
        ({"model_type": "gpt2", "auto_map": {"AutoModelForCausalLM": "x.Y"}}, "auto_map is"),
        ({"model_type": "gpt2", "pruned_heads": {"1": [0]}}, "pruned_heads is"),
    ],
)
def test_a_configuration_that_is_none_of_ours_is_refused_by_its_key(about, message):
    with pytest.raises(SettingsError, match=message):
        from_their_config(about)


def test_sizes_that_a_file_leaves_out_are_those_of_the_class():
    for kind, (_, config_class, _) in KINDS.items():
        found, whole = from_their_config({"model_type": kind}), config_class()
        assert (found.n_layer, found.n_head, found.n_embd, found.n_ctx, found.vocab_size) == (
            whole.num_hidden_layers, whole.num_attention_heads, whole.hidden_size,
            whole.max_position_embeddings if kind == "gpt_neo" else whole.n_positions,
            whole.vocab_size,
        )  # fmt: skip
    longer = from_their_config({"model_type": "gpt2", "num_hidden_layers": 24})
    assert longer.n_layer == 24


def test_the_names_of_tanh_gelu_are_those_that_compute_it():
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    wanted = torch.nn.functional.gelu(x, approximate="tanh")
    gelus = [name for name in ACT2FN if "gelu" in name]
    same = {name for name in gelus if (ACT2FN[name](x) - wanted).abs().max() < 1e-9}
    assert same == set(TANH_GELU)


def test_untied_heads_are_refused_and_equal_ones_are_not(tmp_path):
    with pytest.raises(CheckpointError, match=r"lm_head\.weight is not the token embedding"):
        check_same_logits(made("gpt2", tie_word_embeddings=False), tmp_path / "untied")
    theirs = made("gpt2", tie_word_embeddings=False)
    with torch.no_grad():
        theirs.lm_head.weight.copy_(theirs.transformer.wte.weight)
    check_same_logits(theirs, tmp_path / "equal")
    (tmp_path / "bare").mkdir()
    theirs.transformer.save_pretrained(tmp_path / "bare")
    with pytest.raises(CheckpointError, match="tie_word_embeddings is false"):
        read_folder(tmp_path / "bare")


def test_a_head_of_another_task_is_refused_by_its_name(tmp_path):
    sizes = KINDS["gpt2"][2]
    theirs = transformers.GPT2ForSequenceClassification(transformers.GPT2Config(**sizes))
    theirs.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match=r"score.weight has no place .* GPT2LMHeadModel"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("kind", "key", "alias"),
    [
        ("gpt2", "n_layer", "num_hidden_layers"), ("gpt2", "n_head", "num_attention_heads"),
        ("gpt2", "n_embd", "hidden_size"), ("gpt2", "n_positions", "max_position_embeddings"),
        ("openai-gpt", "n_layer", "num_hidden_layers"),
        ("gpt_neo", "num_layers", "num_hidden_layers"),
        ("gpt_neo", "num_heads", "num_attention_heads"),
    ],
)  # fmt: skip
def test_two_keys_of_one_size_that_differ_are_refused_by_both(kind, key, alias):
    with pytest.raises(SettingsError, match=f"{key} is 8 and {alias} is 4, which name one size"):
        from_their_config({"model_type": kind, key: 8, alias: 4})


def test_two_keys_of_one_size_that_agree_are_taken():
    sizes = {"n_layer": 2, "num_hidden_layers": 2, "n_head": 2, "n_embd": 8, "hidden_size": 8}
    assert from_their_config({"model_type": "gpt2", **sizes}).n_layer == 2
