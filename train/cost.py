"""What a step costs: FLOPs by one stated convention, and the peak of known devices."""

from train.config import GPTConfig

# Dense bf16 FLOP/s by NVIDIA's and AMD's data sheets (without sparsity), by a part of the name.
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10G": 70e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
    "MI300X": 1307e12,
}
CONVENTION = "6 x matmul weights with the true vocabulary + the causal half of attention"


def attended(config: GPTConfig, layer: int) -> float:
    """Mean number of positions that a position of this layer sees, itself included."""
    T, band = config.n_ctx, config.band
    dense = (T + 1) / 2
    if config.layer_pattern(layer) == "dense" or band >= T:
        return dense
    near = band * (1 - (band - 1) / (2 * T))
    far = (T - band) ** 2 / (2 * band * T) if config.layer_pattern(layer) == "strided" else 0.0
    return near + far


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
    return next((peak for part, peak in PEAKS.items() if part in device_name), None)
