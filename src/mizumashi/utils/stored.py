"""Files of a run or a study, which may come from others: looked at before they are opened."""

import os
import stat
from pathlib import Path

from mizumashi.errors import InputError

_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def stored(path: Path, most: int | None = None) -> Path:
    """The path of a file in a run's or study's folder, fit to be opened: a regular file there, or nothing yet.

    Reading a pipe or a device could last for ever, and a link leads out of the folder.

    Args:
        path: the file's.
        most: bytes that it may have.

    Raises:
        InputError: it is something else, or larger.

    Example:
        >>> stored(Path("/dev/null"))
        Traceback (most recent call last):
            ...
        mizumashi.errors.InputError: /dev/null: found a device; expected a regular file; remove it, or get it again
    """
    found = _look(path)
    if found is None:
        return path
    if not stat.S_ISREG(found.st_mode):
        raise _refusal(path, found, "a regular file")
    if most is not None and found.st_size > most:
        raise InputError(
            f"{path}: found {found.st_size:,} bytes; expected at most {most:,}; remove it, or get it again"
        )
    return path


def stored_folder(path: Path) -> Path:
    """The path of a folder in a run's or study's folder: a folder there, or nothing yet.

    Raises:
        InputError: it is something else; a link, too.
    """
    found = _look(path)
    if found is not None and not stat.S_ISDIR(found.st_mode):
        raise _refusal(path, found, "a folder")
    return path


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _refusal(path: Path, found: os.stat_result, expected: str) -> InputError:
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
    way = "replace it with what it leads to, or remove it" if kind == "a link" else "remove it, or get it again"
    return InputError(f"{path}: found {kind}; expected {expected}; {way}")
