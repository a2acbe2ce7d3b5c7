"""Begins a run, or goes on with one: data, settings, model and checkpoint are brought together."""

import math
import os
import platform
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.allocator import keep_freed_memory
from train.batches import Batches
from train.checkpoint import Checkpoint, load
from train.config import GPTConfig, Recipe
from train.data import Shards, held_out, open_shards, unigram_entropy
from train.distributed import World, joined, ranks_started
from train.errors import SettingsError
from train.evaluate.scoring import Subject
from train.evaluate.suite import prepared, rows_of, those_there
from train.given import cropped, read_weights, with_given
from train.hardware import Choices, check_room, choose, device_of
from train.header import about_first_loss, header
from train.log import LiveLine
from train.loop import Loop
from train.model import GPT
from train.openai_losses import released_loss
from train.prompt import beginning
from train.resume import about_new_rate, check_out, choose_again, resumed, run_before
from train.runs import (
    Run,
    TokenizerFile,
    keep_tokenizer,
    load_weights,
    locked,
    read_run,
    tokenizer_for,
    write_run,
)
from train.sample import generate
from train.settings import TrainSettings, recipe_for, with_recipe
from train.state import Result
from train.text import check_tokenizer, text_for

SAMPLE_TOKENS = 100  # of a sample in the log


def train(settings: TrainSettings, given: dict[str, Any], live: LiveLine) -> Result:
    """Train as the settings say; `given` are those that were set explicitly (see `resumed`).

    Raises a TrainError; whatever was saved stays usable.
    """
    if not settings.out:
        raise SettingsError("--out is missing: the folder of the run")
    folder = Path(settings.out)
    check_out(folder, settings)
    if not (folder / "run.json").exists():
        _shards(settings, None)  # refused before a folder is made
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
    wanted, sharded = settings.device, settings.fsdp
    if settings.resume and (folder / "run.json").exists():
        kept = read_run(folder).settings
        wanted = given.get("device", kept.device)
        # One process goes on alone with what several had split.
        sharded = given.get("fsdp", kept.fsdp and ranks_started() > 1)
    return device_of(wanted), sharded


def _train(
    folder: Path, settings: TrainSettings, given: dict[str, Any], live: LiveLine, world: World
) -> Result:
    before = world.share(lambda: run_before(folder, settings))
    if before:
        settings, notes = resumed(before.settings, given)
        for note in notes:
            live.note(note)
    shards = _shards(settings, before)
    checkpoint = _checkpoint(folder, live, world) if before else None
    shape, weights, place = before.config if before else None, None, Path(settings.init)
    if checkpoint:
        weights, place = checkpoint.model, checkpoint.path
    elif settings.init:
        shape, weights = read_weights(place, live.note)
        shape, weights = cropped(shape, weights, settings.n_ctx, live.note)
    has_gpu = device_of(settings.device) == "cuda"
    name, recipe = recipe_for(settings, shards.vocab_size, has_gpu=has_gpu, shape=shape)
    if shape:
        _check_shape(settings.init, shape, recipe.config)
    settings = replace(with_recipe(settings, name, recipe), data=str(shards.folder.resolve()))
    if before and before.ranks != world.ranks:
        live.note(f"{before.ranks} -> {world.ranks} ranks: equal to rounding, not bit for bit")
    if before and checkpoint:
        _check_steps(before, settings, recipe, checkpoint, live)
    choices = world.share(lambda: _choices(settings, recipe, before, given, live, world))
    own = before is not None and "tokenizer" not in given
    tokenizer = world.share(
        lambda: tokenizer_for(folder, shards.folder, settings.tokenizer, own=own)
    )
    if settings.init and not checkpoint and not given.get("tokenizer"):
        tokenizer = world.share(lambda: with_given(tokenizer, Path(settings.init), recipe.config))
    if tokenizer:
        world.share(lambda: check_tokenizer(tokenizer, recipe.config.vocab_size))
    run = _run(folder, settings, recipe, choices, shards, world)
    for line in header(settings, recipe, choices, shards, world):
        live.note(line)
    check_room(settings, recipe, choices, world.ranks)
    model = _model(settings, recipe, choices, weights, place)
    loop = _loop(folder, settings, recipe, choices, shards, live, model, world)
    with closing(loop.batches):
        loop.sampler = world.on_first(lambda: _sampler(tokenizer, settings, shards, world))
        loop.examine = world.on_first(lambda: _examiner(tokenizer, settings, shards, loop))
        unigram = _about_data(loop, shards)
        if checkpoint:
            loop.restore(checkpoint)
        # All that may refuse the run has passed: only now is anything in its folder changed.
        world.on_first(lambda: _keep(run, tokenizer))
        loop.begin()
        if checkpoint:
            live.note(f"going on from {checkpoint.path.name}")
        del checkpoint, weights  # they map files, whose place on the disk is kept until then
        with closing(loop.log):
            _log_begin(loop, shards, unigram)
            return loop.run()


def _about_data(loop: Loop, shards: Shards) -> float:
    """The entropy of single tokens, with which the first loss is compared."""
    config, unigram, given = loop.recipe.config, unigram_entropy(shards), bool(loop.settings.init)
    loop.about_first_loss = lambda loss: about_first_loss(loss, config, unigram, given=given)
    return unigram


def _log_begin(loop: Loop, shards: Shards, unigram: float) -> None:
    config = loop.recipe.config
    loop.log.write(
        "run", step=loop.progress.step, parameters=config.parameters(), ranks=loop.world.ranks,
        uniform_loss=math.log(config.vocab_size), unigram_loss=unigram,
        released_loss=released_loss(shards, config.parameters()),
    )  # fmt: skip


def _keep(run: Run, tokenizer: TokenizerFile | None) -> None:
    write_run(run)
    keep_tokenizer(tokenizer, run.folder)


def _checkpoint(folder: Path, live: LiveLine, world: World) -> Checkpoint | None:
    """The newest whole checkpoint, as rank 0 finds it; the other ranks read the same folder."""
    mine = world.on_first(lambda: load(folder, note=live.note))
    path = world.share(lambda: mine.path if mine else None)
    return mine if world.first or path is None else load(path, note=live.note)


def _check_steps(
    before: Run, settings: TrainSettings, recipe: Recipe, checkpoint: Checkpoint, live: LiveLine
) -> None:
    """Refuse a run that is past its last step, and tell how other --steps change the rate."""
    if checkpoint.step > recipe.steps:
        raise SettingsError(f"the run is at step {checkpoint.step}, past --steps {recipe.steps}")
    if told := about_new_rate(before.settings, settings, recipe, checkpoint.step):
        live.note(told)


def _check_shape(init: str, given: GPTConfig, wanted: GPTConfig) -> None:
    """Refuse options, or data of another tokenizer, that the given weights do not fit."""
    for name, value in asdict(replace(wanted, dropout=given.dropout)).items():
        before = getattr(given, name)
        if value != before:
            what = "the data's tokenizer has" if name == "vocab_size" else "the options say"
            raise SettingsError(f"--init {init} has {name} {before}, {what} {value}")


def _shards(settings: TrainSettings, before: Run | None) -> Shards:
    if not settings.data:
        raise SettingsError("DATA is missing: the folder of shards")
    shards = open_shards(Path(settings.data))
    if before and shards.digest != before.data_digest:
        raise SettingsError(
            f"{settings.data} holds other tokens than the run was trained on (digest "
            f"{shards.digest}, was {before.data_digest}); resume with the data of before, "
            "or give another --out"
        )
    return shards


def _choices(
    settings: TrainSettings, recipe: Recipe, before: Run | None, given: dict[str, Any],
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
    folder: Path, settings: TrainSettings, recipe: Recipe, choices: Choices, shards: Shards,
    world: World,
) -> Run:  # fmt: skip
    """What run.json will say."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return Run(
        folder, settings, recipe.config, choices, str(shards.folder.resolve()), shards.digest,
        shards.eot_id, {**versions, "numpy": np.__version__}, world.ranks,
    )  # fmt: skip


def _model(
    settings: TrainSettings, recipe: Recipe, choices: Choices,
    weights: dict[str, Tensor] | None, place: Path,
) -> GPT:  # fmt: skip
    """The model on its device, with the weights of `place` or drawn anew from the seed."""
    if choices.device == "cpu":
        torch.set_num_threads(choices.threads)
        keep_freed_memory()
    model = GPT(recipe.config)
    if weights:
        load_weights(model, weights, place)
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
    return Loop(model, recipe, settings, choices, batches, windows, live, folder, world)


# Of a row of a suite; what else there is of it is the same at every look.
LOGGED = (
    "task", "metric", "kind", "value", "standard_error", "paper", "items", "items_in_all",
    "protocol",
)  # fmt: skip


def _examiner(
    tokenizer: TokenizerFile | None, settings: TrainSettings, shards: Shards, loop: Loop
) -> Callable[[], list[dict[str, Any]]] | None:
    """Runs the tasks of --eval-suite on the model as it is, whose items are read now."""
    if not settings.eval_suite:
        return None
    if loop.world.sharded:
        raise SettingsError("--eval-suite: a model that is split cannot be examined; leave it out")
    if not (tokenizer and settings.eval_suite_data) or shards.eot_id is None:
        raise SettingsError(
            "--eval-suite needs --eval-suite-data FOLDER, a tokenizer (--tokenizer PATH, where "
            "none lies beside the shards) and a token that ends a text"
        )
    text = text_for(tokenizer, shards.vocab_size)
    subject, folder = Subject(loop.model, text, shards.eot_id), Path(settings.eval_suite_data)
    tasks = those_there(settings.eval_suite, 0, folder, loop.live.note)
    ready = [prepared(subject, task, folder, settings.eval_suite_limit) for task in tasks]
    return lambda: [
        {key: row[key] for key in LOGGED} for row in rows_of([one.run(subject) for one in ready])
    ]


def _sampler(
    tokenizer: TokenizerFile | None, settings: TrainSettings, shards: Shards, world: World
) -> Callable[[GPT], str] | None:
    """Draws the sample that goes into the log, always from the start of a document."""
    if not settings.sample_every:
        return None
    if world.sharded:
        raise SettingsError("--sample-every: a model that is split cannot be sampled; leave it out")
    if not tokenizer:
        raise SettingsError("--sample-every needs --tokenizer PATH: none lies beside the shards")
    text = text_for(tokenizer, shards.vocab_size)
    end = shards.eot_id
    start = beginning(text, "", end)

    def draw(model: GPT) -> str:
        drawn = generate(
            model, [start], SAMPLE_TOKENS, seeds=[settings.seed], temperature=0.8, eot_id=end
        )
        return text.decode([token for (token,) in drawn if token is not None])

    return draw
