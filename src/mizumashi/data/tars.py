"""WebDataset shards: tar files in which an image and its label follow each other, with one name and two endings.

They are written with Python's tarfile. They are read by the few lines here, which know plain members alone: tarfile
follows lengths in damaged headers to wherever they lead.
"""

import io
import math
import re
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mizumashi.data.bounded_file import BoundedFile
from mizumashi.data.encoded import EncodedSet
from mizumashi.data.folders import read_class_names
from mizumashi.errors import InputError

SHARD = 10_000
"""Images in a shard."""

_BLOCK = 512
_IMAGES = ("png", "jpg", "jpeg", "webp", "ppm", "bmp", "tif", "tiff", "gif")
_HARMLESS = {b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment"}
_LONGEST_RECORDS = 2**16  # bytes of a member's extended header


class _Member(NamedTuple):
    name: str
    place: int
    size: int


class TarWriter:
    """Writes samples into a new tar file."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive

    def write(self, key: str, png: bytes, label: int) -> None:
        """Write one image, as the bytes of a PNG file, and its label."""
        for ending, content in (("png", png), ("cls", str(label).encode())):
            member = tarfile.TarInfo(f"{key}.{ending}")  # no time and no owner: equal images, equal files
            member.size = len(content)
            self._archive.addfile(member, io.BytesIO(content))
        self._archive.members.clear()  # type: ignore[attr-defined]  # tarfile would remember every member


@contextmanager
def new_tar(path: Path) -> Iterator[TarWriter]:
    """Create a tar file."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        yield TarWriter(archive)


def is_tar(path: Path) -> bool:
    """Whether the file begins as a tar file does."""
    with path.open("rb") as file:
        return file.read(_BLOCK)[257:262] == b"ustar"


def read_tars(parts: Sequence[Sequence[Path]]) -> EncodedSet:
    """Find the samples of WebDataset shards; no image is decoded.

    A sample is an image file and a `.cls` file that follow each other with the same name; the latter holds the label
    as a whole number. Class names come from classes.json beside the shards.

    Args:
        parts: the shards of the whole set, or those of the training part and those of the test part.

    Raises:
        InputError: a shard is damaged, or holds something else.
    """
    labels: list[int] = []
    places: list[tuple[Path, _Member]] = []
    starts = []
    for part in parts:
        starts.append(len(labels))
        for path in part:
            for image, label in _samples(path):
                labels.append(label)
                places.append((path, image))
        if len(labels) == starts[-1]:
            raise InputError(f"{part[0]}: found no sample; expected images, each with a .cls file of its label")

    def images() -> Iterator[tuple[str, bytes]]:
        for path, member in places:
            with path.open("rb") as file:
                file.seek(member.place)
                yield f"{path}: {member.name}", file.read(member.size)

    stored = sum(path.stat().st_size for part in parts for path in part)
    names = read_class_names(parts[0][0].parent)
    return EncodedSet(np.array(labels, np.int64), names, starts[1] if len(parts) == 2 else None, stored, images)


def _samples(path: Path) -> Iterator[tuple[_Member, int]]:
    """The image and the label of each sample."""
    with BoundedFile(path) as file:
        key, image, label = "", None, None
        for member in _members(path, file):
            stem, _, ending = member.name.rpartition("/")[2].partition(".")
            if stem != key and (image or label is not None):
                raise _incomplete(path, key)
            key = stem
            if ending.lower() in _IMAGES and image is None:
                image = member
            elif ending.lower() == "cls" and label is None:
                label = _label(path, file, member)
            else:
                raise InputError(
                    f"{path}: found {member.name[:80]!r}; expected for each name one image ({', '.join(_IMAGES[:4])}) "
                    "and one .cls file; write the shards with those alone"
                )
            if image and label is not None:
                yield image, label
                image, label = None, None
        if image or label is not None:
            raise _incomplete(path, key)


def _incomplete(path: Path, key: str) -> InputError:
    return InputError(f"{path}: found {key[:80]!r} without its image or its label; expected both, one after the other")


def _label(path: Path, file: BoundedFile, member: _Member) -> int:
    file.seek(member.place)
    text = file.read(min(member.size, 32))
    if member.size > 32 or not re.fullmatch(rb"\s*\d{1,9}\s*", text):
        raise InputError(
            f"{path}: found the label {text[:32]!r} in {member.name[:80]!r}; expected a whole number from 0"
        )
    return int(text)


def _members(path: Path, file: BoundedFile) -> Iterator[_Member]:
    """The plain files in a tar file; the file may be read between two of them."""
    place = 0
    while True:
        file.seek(place)
        head = file.read(_BLOCK)
        if len(head) < _BLOCK:
            raise InputError(f"{path}: found no end of the tar file; it is truncated: get it again")
        if not any(head):
            return
        size, kind, place = _header(path, head), head[156:157], place + _BLOCK
        if place + size > file.length:
            raise InputError(
                f"{path}: found a member of {size:,} bytes; expected no more than the file has; get it again"
            )
        if kind in (b"0", b"\0"):
            name = head[:100].split(b"\0")[0].decode(errors="replace")
            yield _Member(name, place, size)
        elif kind in (b"x", b"g"):
            _require_harmless(path, file.read(min(size, _LONGEST_RECORDS + 1)))
        elif kind != b"5":
            raise InputError(f"{path}: found a member of kind {kind!r}; expected plain files; write the shards again")
        place += math.ceil(size / _BLOCK) * _BLOCK


def _header(path: Path, head: bytes) -> int:
    """The size that a header announces, if its checksum is right."""
    try:
        size, checksum = (int(head[field].strip(b" \0") or b"0", 8) for field in (slice(124, 136), slice(148, 156)))
    except ValueError:
        size, checksum = -1, -1
    if size < 0 or checksum != sum(head) - sum(head[148:156]) + 8 * ord(" "):
        raise InputError(f"{path}: found a damaged header in the tar file; expected WebDataset shards; get it again")
    return size


def _require_harmless(path: Path, records: bytes) -> None:
    """Refuse extended headers that give a member another name, size or shape: `length key=value` a line."""
    keys = {record.partition(b"=")[0].partition(b" ")[2] for record in records.split(b"\n") if record}
    if len(records) > _LONGEST_RECORDS or not keys <= _HARMLESS:
        raise InputError(f"{path}: found long names or sizes in the tar file; expected short ones; write it again")
