"""Every error that the trainer raises on purpose.

TrainError
├── SettingsError    before any work: an option is wrong, or may not change on resume
├── DataError        the shards are missing or broken: names the file and the mend
├── BusyError        another process trains in this folder
├── CheckpointError  weights cannot be written or read, or do not fit the model
├── Diverged         weights, held-out loss or three steps in a row were not finite
├── RankLost         another process of the run has ended or cannot be reached
├── OutOfMemory      a step does not fit into the memory of the device
└── Stopped          asked to stop; the last checkpoint holds everything
"""

import signal


class TrainError(Exception):
    """What a person can act on: `python -m train` prints its text without a traceback."""

    exit_code = 1


class SettingsError(TrainError):
    """An option is wrong; nothing was done yet."""

    exit_code = 2


class DataError(TrainError):
    """A token file is missing, torn or of another format."""

    exit_code = 2


class BusyError(TrainError):
    """Another process holds the run's lock."""


class CheckpointError(TrainError):
    """Weights that cannot be written or read, or are of another model."""


class Diverged(TrainError):  # noqa: N818 (a state of the run, not a fault of the program)
    """The state of the run gives no finite numbers; checkpoints from before are kept."""


class RankLost(TrainError):  # noqa: N818 (a state of the run, not a fault of the program)
    """Ranks train together or not at all; a last checkpoint stands."""

    def __init__(self, rank: int, ranks: int, error: Exception) -> None:
        told = str(error).partition("\n")[0]
        super().__init__(
            f"rank {rank} of {ranks}: another rank has ended or cannot be reached ({told}). Its "
            "own messages say why; the newest checkpoint, if one was written, stands: start all "
            "ranks with --resume"
        )


class OutOfMemory(TrainError):  # noqa: N818 (torch's own has this name as well)
    """A step did not fit; a last checkpoint stands."""

    def __init__(self, step: int, smaller: int, error: Exception) -> None:
        way = (
            f"--resume with --micro-batch {smaller}"
            if smaller
            else "--checkpoint-activations needs less, and so does a shorter --n-ctx"
        )
        told = str(error).partition("\n")[0]
        super().__init__(f"memory ran out in step {step}: {way} ({told})")


class Stopped(TrainError):  # noqa: N818 (a request that was granted, not an error)
    """A signal or `--stop-after` asked to leave; `--resume` goes on from `step`."""

    def __init__(self, step: int, signum: int | None) -> None:
        self.step, self.signum = step, signum
        why = "--stop-after" if signum is None else signal.Signals(signum).name
        why = "Ctrl-C" if signum == signal.SIGINT else why
        super().__init__(f"stopped by {why} after step {step}; run with --resume to go on")

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """130 after Ctrl-C, else 75 (EX_TEMPFAIL: schedulers start it again)."""
        return 130 if self.signum == signal.SIGINT else 75
