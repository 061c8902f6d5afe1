"""A file layer that fails at one call: the disk is full, it is broken, it cannot be written to any more.

Python's own ways to change files are watched for one folder: files opened for writing and every write that reaches
the system, os.open, fsync, rename, mkdir, unlink and rmdir. One call, counted from 0, fails; or all from it on.
"""

import builtins
import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NEEDS_ROOM = {"open", "write", "mkdir", "fsync"}
"""What a full disk refuses; it still renames and removes."""


@dataclass(frozen=True)
class Call:
    """A call that changes files.

    Args:
        operation: open, write, fsync, rename, mkdir, unlink or rmdir.
        path: what it changes, below the watched folder; of a rename the new name.
        source: of a rename the old name.
    """

    operation: str
    path: str
    source: str = ""


@dataclass
class FaultyFiles:
    """The watched folder and what happened to it.

    Args:
        folder: only calls for what is below it count.
        at: the number of the call that fails; None for none.
        error: the errno that it fails with.
        lasting: whether all calls from it on fail.
        fail: what a failing call does; by default it raises OSError. Where this returns, the call is done after all.
        calls: all calls so far.
    """

    folder: Path
    at: int | None = None
    error: int = errno.ENOSPC
    lasting: bool = False
    fail: Callable[[OSError], None] | None = None
    calls: list[Call] = field(default_factory=list)

    def fails(self, operation: str, path: Any, source: Any = "") -> bool:
        """Count a call; tells whether it has to fail."""
        if not self.watches(path) or (operation == "mkdir" and Path(path).is_dir()):  # that is there already: no matter
            return False
        number = len(self.calls)
        self.calls.append(
            Call(operation, *(os.path.relpath(each, self.folder) if each else "" for each in (path, source)))
        )
        if self.at is None or number < self.at or (number > self.at and not self.lasting):
            return False
        return number == self.at or self.error != errno.ENOSPC or operation in NEEDS_ROOM

    def watches(self, path: Any) -> bool:
        """Whether a path is below the watched folder."""
        return not isinstance(path, int) and (Path.cwd() / path).is_relative_to(self.folder)

    def refuse(self, path: Any) -> None:
        """Fail a call."""
        problem = OSError(self.error, os.strerror(self.error), os.fspath(path))
        if self.fail is None:
            raise problem
        self.fail(problem)


class _FaultyFile(io.FileIO):
    """A file whose writes are counted where they reach the system, behind all buffers."""

    def __init__(self, files: FaultyFiles, path: Any, mode: str) -> None:
        super().__init__(path, mode)
        self._files, self._path = files, path

    def write(self, data: Any, /) -> int:
        if self._files.fails("write", self._path):
            half = super().write(bytes(data)[: len(data) // 2])  # as a full disk does: it takes what has room
            self._files.refuse(self._path)
            return half + super().write(bytes(data)[half:])
        return super().write(data)


@contextlib.contextmanager
def watched(files: FaultyFiles) -> Iterator[FaultyFiles]:
    """Watch the folder, and let the call fail, for the time of the block."""
    with contextlib.ExitStack() as undo:
        for module, name, replacement in _replacements(files):
            undo.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, replacement)
        yield files


def _replacements(files: FaultyFiles) -> list[tuple[Any, str, Callable[..., Any]]]:
    real_open, real_os_open, real_fsync = builtins.open, os.open, os.fsync

    def faulty_open(
        path: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Any = None,
    ) -> Any:
        if not set("wax+") & set(mode) or not files.watches(path):
            return real_open(path, mode, buffering, encoding, errors, newline, closefd, opener)
        if files.fails("open", path):
            files.refuse(path)
        raw = _FaultyFile(files, path, mode.replace("b", "").replace("t", ""))
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding, errors, newline)

    def faulty_os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if files.fails("open", _absolute(path, dir_fd)):
            files.refuse(path)
        return real_os_open(path, flags, mode, dir_fd=dir_fd)

    def faulty_fsync(descriptor: int) -> None:
        path = _opened(descriptor)
        if files.fails("fsync", path):
            files.refuse(path)
        real_fsync(descriptor)

    def renaming(real: Callable[..., None]) -> Callable[..., None]:
        def rename(source: Any, target: Any, **options: Any) -> None:
            if files.fails("rename", target, source):
                files.refuse(target)
            real(source, target, **options)

        return rename

    def changing(operation: str, real: Callable[..., None]) -> Callable[..., None]:
        def change(path: Any, *arguments: Any, dir_fd: int | None = None, **options: Any) -> None:
            if files.fails(operation, _absolute(path, dir_fd)):
                files.refuse(path)
            real(path, *arguments, dir_fd=dir_fd, **options)

        return change

    return [
        (builtins, "open", faulty_open),
        (io, "open", faulty_open),
        (os, "open", faulty_os_open),
        (os, "fsync", faulty_fsync),
        (os, "replace", renaming(os.replace)),
        (os, "rename", renaming(os.rename)),
        (os, "mkdir", changing("mkdir", os.mkdir)),
        (os, "unlink", changing("unlink", os.unlink)),
        (os, "remove", changing("unlink", os.remove)),
        (os, "rmdir", changing("rmdir", os.rmdir)),
    ]


def _absolute(path: Any, dir_fd: int | None) -> Any:
    return path if dir_fd is None else _opened(dir_fd) / path


def _opened(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def unflushed(calls: list[Call]) -> list[str]:
    """What a power cut could lose: names given before the content was flushed, and names not flushed after.

    A new name is durable once the file, and every file in it if it is a folder, was flushed after its last write
    and before the rename, and the folder that holds the name after it.
    """
    wrong = []
    for index, call in enumerate(calls):
        if call.operation != "rename":
            continue
        inside = [
            (number, earlier)
            for number, earlier in enumerate(calls[:index])
            if Path(earlier.path).is_relative_to(call.source)
        ]
        for path in {earlier.path for _, earlier in inside if earlier.operation == "write"}:
            last = [
                earlier.operation
                for _, earlier in inside
                if earlier.path == path and earlier.operation in ("write", "fsync")
            ]
            if last[-1] != "fsync":
                wrong.append(f"{call.path}: {path} was renamed before it was flushed")
        home = str(Path(call.path).parent)
        if Call("fsync", home) not in calls[index:]:
            wrong.append(f"{call.path}: its folder was not flushed after the rename")
    return wrong
