"""A worker: a new process that does one task for the process that started it.

Lines of JSON go both ways: on standard input comes the task, later perhaps `STOP`; where standard output was go
progress, log records and the end. When the parent ends, its end of standard input closes, and the worker ends at once.
"""

import _thread
import json
import logging
import os
import signal
import sys
import threading
import traceback
from typing import IO, Any

from mizumashi.utils.memory import is_lack_of_memory, keep_freed_memory
from mizumashi.utils.schema import from_json

STOP = "stop"
"""What the parent says to end the task as Ctrl-C would: a GAN writes a checkpoint."""

KNOWN = ("InputError", "FloatingPointError", "MemoryError", "OSError", "KeyboardInterrupt")
"""Errors that the parent raises again, as they are."""


def main() -> None:
    """Do the task."""
    for name in ("SIGINT", "SIGHUP"):  # these come to all processes of a terminal: the parent acts on them
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    speaker = _Speaker()
    try:
        task = json.loads(sys.stdin.readline())
        threading.Thread(target=_listen, daemon=True).start()
        _perform(task, speaker)
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends already
        speaker.say(failed=_described(error))
    else:
        speaker.say(done=True)


def _listen() -> None:
    for line in sys.stdin:
        if json.loads(line) == STOP:
            _thread.interrupt_main(signal.SIGTERM)
    os._exit(1)  # without a parent; files are whole at any moment


def _perform(task: Any, speaker: "_Speaker") -> None:
    # Here, because this import takes seconds, in which the parent may have ended.
    from mizumashi.studies.tasks import GanTask

    keep_freed_memory()
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    logging.getLogger("mizumashi").addHandler(speaker)
    from_json(GanTask, task).perform(speaker.progress)


class _Speaker(logging.Handler):
    """Tells the parent, on what was standard output; what libraries print there goes to standard error."""

    def __init__(self) -> None:
        super().__init__()
        self._out: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def say(self, **message: Any) -> None:
        self._out.write(json.dumps(message) + "\n")
        self._out.flush()

    def progress(self, task: str, done: int, total: int, note: str) -> None:
        self.say(progress=[task, done, total, note])

    def emit(self, record: logging.LogRecord) -> None:
        self.say(log=[record.levelno, record.getMessage()])


def _described(error: BaseException) -> dict[str, Any]:
    """An error as JSON has it."""
    kind = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in KNOWN), type(error).__name__)
    return {
        "kind": "MemoryError" if is_lack_of_memory(error) else kind,
        "text": str(error),
        "system": [error.errno, error.strerror, error.filename] if isinstance(error, OSError) else None,
        "traceback": "".join(traceback.format_exception(error)),
    }
