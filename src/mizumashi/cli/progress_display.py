"""Progress on standard error: bars on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic

from mizumashi.utils.progress import Progress
from mizumashi.utils.text import for_terminal

QUIET = 10
"""Seconds between two plain lines of one task."""


@dataclass(frozen=True)
class _Begun:
    """When a task was first heard of, and how far it was: one that is resumed does not begin at 0."""

    at: float
    done: int

    def pace(self, done: int, total: int) -> str:
        """How fast it goes and how long it will take, as soon as that can be told."""
        passed, steps = monotonic() - self.at, done - self.done
        if steps < 1 or passed < 1 or done >= total:
            return ""
        rate = f"{steps / passed:.3g} a second, " if steps > passed else ""
        return f"({rate}{duration((total - done) * passed / steps)} left)"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best.

    Example:
        >>> duration(9.6), duration(600), duration(60_000)
        ('10 s', '10 min', '16.7 h')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


@contextmanager
def progress_on_stderr() -> Iterator[Progress]:
    """Give a progress function for the time of the block."""
    if not sys.stderr.isatty():
        yield _plain()
        return
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeElapsedColumn(),
        rich.TextColumn("{task.fields[pace]} {task.fields[note]}", markup=False),
    )
    with rich.Progress(*columns, console=Console(stderr=True)) as bars:
        known: dict[str, rich.TaskID] = {}
        begun: dict[str, _Begun] = {}

        def show(task: str, done: int, total: int, note: str) -> None:
            if task not in known:
                known[task] = bars.add_task(for_terminal(task), total=total, note="", pace="")
            if task not in begun or bars.tasks[known[task]].completed > done:  # it starts again, as for the next seed
                bars.reset(known[task])
                begun[task] = _Begun(monotonic(), done)
            pace = begun[task].pace(done, total)
            bars.update(known[task], completed=done, total=total, note=for_terminal(note), pace=pace)

        yield show


def _plain() -> Progress:
    """A line when a task ends, and every QUIET seconds before."""
    said: dict[str, float] = {}
    begun: dict[str, _Begun] = {}

    def show(task: str, done: int, total: int, note: str) -> None:
        start = begun.setdefault(task, _Begun(monotonic(), done))
        if done == total or monotonic() - said.setdefault(task, monotonic()) >= QUIET:
            said[task] = monotonic()
            told = f"{for_terminal(task)}: {done} of {total}"
            line = " ".join(word for word in (told, start.pace(done, total)) if word)
            if done == total:
                del said[task], begun[task]
            with suppress(OSError):  # work goes on where nobody can be told
                sys.stderr.write(f"{line}  {for_terminal(note)}".rstrip() + "\n")  # at once: a stop may come in between
                sys.stderr.flush()

    return show
