"""How large a set may be: what a header claims is checked before anything is allocated."""

from pathlib import Path

from mizumashi.errors import InputError

MAX_SET_BYTES = 16 * 2**30
"""Pixels of one array or folder of images, in bytes; assign a larger number to open larger sets.

The pixels of one image file are limited by Pillow's own `PIL.Image.MAX_IMAGE_PIXELS`.
"""

_DEFLATE_RATIO = 1032  # deflate cannot shrink data more than this


def require_size(path: Path, claimed: int) -> None:
    """Raise `InputError` if `claimed` bytes of pixels are more than `MAX_SET_BYTES`."""
    if claimed > MAX_SET_BYTES:
        raise InputError(
            f"{path}: found {claimed:,} bytes of images; expected at most {MAX_SET_BYTES:,}; "
            "open a part of the set, or raise mizumashi.data.limits.MAX_SET_BYTES"
        )


def require_compressible(path: Path, claimed: int, stored: int) -> None:
    """Raise `InputError` if `stored` bytes cannot hold `claimed` bytes, however well they are compressed."""
    if claimed > _DEFLATE_RATIO * stored:
        raise _wrong_length(path, claimed, stored)


def require_stored(path: Path, claimed: int, stored: int) -> None:
    """Raise `InputError` unless `stored` bytes, which are not compressed, are the `claimed` ones."""
    if claimed != stored:
        raise _wrong_length(path, claimed, stored)


def _wrong_length(path: Path, claimed: int, stored: int) -> InputError:
    return InputError(
        f"{path}: found {stored:,} bytes where the header announces {claimed:,}; "
        "expected as many as the header says; the file is truncated or damaged: get it again"
    )
