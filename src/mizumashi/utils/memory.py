"""How the C library handles freed memory."""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h


def keep_freed_memory() -> None:
    """Ask glibc to keep freed memory for the next tensor instead of giving it back to the system.

    Networks free and allocate the same large blocks at every step; by default each block is given back and its
    pages are faulted in again, which costs more than some of the arithmetic. Results do not change. The command
    line calls this; elsewhere it is the host program's choice. Without glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, bytes_ in (
            (_M_MMAP_THRESHOLD, 1 << 30),
            (_M_TRIM_THRESHOLD, (1 << 31) - 1),
            (_M_TOP_PAD, 1 << 26),
        ):
            mallopt(option, bytes_)
