"""Memory for PyTorch on a CPU, as a user who cares for speed sets it up."""

import ctypes


def keep_freed_memory() -> None:
    """Has glibc keep large blocks for reuse, which it else maps and unmaps each time: 5 to 10 per cent on CPU.

    What jemalloc or tcmalloc are preloaded for, without installing either. The constants are those of malloc.h.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 64 << 20)
