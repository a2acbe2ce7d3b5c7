"""GPT-2, and by configuration GPT-1 (post-norm) and GPT-3 (banded layers), in one file.

Axes: B batch, T time, C channels, H heads, D head width, V (padded) vocabulary; of sparse layers
W band, N rows of W positions, M blocks of S queries, K keys of a block.
Parameters are named as in OpenAI's GPT-2, so that import and export rename nothing.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)
from torch.utils.checkpoint import checkpoint

from train.config import GPTConfig, Pattern, queries_of_a_block, strided_pays
from train.tree import Tree


class LayerCache:
    """Keys and values of one layer for the tokens seen so far, preallocated for `total` of them."""

    def __init__(self, config: GPTConfig, rows: int, total: int, like: Tensor) -> None:
        shape = (rows, config.n_head, total, config.head_width)
        self.k_BHTD = torch.empty(shape, device=like.device, dtype=like.dtype)
        self.v_BHTD = torch.empty_like(self.k_BHTD)
        self.length = 0
        self.padding_BT: Tensor | None = None  # True where a prompt was filled up

    def append(self, k_BHTD: Tensor, v_BHTD: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values up to and with the new ones."""
        start, self.length = self.length, self.length + k_BHTD.shape[2]
        self.k_BHTD[:, :, start : self.length] = k_BHTD
        self.v_BHTD[:, :, start : self.length] = v_BHTD
        return self.k_BHTD[:, :, : self.length], self.v_BHTD[:, :, : self.length]


def allowed(query: Tensor, key: Tensor, pattern: Pattern, band: int) -> Tensor:
    """Which key positions each query position may see: the one definition of every pattern."""
    causal = key <= query
    if pattern == "dense":
        return causal
    near = causal & (key > query - band)
    if pattern == "banded":
        return near
    # The strided drawing of Child et al. 2019, figure 3b: the band and every band-th before it.
    return near | (causal & ((query - key) % band == 0))


def attend(
    q_BHTD: Tensor, k_BHTD: Tensor, v_BHTD: Tensor, pattern: Pattern, band: int, dropout: float
) -> Tensor:
    """Attention of whole sequences by one pattern.

    Banded layers cost O(T x band), strided ones O(T x (band + T / band)) where `strided_pays`.
    """
    T = q_BHTD.shape[2]
    if pattern == "dense" or band >= T:
        return F.scaled_dot_product_attention(
            q_BHTD, k_BHTD, v_BHTD, is_causal=True, dropout_p=dropout
        )
    if pattern == "banded":
        return _attend_banded(q_BHTD, k_BHTD, v_BHTD, band, dropout)
    if strided_pays(T, band):
        return _attend_strided(q_BHTD, k_BHTD, v_BHTD, band, dropout)
    at = torch.arange(T, device=q_BHTD.device)
    mask = allowed(at[:, None], at[None], pattern, band)
    return F.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD, attn_mask=mask, dropout_p=dropout)


def _attend_banded(q: Tensor, k: Tensor, v: Tensor, band: int, dropout: float) -> Tensor:
    """Blocks of `band` queries see their own block and the one before: exact, with plain SDPA."""
    B, H, T, D = q.shape
    fill = -T % band
    q, k, v = (F.pad(x, (0, 0, 0, fill)) for x in (q, k, v))
    N = (T + fill) // band

    def pairs(x: Tensor) -> Tensor:
        blocks = x.reshape(B, H, N, band, D)
        before = F.pad(blocks[:, :, :-1], (0, 0, 0, 0, 1, 0))
        return torch.cat((before, blocks), 3).reshape(B, H * N, 2 * band, D)

    query = torch.arange(band, device=q.device)[:, None]
    key = torch.arange(2 * band, device=q.device)[None] - band
    mask = allowed(query, key, "banded", band)
    masks = mask.expand(N, band, 2 * band).clone()
    masks[0] &= key >= 0  # the first block has none before it
    y = F.scaled_dot_product_attention(
        q.reshape(B, H * N, band, D), pairs(k), pairs(v),
        attn_mask=masks.repeat(H, 1, 1)[None], dropout_p=dropout,
    )  # fmt: skip
    return y.reshape(B, H, N * band, D)[:, :, :T]


def _attend_strided(q: Tensor, k: Tensor, v: Tensor, band: int, dropout: float) -> Tensor:
    """One softmax over the keys of the band and those of the column, exact and without SDPA.

    Positions written as N rows of `band` have what a query sees far away in its own column, in the
    rows above; each column is a short attention of its own. Near keys come by blocks of S queries,
    as in `_attend_banded`. A query sees itself among the near ones, so no softmax is empty.
    """
    B, H, T, D = q.shape
    S = queries_of_a_block(band)
    fill = -T % band
    q, k, v = (F.pad(x, (0, 0, 0, fill)) for x in (q * D**-0.5, k, v))
    N, M = (T + fill) // band, (T + fill) // S

    def windows(x: Tensor) -> Tensor:
        blocks = F.pad(x, (0, 0, band, 0)).reshape(B, H, -1, S, D)
        return torch.cat([blocks[:, :, i : i + M] for i in range(band // S + 1)], 3)

    def columns(x: Tensor) -> Tensor:
        return x.reshape(B, H, N, band, -1).transpose(2, 3)

    near_BHMSK = q.reshape(B, H, M, S, D) @ windows(k).transpose(-1, -2)
    far_BHWNN = columns(q) @ columns(k).transpose(-1, -2)
    far_BHMSN = far_BHWNN.transpose(2, 3).reshape(B, H, M, S, N)
    start_M11 = torch.arange(0, N * band, S, device=q.device)[:, None, None]
    query_MS1 = start_M11 + torch.arange(S, device=q.device)[:, None]
    key_M1K = start_M11 + torch.arange(-band, S, device=q.device)
    near_MSK = allowed(query_MS1, key_M1K, "banded", band) & (key_M1K >= 0)
    far_MSN = torch.arange(N, device=q.device) < query_MS1 // band
    scores = torch.cat((near_BHMSK, far_BHMSN), -1)
    scores = scores.masked_fill(~torch.cat((near_MSK, far_MSN), -1), -torch.inf)
    shares = scores.softmax(-1, dtype=torch.float32).to(v.dtype)
    shares = F.dropout(shares, dropout) if dropout else shares
    # Slices and no split(): of that, torch 2.13's Inductor makes wrong gradients (a test compares).
    y = (shares[..., : band + S] @ windows(v)).reshape(B, H, N * band, D)
    far_BHWND = columns(shares[..., band + S :]) @ columns(v)
    return (y + far_BHWND.transpose(2, 3).reshape(B, H, N * band, D))[:, :, :T]


class Attention(nn.Module):
    """Causal self-attention, its pattern by the number of the layer."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.config = config
        self.pattern = config.layer_pattern(layer)
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.qkv_bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd)

    def forward(self, x_BTC: Tensor, cache: LayerCache | Tree | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C); with a cache, x holds the positions after the cached ones.

        With a tree, each place sees its ancestors.
        """
        B, T, C = x_BTC.shape
        config = self.config
        qkv = self.c_attn(x_BTC).view(B, T, 3, config.n_head, config.head_width)
        q_BHTD, k_BHTD, v_BHTD = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = config.dropout if self.training else 0.0
        if cache is None:
            y_BHTD = attend(q_BHTD, k_BHTD, v_BHTD, self.pattern, config.band, dropout)
        elif isinstance(cache, Tree):
            depth_BT = cache.at
            mask_BTT = cache.sees & allowed(
                depth_BT[:, :, None], depth_BT[:, None], self.pattern, config.band
            )
            y_BHTD = F.scaled_dot_product_attention(
                q_BHTD, k_BHTD, v_BHTD, attn_mask=mask_BTT[:, None]
            )
        else:
            y_BHTD = self._attend_cached(q_BHTD, k_BHTD, v_BHTD, cache)
        y_BTC = self.c_proj(y_BHTD.transpose(1, 2).reshape(B, T, C))
        return F.dropout(y_BTC, dropout) if dropout else y_BTC

    def _attend_cached(self, q: Tensor, k: Tensor, v: Tensor, cache: LayerCache) -> Tensor:
        start = cache.length
        k, v = cache.append(k, v)
        padding = cache.padding_BT
        if padding is None and start == 0:
            return attend(q, k, v, self.pattern, self.config.band, 0.0)
        if padding is None and self.pattern == "dense" and q.shape[2] == 1:
            return F.scaled_dot_product_attention(q, k, v)
        query = torch.arange(start, cache.length, device=q.device)[:, None]
        key = torch.arange(cache.length, device=q.device)[None]
        mask = allowed(query, key, self.pattern, self.config.band)
        if padding is not None:
            # A padded position sees itself: a row without any key would become NaN.
            mask = (mask & ~padding[:, None, None, : cache.length]) | (query == key)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class MLP(nn.Module):
    """Two matrices around GELU in its tanh form, as in OpenAI's code."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd)
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd)
        self.dropout = config.dropout

    def forward(self, x_BTC: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        y_BTC = self.c_proj(F.gelu(self.c_fc(x_BTC), approximate="tanh"))
        return F.dropout(y_BTC, self.dropout) if self.training and self.dropout else y_BTC


class Block(nn.Module):
    """Attention and MLP, each with a residual and a norm before (GPT-2) or after it (GPT-1)."""

    def __init__(self, config: GPTConfig, layer: int) -> None:
        super().__init__()
        self.pre_norm = config.norm == "pre"
        self.ln_1 = nn.LayerNorm(config.n_embd, config.norm_eps)
        self.attn = Attention(config, layer)
        self.ln_2 = nn.LayerNorm(config.n_embd, config.norm_eps)
        self.mlp = MLP(config)
        self.recomputed = False  # in the backward pass, rather than kept (activation checkpointing)

    def forward(self, x_BTC: Tensor, cache: LayerCache | Tree | None = None) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        # Here and not around the block: a compiled block has it in its graph, and FSDP's hooks,
        # which would break that graph, stay outside.
        if self.recomputed and self.training:
            return checkpoint(self._forward, x_BTC, use_reentrant=False)
        return self._forward(x_BTC, cache)

    def _forward(self, x_BTC: Tensor, cache: LayerCache | Tree | None = None) -> Tensor:
        if self.pre_norm:
            x_BTC = x_BTC + self.attn(self.ln_1(x_BTC), cache)
            return x_BTC + self.mlp(self.ln_2(x_BTC))
        x_BTC = self.ln_1(x_BTC + self.attn(x_BTC, cache))
        return self.ln_2(x_BTC + self.mlp(x_BTC))


class GPT(nn.Module):
    """The decoder with its tied head. Weights are drawn by `reset_parameters(seed)`."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config = config
        self.compiled = False
        norm = nn.LayerNorm(config.n_embd, config.norm_eps)
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(config.padded_vocab, config.n_embd),
                "wpe": nn.Embedding(config.n_ctx, config.n_embd),
                "h": nn.ModuleList(Block(config, layer) for layer in range(config.n_layer)),
                "ln_f": norm if config.norm == "pre" else nn.Identity(),
            }
        )

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Draw all weights anew, on the CPU, so that they depend on the seed and no device."""
        config = self.config
        generator = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0 if ".ln_" in name and name.endswith("weight") else 0.0)
                continue
            std = config.position_std if name.endswith("wpe.weight") else config.init_std
            if config.norm == "pre" and name.endswith("c_proj.weight"):
                # "We scale the weights of residual layers at initialization by 1/sqrt(N) where N
                # is the number of residual layers" (GPT-2 paper, 2.3): two a block.
                std /= math.sqrt(2 * config.n_layer)
            values = torch.empty(parameter.shape).normal_(0.0, std, generator=generator)
            parameter.copy_(values)
        self.head_weight[config.vocab_size :].zero_()

    def compile_blocks(self) -> None:
        """Compile the blocks for training: one graph serves all layers of a kind."""
        import torch._dynamo  # takes two seconds

        self.compiled = True
        # A block is small enough for DDP to overlap its sums with: it must not be cut further.
        torch._dynamo.config.optimize_ddp = False
        for block in self.blocks:
            block.compile(dynamic=False)  # a halved micro-batch is compiled anew, as exactly

    def recompute_blocks(self) -> None:
        """Keep only the input of each block for the backward pass, which computes the rest anew."""
        for block in self.blocks:
            block.recomputed = True  # type: ignore[assignment]

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers, first to last."""
        return self.transformer["h"]  # type: ignore[return-value]

    @property
    def head_weight(self) -> Tensor:
        """(V, C): the token embedding, which is also the head."""
        return self.transformer["wte"].weight  # type: ignore[return-value]

    def hidden(
        self, ids_BT: Tensor, caches: list[LayerCache] | None = None, at_BT: Tensor | None = None
    ) -> Tensor:
        """(B, T) token ids -> (B, T, C) after the last norm.

        `at_BT` gives the positions where they are not 0, 1, 2 … after the cached ones.
        """
        if not self.compiled or (self.training and not caches):
            return self._hidden(ids_BT, caches, at_BT)
        # Compiled blocks are for training: these shapes are others, and few. Asked for only where
        # it matters, since it imports the compiler, which takes two seconds.
        with torch.compiler.set_stance("force_eager"):
            return self._hidden(ids_BT, caches, at_BT)

    def _hidden(
        self, ids_BT: Tensor, caches: list[LayerCache] | None, at_BT: Tensor | None
    ) -> Tensor:
        parts = self.transformer
        if at_BT is None:
            start = caches[0].length if caches else 0
            at_BT = torch.arange(start, start + ids_BT.shape[1], device=ids_BT.device)
        x_BTC = parts["wte"](ids_BT) + parts["wpe"](at_BT)
        if self.training and self.config.dropout:
            x_BTC = F.dropout(x_BTC, self.config.dropout)
        for layer, block in enumerate(self.blocks):
            x_BTC = block(x_BTC, caches[layer] if caches else None)
        return parts["ln_f"](x_BTC)

    def hidden_of_tree(self, ids_BT: Tensor, tree: Tree) -> Tensor:
        """(B, T) ids of texts that share their beginnings -> (B, T, C) after the last norm."""
        return self.hidden(ids_BT, [tree] * self.config.n_layer, tree.at)  # type: ignore[list-item]

    def logits(self, h_BTC: Tensor) -> Tensor:
        """(…, C) -> logits over the true vocabulary."""
        return F.linear(h_BTC, self.head_weight)[..., : self.config.vocab_size]

    def forward(self, ids_BT: Tensor) -> Tensor:
        """(B, T) token ids -> (B, T, vocab_size) logits. The loss takes `hidden` (see loss.py)."""
        return self.logits(self.hidden(ids_BT))
