"""How the C library handles freed memory, and what tells that there is none left."""

import contextlib
import ctypes
import re

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


def is_lack_of_memory(error: BaseException) -> bool:
    """Whether an error says that the system gave no more memory; PyTorch and others have no kind of their own for it.

    Example:
        >>> is_lack_of_memory(MemoryError()), is_lack_of_memory(RuntimeError("shapes do not fit"))
        (True, False)
    """
    told = r"can.?t allocate memory|cannot allocate memory|out of memory|can't start new thread"
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and re.search(told, str(error), re.IGNORECASE) is not None
    )
