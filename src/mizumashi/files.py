"""Durable files: written whole or not at all."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mizumashi.errors import InputError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; flush it to disk and rename it to `path` when the block ends.

    If the block raises, the temporary file goes and `path` stays as it was.

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
    try:
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a new temporary folder beside `path`; rename it to `path` when the block ends.

    Raises:
        InputError: `path` exists and is not an empty folder.
    """
    require_new_folder(path)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _flush(file)
        if path.exists():
            path.rmdir()
        temporary.replace(path)
        _flush(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def require_new_folder(path: Path) -> None:
    """Raise `InputError` unless `path` can become a new folder without overwriting anything."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        what = "a folder that is not empty" if path.is_dir() else "a file"
        raise InputError(f"found {what} at {path}; expected a new or empty folder; choose another --out")


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
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read {path} as JSON: {error}") from error


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


def _temporary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
