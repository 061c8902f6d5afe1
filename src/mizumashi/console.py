"""Progress on standard error: bars on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from mizumashi.progress import Progress

QUIET = 10
"""Seconds between two plain lines of one task."""


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
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.fields[note]}", markup=False),
    )
    with rich.Progress(*columns, console=Console(stderr=True)) as bars:
        known: dict[str, rich.TaskID] = {}

        def show(task: str, done: int, total: int, note: str) -> None:
            if task not in known:
                known[task] = bars.add_task(task, total=total, note=note)
            if bars.tasks[known[task]].completed > done:  # the task starts again, as for the next seed
                bars.reset(known[task])
            bars.update(known[task], completed=done, total=total, note=note)

        yield show


def _plain() -> Progress:
    """A line when a task ends, and every QUIET seconds before."""
    said: dict[str, float] = {}

    def show(task: str, done: int, total: int, note: str) -> None:
        if done == total or monotonic() - said.setdefault(task, monotonic()) >= QUIET:
            said[task] = monotonic()
            if done == total:
                del said[task]
            print(f"{task}: {done} of {total}  {note}".rstrip(), file=sys.stderr, flush=True)

    return show
