"""Durable files: written whole or not at all, by one process at a time."""

import errno
import json
import logging
import math
import os
import platform
import re
import shutil
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mizumashi.errors import InputError

MAX_JSON_BYTES = 64 * 2**20
"""A larger JSON file is refused before it is read; assign a larger number to read it."""

_MANY = 100  # files, from which on one flush of all disks is quicker than one of each file
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<kind>[0-9a-f]{8}\.tmp|lock)")
_LOCK = ".lock"
_NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}

_log = logging.getLogger("mizumashi")
_homes: set[Path] = set()  # folders that this process holds


@contextmanager
def sole_user(folder: Path, *, wait: float = 0) -> Iterator[None]:
    """Hold a folder for the time of the block: no other process may, and what a killed one left half-written goes.

    The folder is made if it is not there, and goes again if the block raises and it is empty. The lock is the
    system's: it ends with the process, however that ends. Within the block nothing is written in place of the folder
    if that is moved away.

    Raises:
        InputError: another process, or another thread of this one, holds the folder.

    Example:
        >>> import tempfile
        >>> home = Path(tempfile.mkdtemp())
        >>> with sole_user(home):
        ...     _ = (home / "answer").write_text("42")
        >>> [path.name for path in home.iterdir()]
        ['answer']
    """
    folder = folder.resolve()
    with _locked(folder / _LOCK, folder, wait):
        for leftover in list(folder.rglob(".*")):
            found = _LEFTOVER.fullmatch(leftover.name)
            if found and not _is_held(leftover.with_name(f".{found['name']}{_LOCK}")):
                _remove(leftover)
        _homes.add(folder)
        try:
            yield
        finally:
            _homes.discard(folder)


@contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Hold the name of a new file or folder for the time of the block; what a killed writer of it left goes.

    Raises:
        InputError: another process, or another thread of this one, holds the name.
    """
    with _locked(path.with_name(f".{path.name}{_LOCK}"), path):
        for leftover in path.parent.glob(".*.tmp"):
            found = _LEFTOVER.fullmatch(leftover.name)
            if found and found["name"] == path.name:
                _remove(leftover)
        yield


def forget_killed_writer(path: Path) -> None:
    """Remove what a killed writer of the file or folder `path` left beside it, if anything."""
    if path.with_name(f".{path.name}{_LOCK}").exists():
        with suppress(InputError, OSError), sole_writer(path):  # it lives, or the folder may not be written to
            pass


@contextmanager
def _locked(lock: Path, what: Path, wait: float = 0) -> Iterator[None]:
    from filelock import FileLock, Timeout

    with folders_above(lock):
        native = FileLock(lock, timeout=wait, fallback_to_soft=False)
        try:
            native.acquire()
        except Timeout:
            raise InputError(
                f"found {what} in use by {_holder(lock)}; expected no other process there; wait for it, or stop it"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _log.warning("%s: this file system has no locks: see that no other process works there", what)
        try:
            lock.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
            yield
        finally:
            with _uninterrupted():
                with suppress(OSError):  # a folder that was moved away took its lock along
                    lock.unlink()
                native.release()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals that stop the work wait for the end of the block."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread can take signals
        yield
        return
    came: list[int] = []
    stops = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.getsignal(number) for number in stops}
    heard = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in heard:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _holder(lock: Path) -> str:
    try:
        return lock.read_text(encoding="utf-8")[:200] or "another process"
    except (OSError, ValueError):
        return "another process"


def _is_held(lock: Path) -> bool:
    """Whether a living process holds a lock: one that writes a new set within another's folder."""
    from filelock import FileLock, Timeout

    if not lock.exists():
        return False
    try:
        with FileLock(lock, timeout=0, fallback_to_soft=False):
            return False
    except Timeout:
        return True
    except OSError:  # no locks here: rather a leftover too many than another's work lost
        return True


def _remove(leftover: Path) -> None:
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover)
    else:
        leftover.unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; flush it to disk and rename it to `path` when the block ends.

    Folders above `path` that do not exist are made. If the block raises, the temporary file and the folders made
    go, and `path` stays as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "answer.txt"
        >>> with whole_file(path) as temporary:
        ...     _ = temporary.write_text("42")
        ...     path.exists()
        False
        >>> path.read_text()
        '42'
    """
    temporary = _temporary(path)
    with folders_above(path):
        try:
            yield temporary
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
        finally:
            with suppress(OSError):  # what failed says more
                temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new temporary folder beside `path`; flush it to disk and rename it to `path` when the block ends.

    Folders above `path` that do not exist are made. If the block raises, the temporary folder and the folders
    made go, and `path` stays as it was.

    Raises:
        InputError: `path` exists and is not an empty folder.
    """
    require_new_folder(path)
    path = path.resolve()  # the empty folder that takes its place may be a link's
    temporary = _temporary(path)
    with folders_above(path):
        temporary.mkdir()
        try:
            yield temporary
            _flush_all(temporary)
            if path.exists():
                path.rmdir()
            temporary.replace(path)
            _flush(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def folders_above(path: Path) -> Iterator[None]:
    """Make the folders above `path`; if the block raises, remove those that it made and that are empty.

    Raises:
        InputError: a folder above that this process holds has gone.

    Example:
        >>> import tempfile
        >>> home = Path(tempfile.mkdtemp())
        >>> with folders_above(home / "a" / "b" / "file"):
        ...     raise OSError("no room")
        Traceback (most recent call last):
            ...
        OSError: no room
        >>> list(home.iterdir())
        []
    """
    _require_homes(path)
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in made:
            _flush(folder.parent)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # it is not empty, or was not made
                folder.rmdir()
        raise


def require_new_folder(path: Path) -> None:
    """Raise `InputError` unless `path` can become a new folder without overwriting anything."""
    own = _LOCK if path.resolve() in _homes else None
    if path.is_dir() and all(entry.name == own for entry in path.iterdir()):
        return
    if path.exists():
        what = "a folder that is not empty" if path.is_dir() else "a file"
        raise InputError(f"found {what} at {path}; expected a new or empty folder; choose another --out")
    _require_folder_above(path)


def require_new_file(path: Path) -> None:
    """Raise `InputError` unless `path` can become a new file without overwriting anything."""
    if path.exists():
        what = "a folder" if path.is_dir() else "a file"
        raise InputError(f"found {what} at {path}; expected a new file's name; choose another --out")
    _require_folder_above(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; non-finite numbers are refused."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Raises:
        InputError: the file is missing, unreadable or not JSON.
    """
    try:
        if path.exists() and not path.is_file():  # reading a pipe could wait for ever
            raise InputError(f"{path}: found no file; expected JSON; remove what is there")
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise InputError(
                f"{path}: found {size:,} bytes of JSON; expected at most {MAX_JSON_BYTES:,}; give another file, or "
                "raise mizumashi.files.MAX_JSON_BYTES"
            )
        text = path.read_text(encoding="utf-8")
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        if "\\ud" in text.lower():  # half a letter, which no file can hold
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"{path}: found no file that can be read ({error.strerror}); expected JSON; correct the path, or restore "
            "the file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: found a damaged or foreign file ({error}); expected JSON; repair it, or make it again"
        ) from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large a number")
    return number


@contextmanager
def expect_undamaged(path: Path, way_out: str) -> Iterator[None]:
    """Turn whatever the block finds wrong with the contents of `path` into an `InputError` that names the file.

    Args:
        path: the file that the block reads.
        way_out: what the user can do.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: found a damaged or foreign file ({reason}); {way_out}") from error


def _require_homes(path: Path) -> None:
    """Raise `InputError` if `path` is in a folder that this process holds and that has gone."""
    for home in _homes.intersection(path.resolve().parents):
        if not home.is_dir():
            raise InputError(
                f"found that {home} has gone while it was in use; expected it to stay; put it back, and the same "
                "command goes on from what is there"
            )


def _require_folder_above(path: Path) -> None:
    above = next((folder for folder in path.parents if folder.exists()), path.parent)
    if not above.is_dir():
        raise InputError(f"found a file at {above}; expected a folder, to make {path} in it; choose another --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"found the folder {above}, which may not be written to; choose another --out than {path}")


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _flush_all(folder: Path) -> None:
    """Flush a folder and everything in it."""
    entries = [folder, *folder.rglob("*")]
    if len(entries) > _MANY:
        os.sync()
    else:
        for entry in entries:
            _flush(entry)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
