"""What every reader promises of any input, and a judge of one input: was the promise kept?

The promise: a result, or an `InputError` of one line; no warning; within a second; with no more memory at any
moment than 4 times the input and 64 MiB.
"""

import contextlib
import ctypes
import re
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mizumashi.errors import InputError

SECONDS = 1.0
TIMES_THE_INPUT = 4
FREE_BYTES = 64 * 2**20

Target = Callable[[bytes, Path], None]
"""Gives the content of one file to a reader; the folder is empty or holds what the target left there before."""


@dataclass(frozen=True)
class Broken:
    """A promise that an input broke: which, where in the code, and how. Equal kinds and places are one finding."""

    kind: str
    place: str
    how: str


def read_or_refuse(read: Callable[[], object]) -> None:
    """Call a reader; an `InputError` is an answer, if it is one line and no allocation failed behind it."""
    try:
        read()
    except InputError as error:
        refusal: BaseException | None = error
    else:
        return
    assert len(str(refusal).splitlines()) == 1, f"a refusal of several lines: {refusal}"
    assert not re.search("allocate|memory", str(refusal)), f"an allocation failed: {refusal}"
    while refusal is not None:
        # Python's parser says MemoryError of deep nesting, too: NumPy's headers are parsed by it.
        parsed = any(frame.name == "literal_eval" for frame in traceback.extract_tb(refusal.__traceback__))
        assert not isinstance(refusal, MemoryError) or parsed, "an allocation failed"
        refusal = refusal.__cause__


def judge(target: Target, content: bytes, folder: Path) -> Broken | None:
    """Give one input to a target and say which promise it broke, if any."""
    allowed = FREE_BYTES + TIMES_THE_INPUT * len(content)
    peak_before, size_before = virtual_memory()
    start = time.process_time()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            target(content, folder)
        except BaseException as error:
            return Broken("crash", _place(error), str(error)[:300])
    seconds = time.process_time() - start
    peak, _ = virtual_memory()
    if said:
        return Broken("warning", f"{Path(said[0].filename).name}:{said[0].lineno}", str(said[0].message)[:300])
    if seconds > SECONDS:
        return Broken("slow", "", f"{seconds:.1f} s")
    if peak > peak_before and peak - size_before > allowed:
        return Broken("memory", "", f"{(peak - size_before) / 2**20:.0f} MiB for {len(content)} bytes")
    return None


def virtual_memory() -> tuple[int, int]:
    """The largest and the present size of this process's address space in bytes; zeros where Linux is not.

    Every block counts, whoever asks for it (NumPy, Pillow, PyTorch, zlib) and whether it is touched or not. The
    largest size never falls, so only a process that is fresh when the work begins is measured sharply.
    """
    with contextlib.suppress(OSError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        sizes = dict(line.split(":", 1) for line in status.splitlines())
        return int(sizes["VmPeak"].split()[0]) * 1024, int(sizes["VmSize"].split()[0]) * 1024
    return 0, 0


def count_every_block() -> None:
    """Ask glibc to give freed blocks back at once, so that none hides in memory that was freed before."""
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option in (-3, -1, -2):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD of malloc.h
            mallopt(option, 2**17)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "mizumashi" in frame.filename] or frames
    places = {f"{Path(frame.filename).name}:{frame.name}": None for frame in (own[-1], frames[-1])}
    return f"{type(error).__name__} in {', '.join(places)}"
