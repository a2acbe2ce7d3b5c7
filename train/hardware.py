"""What is chosen by the machine and the size of the model, each choice with its reason.

The reasons were measured against nanoGPT on two cores: at 4 layers x 128 every accelerator loses to
eager fp32; on a CPU without bf16 instructions bf16 products take seven times as long, and compiling
wins a few per cent (BENCHMARKS.md).
"""

import os
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import torch

from train.config import GPTConfig, Recipe
from train.cost import Memory, cost, memory, sustained_flops
from train.errors import SettingsError
from train.settings import TrainSettings

# Below this many multiplications a token (weights of the blocks) overheads eat every gain.
TINY_WEIGHTS = 3_000_000
COMPILE_HOURS = 0.25  # shorter runs do not earn back the minute that compiling takes on two cores
# bf16 parameters with fp32 master weights (train/bf16.py). From so many weights on, prototypes of
# them won by more than autocast did, on a CPU that multiplies bf16; at 10 M autocast won.
BF16_MASTER = "bfloat16-master"
MASTER_WEIGHTS = 50_000_000
# More tokens in one pass gain nothing: on a CPU they leave every cache, on a GPU they only take
# memory.
PASS_TOKENS = {"cpu": 8192, "cuda": 65_536}
COMPILERS = {"cpu": "C++ compiler", "cuda": "C compiler or Python.h, which Triton needs,"}


@dataclass(frozen=True)
class Choices:
    """How this machine computes; `reasons` has a sentence for each."""

    device: str
    dtype: str
    compile: bool
    micro_batch: int  # sequences of one pass on one rank
    threads: int
    reasons: dict[str, str]

    def autocast(self) -> torch.autocast:
        """The context in which the model and the loss run."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.dtype == "bfloat16")


def choose(settings: TrainSettings, recipe: Recipe, ranks: int = 1) -> Choices:
    """The choices for a run; what the settings say explicitly is obeyed.

    Raises SettingsError where that is impossible on this machine.
    """
    reasons: dict[str, str] = {}
    device = device_of(settings.device)
    reasons["device"] = (
        torch.cuda.get_device_name() if device == "cuda" else "no GPU asked for or found"
    )
    dtype, reasons["dtype"] = _dtype(settings, recipe.config, device, ranks)
    threads = settings.threads or cores()
    compiled, reasons["compile"] = _compile(settings, recipe, device, threads)
    rows = recipe.batch_tokens // recipe.config.n_ctx
    if rows % ranks:
        raise SettingsError(
            f"{rows} sequences a step cannot be shared by {ranks} processes; change --batch-tokens"
        )
    micro, reasons["micro_batch"] = _micro_batch(
        settings, recipe.config, device, rows // ranks, dtype, ranks
    )
    return Choices(device, dtype, compiled, micro, threads, reasons)


def device_of(wanted: str) -> str:
    """ "cuda" or "cpu"; SettingsError if a GPU is asked for and none is there."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise SettingsError("--device cuda: torch finds no GPU here; leave it out to use the CPU")
    return ("cuda" if torch.cuda.is_available() else "cpu") if wanted == "auto" else wanted


def _dtype(settings: TrainSettings, config: GPTConfig, device: str, ranks: int) -> tuple[str, str]:
    if settings.dtype == BF16_MASTER and (device != "cpu" or ranks > 1):
        raise SettingsError(f"--dtype {BF16_MASTER} is for one process on a CPU; take bfloat16")
    if settings.dtype != "auto":
        return settings.dtype, "as set"
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", "the GPU multiplies bf16"
        return "float32", "the GPU has no bf16; fp16 is not offered, it makes NaN"
    if not cpu_has_bf16():
        return "float32", "the CPU has no instructions for bf16"
    weights = config.parameters(embeddings=False)
    if weights < TINY_WEIGHTS:
        return "float32", "so small a model loses by bf16"
    if weights >= MASTER_WEIGHTS and ranks == 1:
        return BF16_MASTER, "the CPU multiplies bf16, and casting so many weights costs more"
    return "bfloat16", "the CPU multiplies bf16"


def cpu_has_bf16() -> bool:
    """Whether bf16 products are faster than fp32 here: AMX or AVX512_BF16."""
    return bool(torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported())


def _compile(
    settings: TrainSettings, recipe: Recipe, device: str, threads: int
) -> tuple[bool, str]:
    if settings.compile != "auto":
        return settings.compile == "on", "as set"
    if not has_compiler(device):
        return False, f"no {COMPILERS[device]} here"
    if device == "cuda":
        return True, "one block, compiled once for all layers"
    if recipe.config.parameters(embeddings=False) < TINY_WEIGHTS:
        return False, "so small a model gains nothing"
    hours = cost(recipe, sustained_flops(device, threads)).hours
    if hours is not None and hours < COMPILE_HOURS:
        return False, "the run is too short to pay for compiling"
    return True, "one block, compiled once for all layers"


def has_compiler(device: str) -> bool:
    """Whether torch.compile finds what it builds with."""
    if device == "cpu":
        return bool(shutil.which("c++") or shutil.which("g++"))
    header = Path(sysconfig.get_path("include"), "Python.h")
    compilers = [os.environ.get("CC"), shutil.which("gcc"), shutil.which("clang")]
    return header.is_file() and any(compilers)


def cores() -> int:
    """The cores of this process: those that torchrun starts on one machine share them."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def _micro_batch(
    settings: TrainSettings, config: GPTConfig, device: str, rows: int, dtype: str, ranks: int
) -> tuple[int, str]:
    """The most sequences of a pass that divide the batch of a rank and fit into memory."""
    if settings.micro_batch:
        if rows % settings.micro_batch:
            raise SettingsError(
                f"--micro-batch is {settings.micro_batch}; it must divide the {rows} of a step"
            )
        return settings.micro_batch, "as set"
    # One rank halves the micro-batch where memory runs out all the same; several do not.
    share = 0.4 if device == "cpu" else 0.85 if ranks == 1 else 0.8
    room = free_memory(device) * share

    def needed(n: int) -> int:
        return needs(settings, config, dtype, n, rows, ranks).total

    most = max(1, PASS_TOKENS[device] // config.n_ctx)
    fitting = (n for n in range(1, min(most, rows) + 1) if rows % n == 0 and needed(n) <= room)
    micro = max(fitting, default=1)
    return micro, f"about {needed(micro) / 1e9:.2f} GB of {room / 1e9:.0f} GB to be used"


def needs(
    settings: TrainSettings, config: GPTConfig, dtype: str, micro_batch: int, rows: int, ranks: int
) -> Memory:
    """What a rank holds that takes so many of its `rows` of a step in a pass."""
    split = ranks if settings.fsdp else 1
    # DDP's buckets are of the size of all gradients, which grow beside them until the last pass.
    twice = ranks > 1 and split == 1 and micro_batch < rows
    return memory(
        config, micro_batch, 4 if dtype == "float32" else 2, split=split,
        gradients=2 if twice else 1, recompute=settings.checkpoint_activations,
    )  # fmt: skip


def check_room(settings: TrainSettings, recipe: Recipe, choices: Choices, ranks: int) -> None:
    """SettingsError for a model that cannot be trained here, before its weights are drawn."""
    rows = recipe.batch_tokens // recipe.config.n_ctx // ranks
    held = needs(settings, recipe.config, choices.dtype, choices.micro_batch, rows, ranks)
    kept, room = held.weights + held.gradients + held.moments, free_memory(choices.device)
    if kept > room:
        raise SettingsError(
            f"{recipe.config.parameters():,} parameters take {kept / 1e9:,.1f} GB with their "
            f"gradients and moments, and {room / 1e9:,.1f} GB are free here: take a smaller "
            "--preset, or more GPUs by torchrun and --fsdp"
        )


def free_memory(device: str) -> int:
    """Bytes that can be had on the device: on Linux what /proc/meminfo calls available."""
    if device == "cuda":
        return int(torch.cuda.mem_get_info()[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 4 << 30
