"""Zip archives of unknown origin: a directory of bounded size, and two kinds of compression."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mizumashi.data import limits
from mizumashi.data.bounded_file import BoundedFile
from mizumashi.errors import InputError


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose directory of members is no larger than `mizumashi.data.limits` allow.

    Raises:
        InputError: its directory is too large.
        zipfile.BadZipFile: the file is no zip archive.
        Exception: zipfile raises many kinds on damaged archives, while one is opened or read.
    """
    with _Archive(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def require_known_compression(member: zipfile.ZipInfo) -> None:
    """Raise `zipfile.BadZipFile` unless a member is stored or deflated.

    Of the other kinds zipfile unpacks whole blocks at once, and a block of bzip2 may hold a million times its size.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise zipfile.BadZipFile(f"{member.filename[:40]!r} is neither stored nor deflated")


class _Archive(BoundedFile):
    """A file of which no piece larger than a directory may be is read; zipfile reads the directory in one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = self.piece(size)
        if piece > limits.MAX_MEMBERS_BYTES:
            raise InputError(
                f"{self.name}: found a zip archive's directory of {piece:,} bytes; expected at most "
                f"{limits.MAX_MEMBERS_BYTES:,}; give another file, or raise mizumashi.data.limits.MAX_MEMBERS_BYTES"
            )
        return super().read(piece)
