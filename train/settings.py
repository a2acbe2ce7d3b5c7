"""What a person may set: one frozen dataclass a command, and what of it makes sense.

Imports no torch, so that help is quick and other programs can check settings before any work.
None means: chosen by the preset, the device or the size; what was chosen is printed and kept in
run.json.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from train.config import PRESETS, GPTConfig, Pattern, Recipe
from train.errors import SettingsError
from train.options import flag, option

SEED_MIN, SEED_MAX = -(1 << 63), (1 << 64) - 1  # what torch's generators take
SAMPLE_SEEDS = "0 or more, and that of each sample < 2^64"
THREADS_MAX = 1024  # more than a machine has; where the system refuses them torch dies at once
EVAL_TOKENS_MAX = 1 << 20  # nanoGPT looks at 2.5 M; the noise of one million is below 0.01

# The folders of checkpoints, as a pattern: nothing else that stands beside them is one of them.
STEPS = "step-" + 9 * "[0-9]"


@dataclass(frozen=True)
class TrainSettings:
    """Train a GPT on a folder of token shards, or go on where a run stopped. In the place of DATA,
    `evaluate`, `sample` and `export` are commands of their own, each with --help.

    Example: python -m train build/shards --out runs/gpt2 --preset gpt2 --stop-after 2h
    """

    data: str = option(
        "",
        "folder of shards, or of llm.c's or nanoGPT's .bin files of GPT-2's tokens",
        positional=True,
    )
    out: str = option("", "folder of the run: run.json, log.jsonl, checkpoints/")
    resume: bool = option(False, "go on from the newest good checkpoint in --out, if there is one")
    init: str = option("", "start from the weights of this run or Hugging Face folder", "locked")
    preset: str | None = option(
        None, f"recipe: {', '.join(PRESETS)}; default: gpt2 on a GPU, else demo", "locked"
    )
    n_layer: int | None = option(None, "number of blocks", "locked")
    n_head: int | None = option(None, "attention heads a block", "locked")
    n_embd: int | None = option(None, "width", "locked")
    n_ctx: int | None = option(None, "context in tokens", "locked")
    dropout: float | None = option(None, "dropout while training", "locked")
    attention: Pattern | None = option(
        None, "attention of every second layer: dense, banded or strided", "locked"
    )
    band: int | None = option(None, "positions that banded and strided layers see", "locked")
    qkv_bias: bool | None = option(None, "biases of query, key and value", "locked")
    steps: int | None = option(None, "optimizer steps; more may be given on resume")
    batch_tokens: int | None = option(None, "global batch in tokens, over all ranks", "locked")
    micro_batch: int | None = option(
        None, "sequences of one pass on one rank; default: by memory", "bits"
    )
    lr: float | None = option(
        None, "peak learning rate; with --init a tenth of a preset's", "locked"
    )
    lr_min_share: float = option(0.1, "the last rate as a share of the peak (GPT-3: 0.1)", "locked")
    schedule: Literal["cosine", "linear"] = option(
        "cosine", "how the rate falls after warm-up", "locked"
    )
    warmup_steps: int | None = option(None, "steps of linear warm-up", "locked")
    weight_decay: float = option(
        0.1, "weight decay of matrices; vectors have none (GPT-3: 0.1)", "locked"
    )
    beta1: float = option(0.9, "beta1 of AdamW", "locked")
    beta2: float = option(0.95, "beta2 of AdamW", "locked")
    clip: float = option(1.0, "largest gradient norm", "locked")
    seed: int = option(1, "random seed of weights, order and dropout", "locked")
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to train", "bits")
    dtype: Literal["auto", "float32", "bfloat16", "bfloat16-master"] = option(
        "auto", "of matrix products: bfloat16 by autocast, or of bf16 parameters with fp32 masters",
        "bits",
    )  # fmt: skip
    compile: Literal["auto", "on", "off"] = option("auto", "compile the blocks", "bits")
    threads: int | None = option(None, "CPU threads of torch; default: one a core", "bits")
    shard: bool = option(False, "under torchrun: split weights over the ranks (FSDP2)", "bits")
    checkpoint_activations: bool = option(False, "less memory, a third more time", "bits")
    eval_every: int | None = option(
        None,
        "steps between looks at the held-out loss (0: first and last); default: a tenth of all",
    )
    eval_tokens: int | None = option(
        None, "held-out tokens of each look; default: 4 batches' worth, at most 1,048,576"
    )
    sample_every: int = option(0, "steps between samples in the log; 0: none")
    save_every_s: float = option(600.0, "seconds between checkpoints, or text such as 10m")
    save_steps: int = option(0, "also save every so many steps; 0: by time only")
    keep: int = option(2, "newest checkpoints that are kept, besides the best")
    stop_after_s: float | None = option(None, "save and leave after this time, such as 2h")
    log_every: int = option(1, "steps between lines of log.jsonl")
    profile: int = option(0, "trace so many steps into OUT/profile.json.gz; 0: none")
    tokenizer: str = option("", "a tokenizer.json for samples; default: the one beside the shards")


@dataclass(frozen=True)
class EvaluateSettings:
    """Held-out loss, perplexity and bits per byte of a run.

    Example: python -m train evaluate build/model
    """

    run: str = option("", "folder of a run, of one checkpoint, or of Hugging Face", positional=True)
    data: str = option("", "folder of shards; default: the run's own")
    split: Literal["val", "train"] = option("val", "which files are read")
    tokens: int = option(0, "score only so many tokens, evenly spread; 0: all")
    best: bool = option(False, "take the checkpoint with the lowest held-out loss")
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute")


@dataclass(frozen=True)
class SampleSettings:
    """Text from a run, streamed as it comes.

    Example: python -m train sample build/model --prompt "The city" --tokens 100 --seed 1
    """

    run: str = option("", "folder of a run, of one checkpoint, or of Hugging Face", positional=True)
    prompt: str = option("", "text to go on from; empty: the start of a document")
    tokens: int = option(100, "at most so many tokens a sample")
    samples: int = option(1, "number of samples, drawn together; each next one has the next seed")
    temperature: float = option(0.8, "0 takes the likeliest token always")
    top_k: int = option(0, "choose among the k likeliest tokens; 0: all (GPT-2's demo: 40)")
    top_p: float = option(1.0, "choose within this mass of probability")
    seed: int = option(1, "the same seed gives the same text")
    stop: str = option("", "end at this text, which is not shown")
    best: bool = option(False, "take the checkpoint with the lowest held-out loss")
    tokenizer: str = option("", "tokenizer.json; default: the run's own")
    device: Literal["auto", "cpu", "cuda"] = option("auto", "where to compute")


@dataclass(frozen=True)
class ExportSettings:
    """A folder that Hugging Face's transformers loads, checked by reading it back.

    Example: python -m train export build/model --out my-gpt2
    """

    run: str = option("", "folder of a run, or of one checkpoint", positional=True)
    out: str = option("", "folder to write")
    dtype: Literal["float32", "bfloat16"] = option("float32", "type of the weights in the file")
    best: bool = option(False, "take the checkpoint with the lowest held-out loss")
    tokenizer: str = option("", "tokenizer.json; default: the run's own")


def checked(settings: TrainSettings) -> TrainSettings:
    """The same settings, seen to make sense; SettingsError names one that does not."""
    s = settings
    rules = [
        ("preset", s.preset is None or s.preset in PRESETS, f"one of {', '.join(PRESETS)}"),
        ("seed", SEED_MIN <= s.seed <= SEED_MAX, f"from {SEED_MIN} to {SEED_MAX}"),
        ("lr", s.lr is None or s.lr > 0, "above 0"),
        ("lr_min_share", 0 <= s.lr_min_share <= 1, "from 0 to 1"),
        ("dropout", s.dropout is None or 0 <= s.dropout < 1, "from 0 to below 1"),
        ("clip", s.clip > 0, "above 0"),
        ("beta1", 0 <= s.beta1 < 1, "from 0 to below 1"),
        ("beta2", 0 <= s.beta2 < 1, "from 0 to below 1"),
        ("weight_decay", s.weight_decay >= 0, "0 or more"),
        ("warmup_steps", s.warmup_steps is None or s.warmup_steps >= 0, "0 or more"),
        (
            "eval_every",
            s.eval_every is None or s.eval_every >= 0,
            "0 or more; 0: first and last only",
        ),
        ("keep", s.keep > 0, "1 or more"),
        ("save_every_s", s.save_every_s >= 0, "0 or more"),
        ("save_steps", s.save_steps >= 0, "0 or more; 0: by time only"),
        ("sample_every", s.sample_every >= 0, "0 or more; 0: none"),
        ("stop_after_s", s.stop_after_s is None or s.stop_after_s >= 0, "0 or more"),
        ("profile", s.profile >= 0, "0 or more; 0 traces nothing"),
        ("log_every", s.log_every > 0, "1 or more"),
    ]
    rules.append(("threads", (s.threads or 1) <= THREADS_MAX, f"at most {THREADS_MAX}"))
    shape = ("n_layer", "n_head", "n_embd", "n_ctx", "band")
    for name in (*shape, "steps", "batch_tokens", "micro_batch", "eval_tokens", "threads"):
        value = getattr(s, name)
        rules.append((name, value is None or value > 0, "1 or more"))
    _refuse(s, rules)
    return s


def checked_sampling(settings: SampleSettings) -> SampleSettings:
    """The same settings, seen to make sense; SettingsError names one that does not."""
    s = settings
    _refuse(
        s,
        [
            ("tokens", s.tokens > 0, "1 or more"),
            ("samples", s.samples > 0, "1 or more"),
            ("temperature", s.temperature >= 0, "0 or more; 0 takes the likeliest token"),
            ("seed", 0 <= s.seed <= SEED_MAX + 1 - s.samples, SAMPLE_SEEDS),
            ("prompt", _is_text(s.prompt), "text in UTF-8"),
            ("stop", _is_text(s.stop), "text in UTF-8"),
            ("top_k", s.top_k >= 0, "0 or more; 0: all tokens"),
            ("top_p", 0 < s.top_p <= 1, "above 0 and at most 1"),
        ],
    )
    return s


def checked_evaluation(settings: EvaluateSettings) -> EvaluateSettings:
    """The same settings, seen to make sense; SettingsError names one that does not."""
    _refuse(settings, [("tokens", settings.tokens >= 0, "0 or more; 0: all")])
    return settings


def _is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: a command line's other bytes come as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _refuse(settings: Any, rules: Sequence[tuple[str, bool, str]]) -> None:
    for name, holds, wanted in rules:
        if not holds:
            value = str(getattr(settings, name)).encode("utf-8", "backslashreplace").decode()
            raise SettingsError(f"{flag(name)} is {value}; it must be {wanted}")


def recipe_for(
    settings: TrainSettings, vocab_size: int, *, has_gpu: bool, shape: GPTConfig | None = None
) -> tuple[str, Recipe]:
    """The preset's name and its recipe under what the settings say of shape, steps, batch and rate.

    `shape` is that of given weights and replaces the preset's; they are moved at a gentler rate.
    Raises SettingsError if the batch is no multiple of the context or the heads do not fit.
    """
    s = checked(settings)
    name = s.preset or ("gpt2" if has_gpu else "demo")
    base = PRESETS[name] if shape is None else replace(PRESETS[name], config=shape)
    config = replace(
        base.config, vocab_size=vocab_size,
        n_layer=s.n_layer or base.config.n_layer, n_head=s.n_head or base.config.n_head,
        n_embd=s.n_embd or base.config.n_embd, n_ctx=s.n_ctx or base.config.n_ctx,
        dropout=base.config.dropout if s.dropout is None else s.dropout,
        attention=s.attention or base.config.attention, band=s.band or base.config.band,
        qkv_bias=base.config.qkv_bias if s.qkv_bias is None else s.qkv_bias,
    )  # fmt: skip
    if config.n_embd % config.n_head:
        raise SettingsError(
            f"--n-embd is {config.n_embd}; it must be a multiple of --n-head {config.n_head}"
        )
    n_ctx = config.n_ctx
    batch_tokens = s.batch_tokens or max(1, base.batch_tokens // n_ctx) * n_ctx
    if batch_tokens % n_ctx:
        near = max(1, round(batch_tokens / n_ctx)) * n_ctx
        raise SettingsError(
            f"--batch-tokens is {batch_tokens}; it must be a multiple of n_ctx, such as {near}"
        )
    steps = s.steps or base.steps
    # A short run of a long recipe warms up for a tenth of its own length at most.
    warmup = min(base.warmup_steps, steps // 10) if s.warmup_steps is None else s.warmup_steps
    rate = s.lr or (base.lr if shape is None else _rate_for_trained(shape))
    return name, Recipe(config, steps, batch_tokens, rate, warmup, base.paper)


def _rate_for_trained(shape: GPTConfig) -> float:
    """A tenth of the rate of the preset nearest in size: 6e-5 for GPT-2 small."""
    weights = shape.parameters(embeddings=False)
    ratios = {
        max(weights / other, other / weights): recipe.lr
        for recipe in PRESETS.values()
        for other in [recipe.config.parameters(embeddings=False)]
    }
    return ratios[min(ratios)] / 10


def with_recipe(settings: TrainSettings, name: str, recipe: Recipe) -> TrainSettings:
    """Settings that say all that the recipe decided, so that a later version decides the same."""
    config = recipe.config
    every, look = settings.eval_every, settings.eval_tokens
    return replace(
        settings, preset=name, n_layer=config.n_layer, n_head=config.n_head, n_embd=config.n_embd,
        n_ctx=config.n_ctx, dropout=config.dropout, attention=config.attention, band=config.band,
        qkv_bias=config.qkv_bias, steps=recipe.steps, lr=recipe.lr,
        batch_tokens=recipe.batch_tokens, warmup_steps=recipe.warmup_steps,
        eval_every=max(1, recipe.steps // 10) if every is None else every,
        eval_tokens=min(EVAL_TOKENS_MAX, 4 * recipe.batch_tokens) if look is None else look,
    )  # fmt: skip
