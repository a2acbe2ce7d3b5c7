"""What a run costs before it is started: memory by part, FLOPs by one stated convention, hours.

Plain arithmetic, no torch: other programs plan with it.
"""

import re
from dataclasses import dataclass

from train.config import GPTConfig, Recipe, strided_keys, strided_pays

# Dense bf16 FLOP/s by NVIDIA's and AMD's data sheets (without sparsity), by a part of the name.
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "A10G": 70e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "MI300X": 1307e12,
}
CONVENTION = "6 x matmul weights with the true vocabulary + the causal half of attention"


def attended(config: GPTConfig, layer: int) -> float:
    """Mean number of positions that a position of this layer is counted with, itself included.

    Those that it sees; a strided layer that is computed densely (`strided_pays`) counts as dense.
    """
    T, band, pattern = config.n_ctx, config.band, config.layer_pattern(layer)
    strided = pattern == "strided" and strided_pays(T, band)
    if band >= T or not (strided or pattern == "banded"):
        return (T + 1) / 2
    near = band - band * (band - 1) / (2 * T)
    rows, rest = divmod(T, band)
    far = band * rows * (rows - 1) // 2 + rows * rest if strided else 0
    return near + far / T


def flops_per_token(config: GPTConfig) -> float:
    """Training FLOPs of a token, forward and backward, by CONVENTION.

    A weight in a matrix product costs 6 (2 forward, 4 backward); the tied head counts once, looking
    up embeddings nothing. A pair of positions costs 12 a channel (scores and values).
    """
    width = config.n_embd
    weights = config.n_layer * 12 * width * width + width * config.vocab_size
    pairs = sum(attended(config, layer) for layer in range(config.n_layer))
    return 6.0 * weights + 12.0 * width * pairs


def peak_flops(device_name: str) -> float | None:
    """Dense bf16 FLOP/s of a device by its name; None where it is not known."""
    # Whole words: the L40 is no L4, the RTX A1000 no A100.
    named = (peak for part, peak in PEAKS.items() if re.search(rf"\b{part}\b", device_name))
    return next(named, None)


# Model FLOPs a second of one core in fp32: 37e9 at 4 layers x 128, 54e9 at 6 x 384, 63e9 at GPT-2
# small (AVX2, BENCHMARKS.md). The smallest, so that no run is promised too early.
CPU_CORE_FLOPS = 4e10
# The share of a GPU's peak that training reaches (llm.c on an H100: 38 % at 124M, 47 % at 1558M).
GPU_USE = 0.4


@dataclass(frozen=True)
class Memory:
    """Bytes on one device, by what they hold."""

    weights: int
    gradients: int
    moments: int  # AdamW's two
    activations: int  # kept from the forward to the backward pass
    logits: int  # of one chunk of the loss, and the head's gradient

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.moments + self.activations + self.logits


def memory(
    config: GPTConfig,
    micro_batch: int,
    item_bytes: int,
    *,
    recompute: bool = False,
    split: int = 1,
    gradients: int = 1,
) -> Memory:
    """The memory of training with fp32 weights; `item_bytes` are those of a matrix product.

    `recompute` keeps only the input of each block (activation checkpointing), and one block's rest.
    Where FSDP2 splits the model over `split` ranks, each has its part of weights and moments, the
    embeddings and two blocks in one piece (that at work and the next), and gradients in one piece,
    since they are summed over the ranks after the last pass of a step only. `gradients` is how many
    times they are there.
    """
    embeddings = (config.padded_vocab + config.n_ctx) * config.n_embd
    layers = config.parameters(embeddings=False)
    gathered = 4 * (embeddings + 2 * layers // config.n_layer) if split > 1 else 0
    weights = 4 * (config.parameters() + (config.padded_vocab - config.vocab_size) * config.n_embd)
    tokens = micro_batch * config.n_ctx
    # 34 bytes a channel at two bytes an item (Korthikanti et al. 2022, without the scores, which
    # fused attention does not keep).
    block = 17 * config.n_embd * item_bytes
    blocks = [block + _kept_by_attention(config, n, item_bytes) for n in range(config.n_layer)]
    kept = config.n_embd * 4 * config.n_layer + max(blocks) if recompute else sum(blocks)
    ends = 4 * config.n_embd * 4
    logits = min(tokens, 2048) * config.padded_vocab * 8 + 4 * config.padded_vocab * config.n_embd
    return Memory(
        weights=weights // split + gathered,
        gradients=gradients * weights,
        moments=2 * weights // split,
        activations=tokens * (kept + ends),
        logits=logits,
    )


def _kept_by_attention(config: GPTConfig, layer: int, item_bytes: int) -> int:
    """Bytes a token that a sparse layer keeps beside those of a dense one (see model.py).

    Copies of what neighbouring blocks share, and of a strided layer its shares, in fp32 and as they
    are multiplied.
    """
    T, band, pattern = config.n_ctx, config.band, config.layer_pattern(layer)
    channel = config.n_embd * item_bytes
    if pattern == "banded" and band < T:
        return 5 * channel
    if pattern == "strided" and strided_pays(T, band):
        share = item_bytes if item_bytes == 4 else 4 + item_bytes
        return 8 * channel + config.n_head * strided_keys(T, band) * share
    return 0


@dataclass(frozen=True)
class Cost:
    """What a recipe needs in all. `hours` is an estimate, None where the device is not known."""

    tokens: int
    flops: float
    hours: float | None


def cost(recipe: Recipe, flops_per_s: float | None) -> Cost:
    """The whole run at a speed that a device sustains."""
    tokens = recipe.steps * recipe.batch_tokens
    flops = tokens * flops_per_token(recipe.config)
    return Cost(tokens, flops, flops / flops_per_s / 3600 if flops_per_s else None)


def sustained_flops(device_name: str, threads: int) -> float | None:
    """FLOP/s that training is expected to reach: on "cpu" by cores, else by the data sheet."""
    if device_name == "cpu":
        return CPU_CORE_FLOPS * threads
    peak = peak_flops(device_name)
    return GPU_USE * peak if peak else None
