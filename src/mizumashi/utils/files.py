"""Durable files: written whole or not at all."""

import errno
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mizumashi.errors import InputError
from mizumashi.utils import layout
from mizumashi.utils.memory import is_lack_of_memory

MAX_JSON_BYTES = 64 * 2**20
"""A larger JSON file is refused before it is read; assign a larger number to read it."""

_MANY = 100  # files, from which on one flush of all disks is quicker than one of each file
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}

_marks: dict[Path, str] = {}  # of the temporary files that were noted before they are written


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; flush it to disk and rename it to `path` when the block ends.

    Folders above `path` that do not exist are made. If the block raises, the temporary file and the folders made
    go, and `path` stays as it was.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "answer.txt"
        >>> with atomic_file(path) as temporary:
        ...     _ = temporary.write_text("42")
        ...     path.exists()
        False
        >>> path.read_text()
        '42'
    """
    temporary = _temporary(path)
    with folders_above(path), disk_errors_of(path, temporary):
        try:
            yield temporary
            flush(temporary)
            temporary.replace(path)
            flush(path.parent)
        finally:
            with suppress(OSError):  # what failed says more
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give a new temporary folder beside `path`; flush it to disk and rename it to `path` when the block ends.

    Folders above `path` that do not exist are made. If the block raises, the temporary folder and the folders
    made go, and `path` stays as it was.

    Raises:
        InputError: `path` exists and is not an empty folder.
    """
    require_new_folder(path)
    path = layout.resolved(path)  # the empty folder that takes its place may be a link's
    temporary = _temporary(path)
    with folders_above(path), disk_errors_of(path, temporary):
        temporary.mkdir()
        try:
            yield temporary
            _flush_all(temporary)
            if path.exists():
                path.rmdir()
            temporary.replace(path)
            flush(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def folders_above(path: Path) -> Iterator[None]:
    """Make the folders above `path`; if the block raises, remove those that it made and that are empty.

    Raises:
        InputError: a folder above that this process holds has gone, or `path` leads past a link in it.

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
    layout.require_own_way(path)
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in made:
            flush(folder.parent)
        yield
    except BaseException:
        for folder in made:
            with suppress(OSError):  # it is not empty, or was not made
                folder.rmdir()
        raise


def require_new_folder(path: Path) -> None:
    """Raise `InputError` unless `path` can become a new folder without overwriting anything."""
    kind = layout.layout_of(layout.resolved(path))
    if path.is_dir() and (not any(path.iterdir()) if kind is None else kind.is_begun(path)):
        return
    if path.exists():
        what = "a folder that is not empty" if path.is_dir() else "a file"
        raise InputError(f"found {what} at {path}; expected a new or empty folder; choose another --out")
    _require_folder_above(path)


def require_new_file(path: Path) -> None:
    """Raise `InputError` unless `path` can become a new file without overwriting anything."""
    layout.resolved(path)
    if path.exists():
        what = "a folder" if path.is_dir() else "a file"
        raise InputError(f"found {what} at {path}; expected a new file's name; choose another --out")
    _require_folder_above(path)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content`, whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all; non-finite numbers are refused."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """What `write_json` writes."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


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
                "raise mizumashi.utils.files.MAX_JSON_BYTES"
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
        if is_lack_of_memory(error):  # the file may be whole
            raise MemoryError(f"{path}: {error}") from error
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: found a damaged or foreign file ({reason}); {way_out}") from error


def _require_folder_above(path: Path) -> None:
    above = next((folder for folder in path.parents if folder.exists()), path.parent)
    if not above.is_dir():
        raise InputError(f"found a file at {above}; expected a folder, to make {path} in it; choose another --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise InputError(f"found the folder {above}, which may not be written to; choose another --out than {path}")


def temporary_of(path: Path, mark: str) -> Path:
    """The temporary name beside `path` that has this mark: eight hexadecimal digits."""
    return path.with_name(f".{path.name}.{mark}.tmp")


@contextmanager
def noted_temporary(path: Path) -> Iterator[str]:
    """Settle before it is written which temporary name `path`, resolved, is written under; gives its mark."""
    _marks[path] = mark = uuid.uuid4().hex[:8]
    try:
        yield mark
    finally:
        _marks.pop(path, None)


def _temporary(path: Path) -> Path:
    return temporary_of(path, _marks.get(Path(os.path.realpath(path.parent), path.name)) or uuid.uuid4().hex[:8])


@contextmanager
def disk_errors_of(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let an error of the disk name `path`, if it names nothing, as where there is no room, or the temporary file."""
    try:
        yield
    except OSError as error:
        named = error.filename
        nameless = named is None and error.errno in _NO_ROOM
        if nameless or (temporary is not None and isinstance(named, str) and named.startswith(str(temporary))):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _flush_all(folder: Path) -> None:
    """Flush a folder and everything in it."""
    entries = [folder, *folder.rglob("*")]
    if len(entries) > _MANY:
        os.sync()
    else:
        for entry in entries:
            flush(entry)


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)
