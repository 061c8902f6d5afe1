"""How much a file may hold: what a header claims is checked before anything is allocated.

Each limit is a number in this module; assign a larger one to open more.
"""

from collections.abc import Sequence
from pathlib import Path

from mizumashi.errors import InputError

MAX_SET_BYTES = 16 * 2**30
"""Pixels of one array or folder of images, in bytes.

The pixels of one image file are limited by Pillow's own `PIL.Image.MAX_IMAGE_PIXELS`, too.
"""

FREE_BYTES = 8 * 2**20
"""What a compressed file may hold unpacked, in bytes, however small it is."""

MAX_EXPANSION = 128
"""How many times its own size a compressed file may hold beyond `FREE_BYTES`.

Photographs and drawings stay far below: it is empty pictures and decompression bombs that shrink more.
"""

MAX_CLASSES = 2**16
"""Classes of one set."""

MAX_NAME_LENGTH = 1000
"""Characters of a class name."""

MAX_NAMES_BYTES = 2 * 2**20
"""The size of a file of class names."""

MAX_MEMBERS_BYTES = 4 * 2**20
"""The size of a zip archive's directory, some 40,000 members, and of a Parquet file's footer."""

_DEFLATE_RATIO = 1032  # deflate cannot shrink data more than this


def require_size(path: Path, claimed: int) -> None:
    """Raise `InputError` if `claimed` bytes of pixels are more than `MAX_SET_BYTES`."""
    if claimed > MAX_SET_BYTES:
        raise InputError(
            f"{path}: found {claimed:,} bytes of images; expected at most {MAX_SET_BYTES:,}; "
            "open a part of the set, or raise mizumashi.data.limits.MAX_SET_BYTES"
        )


def require_compressible(path: Path, claimed: int, stored: int) -> None:
    """Raise `InputError` if `stored` deflated bytes cannot hold `claimed` bytes, or only as a bomb does."""
    if claimed > _DEFLATE_RATIO * stored:
        raise _wrong_length(path, claimed, stored)
    require_expansion(path, claimed, stored)


def require_expansion(path: Path, claimed: int, stored: int) -> None:
    """Raise `InputError` if `claimed` bytes are more than `stored` ones may unpack to."""
    most = FREE_BYTES + MAX_EXPANSION * stored
    if claimed > most:
        raise InputError(
            f"{path}: found {claimed:,} bytes of pixels announced in {stored:,} bytes; expected at most {most:,}; "
            "remove the file, or if you trust it, raise mizumashi.data.limits.MAX_EXPANSION"
        )


def require_stored(path: Path, claimed: int, stored: int) -> None:
    """Raise `InputError` unless `stored` bytes, which are not compressed, are the `claimed` ones."""
    if claimed != stored:
        raise _wrong_length(path, claimed, stored)


def require_classes(source: object, count: int) -> None:
    """Raise `InputError` if a set of `count` classes has more than `MAX_CLASSES`."""
    if count > MAX_CLASSES:
        raise InputError(
            f"{source}: found {count:,} classes; expected at most {MAX_CLASSES:,}; labels are the numbers of classes; "
            "raise mizumashi.data.limits.MAX_CLASSES if there are so many"
        )


def require_class_names(source: object, names: Sequence[str]) -> None:
    """Raise `InputError` if there are too many class names, or one is too long."""
    require_classes(source, len(names))
    for name in names:
        if len(name) > MAX_NAME_LENGTH:
            raise InputError(
                f"{source}: found a class name of {len(name):,} characters, {name[:20]!r}...; expected at most "
                f"{MAX_NAME_LENGTH:,}; rename the class, or raise mizumashi.data.limits.MAX_NAME_LENGTH"
            )


def _wrong_length(path: Path, claimed: int, stored: int) -> InputError:
    return InputError(
        f"{path}: found {stored:,} bytes where the header announces {claimed:,}; "
        "expected as many as the header says; the file is truncated or damaged: get it again"
    )
