"""What a person may set: one frozen dataclass a command, and what of it makes sense.

Imports no torch, so that help is quick and other programs can check settings before any work.
None means: chosen by the preset, the device or the size; what was chosen is printed and kept in
run.json.
"""

from dataclasses import dataclass, replace
from typing import Literal

from train.config import PRESETS, GPTConfig, Pattern, Recipe
from train.errors import SettingsError
from train.options import BELOW_ONE, COUNT, POSITIVE, UTF8, Valid, option, refuse_senseless

SEED_MIN, SEED_MAX = -(1 << 63), (1 << 64) - 1  # what torch's generators take
SAMPLE_SEEDS = "0 or more, and that of each sample < 2^64"
THREADS_MAX = 1024  # more than a machine has; where the system refuses them torch dies at once
EVAL_TOKENS_MAX = 1 << 20  # nanoGPT looks at 2.5 M; the noise of one million is below 0.01

# The folders of checkpoints, as a pattern: nothing else that stands beside them is one of them.
STEPS = "step-" + 9 * "[0-9]"

PRESET = Valid(f"one of {', '.join(PRESETS)}", lambda name: name in PRESETS)
BEST = "Take the checkpoint with the lowest held-out loss, not the newest"
RUN = "Folder of a training run, of one of its checkpoints, or of a Hugging Face model"
TOKENIZER = "A tokenizer.json; if not given, the run's own"
SLIDE = "Read on where the context is full: its first half falls out of sight each time"


@dataclass(frozen=True)
class TrainSettings:
    """Train a GPT on a folder of token shards, or go on where a run stopped. In the place of DATA,
    `evaluate`, `sample` and `export` are commands of their own, each with --help.

    Example: build/shards --out runs/gpt2 --preset gpt2 --stop-after 2h
    """

    data: str = option(
        "",
        "Folder of token shards, or of .bin files of llm.c or nanoGPT with GPT-2's tokens; for "
        "webtext train also the shards of a build in a bucket, s3://BUCKET/NAME/shards",
        "files",
        positional=True,
    )
    out: str = option("", "Folder of the run: run.json, log.jsonl, checkpoints/", "files")
    resume: bool = option(
        False, "Go on from the newest good checkpoint in --out; if there is none, start", "files"
    )
    tokenizer: str = option(
        "", "A tokenizer.json for samples in the log; if not given, the one beside the shards",
        "files",
    )  # fmt: skip
    init: str = option(
        "", "Start from the weights of another run or of a Hugging Face folder", "locked"
    )
    preset: str | None = option(
        None, "Size of the model, batch, rate and steps; if not given, gpt2 on a GPU, else demo",
        "locked", valid=PRESET,
    )  # fmt: skip
    n_layer: int | None = option(None, "Number of transformer blocks", "locked", valid=POSITIVE)
    n_head: int | None = option(None, "Attention heads in a block", "locked", valid=POSITIVE)
    n_embd: int | None = option(
        None, "Width of the model: channels of its residual stream", "locked", valid=POSITIVE
    )
    n_ctx: int | None = option(None, "Context length in tokens", "locked", valid=POSITIVE)
    dropout: float | None = option(None, "Dropout rate in training", "locked", valid=BELOW_ONE)
    attention: Pattern | None = option(
        None, "Attention of every second layer; the others are dense", "locked"
    )
    band: int | None = option(
        None, "Positions that a banded or strided layer sees", "locked", valid=POSITIVE
    )
    qkv_bias: bool | None = option(None, "Give query, key and value a bias", "locked")
    steps: int | None = option(
        None, "Optimizer steps of the whole run; a resumed run may get more", valid=POSITIVE
    )
    batch_tokens: int | None = option(
        None, "Tokens of an optimizer step, over all ranks", "locked", valid=POSITIVE
    )
    micro_batch: int | None = option(
        None, "Sequences in one pass of one rank; if not given, what fits into memory", "bits",
        valid=POSITIVE,
    )  # fmt: skip
    lr: float | None = option(
        None, "Peak learning rate; if not given, the preset's, or a tenth of it with --init",
        "locked",
        valid=Valid("above 0", lambda rate: rate > 0),
    )  # fmt: skip
    lr_min_share: float = option(
        0.1, "Learning rate of the last step, as a share of the peak (GPT-3: 0.1)", "locked",
        valid=Valid("from 0 to 1", lambda share: 0 <= share <= 1),
    )  # fmt: skip
    schedule: Literal["cosine", "linear"] = option(
        "cosine", "How the learning rate falls after warm-up", "locked"
    )
    warmup_steps: int | None = option(None, "Steps of linear warm-up", "locked", valid=COUNT)
    weight_decay: float = option(
        0.1, "Weight decay of matrices; vectors have none (GPT-3: 0.1)", "locked", valid=COUNT
    )
    beta1: float = option(0.9, "AdamW's beta1", "locked", valid=BELOW_ONE)
    beta2: float = option(0.95, "AdamW's beta2", "locked", valid=BELOW_ONE)
    clip: float = option(
        1.0, "Gradients of a larger norm are scaled down to this norm", "locked",
        valid=Valid("above 0", lambda norm: norm > 0),
    )  # fmt: skip
    seed: int = option(
        1, "Random seed of weights, order of the data, and dropout", "locked",
        valid=Valid("from -2^63 to 2^64 - 1", lambda n: SEED_MIN <= n <= SEED_MAX),
    )  # fmt: skip
    device: Literal["auto", "cpu", "cuda"] = option(
        "auto", "Where to train; auto: cuda where there is a GPU", "bits"
    )
    dtype: Literal["auto", "float32", "bfloat16", "bfloat16-master"] = option(
        "auto", "Precision of matrix products. bfloat16: autocast over fp32 weights; "
        "bfloat16-master: bf16 weights with fp32 masters", "bits",
    )  # fmt: skip
    compile: Literal["auto", "on", "off"] = option(
        "auto", "Compile the blocks by torch.compile", "bits"
    )
    threads: int | None = option(
        None, "CPU threads of torch; if not given, one a core", "bits",
        valid=Valid(f"from 1 to {THREADS_MAX}", lambda n: 1 <= n <= THREADS_MAX),
    )  # fmt: skip
    fsdp: bool = option(
        False, "Split weights and optimizer state over the ranks of torchrun (FSDP2)", "bits"
    )
    checkpoint_activations: bool = option(
        False, "Compute activations again in the backward pass: less memory, a third more time",
        "bits",
    )  # fmt: skip
    eval_every: int | None = option(
        None, "Steps between evaluations on the held-out split; 0: at "
        "the start and the end alone; if not given, a tenth of --steps",
        valid=COUNT,
    )  # fmt: skip
    eval_tokens: int | None = option(
        None, "Held-out tokens of an evaluation; if not given, four batches, at most 1,048,576",
        valid=POSITIVE,
    )  # fmt: skip
    eval_suite: str = option(
        "", "Tasks of `evaluate --suite` that every evaluation runs; names with commas between"
    )
    eval_suite_data: str = option("", "Folder with the files of --eval-suite")
    eval_suite_limit: int = option(
        200, "Items of a task of --eval-suite, the first of its files; 0: all", valid=COUNT
    )
    sample_every: int = option(
        0, "Steps between samples in the log; 0: none",
        valid=COUNT,
    )  # fmt: skip
    save_every_s: float = option(
        600.0, "Time between checkpoints, in seconds or such as 10m", valid=COUNT
    )
    save_steps: int = option(
        0, "Steps between checkpoints, besides those by time; 0: by time only",
        valid=COUNT,
    )  # fmt: skip
    keep: int = option(
        2, "How many of the newest checkpoints are kept, besides the best", valid=POSITIVE
    )
    stop_after_s: float | None = option(
        None, "Save and leave after this time, in seconds or such as 2h", valid=COUNT
    )
    log_every: int = option(1, "Steps between lines of log.jsonl", valid=POSITIVE)
    profile: int = option(
        0, "Steps to trace into OUT/profile.json.gz; 0: none",
        valid=COUNT,
    )  # fmt: skip


@dataclass(frozen=True)
class EvaluateSettings:
    """Held-out loss, perplexity and bits per byte of a trained model; or, with --suite, the tasks
    of the GPT-2 paper, of which nothing is downloaded.

    Example: build/model --suite paper --data eval --limit 100
    """

    run: str = option("", RUN, positional=True)
    data: str = option(
        "", "Folder of token shards, if not given the run's own; with --suite, of the tasks' files"
    )
    split: Literal["val", "train"] = option("val", "The split to read")
    tokens: int = option(
        0, "Score only so many tokens, spread evenly over the split; 0: all",
        valid=COUNT,
    )  # fmt: skip
    suite: str = option("", "Run these tasks: a suite, or names with commas between; see --list")
    list: bool = option(False, "Name the suites, the tasks, their files and digests, and leave")
    limit: int = option(0, "Items of a task, the first of its files; 0: all", valid=COUNT)
    stride: int = option(
        0, "Tokens that each window of a long text scores, so that windows overlap; 0: no overlap",
        valid=COUNT,
    )  # fmt: skip
    errors: str = option("", "Show what the model got wrong of this task")
    beside: str = option(
        "", "Score the held-out documents, as text, by this run or Hugging Face folder as well"
    )
    compare: str = option(
        "", "Compare, item by item, the file of --items that stands in the place of RUN with this"
    )
    items: str = option("", "Write what became of each item to this file, a JSON object a line")
    tokenizer: str = option("", TOKENIZER)
    best: bool = option(False, BEST)
    device: Literal["auto", "cpu", "cuda"] = option("auto", "Where to compute")


@dataclass(frozen=True)
class SampleSettings:
    """Text from a trained model, printed token by token; with --top the likeliest next tokens.

    Example: build/model --prompt "The city" --tokens 100 --seed 1
    """

    run: str = option("", RUN, positional=True)
    prompt: str = option(
        "", "Text to continue; if not given, the model begins a document", valid=UTF8
    )
    prompt_file: str = option(
        "", "Read --prompt from this file, - for stdin; its last line break is left out", valid=UTF8
    )
    no_eot: bool = option(
        False, "Read the prompt alone, as transformers' generate does, not as a document's start"
    )
    top: int = option(
        0, "Write no text: show so many of the likeliest next tokens, with their probabilities",
        valid=COUNT,
    )  # fmt: skip
    tokens: int = option(100, "Tokens of a sample, at most", valid=POSITIVE)
    slide: bool = option(False, SLIDE)
    samples: int = option(
        1, "Samples, drawn in one batch; the first has --seed, each other the next seed",
        valid=POSITIVE,
    )  # fmt: skip
    temperature: float = option(
        0.8, "Above 1 the text is more varied, below 1 less; 0 always takes the likeliest token",
        valid=COUNT,
    )  # fmt: skip
    top_k: int = option(
        0, "Draw from the k likeliest tokens; 0: from all (GPT-2's demo: 40)",
        valid=COUNT,
    )  # fmt: skip
    top_p: float = option(
        1.0, "Draw from the likeliest tokens that together have this probability",
        valid=Valid("above 0 and at most 1", lambda p: 0 < p <= 1),
    )  # fmt: skip
    seed: int = option(1, "Random seed; the same seed gives the same text")
    stop: str = option("", "End the sample before this text", valid=UTF8)
    best: bool = option(False, BEST)
    tokenizer: str = option("", TOKENIZER)
    device: Literal["auto", "cpu", "cuda"] = option("auto", "Where to compute")


@dataclass(frozen=True)
class ScoreSettings:
    """The log-probability of a text by a trained model, and of each of its tokens.

    Example: build/model "The city and the sea"
    """

    run: str = option("", RUN, positional=True)
    text: str = option("", "The text", positional=True, valid=UTF8)
    text_file: str = option(
        "", "Read TEXT from this file, - for stdin; its last line break is left out", valid=UTF8
    )
    no_eot: bool = option(
        False, "Read the text alone, not as a document's start; its first token has no probability"
    )
    slide: bool = option(False, SLIDE)
    best: bool = option(False, BEST)
    tokenizer: str = option("", TOKENIZER)
    device: Literal["auto", "cpu", "cuda"] = option("auto", "Where to compute")


@dataclass(frozen=True)
class ExportSettings:
    """Write a trained model as a folder that Hugging Face's transformers loads, and check it by
    reading it back.

    Example: build/model --out my-gpt2
    """

    run: str = option("", "Folder of a training run, or of one of its checkpoints", positional=True)
    out: str = option("", "The folder to write")
    dtype: Literal["float32", "bfloat16"] = option("float32", "Type of the weights in the file")
    best: bool = option(False, BEST)
    tokenizer: str = option("", TOKENIZER)


def checked_sampling(settings: SampleSettings) -> SampleSettings:
    """The same settings, seen to make sense; SettingsError names one that does not."""
    refuse_senseless(settings)
    if not 0 <= settings.seed <= SEED_MAX + 1 - settings.samples:
        raise SettingsError(f"--seed is {settings.seed}; it must be {SAMPLE_SEEDS}")
    return settings


def recipe_for(
    settings: TrainSettings, vocab_size: int, *, has_gpu: bool, shape: GPTConfig | None = None
) -> tuple[str, Recipe]:
    """The preset's name and its recipe under what the settings say of shape, steps, batch and rate.

    `shape` is that of given weights and replaces the preset's; they are moved at a gentler rate.
    Raises SettingsError if the batch is no multiple of the context or the heads do not fit.
    """
    refuse_senseless(settings)
    s = settings
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
