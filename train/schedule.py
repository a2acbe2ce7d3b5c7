"""What follows from the number of a step: its learning rate, and what is to be done after it."""

import math
from dataclasses import dataclass

from train.config import Recipe
from train.settings import TrainSettings


def learning_rate(recipe: Recipe, settings: TrainSettings, step: int) -> float:
    """The rate of a step (from 0): linear warm-up, then cosine or linear down to lr_min_share."""
    if step < recipe.warmup_steps:
        return recipe.lr * (step + 1) / recipe.warmup_steps
    done = min(1.0, (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps))
    share = 0.5 * (1 + math.cos(math.pi * done)) if settings.schedule == "cosine" else 1 - done
    return recipe.lr * (settings.lr_min_share + (1 - settings.lr_min_share) * share)


def about_rate(recipe: Recipe, settings: TrainSettings) -> str:
    """The course of the learning rate, for people."""
    warmup = f"{recipe.warmup_steps:,} steps of warm-up"
    if recipe.steps > recipe.warmup_steps:
        last = recipe.lr * settings.lr_min_share
        return f"rate: {recipe.lr:g} after {warmup}, then {settings.schedule} to {last:g}"
    reached = learning_rate(recipe, settings, recipe.steps - 1)
    return (
        f"rate: {reached:g} is reached at the last step, {recipe.steps:,}, and never falls: the "
        f"run ends within its {warmup} to {recipe.lr:g}; take fewer --warmup-steps or more --steps"
    )


@dataclass(frozen=True)
class Due:
    """What is to be done after a step."""

    log: bool
    evaluate: bool
    sample: bool
    save: bool


def due_after(step: int, last: int, settings: TrainSettings) -> Due:
    """What is due after `step` steps of `last`, by their number alone.

    Saves are due by time as well, and after the last step.
    """

    def every(steps: int | None) -> bool:
        return bool(steps) and step % (steps or 1) == 0

    return Due(
        log=every(settings.log_every) or step == last,
        # The last step's loss is known before it is saved: it may be the best.
        evaluate=every(settings.eval_every) or step == last,
        sample=every(settings.sample_every),
        save=every(settings.save_steps),
    )
