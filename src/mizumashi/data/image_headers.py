"""What an image file announces, read before Pillow allocates by it: frames, text, lists of numbers.

Pillow decodes the pixels of most formats when it is asked to, and the size can be looked at before. Some things it
makes room for at once: a WebP's canvas, a GIF's frame, a PNG's texts, a TIFF's lists. Others cost it much time.
"""

import os
import struct
from pathlib import Path
from typing import BinaryIO

from mizumashi.data import limits
from mizumashi.data.bounded_file import BoundedBytes, BoundedFile
from mizumashi.errors import InputError

MOST_TEXTS = 8
"""Compressed texts in a PNG: Pillow unpacks each to up to 1 MiB, which may take 4 as a string."""

MOST_NUMBERS = 2**16
"""Numbers in one list of a TIFF: Pillow makes some 250 bytes of the offset of a strip."""

MOST_COMMENTS = 1000
"""Comments in a PNM file that is written in decimal: Pillow copies what it has read for each."""

_PLAIN_KINDS = (1, 2, 6, 7)  # of a TIFF's values: bytes and text, which stay as they are


def require_modest_header(path: Path, file: BoundedFile | BoundedBytes) -> None:
    """Raise `InputError` if Pillow would allocate much more for the file's header than the file holds.

    A file that is of no known format, or damaged, passes: Pillow says so better.

    Args:
        path: the file's name, for the message.
        file: the same file, open; it is left at its start.
    """
    head = file.read(64)
    try:
        if head.startswith(b"\x89PNG"):
            _require_few_texts(path, file)
        elif head.startswith((b"II", b"MM")):
            _require_short_lists(path, file)
        elif head.startswith((b"P1", b"P2", b"P3")):
            _require_few_comments(path, file)
        elif head.startswith((b"GIF8", b"RIFF")):
            size = _gif_frame(file) if head.startswith(b"GIF8") else _webp_canvas(head)
            require_pixels(path, file.length, size, grey=False)
    except (struct.error, IndexError, OverflowError, OSError):  # it ends too early, or points outside
        pass
    file.seek(0)


def require_pixels(path: Path, stored: int, size: tuple[int, int], *, grey: bool) -> None:
    """Raise `InputError` if an image of width x height, as Pillow holds it, is more than `stored` bytes may hold.

    Pillow holds a byte for a pixel of grey and four for one in colour, and a pointer to each row.
    """
    width, height = size
    limits.require_expansion(path, height * (8 + width * (1 if grey else 4)), stored)


def _require_few_texts(path: Path, file: BinaryIO) -> None:
    texts, place = 0, 8
    while True:
        file.seek(place)
        size, kind = struct.unpack(">I4s", file.read(8))
        texts += kind in (b"zTXt", b"iTXt", b"iCCP")
        place += 12 + size
        if texts > MOST_TEXTS:
            raise InputError(
                f"{path}: found more than {MOST_TEXTS} compressed texts in a PNG file; expected an image; save it "
                "without its texts"
            )


def _require_short_lists(path: Path, file: BinaryIO) -> None:
    """Look through the first directory of a TIFF or BigTIFF file."""
    file.seek(0)
    mark, version = struct.unpack("2sH", file.read(4))
    order = "<" if mark == b"II" else ">"
    big = version in (43, 43 << 8)
    (place,) = struct.unpack(f"{order}4xQ" if big else f"{order}I", file.read(12 if big else 4))
    file.seek(place)
    (entries,) = struct.unpack(f"{order}Q" if big else f"{order}H", file.read(8 if big else 2))
    for _ in range(entries):
        tag, kind, count = struct.unpack(f"{order}HHQ8x" if big else f"{order}HHI4x", file.read(20 if big else 12))
        if count > MOST_NUMBERS and kind not in _PLAIN_KINDS:
            raise InputError(
                f"{path}: found {count:,} numbers under tag {tag} of a TIFF file; expected at most {MOST_NUMBERS:,}; "
                "save the image again, in fewer strips"
            )


def _require_few_comments(path: Path, file: BinaryIO) -> None:
    file.seek(0)
    comments = sum(piece.count(b"#") for piece in iter(lambda: file.read(2**16), b""))
    if comments > MOST_COMMENTS:
        raise InputError(f"{path}: found {comments:,} comments; expected at most {MOST_COMMENTS:,}; save it as PNG")


def _gif_frame(file: BinaryIO) -> tuple[int, int]:
    """Width and height of what holds both the screen and the first frame."""
    file.seek(6)
    width, height, flags = struct.unpack("<HHB2x", file.read(7))
    file.seek((flags >> 7) * (6 << (flags & 7)), os.SEEK_CUR)
    while (kind := file.read(1)) == b"!":
        file.seek(1, os.SEEK_CUR)
        while size := file.read(1)[0]:
            file.seek(size, os.SEEK_CUR)
    left, top, across, down = struct.unpack("<HHHH", file.read(8)) if kind == b"," else (0, 0, 0, 0)
    return max(width, left + across), max(height, top + down)


def _webp_canvas(head: bytes) -> tuple[int, int]:
    """Width and height; 0 where the file is no WebP."""
    if head[8:16] == b"WEBPVP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[8:16] == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if head[8:16] == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", head, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return 0, 0
