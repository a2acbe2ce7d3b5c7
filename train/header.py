"""What a person wants to know of a run before its first step, and of the loss of that step."""

import math
from dataclasses import asdict, replace
from typing import Any

from train.batches import unseen
from train.config import PRESETS, GPTConfig, Recipe
from train.cost import CONVENTION, cost, sustained_flops
from train.data import Shards
from train.distributed import World
from train.errors import SettingsError
from train.hardware import Choices, needs
from train.hugging_face import kind_of
from train.log import duration
from train.openai_losses import released_loss
from train.schedule import about_rate
from train.settings import TrainSettings

# How far the first loss may be from what is expected of weights at random: over the presets it
# differs by 0.02 on random tokens, and text repeats itself.
FIRST_LOSS_NATS = 0.25
UNSEEN_SHARE = 1e-2  # of training tokens that may be left over without a word


def header(
    settings: TrainSettings, recipe: Recipe, choices: Choices, shards: Shards, world: World
) -> list[str]:
    """What a person wants to know before the first step."""
    config, why = recipe.config, choices.reasons
    speed = sustained_flops("cpu" if choices.device == "cpu" else why["device"], choices.threads)
    whole = cost(recipe, speed * world.ranks if speed else None)
    split = ", weights split" if world.sharded else ""
    ranks = f" x {world.ranks} ranks{split}" if world.ranks > 1 else ""
    hours = f", about {duration(3600 * whole.hours)} here" if whole.hours else ""
    lost, files = unseen(shards.split("train"), config.n_ctx)
    epochs = whole.tokens / max(1, shards.tokens("train") - lost)
    sequences = recipe.batch_tokens // config.n_ctx
    return [
        _about_model(settings, recipe),
        f"data: {shards.tokens('train'):,} tokens to train on, {shards.tokens('val'):,} held out",
        *_about_unseen(shards, lost, files, config.n_ctx),
        *(f"data: {note}" for note in shards.notes),
        f"run: {recipe.steps:,} steps of {recipe.batch_tokens:,} tokens ({sequences} sequences, "
        f"{choices.micro_batch} at a time: {why['micro_batch']}), {epochs:.2f} epochs, "
        f"{whole.flops:.2g} FLOPs ({CONVENTION}){hours}",
        about_rate(recipe, settings),
        _about_memory(settings, recipe, choices, world),
        f"device: {choices.device}{ranks} ({why['device']}), {choices.threads} threads; "
        f"{choices.dtype} ({why['dtype']}); "
        f"{'compiled' if choices.compile else 'eager'} ({why['compile']})",
        *_goal(config, shards),
    ]


def _about_model(settings: TrainSettings, recipe: Recipe) -> str:
    config, name = recipe.config, settings.preset or ""
    free: dict[str, Any] = {"vocab_size": config.vocab_size, "dropout": config.dropout}
    paper = f" (the paper says {recipe.paper})" if recipe.paper else ""
    if replace(PRESETS[name].config, **free) != config:
        paper = ""
        name = f"that of {settings.init}" if settings.init else f"{name} in another shape"
    return (
        f"model: {name}, {config.n_layer} layers x {config.n_embd}, {config.n_head} heads, "
        f"context {config.n_ctx}, vocabulary {config.vocab_size:,}: "
        f"{config.parameters():,} parameters{paper}"
    )


def _about_unseen(shards: Shards, lost: int, files: int, n_ctx: int) -> list[str]:
    """A line on training tokens that no window shows, where they are files or more than a rest."""
    if not files and lost <= UNSEEN_SHARE * shards.tokens("train"):
        return []
    among = len(shards.split("train"))
    why = f"{files:,} of {among:,} files hold none" if files else "the ends of files fill none"
    return [
        f"data: {lost:,} of them are never seen: a window is {n_ctx + 1:,} tokens of one file, and "
        f"{why}; join files, or take a smaller --n-ctx"
    ]


def _about_memory(settings: TrainSettings, recipe: Recipe, choices: Choices, world: World) -> str:
    rows = recipe.batch_tokens // recipe.config.n_ctx // world.ranks
    held = needs(settings, recipe.config, choices.dtype, choices.micro_batch, rows, world.ranks)
    parts = ", ".join(f"{part} {size / 1e6:,.0f}" for part, size in asdict(held).items())
    return f"memory: about {held.total / 1e6:,.0f} MB: {parts}"


def _goal(config: GPTConfig, shards: Shards) -> list[str]:
    """What the run can come to: a loss to compare with, and whether it can be exported."""
    released, told = released_loss(shards, config.parameters()), []
    if released:
        told = [
            f"held-out loss of OpenAI's released weights of this size on these tokens: {released}"
        ]
    try:
        kind_of(config)
    except SettingsError as error:
        told.append(f"no export: {error}")
    return told


def about_first_loss(loss: float, config: GPTConfig, unigram: float, *, given: bool) -> str:
    """Whether the loss of the first batch is normal, for weights at random or `given` ones."""
    counted = f"{unigram:.3f}, the entropy of single tokens"
    if given:
        if loss < unigram:
            return f"first loss {loss:.3f}, as it should be of trained weights: below {counted}"
        return (
            f"first loss {loss:.3f} is not normal for trained weights: above {counted}; "
            "are they of another tokenizer?"
        )
    # Logits of random weights have the variance init_std^2 x n_embd, of which half adds to ln V.
    uniform = math.log(config.vocab_size)
    expected = uniform + config.init_std**2 * config.n_embd / 2
    if abs(loss - expected) <= FIRST_LOSS_NATS:
        return (
            f"first loss {loss:.3f}, as it should be: ln V is {uniform:.3f}; "
            f"it should soon fall below {counted}"
        )
    return (
        f"first loss {loss:.3f} is not normal: weights at random give about {expected:.3f} "
        f"(ln V is {uniform:.3f}); look at the tokens of the first batch"
    )
