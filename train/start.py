"""Begins a run, or goes on with one: data, settings, model and checkpoint are brought together."""

import math
import os
import platform
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.allocator import keep_freed_memory
from train.batches import Batches, unseen
from train.checkpoint import Checkpoint, load
from train.choices import Choices, choose, choose_again, device_of, needs
from train.config import PRESETS, GPTConfig, Recipe
from train.cost import CONVENTION, cost, sustained_flops
from train.data import Shards, held_out, open_shards, unigram_entropy
from train.distributed import World, joined, ranks_started
from train.errors import SettingsError
from train.given import cropped, read_weights, take_tokenizer
from train.hugging_face import kind_of
from train.log import LiveLine, RunLog, duration
from train.loop import Loop, Result
from train.model import GPT
from train.released import released_loss
from train.runs import (
    FORMAT,
    TOKENIZER,
    keep_tokenizer,
    load_weights,
    locked,
    read_run,
    write_run,
)
from train.sample import beginning, generate, text_for
from train.settings import TrainSettings, recipe_for, resumed, with_recipe

SAMPLE_TOKENS = 100  # of a sample in the log
# How far the first loss may be from what is expected of weights at random: over the presets it
# differs by 0.02 on random tokens, and text repeats itself.
FIRST_LOSS_NATS = 0.25

UNSEEN_SHARE = 1e-2  # of training tokens that may be left over without a word


def train(settings: TrainSettings, given: dict[str, Any], live: LiveLine) -> Result:
    """Train as the settings say; `given` are those that were set explicitly (see `resumed`).

    Raises a TrainError; whatever was saved stays usable.
    """
    if not settings.out:
        raise SettingsError("--out is missing: the folder of the run")
    folder = Path(settings.out)
    device, sharded = _needed_to_join(folder, settings, given)
    with joined(device, sharded=sharded) as world, ExitStack() as stack:
        world.share(lambda: stack.enter_context(locked(folder)))
        if not world.first:
            live = LiveLine(stack.enter_context(open(os.devnull, "w")))  # noqa: PTH123
        return _train(folder, settings, given, live, world)


def _needed_to_join(
    folder: Path, settings: TrainSettings, given: dict[str, Any]
) -> tuple[str, bool]:
    """The device and whether weights are split, before the ranks can talk: each reads run.json."""
    wanted, sharded = settings.device, settings.shard
    if settings.resume and (folder / "run.json").exists():
        kept = read_run(folder)["settings"]
        wanted = given.get("device", kept["device"])
        # One process goes on alone with what several had split.
        sharded = given.get("shard", kept["shard"] and ranks_started() > 1)
    return device_of(wanted), sharded


def _train(
    folder: Path, settings: TrainSettings, given: dict[str, Any], live: LiveLine, world: World
) -> Result:
    before = world.share(lambda: _run_before(folder, settings))
    if before:
        settings, notes = resumed(before["settings"], given)
        for note in notes:
            live.note(note)
    shards = _shards(settings, before)
    checkpoint = _checkpoint(folder, live, world) if before else None
    shape = GPTConfig(**before["config"]) if before else None
    weights = checkpoint.model if checkpoint else None
    if settings.init and not checkpoint:
        shape, weights = read_weights(Path(settings.init), live.note)
        shape, weights = cropped(shape, weights, settings.n_ctx, live.note)
    has_gpu = device_of(settings.device) == "cuda"
    name, recipe = recipe_for(settings, shards.vocab_size, has_gpu=has_gpu, shape=shape)
    if shape:
        _check_shape(settings.init, shape, recipe.config)
    settings = replace(with_recipe(settings, name, recipe), data=str(shards.folder.resolve()))
    if before and before["ranks"] != world.ranks:
        live.note(f"{before['ranks']} -> {world.ranks} ranks: equal to rounding, not bit for bit")
    choices = world.share(lambda: _choices(settings, recipe, before, given, live, world))
    tokenizer = given.get("tokenizer", "")
    world.share(lambda: keep_tokenizer(folder, shards.folder, tokenizer, again=bool(before)))
    if settings.init and not checkpoint and not tokenizer:
        world.share(lambda: take_tokenizer(folder, Path(settings.init), recipe.config))
    if world.first:
        write_run(folder, {**_run(settings, recipe, choices, shards), "ranks": world.ranks})
    for line in _header(settings, recipe, choices, shards, world):
        live.note(line)
    model = _model(settings, recipe, choices, weights)
    loop = _loop(folder, settings, recipe, choices, shards, live, model, world)
    try:
        _take_over(loop, checkpoint, shards)
        del checkpoint, weights  # they map files, whose place on the disk is kept until then
        return loop.run()
    finally:
        loop.log.close()
        loop.batches.close()


def _take_over(loop: Loop, checkpoint: Checkpoint | None, shards: Shards) -> None:
    """Bring a loop to where the checkpoint left it, and begin its log."""
    if checkpoint:
        loop.restore(checkpoint)
        loop.live.note(f"going on from {checkpoint.path.name}")
    else:
        loop.log.cut(-1)  # what a run that came to no checkpoint left
    config, unigram = loop.recipe.config, unigram_entropy(shards)
    loop.log.write(
        "run", step=loop.progress.step, parameters=config.parameters(), ranks=loop.world.ranks,
        uniform_loss=math.log(config.vocab_size), unigram_loss=unigram,
        released_loss=released_loss(shards, config.parameters()),
    )  # fmt: skip
    given = bool(loop.settings.init)
    loop.about_first_loss = lambda loss: about_first_loss(loss, config, unigram, given=given)


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


def _checkpoint(folder: Path, live: LiveLine, world: World) -> Checkpoint | None:
    """The newest whole checkpoint, as rank 0 finds it; the other ranks read the same folder."""
    mine = load(folder, note=live.note) if world.first else None
    path = world.share(lambda: mine.path if mine else None)
    return mine if world.first or path is None else load(path, note=live.note)


def _check_shape(init: str, given: GPTConfig, wanted: GPTConfig) -> None:
    """Refuse options, or data of another tokenizer, that the given weights do not fit."""
    for name, value in asdict(replace(wanted, dropout=given.dropout)).items():
        before = getattr(given, name)
        if value != before:
            what = "the data's tokenizer has" if name == "vocab_size" else "the options say"
            raise SettingsError(f"--init {init} has {name} {before}, {what} {value}")


def _run_before(folder: Path, settings: TrainSettings) -> dict[str, Any] | None:
    """run.json of the run that is gone on with, or None for a new one."""
    if not (folder / "run.json").exists():
        return None
    if settings.resume:
        return read_run(folder)
    if any((folder / "checkpoints").glob("step-*")):
        raise SettingsError(
            f"{folder} holds a run; give --resume to go on with it, or another --out"
        )
    return None


def _shards(settings: TrainSettings, before: dict[str, Any] | None) -> Shards:
    if not settings.data:
        raise SettingsError("DATA is missing: the folder of shards")
    shards = open_shards(Path(settings.data))
    if before and shards.digest != before["data_digest"]:
        raise SettingsError(
            f"{settings.data} holds other tokens than the run was trained on (digest "
            f"{shards.digest}, was {before['data_digest']}); resume with the data of before, "
            "or give another --out"
        )
    return shards


def _choices(
    settings: TrainSettings, recipe: Recipe, before: dict[str, Any] | None, given: dict[str, Any],
    live: LiveLine, world: World,
) -> Choices:  # fmt: skip
    """How this machine computes; of a run that goes on, as it began where that can be."""
    if not before:
        return choose(settings, recipe, world.ranks)
    choices, notes = choose_again(settings, recipe, before, given, world.ranks)
    for note in notes:
        live.note(note)
    return choices


def _run(
    settings: TrainSettings, recipe: Recipe, choices: Choices, shards: Shards
) -> dict[str, Any]:
    """What run.json keeps: all that is needed to go on, to sample, and to know what this was."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {
        "format": FORMAT,
        "settings": asdict(settings),
        "config": asdict(recipe.config),
        "parameters": recipe.config.parameters(),
        "choices": asdict(choices),
        "data": str(shards.folder.resolve()),
        "data_digest": shards.digest,
        "eot_id": shards.eot_id,
        "versions": {**versions, "numpy": np.__version__},
    }


def _header(
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
        f"rate: {recipe.lr:g} after {recipe.warmup_steps:,} steps of warm-up, then "
        f"{settings.schedule} to {recipe.lr * settings.lr_min_share:g}",
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
        told = [f"OpenAI's released weights of this size lose {released} on these held-out tokens"]
    try:
        kind_of(config)
    except SettingsError as error:
        told.append(f"no export: {error}")
    return told


def _model(
    settings: TrainSettings, recipe: Recipe, choices: Choices, weights: dict[str, Tensor] | None
) -> GPT:
    """The model on its device, with the given weights or drawn anew from the seed."""
    if choices.device == "cpu":
        torch.set_num_threads(choices.threads)
        keep_freed_memory()
    model = GPT(recipe.config)
    if weights:
        load_weights(model, weights)
    else:
        model.reset_parameters(settings.seed)
    model.to(choices.device)
    if settings.checkpoint_activations:
        model.recompute_blocks()
    if choices.compile:
        model.compile_blocks()
    return model


def _loop(
    folder: Path, settings: TrainSettings, recipe: Recipe, choices: Choices, shards: Shards,
    live: LiveLine, model: GPT, world: World,
) -> Loop:  # fmt: skip
    """The loop at its first step."""
    config = recipe.config
    rows = recipe.batch_tokens // config.n_ctx
    batches = Batches(
        shards.split("train"), config.n_ctx, rows, settings.seed, world.rank, world.ranks
    )
    windows = list(held_out(shards.split("val"), config.n_ctx, settings.eval_tokens or 0))
    log = RunLog(folder / "log.jsonl" if world.first else None, live.note)
    loop = Loop(model, recipe, settings, choices, batches, windows, log, live, folder, world)
    if world.first:
        loop.sampler = _sampler(folder, settings, shards, sharded=world.sharded)
    return loop


def _sampler(
    folder: Path, settings: TrainSettings, shards: Shards, *, sharded: bool
) -> Callable[[GPT], str] | None:
    """Draws the sample that goes into the log, always from the start of a document."""
    if not settings.sample_every:
        return None
    if sharded:
        raise SettingsError(
            "--sample-every: a model that is split cannot be sampled; leave it away"
        )
    if not (folder / TOKENIZER).is_file():
        raise SettingsError("--sample-every needs --tokenizer PATH: none lies beside the shards")
    text = text_for(folder / TOKENIZER, shards.vocab_size)
    end = shards.eot_id
    start = beginning(text, "", end)

    def draw(model: GPT) -> str:
        drawn = generate(
            model, [start], SAMPLE_TOKENS, seeds=[settings.seed], temperature=0.8, eot_id=end
        )
        return text.decode([token for (token,) in drawn if token is not None])

    return draw
