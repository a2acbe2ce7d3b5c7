"""MinHash signatures of shingle sets, equal to datasketch's: for indexes of other programs."""

from functools import cache

import numpy as np

from pipeline.corpus.shingles import U32, ShingleSets, shingle_sets

N_PERM = 128  # permutations of a signature: datasketch's default
_FMIX32 = (0x85EBCA6B, 0xC2B2AE35)  # of MurmurHash3's 32-bit finalizer
_BATCH_SHINGLES = 1 << 15  # such arrays stay in a core's cache; twice or half as many is as fast


def signatures(sets: ShingleSets) -> U32:
    """MinHash signatures, shape (texts, 128): those of `datasketch.MinHash(128)` (`affine32`).

    The 32-bit hash of a shingle is the upper half of its 64 bits. An empty set has all bits set.
    """
    a, b = _permutations()
    signed = np.full((len(sets), N_PERM), 0xFFFFFFFF, np.uint32)
    first = int(sets.offsets[0])
    mixed = _fmix32((sets.hashes[first : sets.offsets[-1]] >> np.uint64(32)).astype(np.uint32))
    filled = np.flatnonzero(np.diff(sets.offsets))
    starts, ends = sets.offsets[:-1][filled] - first, sets.offsets[1:][filled] - first
    low = 0
    while low < len(filled):
        high = int(np.searchsorted(ends, starts[low] + _BATCH_SHINGLES, side="right"))
        high = max(high, low + 1)
        block = mixed[starts[low] : ends[high - 1]]
        cuts = starts[low:high] - starts[low]
        values = np.empty_like(block)
        minima = np.empty((N_PERM, high - low), np.uint32)
        for k in range(N_PERM):
            np.multiply(block, a[k], out=values)
            np.add(values, b[k], out=values)
            np.minimum.reduceat(values, cuts, out=minima[k])
        signed[filled[low:high]] = minima.T
        low = high
    return signed


def signature(text: str) -> U32:
    """The signature of one text, shape (128,): to ask signatures of other texts with.

    They are compared with each other alone: in datasketch by
    `MinHash(num_perm=128, hashvalues=..., scheme="affine32")`, before its 2.0 without a scheme.
    """
    made: U32 = signatures(shingle_sets([text]))[0]
    return made


@cache
def _permutations() -> tuple[U32, U32]:
    """The parameters of `datasketch.MinHash(128, seed=1)`: odd factors and offsets."""
    generator = np.random.RandomState(1)
    factors = generator.randint(0, 1 << 31, N_PERM, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, generator.randint(0, 1 << 32, N_PERM, dtype=np.uint32)


def _fmix32(values: U32) -> U32:
    """MurmurHash3's 32-bit finalizer."""
    mixed = values ^ (values >> np.uint32(16))
    mixed *= np.uint32(_FMIX32[0])
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(_FMIX32[1])
    mixed ^= mixed >> np.uint32(16)
    return mixed
