"""Freed memory stays with the process, where the C library is glibc.

By default glibc gives every tensor of over 32 MB back to the system when it is freed, and the end
of the heap too. A step on a CPU frees and takes hundreds of megabytes: all of it is handed out
anew, page by page, zeroed. At GPT-2 small that is a tenth of the step (BENCHMARKS.md). To do
without it, delete this file, its test, and the calls in start.py and benchmarks/benchmark.py.
"""

import ctypes

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
INT_MAX = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to hold on to what is freed; False where there is no such thing.

    The process then stays as large as it once was, which a trainer is anyway.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, INT_MAX))
