"""Memory of our own processes: what is not loaded, and what is given back."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGE_BYTES = 256 << 10


class Without:
    """A finder that lets imports of some modules fail, as where they are not installed."""

    def __init__(self, *modules: str) -> None:
        self._modules = frozenset(modules)

    def find_spec(self, name: str, *_: object) -> None:
        """Nothing for all other modules."""
        if name in self._modules:
            raise ModuleNotFoundError(f"{name} is of no use here", name=name)


@contextmanager
def without(*modules: str) -> Iterator[None]:
    """Have libraries do without these modules, which they would load if they are there."""
    finder = Without(*modules)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def spare_pandas() -> None:
    """Have pyarrow do without pandas: it looks for it once, at its first array.

    No row needs it, and it takes 0.2 CPU-seconds and 25 MB.
    """
    import pyarrow as pa

    with without("pandas"):
        pa.array([0])


def keep_little() -> None:
    """Have C's allocator give large blocks back as they are freed, from now on.

    Its own limit grows with what is freed, up to 32 MB (mallopt(3)): blocks below it lie among
    small ones, and their place stays ours.
    """
    if libc := _glibc():
        libc.mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, 2 * LARGE_BYTES)


def give_back() -> None:
    """Give free memory to the system: the allocators of Arrow and of C keep what was freed."""
    if pa := sys.modules.get("pyarrow"):
        pa.default_memory_pool().release_unused()
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is the one with these functions."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
