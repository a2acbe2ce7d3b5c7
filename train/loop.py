"""The training loop: batches in, checkpoints and log out, stoppable at any step.

The state of a run is its weights, the optimizer's moments and the step number. Batches, learning
rate and the random numbers of dropout are functions of (seed, step): a run that was killed and
resumed is bit for bit the run that was not. (On a GPU it is so but for the order of sums, which
fused attention does not fix.)
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.batches import Batches, prefetched
from train.bf16 import MasterAdamW
from train.checkpoint import Checkpoint, Checkpointer, not_finite
from train.config import Recipe
from train.cost import flops_per_token, peak_flops
from train.data import Tokens, documents_in
from train.distributed import World
from train.errors import CheckpointError, Diverged, OutOfMemory, Stopped, TrainError
from train.evaluate.held_out import Score, score, stacked
from train.hardware import BF16_MASTER, Choices
from train.host_copies import on_host, sent
from train.log import LiveLine, RunLog, duration
from train.loss import LanguageModelLoss
from train.model import GPT
from train.optimizer import adamw
from train.runs import keep_micro_batch
from train.schedule import due_after, learning_rate
from train.settings import TrainSettings
from train.state import Progress, Result, moments_of, progress_of, restore_moments, weights_of
from train.step import training_step
from train.stop import ASKING, StopSignals
from train.trace import StepTrace

FAULTS_MAX = 3  # steps in a row that may be not finite: one bad batch is one, a broken run all
NO_REQUESTS = torch.zeros(4).tolist


@dataclass
class Loop:
    """A run in motion: `begin()` opens its files, `run()` takes it to its last step."""

    model: GPT
    recipe: Recipe
    settings: TrainSettings
    choices: Choices
    batches: Batches
    held_out: list[Tokens]
    live: LiveLine
    folder: Path
    world: World
    sampler: Callable[[GPT], str] | None = None
    examine: Callable[[], list[dict[str, Any]]] | None = None
    about_first_loss: Callable[[float], str] | None = None
    progress: Progress = field(default_factory=Progress)
    log: RunLog = field(init=False)
    saver: Checkpointer | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.objective = self.world.wrapped(self.model, LanguageModelLoss(self.model))
        self.optimizer = self._optimizer()
        traced = self.settings.profile if self.world.first else 0
        self.trace = StepTrace(traced, self.folder, self.choices.device, self.live.note)
        self.signals = StopSignals()
        self.names: dict[Tensor, str] = {p: n for n, p in self.model.named_parameters()}
        self.loss = math.nan
        self.val_loss: float | None = None  # at this very step
        self._saved: tuple[int, float | None] = 0, None  # step and held-out loss
        self._moved_step, self._sound_step = 0, -1  # the last that moved weights, that was scored
        self._unread: tuple[int, Callable[[], list[float]]] | None = None
        self._requested: Callable[[], list[float]] = NO_REQUESTS
        self._line_at, self._line_tokens = 0.0, 0
        self._first_step = 0  # of this process
        self._rate = 0.0

    def _optimizer(self) -> torch.optim.AdamW:
        if self.choices.dtype != BF16_MASTER:
            return adamw(self.model, self.settings)
        rows = self.recipe.batch_tokens // self.recipe.config.n_ctx
        return MasterAdamW(self.model, self.settings, accumulates=rows > self.choices.micro_batch)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint's optimizer and counts (the weights are in the model already)."""
        restore_moments(self.names, self.optimizer, checkpoint)
        self.progress = progress_of(checkpoint)
        step, loss = self.progress.step, checkpoint.state["val_loss"]
        self._saved = step, loss
        # One that was not finite (kept by older versions) is measured again.
        self.val_loss = loss if loss is not None and math.isfinite(loss) else None
        self._moved_step = step - self.progress.faults_in_a_row
        self._line_tokens = self.progress.tokens

    def begin(self) -> None:
        """Open the log and the folder of checkpoints; what a kill undid is taken back in both."""
        # Of a run that came to no checkpoint no line stands.
        step = self.progress.step or -1
        self.log = RunLog(self.folder / "log.jsonl" if self.world.first else None, self.live.note)
        self.log.cut(step)
        if self.world.first:
            checkpoints = self.folder / "checkpoints"
            self.saver = Checkpointer(checkpoints, self.settings.keep, self._problem)
            for name in self.saver.set_aside(step, "damaged"):
                self.live.note(f"the damaged checkpoint is kept as {name}")

    def run(self) -> Result:
        """Train to the last step; raises Stopped, Diverged, OutOfMemory or CheckpointError."""
        try:
            self._run()
        except (TrainError, OSError, RuntimeError):
            with suppress(CheckpointError):
                self._wait()  # what is being saved is not lost by what went wrong since
            raise
        done = self.progress
        return Result(
            done.step, done.tokens, done.seconds, self.loss, self.val_loss, done.first_val_loss,
            done.best_val_loss, done.left_out,
        )  # fmt: skip

    def _run(self) -> None:
        self.objective.train()
        self._saved_at = self._line_at = time.monotonic()
        self._first_step, batches = self.progress.step, prefetched(self.batches, self.progress.step)
        with self.signals, closing(batches) as stream, self.trace:
            if self.progress.step == 0:
                self._evaluate()
                self.progress.first_val_loss = self.val_loss
            try:
                self._steps(stream)
            except Stopped:
                self._finish()
                raise
            if self.val_loss is None:
                self._evaluate()
            self._finish()

    def _steps(self, stream: Iterator[Tokens]) -> None:
        """The schedule: a step, and what is due after it, until the last."""
        last, settings = self.recipe.steps, self.settings
        started, seconds_before, save = time.monotonic(), self.progress.seconds, False
        while self.progress.step < last:
            self.trace.step()
            self._step(next(stream))
            elapsed_s = time.monotonic() - started
            self.progress.seconds = seconds_before + elapsed_s
            due = due_after(self.progress.step, last, settings)
            if due.evaluate:
                self._evaluate()
            if due.sample:
                self._sample()
            save = self._save_is_requested(elapsed_s) or due.save or save
            if save and self._is_sound():
                self.save()
                save = False

    def _step(self, tokens_BT: Tokens) -> None:
        step, numbers = self.progress.step, self._fitting_step(tokens_BT)
        self._read_numbers()
        self._unread = step, numbers
        self.progress.step += 1
        self.progress.tokens += self.recipe.batch_tokens
        self.val_loss = None
        if self.choices.device == "cpu":
            self._read_numbers()

    def _fitting_step(self, tokens_BT: Tokens) -> Callable[[], list[float]]:
        """A step, and what gives its numbers; where memory runs out, in smaller passes.

        In the first step of a process the micro-batch is halved (or less, so that it divides the
        batch) and kept so. Raises OutOfMemory where that does not help.
        """
        rows, new = len(tokens_BT), not self.optimizer.state
        while True:
            try:
                return training_step(
                    self.objective, self.optimizer, tokens_BT, self.progress.step,
                    recipe=self.recipe, settings=self.settings, choices=self.choices,
                    world=self.world, signals=self.signals,
                )  # fmt: skip
            except torch.OutOfMemoryError as error:
                half = self.choices.micro_batch // 2
                smaller = next((n for n in range(half, 0, -1) if rows % n == 0), 0)
                if self.progress.step > self._first_step or not smaller or self.world.ranks > 1:
                    raise OutOfMemory(self.progress.step + 1, smaller, error) from None
            # Out of the handler: the error holds on to the pass and all that it allocated.
            self.live.note(f"memory ran out: {smaller} sequences at a time from now on")
            self.optimizer.zero_grad(set_to_none=True)
            if new:
                self.optimizer.state.clear()  # it may have some of its moments
            self.choices = replace(self.choices, micro_batch=smaller)
            keep_micro_batch(self.folder, smaller)

    def _save_is_requested(self, elapsed_s: float) -> bool:
        """Whether it is time to save; raises Stopped where one is to leave before the last step.

        The ranks agree, since their clocks and signals differ.
        """
        limit = self.settings.stop_after_s
        requests: list[float] = [
            *(self.signals.received == signum for signum in ASKING),
            limit is not None and elapsed_s > limit,
            time.monotonic() - self._saved_at > self.settings.save_every_s,
        ]
        if self.world.ranks > 1:
            mine = sent(torch.tensor(requests, dtype=torch.float32), self.choices.device)
            now, before = on_host(self.world.sum(mine)), self._requested
            self._requested = now
            # On a GPU those of the step before count, so that nothing waits for this one.
            requests = (now if self.choices.device == "cpu" else before)()
        *asking, late, save = requests
        signum = next((s for s, asked in zip(ASKING, asking, strict=True) if asked), None)
        if (signum or late) and self.progress.step < self.recipe.steps:
            raise Stopped(self.progress.step, signum)
        return bool(save)

    def _read_numbers(self) -> None:
        """Log the step before: on a GPU its numbers are there by now, so that nothing waits."""
        if self._unread is None:
            return
        (step, numbers), self._unread = self._unread, None
        self.loss, norm, finite = numbers()
        if step == 0 and self.about_first_loss:
            self.live.note(self.about_first_loss(self.loss))
        now, tokens = time.monotonic(), (step + 1) * self.recipe.batch_tokens
        rate = learning_rate(self.recipe, self.settings, step)
        if not finite:
            self._fault(step, norm)
        else:
            self.progress.faults_in_a_row, self._moved_step = 0, step + 1
        if due_after(step + 1, self.recipe.steps, self.settings).log:
            self._rate = (tokens - self._line_tokens) / max(1e-9, now - self._line_at)
            self._line_at, self._line_tokens = now, tokens
            self.log.write(
                "step", step=step + 1, loss=self.loss, lr=rate, grad_norm=norm, tokens=tokens,
                tokens_per_s=round(self._rate, 1),
            )  # fmt: skip
        self.live.show(self._line(step + 1))

    def _line(self, step: int) -> str:
        flops = self._rate * flops_per_token(self.recipe.config)
        peak = peak_flops(self.choices.reasons["device"])
        use = f"{flops / 1e12:.2f} TFLOP/s"
        if peak:
            use = f"{flops / (peak * self.world.ranks):.1%} MFU"
        left = (self.recipe.steps - step) * self.recipe.batch_tokens / max(1e-9, self._rate)
        best = self.progress.best_val_loss
        held = f", held-out {best:.3f}" if best is not None else ""
        return (
            f"step {step}/{self.recipe.steps}, loss {self.loss:.3f}{held}, "
            f"{self._rate:,.0f} tokens/s, {use}, {duration(left)} left"
        )

    def _fault(self, step: int, norm: float) -> None:
        """Note a step that was left out, with the windows and documents it saw."""
        self.progress.left_out += 1
        self.progress.faults_in_a_row += 1
        windows = self.batches.windows(step)
        documents = documents_in(windows, self.recipe.config.n_ctx + 1)
        self.log.write(
            "fault", step=step + 1, loss=self.loss, grad_norm=norm,
            windows=[f"{w.file.path.name}:{w.start}" for w in windows],
            documents=[name for name, _ in documents], urls=[url for _, url in documents],
        )  # fmt: skip
        self.live.note(f"step {step + 1} is not finite (loss {self.loss}); it is left out")
        if self.progress.faults_in_a_row >= FAULTS_MAX:
            raise self._diverged(
                f"{FAULTS_MAX} steps in a row were not finite, up to {step + 1} (log.jsonl names "
                "their documents)"
            )

    def _diverged(self, what: str) -> Diverged:
        """The error of a run whose state gives no finite numbers; its checkpoints are set aside.

        Not those of a state whose held-out loss was finite. All ranks call it.
        """
        newest = self.world.share(self._newest_sound)
        way = "Begin anew with a lower --lr and another --out"
        if newest:
            way = (
                f"The newest checkpoint from before is {newest}. {way}; --init with its path "
                "begins with its weights"
            )
        return Diverged(f"{what}. {way}.")

    def _newest_sound(self) -> Path | None:
        if self.saver is None:
            return None
        with suppress(CheckpointError):
            self.saver.wait()
        if self._sound_step < self._moved_step:
            for name in self.saver.set_aside(self._moved_step - 1, "diverged"):
                self.live.note(f"the checkpoint of the state that diverged is kept as {name}")
        newest = self.saver.newest()
        return self.saver.folder / newest if newest else None

    def _evaluate(self) -> None:
        """The loss over the fixed held-out tokens; raises Diverged where it is not finite."""
        self._read_numbers()
        step = self.progress.step
        if not self.held_out:
            with self._uncounted():
                self._examine(step)
            if step == self.recipe.steps and self.progress.faults_in_a_row:
                raise self._diverged(f"the last step, {step}, was not finite (loss {self.loss})")
            return
        with self._uncounted():
            found = self._score()
            self.log.write("eval", step=step, val_loss=found.loss, val_tokens=found.tokens)
            told = f"held-out loss {found.loss:.4f} over {found.tokens:,} tokens"
            self.live.note(f"step {step}: {told}")
            if not math.isfinite(found.loss):
                raise self._diverged(f"the held-out loss of step {step} is {found.loss}")
            self.val_loss, self._sound_step = found.loss, step
            best = self.progress.best_val_loss
            if best is None or found.loss < best:
                self.progress.best_val_loss = found.loss
                if step > 0:
                    self.save()
            self._examine(step)

    def _examine(self, step: int) -> None:
        """Run the tasks of --eval-suite, where there are any."""
        if self.examine is None:
            return
        self.model.eval()
        rows = self.examine()
        self.model.train()
        self.log.write("suite", step=step, rows=rows)
        first: dict[str, str] = {}  # number of each task
        for row in rows:
            first.setdefault(row["task"], f"{row['task']}, {row['metric']}: {row['value']:.4g}")
        self.live.note(f"step {step}: {'; '.join(first.values())}")

    def _score(self) -> Score:
        """The score of the held-out windows, of which each rank takes every ranks-th."""
        ranks = self.world.ranks
        slices = [self.held_out[rank::ranks] for rank in range(ranks)]
        mine = slices[self.world.rank]
        if self.world.sharded:
            found = score(self.objective, mine, self.choices)
            # Weights are gathered for every pass: each rank must make as many, counted or not.
            passes = [sum(1 for _ in stacked(windows)) for windows in slices]
            for _ in range(max(passes) - passes[self.world.rank]):
                score(self.objective, self.held_out[:1], self.choices)
        else:
            found = score(LanguageModelLoss(self.model), mine, self.choices)
        sums = torch.tensor([found.nats, found.tokens], dtype=torch.float64)
        nats, tokens = self.world.sum(sums.to(self.choices.device)).tolist()
        return Score(nats, int(tokens))

    def _sample(self) -> None:
        if self.sampler is None:
            return
        self._read_numbers()
        with self._uncounted():
            self.model.eval()
            text = self.sampler(self.model)
            self.model.train()
        self.log.write("sample", step=self.progress.step, text=text)
        self.live.note(f"step {self.progress.step}: {text!r}")

    @contextmanager
    def _uncounted(self) -> Iterator[None]:
        """A pause that the next rate leaves out."""
        began = time.monotonic()
        yield
        self._line_at += time.monotonic() - began

    def _is_sound(self) -> bool:
        """Whether the last step was finite; if not, the next may show that the run diverged."""
        self._read_numbers()
        return not self.progress.faults_in_a_row

    def save(self) -> None:
        """Save in the background, unless that is done; a save that failed is only noted.

        Raises Diverged where weights or moments are not finite: the checkpoints before stand.
        """
        self._read_numbers()
        this = self.progress.step, self.val_loss
        if self.progress.step == 0 or self._saved == this:
            return
        if self.val_loss is None and self._moved_step <= self._saved[0] < self.progress.step:
            return  # these weights are on disk; steps since then, left out, make none older go
        weights = weights_of(self.names, self.optimizer, self.world)
        moments = moments_of(self.names, self.optimizer, self.world)
        if broken := self.world.share(lambda: not_finite(weights) or not_finite(moments)):
            raise self._diverged(f"{broken} is not finite after step {self.progress.step}")
        if self.saver:
            state = {**vars(self.progress), "val_loss": self.val_loss}
            try:
                self.saver.save(weights, moments, state)
            except CheckpointError as error:
                self._problem(str(error))
                self.saver.save(weights, moments, state)
        self._saved, self._saved_at = this, time.monotonic()
        self._requested = NO_REQUESTS  # a request to save this step may have come once more by now
        self.log.write("save", step=self.progress.step)

    def _problem(self, text: str) -> None:
        self.log.write("fault", step=self.progress.step, problem=text)
        self.live.note(text)

    def _finish(self) -> None:
        """Save, and wait until it is on disk."""
        self.save()
        self.world.share(self._wait)

    def _wait(self) -> None:
        if self.saver:
            self.saver.wait()
