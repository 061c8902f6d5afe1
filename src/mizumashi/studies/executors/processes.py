"""Tasks side by side, each in a process of its own: none shares state with another, or with the caller.

A process is a new interpreter, which knows nothing of the caller's modules; it takes seconds to start.
"""

import json
import logging
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mizumashi.errors import InputError, TaskError
from mizumashi.studies.executors.worker import STOP
from mizumashi.studies.tasks import GanTask
from mizumashi.utils.progress import Progress
from mizumashi.utils.schema import to_json

_LAST_LINES = 5  # of what a process that died had to say

# The folder of this package comes last on the path, the current one not at all.
_START = "import sys; sys.path.append(sys.argv.pop()); from mizumashi.studies.executors.worker import main; main()"

_log = logging.getLogger("mizumashi")

_Heard = SimpleQueue[tuple["_Worker", dict[str, Any]]]


def perform_side_by_side(tasks: Sequence[GanTask], progress: Progress) -> None:
    """Do tasks at the same time, each in a process of its own.

    Args:
        tasks: none twice.
        progress: called in this thread, with what the tasks say.

    Raises:
        TaskError: a process died, or met an error that nobody foresaw; the message names the task.
        InputError, FloatingPointError, OSError, MemoryError: a task's.
        KeyboardInterrupt: the user stopped it.

        In each case the other tasks are stopped first, as by Ctrl-C: what they have is on disk.
    """
    heard: _Heard = SimpleQueue()
    working: list[_Worker] = []
    try:
        for task in tasks:
            working.append(_Worker(task, heard))
        while working:
            worker, said = heard.get()
            if "progress" in said:
                progress(*said["progress"])
            elif "log" in said:
                level, text = said["log"]
                _log.log(level, "%s", text)
            elif "failed" in said:
                _raise_again(worker.task, said["failed"])
            elif "done" in said:
                worker.done = True
            else:  # it ended
                working.remove(worker)
                if not worker.done:
                    raise TaskError(f"{worker.task}: {worker.death()}; the same command goes on")
    finally:
        _stop(working, heard)


def _stop(working: "list[_Worker]", heard: _Heard) -> None:
    """Stop what works, and wait for it; a second interrupt ends the wait, and them."""
    for worker in working:
        worker.say(STOP)
    try:
        while working:
            worker, said = heard.get()
            if "ended" in said:
                working.remove(worker)
    finally:
        for worker in working:
            worker.kill()


class _Worker:
    """One process, and the threads that hear it."""

    def __init__(self, task: GanTask, heard: _Heard) -> None:
        self.task, self.done = task, False
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._process = subprocess.Popen(  # noqa: S603 (nothing of it comes from outside)
            [sys.executable, "-P", "-X", "faulthandler", "-c", _START, str(Path(__file__).parents[3])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="backslashreplace",
        )
        self._errors = threading.Thread(target=self._hear_errors, daemon=True)
        self._errors.start()
        threading.Thread(target=self._hear, args=(heard,), daemon=True).start()
        self.say(to_json(task))

    def say(self, message: Any) -> None:
        assert self._process.stdin
        with suppress(OSError):  # it has died, which is heard as well
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def death(self) -> str:
        """How it ended, and its last lines."""
        code = self._process.wait()
        self._errors.join()
        how = f"ended with exit code {code}"
        if code < 0:
            names = {number.value: number.name for number in signal.Signals}  # real-time signals have none
            how = f"was killed ({names.get(-code, f'signal {-code}')}), by hand or for want of memory"
        told = " | ".join(line.strip() for line in self._last_lines)
        return f"its process {how}; its last lines: {told or 'none'}"

    def _hear(self, heard: _Heard) -> None:
        assert self._process.stdin
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):  # half a line, of one that was killed
                    heard.put((self, json.loads(line)))
        self._process.wait()
        with suppress(OSError):
            self._process.stdin.close()
        heard.put((self, {"ended": True}))

    def _hear_errors(self) -> None:
        assert self._process.stderr
        with self._process.stderr as lines:
            self._last_lines.extend(lines)


def _raise_again(task: GanTask, failed: dict[str, Any]) -> None:
    """Raise the error that a worker described."""
    text = failed["text"]
    match failed["kind"]:
        case "InputError":
            raise InputError(text)
        case "FloatingPointError":
            raise FloatingPointError(text)
        case "MemoryError":
            raise MemoryError(f"{task}: {text}")
        case "KeyboardInterrupt":
            raise KeyboardInterrupt(f"{task}: {text}" if text else f"{task}: stopped; the same command goes on")
        case "OSError":
            raise OSError(*failed["system"])
    error = TaskError(f"{task}: {failed['kind']}: {text}")
    error.add_note(f"In the process of {task}:\n{failed['traceback']}")
    raise error
