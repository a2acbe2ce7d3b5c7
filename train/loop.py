"""The training loop: batches in, checkpoints and log out, stoppable at any step.

The state of a run is its weights, the optimizer's moments and the step number. Batches, learning
rate and the random numbers of dropout are functions of (seed, step): a run that was killed and
resumed is bit for bit the run that was not. (On a GPU it is so but for the order of sums, which
fused attention does not fix.)
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from train.batches import Batches, prefetched
from train.bf16 import MasterAdamW
from train.checkpoint import Checkpoint, Checkpointer
from train.choices import BF16_MASTER, Choices
from train.config import Recipe
from train.cost import flops_per_token, peak_flops
from train.data import Tokens, documents_in
from train.distributed import World, like
from train.errors import CheckpointError, Diverged, OutOfMemory, SettingsError, Stopped, TrainError
from train.evaluate import Score, score, stacked
from train.log import LiveLine, RunLog, duration
from train.loss import LanguageModelLoss
from train.model import GPT
from train.optimizer import adamw, learning_rate, update
from train.runs import keep_micro_batch
from train.settings import TrainSettings
from train.stop import ASKING, StopSignals
from train.trace import StepTrace
from train.transfer import on_host, sent

MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # what AdamW keeps of a parameter
FAULTS_MAX = 3  # steps in a row that may be not finite: one bad batch is one, a broken run all
NO_WISHES = torch.zeros(4).tolist


@dataclass
class Progress:
    """What a run counts; kept in every checkpoint."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0  # of training, over all resumptions
    left_out: int = 0  # steps that were not finite
    first_val_loss: float | None = None
    best_val_loss: float | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended. Losses are means in nats a token; those held out None without such files."""

    step: int
    tokens: int
    seconds: float
    loss: float
    val_loss: float | None
    first_val_loss: float | None
    best_val_loss: float | None
    left_out: int


@dataclass
class Loop:
    """A run in motion: `run()` takes it to its last step."""

    model: GPT
    recipe: Recipe
    settings: TrainSettings
    choices: Choices
    batches: Batches
    held_out: list[Tokens]
    log: RunLog
    live: LiveLine
    folder: Path
    world: World
    sampler: Callable[[GPT], str] | None = None
    about_first_loss: Callable[[float], str] | None = None
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.objective = self.world.wrapped(self.model, LanguageModelLoss(self.model))
        self.optimizer = self._optimizer()
        self.saver: Checkpointer | None = None
        if self.world.first:
            checkpoints = self.folder / "checkpoints"
            self.saver = Checkpointer(checkpoints, self.settings.keep, self._problem)
        traced = self.settings.profile if self.world.first else 0
        self.trace = StepTrace(traced, self.folder, self.choices.device, self.live.note)
        self.signals = StopSignals()
        self.names: dict[Tensor, str] = {p: n for n, p in self.model.named_parameters()}
        self.saved_step = self.progress.step
        self.loss = math.nan
        self.val_loss: float | None = None  # at this very step
        self._unread: tuple[int, float, Callable[[], list[float]]] | None = None
        self._wished: Callable[[], list[float]] = NO_WISHES
        self._faults_in_a_row = 0
        self._line_at, self._line_tokens = 0.0, 0
        self._first_step = 0  # of this process
        self._rate = 0.0

    def _optimizer(self) -> torch.optim.AdamW:
        if self.choices.dtype != BF16_MASTER:
            return adamw(self.model, self.settings)
        rows = self.recipe.batch_tokens // self.recipe.config.n_ctx
        return MasterAdamW(self.model, self.settings, accumulates=rows > self.choices.micro_batch)

    def run(self) -> Result:
        """Train to the last step; raises Stopped, Diverged, OutOfMemory or CheckpointError."""
        try:
            return self._run()
        except (TrainError, OSError):
            with suppress(CheckpointError):
                self._wait()  # what is being saved is not lost by what went wrong since
            raise

    def _run(self) -> Result:
        self.objective.train()
        started = self._saved_at = self._line_at = time.monotonic()
        seconds_before, self._first_step = self.progress.seconds, self.progress.step
        with (
            self.signals,
            _closing(prefetched(self.batches, self.progress.step)) as stream,
            self.trace,
        ):
            if self.progress.step == 0:
                self._evaluate()
                self.progress.first_val_loss = self.val_loss
            while self.progress.step < self.recipe.steps:
                self.trace.step()
                try:
                    self._step(next(stream))
                    self.progress.seconds = seconds_before + time.monotonic() - started
                    self._look()
                    if self._save_is_wished(time.monotonic() - started):
                        self.save()
                except Stopped:
                    self._finish()
                    raise
            if self.val_loss is None:
                self._evaluate()
            self._finish()
        done = self.progress
        return Result(
            done.step, done.tokens, done.seconds, self.loss, self.val_loss, done.first_val_loss,
            done.best_val_loss, done.left_out,
        )  # fmt: skip

    def _look(self) -> None:
        """Evaluate and sample where it is time for that."""
        step, last = self.progress.step, self.recipe.steps
        # The last step's loss is known before it is saved: it may be the best.
        if step % (self.settings.eval_every or last) == 0 or step == last:
            self._evaluate()
        self._sample_if_due()

    def _save_is_wished(self, elapsed_s: float) -> bool:
        """Whether to save now; raises Stopped where it is time to leave before the last step.

        The ranks agree, since their clocks and signals differ.
        """
        limit, every = self.settings.stop_after_s, self.settings.save_steps
        wishes: list[float] = [
            *(self.signals.received == signum for signum in ASKING),
            limit is not None and elapsed_s > limit,
            time.monotonic() - self._saved_at > self.settings.save_every_s,
        ]
        if self.world.ranks > 1:
            mine = sent(torch.tensor(wishes, dtype=torch.float32), self.choices.device)
            now, before = on_host(self.world.sum(mine)), self._wished
            self._wished = now
            # On a GPU those of the step before count, so that nothing waits for this one.
            wishes = (now if self.choices.device == "cpu" else before)()
        *asking, late, save = wishes
        signum = next((s for s, wish in zip(ASKING, asking, strict=True) if wish), None)
        if (signum or late) and self.progress.step < self.recipe.steps:
            raise Stopped(self.progress.step, signum)
        return bool(save or (every and self.progress.step % every == 0))

    def _step(self, tokens_BT: Tokens) -> None:
        """One optimizer step over this rank's sequences, a micro-batch at a time."""
        step, device = self.progress.step, self.choices.device
        if self.recipe.config.dropout:
            torch.manual_seed(_step_seed(self.settings.seed, step, self.world.rank))
        ids_BT = sent(torch.from_numpy(tokens_BT), device)
        loss = self.world.sum(self._gradient(ids_BT.long()))
        rate = learning_rate(self.recipe, self.settings, step)
        norm, finite = update(self.optimizer, loss, rate, self.settings.clip)
        self._read_numbers()
        self._unread = step, rate, on_host(torch.stack((loss, norm, finite.float())))
        self.progress.step += 1
        self.progress.tokens += self.recipe.batch_tokens
        self.val_loss = None
        if device == "cpu":
            self._read_numbers()

    def _gradient(self, ids_BT: Tensor) -> Tensor:
        """This rank's part of the batch's mean loss; its gradient is left in the parameters.

        Where memory runs out in the first step of a process, the micro-batch is halved (or less, so
        that it divides the batch) and kept so. Raises OutOfMemory where that does not help.
        """
        try:
            return self._passes(ids_BT)
        except torch.OutOfMemoryError as error:
            rows, half = len(ids_BT), self.choices.micro_batch // 2
            smaller = next((n for n in range(half, 0, -1) if rows % n == 0), 0)
            if self.progress.step > self._first_step or not smaller or self.world.ranks > 1:
                raise OutOfMemory(self.progress.step + 1, smaller, error) from None
        # Out of the handler: the error holds on to the pass and all that it allocated.
        self.live.note(f"memory ran out: {smaller} sequences at a time from now on")
        self.optimizer.zero_grad(set_to_none=True)
        self.choices = replace(self.choices, micro_batch=smaller)
        keep_micro_batch(self.folder, smaller)
        return self._gradient(ids_BT)

    def _passes(self, ids_BT: Tensor) -> Tensor:
        # The ranks' gradients are averaged: each counts as many times as there are ranks.
        ranks, loss = self.world.ranks, torch.zeros((), device=ids_BT.device)
        parts = torch.split(ids_BT, self.choices.micro_batch)
        for number, micro_BT in enumerate(parts, 1):
            with self.world.synchronized(self.objective, number == len(parts)):
                with self.choices.autocast():
                    part = self.objective(micro_BT) / self.recipe.batch_tokens
                torch.autograd.backward(part * ranks)
            loss += part.detach()
            # The ranks would have to agree: they stop between steps only.
            if self.signals.received and ranks == 1 and number < len(parts):
                raise Stopped(self.progress.step, self.signals.received)
        return loss

    def _read_numbers(self) -> None:
        """Log the step before: on a GPU its numbers are there by now, so that nothing waits."""
        if self._unread is None:
            return
        (step, rate, numbers), self._unread = self._unread, None
        self.loss, norm, finite = numbers()
        if step == 0 and self.about_first_loss:
            self.live.note(self.about_first_loss(self.loss))
        now, tokens = time.monotonic(), (step + 1) * self.recipe.batch_tokens
        if not finite:
            self._fault(step, norm)
        else:
            self._faults_in_a_row = 0
        if (step + 1) % self.settings.log_every == 0 or step + 1 == self.recipe.steps:
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
        self._faults_in_a_row += 1
        windows = self.batches.windows(step)
        documents = documents_in(windows, self.recipe.config.n_ctx + 1)
        self.log.write(
            "fault", step=step + 1, loss=self.loss, grad_norm=norm,
            windows=[f"{w.file.path.name}:{w.start}" for w in windows],
            documents=[name for name, _ in documents], urls=[url for _, url in documents],
        )  # fmt: skip
        self.live.note(f"step {step + 1} is not finite (loss {self.loss}); it is left out")
        if self._faults_in_a_row >= FAULTS_MAX:
            self._wait()
            raise Diverged(
                f"{FAULTS_MAX} steps in a row were not finite, up to {step + 1}; log.jsonl names "
                f"their documents. The last checkpoint, of step {self.saved_step}, is good: "
                "take a lower --lr, or look at these documents."
            )

    def _evaluate(self) -> None:
        """The loss over the fixed held-out tokens."""
        self._read_numbers()
        if not self.held_out:
            return
        with self._uncounted():
            found = self._score()
            step, self.val_loss = self.progress.step, found.loss
            self.log.write("eval", step=step, val_loss=found.loss, val_tokens=found.tokens)
            told = f"held-out loss {found.loss:.4f} over {found.tokens:,} tokens"
            self.live.note(f"step {step}: {told}")
            best = self.progress.best_val_loss
            if best is None or found.loss < best:
                self.progress.best_val_loss = found.loss
                if step > 0:
                    self.save()

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

    def _sample_if_due(self) -> None:
        every = self.settings.sample_every
        if self.sampler and every and self.progress.step % every == 0:
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

    def save(self) -> None:
        """Save in the background, unless this step is saved; a save that failed is only noted."""
        self._read_numbers()
        if self.saved_step == self.progress.step:
            return
        state = {**vars(self.progress), "val_loss": self.val_loss}
        model, optimizer = self._model_tensors(), self._optimizer_tensors()
        if self.saver:
            try:
                self.saver.save(model, optimizer, state)
            except CheckpointError as error:
                self._problem(str(error))
                self.saver.save(model, optimizer, state)
        self.saved_step, self._saved_at = self.progress.step, time.monotonic()
        self._wished = NO_WISHES  # that this step be saved was wished once more by now
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

    def _model_tensors(self) -> dict[str, Tensor]:
        masters = self.optimizer.masters if isinstance(self.optimizer, MasterAdamW) else {}
        return {
            name: self.world.gathered(masters.get(p, p).detach()) for p, name in self.names.items()
        }

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        return {
            f"{kind}/{self.names[p]}": self.world.gathered(value)
            for p, moments in self.optimizer.state.items()
            for kind, value in moments.items()
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        """Take over a checkpoint's optimizer and counts (the weights are in the model already)."""
        # Without any moments no step was finite until then.
        for p, name in self.names.items() if checkpoint.optimizer else ():
            keys = {kind: f"{kind}/{name}" for kind in MOMENTS}
            if not checkpoint.optimizer.keys() >= set(keys.values()):
                raise CheckpointError(f"{checkpoint.path}: no optimizer state for {name}")
            self.optimizer.state[p] = {
                k: like(checkpoint.optimizer[key], p) for k, key in keys.items()
            }
        known = Progress.__dataclass_fields__
        self.progress = Progress(**{k: v for k, v in checkpoint.state.items() if k in known})
        self.log.cut(self.progress.step)
        for name in self.saver.set_aside(self.progress.step) if self.saver else ():
            self.live.note(f"the damaged checkpoint is kept as {name}")
        self.saved_step, self.val_loss = self.progress.step, checkpoint.state["val_loss"]
        self._line_tokens = self.progress.tokens
        if self.progress.step > self.recipe.steps:
            raise SettingsError(
                f"the run is at step {self.progress.step}, past --steps {self.recipe.steps}"
            )


def _step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of a step's dropout: no generator's state needs to be kept."""
    return int.from_bytes(
        hashlib.blake2b(repr((seed, step, rank)).encode(), digest_size=7).digest()
    )


@contextmanager
def _closing(stream: Iterator[Tokens]) -> Iterator[Iterator[Tokens]]:
    try:
        yield stream
    finally:
        stream.close()  # type: ignore[attr-defined]
