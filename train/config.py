"""The shape of a GPT and the recipes that are known by name. Plain Python: no torch here.

Names are GPT-2's (n_layer, n_head, n_embd, n_ctx). The learning rates, betas and warm-up of GPT-2
were never published; presets of its sizes take GPT-3's table (Brown et al. 2020, table 2.1) with
GPT-2's batch of 512 sequences of 1,024 tokens.
"""

from dataclasses import dataclass
from typing import Literal

Pattern = Literal["dense", "banded", "strided"]
# A pair of positions costs strided attention so many times what it costs fused dense attention
# under a mask, forward and backward (one thread, AVX2): it keeps its scores, a fused kernel none.
STRIDED_PAIR = 4


def queries_of_a_block(band: int) -> int:
    """How many queries of a strided layer share their near keys, which are `band` more."""
    return band if band % 2 else band // 2  # halves: a third less of what masks throw away


def strided_keys(T: int, band: int) -> int:
    """The keys with which a query of a strided layer is multiplied: near ones, and its column."""
    return band + queries_of_a_block(band) + -(-T // band)


def strided_pays(T: int, band: int) -> bool:
    """Whether a strided layer is computed as such; else densely, under its mask."""
    return band < T and STRIDED_PAIR * strided_keys(T, band) < T


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a model: everything that decides the size of a weight or what is computed."""

    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    n_ctx: int = 1024
    vocab_size: int = 50_257
    # Rows of the embedding are padded to a multiple (tensor cores like 64); the added rows are
    # masked in the loss, get no gradient, and are cut off on export.
    vocab_multiple: int = 128
    norm: Literal["pre", "post"] = "pre"  # post: GPT-1, without a final norm
    # Odd layers of `banded` see the last `band` positions only (GPT-3, width unpublished, 256 is
    # GPT-Neo's); of `strided`, besides these, every band-th position (Child et al. 2019).
    attention: Pattern = "dense"
    band: int = 256
    qkv_bias: bool = True
    dropout: float = 0.0
    init_std: float = 0.02
    position_std: float = 0.01  # of the learned positions, as in OpenAI's code
    norm_eps: float = 1e-5

    @property
    def padded_vocab(self) -> int:
        """Rows of the embedding matrix."""
        return -(-self.vocab_size // self.vocab_multiple) * self.vocab_multiple

    @property
    def head_width(self) -> int:
        """Channels of one attention head."""
        return self.n_embd // self.n_head

    def layer_pattern(self, layer: int) -> Pattern:
        """What this layer (from 0) may see: GPT-3 alternates dense and sparse layers."""
        return self.attention if layer % 2 == 1 else "dense"

    def parameters(self, *, embeddings: bool = True) -> int:
        """Weights of the model without the padding; the tied head counts once."""
        width, layers = self.n_embd, self.n_layer
        block = 12 * width * width + 13 * width - (0 if self.qkv_bias else 3 * width)
        final_norm = 2 * width if self.norm == "pre" else 0
        tables = (self.vocab_size + self.n_ctx) * width if embeddings else 0
        return layers * block + final_norm + tables


@dataclass(frozen=True)
class Recipe:
    """A model and how it is trained when nothing else is said."""

    config: GPTConfig
    steps: int
    batch_tokens: int  # of one optimizer step, over all ranks and micro-batches
    lr: float
    warmup_steps: int
    paper: str = ""  # the size that the paper gives, where it differs from what one counts


GPT2_BATCH = 512 * 1024  # GPT-2 paper, 2.3: batch size 512, context 1,024
# The number of steps is not published. 9 G tokens of WebText are 17,166 steps an epoch; about
# 10 G tokens is also what llm.c's reproduction of the 124M model takes.
GPT2_STEPS = 19_073
# GPT-3 (Brown et al. 2020, table 2.1 and appendix B): 300 G tokens in sequences of 2,048, warm-up
# over 375 M, dense and locally banded layers in turn; the band's width is not published.
GPT3_TOKENS, GPT3_WARMUP = 300 * 10**9, 375 * 10**6


def _gpt3(n_layer: int, n_head: int, n_embd: int, sequences: int, lr: float, paper: str) -> Recipe:
    batch = 2048 * sequences
    config = GPTConfig(n_layer, n_head, n_embd, 2048, attention="banded")
    return Recipe(config, -(-GPT3_TOKENS // batch), batch, lr, -(-GPT3_WARMUP // batch), paper)


PRESETS: dict[str, Recipe] = {
    # 0.4 M tokens: about a minute on two cores at a vocabulary of 8,192.
    "demo": Recipe(GPTConfig(4, 4, 128, 128), 200, 2_048, 3e-3, 20),
    "cpu": Recipe(GPTConfig(6, 6, 192, 256), 2_000, 8_192, 1e-3, 100),
    "gpt2": Recipe(GPTConfig(), GPT2_STEPS, GPT2_BATCH, 6e-4, 700, "117M"),
    "gpt2-medium": Recipe(GPTConfig(24, 16, 1024), GPT2_STEPS, GPT2_BATCH, 3e-4, 700, "345M"),
    "gpt2-large": Recipe(GPTConfig(36, 20, 1280), GPT2_STEPS, GPT2_BATCH, 2.5e-4, 700, "762M"),
    "gpt2-xl": Recipe(GPTConfig(48, 25, 1600), GPT2_STEPS, GPT2_BATCH, 2e-4, 700, "1542M"),
    # GPT-1 (Radford et al. 2018, 4.1): 64 sequences of 512, rate 2.5e-4 after 2,000 steps, dropout
    # 0.1, all weights N(0, 0.02); 100 epochs of BooksCorpus are not repeated here.
    "gpt1": Recipe(
        GPTConfig(12, 12, 768, 512, 40_478, norm="post", dropout=0.1, position_std=0.02),
        GPT2_STEPS, 64 * 512, 2.5e-4, 2_000, "117M",
    ),
    # By the paper's own tables two sizes cannot be: "XL" has 24 heads of 128 at width 2,048, where
    # 16 fit, and "13B" a width of 5,140, where 40 heads of 128 are 5,120. Batches of 0.5, 1, 2 and
    # 3.2 M tokens are sequences of 2,048 here.
    "gpt3-small": _gpt3(12, 12, 768, 256, 6e-4, "125M"),
    "gpt3-medium": _gpt3(24, 16, 1024, 256, 3e-4, "350M"),
    "gpt3-large": _gpt3(24, 16, 1536, 256, 2.5e-4, "760M"),
    "gpt3-xl": _gpt3(24, 16, 2048, 512, 2e-4, "1.3B"),
    "gpt3-2.7b": _gpt3(32, 32, 2560, 512, 1.6e-4, "2.7B"),
    "gpt3-6.7b": _gpt3(32, 32, 4096, 1024, 1.2e-4, "6.7B"),
    "gpt3-13b": _gpt3(40, 40, 5120, 1024, 1e-4, "13B"),
    "gpt3-175b": _gpt3(96, 96, 12288, 1600, 6e-5, "175B"),
}  # fmt: skip
