"""What a user can set right."""

import difflib
from collections.abc import Iterable

from mizumashi.utils.text import for_terminal


class InputError(ValueError):
    """The user's input is wrong: one line that says what was found, what was expected and what to do.

    The command line prints it without a traceback and exits with code 2.

    Example:
        >>> raise InputError("found 3 labels for 4 images; expected as many labels as images")
        Traceback (most recent call last):
            ...
        mizumashi.errors.InputError: found 3 labels for 4 images; expected as many labels as images
    """

    def __init__(self, message: object) -> None:
        # What is quoted may hold line breaks and controls: the names of files, the messages of libraries.
        super().__init__(for_terminal(" ".join(str(message).splitlines())))


class TaskError(RuntimeError):
    """A task of a study ended otherwise than it should; the same command goes on from what is there.

    The command line prints it and exits with code 1. Where the task said why, the cause has that.

    Example:
        >>> raise TaskError("the GAN of seed 3: its process was killed (SIGKILL)")
        Traceback (most recent call last):
            ...
        mizumashi.errors.TaskError: the GAN of seed 3: its process was killed (SIGKILL)
    """

    def __init__(self, message: object) -> None:
        super().__init__(for_terminal(" ".join(str(message).splitlines())))


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names the known word closest to `name`, or an empty string when none is close.

    Example:
        >>> nearest("minst", ["mnist", "digits"])
        " (did you mean 'mnist'?)"
        >>> nearest("cats", ["mnist", "digits"])
        ''
    """
    close = difflib.get_close_matches(name.lower(), known, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
