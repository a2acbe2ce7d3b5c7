"""An order of n things that is computed where it is needed, and never stored."""

import hashlib

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def _mix(x: npt.NDArray[np.uint64], key: int) -> npt.NDArray[np.uint64]:
    """SplitMix64's finalizer (Steele et al. 2014) of x under a key."""
    x = x ^ np.uint64(key)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Permutation:
    """A keyed bijection of range(n) with O(1) memory.

    A balanced Feistel network over the next power of four; values past n are sent through again
    until they fall inside ("cycle walking", Black and Rogaway 2002): under four rounds on average.
    """

    ROUNDS = 6  # four are enough to look random (Luby and Rackoff); two more cost nothing here

    def __init__(self, n: int, *key: int) -> None:
        self.n = n
        self.half_bits = max(1, ((n - 1).bit_length() + 1) // 2)
        digest = hashlib.blake2b(repr(key).encode(), digest_size=8 * self.ROUNDS).digest()
        self.keys = [int.from_bytes(digest[i : i + 8], "little") for i in range(0, len(digest), 8)]

    def __call__(self, index: Ints) -> Ints:
        """The images of indices in range(n)."""
        x = self._rounds(index.astype(np.uint64))
        outside = x >= self.n
        while outside.any():
            x[outside] = self._rounds(x[outside])
            outside = x >= self.n
        return x.astype(np.int64)

    def _rounds(self, x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        bits, mask = np.uint64(self.half_bits), np.uint64((1 << self.half_bits) - 1)
        left, right = x >> bits, x & mask
        for key in self.keys:
            left, right = right, left ^ (_mix(right, key) & mask)
        return (left << bits) | right
