"""Trainings side by side: few threads of computation each, as many trainings at a time as there are cores."""

import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import TypeVar

from mizumashi.utils.progress import Progress, silent

Result = TypeVar("Result")

MOST_AT_ONCE = 8
"""Trainings at a time on however many cores: each holds a training set."""


def at_once() -> int:
    """How many trainings this process does at a time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_AT_ONCE)


def side_by_side(
    tasks: Sequence[Callable[[Progress], Result]], *, threads: int = 1, progress: Progress = silent
) -> Generator[Result, None, None]:
    """Do tasks, several at a time, and give their results in the order of the tasks.

    Every task computes on as many threads as told, so that its bits do not depend on the number of cores. Two small
    networks on two cores take less time beside each other than one after the other on both.

    Args:
        tasks: each calls the progress function that it is given now and then; when the results are no longer wanted,
            that raises `InterruptedError`.
        threads: of each task's computation.
        progress: called by one task at a time, with what that says.

    Raises:
        Exception: whatever a task raises, when its turn comes; the others are ended.

    Example:
        >>> list(side_by_side([lambda progress: 1, lambda progress: 2]))
        [1, 2]
    """
    import torch

    unwanted, speaking = Event(), Lock()

    def watched(task: str, done: int, total: int, note: str) -> None:
        if unwanted.is_set():
            raise InterruptedError(f"{task}: the result is no longer wanted")
        with speaking:
            progress(task, done, total, note)

    before = torch.get_num_threads()
    with ThreadPoolExecutor(at_once(), initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        futures = [pool.submit(task, watched) for task in tasks]
        try:
            for future in futures:
                yield future.result()
        finally:
            unwanted.set()
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(before)  # new threads of the process take the last number set
