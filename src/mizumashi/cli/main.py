"""The command line: commands to functions, no logic."""

import errno
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, suppress
from importlib.metadata import version
from io import StringIO, TextIOWrapper
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, Union

import numpy as np
import tyro
from tyro.conf import subcommand

from mizumashi.cli.commands import COMMANDS, STARTS_OVER, Command, Data, Generate, Outcome, Study, Train
from mizumashi.cli.usage import explain
from mizumashi.errors import InputError, TaskError
from mizumashi.gan.config import GanConfig
from mizumashi.gan.presets import PRESETS
from mizumashi.studies.config import StudyConfig
from mizumashi.utils.memory import is_lack_of_memory, keep_freed_memory
from mizumashi.utils.text import for_terminal

UNUSABLE = {
    errno.ENOENT,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}
"""What the operating system says of a path that the user must change."""


def parse(arguments: Sequence[str]) -> Command:
    """The command with its options; a preset's values take the place of the defaults.

    Raises:
        InputError: a word is unknown or out of place, or something is missing.
        SystemExit: help was asked for, and printed.
    """
    command = _parse(arguments, GanConfig())
    if isinstance(command, Study | Train):
        # The preset is known only now: parse again, with its values as the defaults.
        return _parse(arguments, PRESETS[command.preset]())
    return command


def _parse(arguments: Sequence[str], gan: GanConfig) -> Command:
    missing = tyro.MISSING
    defaults = {"study": Study(config=StudyConfig(gan=gan)), "train": Train(images=missing, out=missing, gan=gan)}
    choices = tuple(
        Annotated[command, subcommand(name, default=defaults.get(name, tyro.MISSING_NONPROP))]
        for name, command in COMMANDS.items()
    )
    any_of: Any = Union[choices]  # noqa: UP007 (made from a tuple)
    refusal = StringIO()
    try:
        with redirect_stderr(refusal):
            command: Command = tyro.cli(any_of, prog="mizumashi", args=arguments)
    except SystemExit as end:
        if not end.code:
            raise
        raise InputError(explain(arguments, COMMANDS, refusal.getvalue())) from None
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 when done, 2 for wrong input, 130 when stopped, 1 for other failures."""
    keep_freed_memory()
    _stop_on_signals()
    _print_anything()
    # Fabric would announce the precision of every GAN.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    arguments = sys.argv[1:] if arguments is None else arguments
    command: Command | None = None
    try:
        if list(arguments) == ["--version"]:
            return _print(f"mizumashi {version('mizumashi')}\n")
        command = parse(arguments)
        return _print(_told(command.run(), as_json=command.json))
    except SystemExit:  # help, printed
        return _print("")
    except InputError as error:
        return _say(error, 2)
    except KeyboardInterrupt as stop:
        return _say(stop if stop.args else _left(command), 130)
    except OSError as error:
        if error.errno in UNUSABLE and error.filename is not None:
            return _say(f"found no way to {error.filename} ({error.strerror}); expected a path that can be used", 2)
        return _say(error, 1)
    except FloatingPointError as error:
        return _say(error, 1)
    except Exception as error:
        if is_lack_of_memory(error):
            return _say(f"found too little memory: {error}; ask for less at a time", 1)
        return _say(_unforeseen(error, arguments, command), 1)


def _unforeseen(error: Exception, arguments: Sequence[str], command: Command | None) -> str:
    """One line for an error that is no answer to anything a user did; its traceback goes into a file."""
    if isinstance(error, TaskError) and not hasattr(error, "__notes__"):  # its process was killed: that says it all
        return str(error)
    from mizumashi.cli.unforeseen import write_traceback

    path = write_traceback(error, arguments, getattr(command, "out", None))
    where = "no folder takes its traceback" if path is None else f"its traceback is in {path}"
    what = str(error) if isinstance(error, TaskError) else f"{type(error).__name__}: {error}"
    return f"found an error that nobody foresaw ({what:.300}); {where}; please report it with that file"


def _told(outcome: Outcome, *, as_json: bool) -> str:
    """What a command found out: for people, or as one JSON object."""
    if as_json:
        return json.dumps(_plain(outcome.facts()), indent=2, allow_nan=False) + "\n"
    return "".join(f"{for_terminal(line)}\n" for line in outcome.lines)


def _print(text: str) -> int:
    """Write on standard output, to its end; the exit code."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        with suppress(OSError, ValueError):  # else what is left in the buffer fails once more at the end
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # whoever read our output has read enough
            return 1
        return _say(f"found that standard output takes no more ({error.strerror}); expected room for the results", 1)
    return 0


def _plain(value: Any) -> Any:
    """The same as JSON has it; it has no nan and no infinity."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def _left(command: Command | None) -> str:
    """What a stopped command leaves."""
    if isinstance(command, Generate | Data) and command.out is not None:
        from mizumashi.data.writers import is_written

        if is_written(command.out, command.format):  # it was new: the stop came when all was done
            return f"stopped; {command.out} was written before"
    return STARTS_OVER if command is None else command.stopped


def _stop_on_signals() -> None:
    """Let a closed terminal and `kill` stop the work as Ctrl-C does; `nohup` stays in force."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", None)):  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _print_anything() -> None:
    """Print what the terminal's encoding lacks as an escape rather than fail; to a closed stream, nothing."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (until the process ends)
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(message: object, code: int) -> int:
    line = for_terminal(" ".join(str(message).split()))  # a path may hold anything
    with suppress(OSError):  # the terminal may be closed
        print(f"mizumashi: {line}", file=sys.stderr)
    return code
