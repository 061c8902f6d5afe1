"""The IDX format: a big-endian header, then the bytes of one array; plain or gzipped.

Two zero bytes, a type code (0x08 is uint8, the only one here), the number of dimensions, each dimension as a
32-bit integer, then the elements in C order. MNIST's four files are of this format.
"""

import gzip
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from mizumashi.data import limits
from mizumashi.errors import InputError

_UINT8 = 0x08
_TYPES = (0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E)
_NAME = re.compile(r".*(-ubyte|(images|labels).*idx[134])(\.gz)?", re.IGNORECASE)


def idx_dimensions(path: Path) -> int | None:
    """The number of dimensions if the file's first bytes are those of an IDX file, otherwise None.

    Labels have 1 dimension, grey images 3 (N x H x W), RGB images 4 (N x H x W x 3).

    Raises:
        InputError: the file has an IDX file's name, but not its first bytes, or cannot be read.
    """
    reason = "found no IDX header, though the name says IDX"
    try:
        with _open(path) as file:
            magic = file.read(4)
    except (OSError, EOFError, zlib.error) as error:
        magic, reason = b"", f"cannot read the file ({error})"
    if len(magic) == 4 and magic[:2] == b"\0\0" and magic[2] in _TYPES and magic[3] > 0:
        return magic[3]
    if _NAME.fullmatch(path.name):
        raise InputError(
            f"{path}: {reason}; expected the bytes 0, 0, type, dimensions, plain or gzipped; "
            "the file is truncated or damaged: get it again, or remove it"
        )
    return None


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file of bytes, plain or gzipped (told by its content), into a writable array.

    Raises:
        InputError: the file is not IDX, not of type uint8, not of 1, 3 or 4 dimensions, empty, shorter or longer than
            its header says, or larger than `mizumashi.data.limits` allow.
    """
    try:
        with _open(path) as file:
            shape = _read_header(file, path)
            size = math.prod(shape)
            limits.require_size(path, size)
            _require_stored(path, size, compressed=isinstance(file, gzip.GzipFile), ndim=len(shape))
            array = np.empty(size, np.uint8)
            found = _fill(array, file)
            surplus = file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot read the file ({error}); it is truncated or damaged: get it again") from error
    if found != size or surplus:
        raise _wrong_length(path, "more" if surplus else f"{found:,}", size)
    return array.reshape(shape)


@contextmanager
def new_idx(path: Path, shape: tuple[int, ...], *, compressed: bool) -> Iterator[BinaryIO]:
    """Create an IDX file, write its header and give the open file, to which the elements are then written.

    The gzip header carries no name and no time, so equal arrays give equal files.
    """
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, _UINT8, len(shape), *shape)
    with path.open("wb") as file:
        if compressed:
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed:
                packed.write(header)
                yield cast(BinaryIO, packed)
        else:
            file.write(header)
            yield file


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb")


def _fill(array: NDArray[np.uint8], file: BinaryIO) -> int:
    """Read into `array` in pieces, so that no second copy is held; gives the number of bytes read."""
    filled = 0
    while piece := file.read(min(array.size - filled, 2**20)):
        array[filled : filled + len(piece)] = np.frombuffer(piece, np.uint8)
        filled += len(piece)
    return filled


def _read_header(file: BinaryIO, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[3] == 0:
        raise InputError(f"{path}: found no IDX header; expected the bytes 0, 0, type, dimensions")
    if magic[2] != _UINT8:
        raise InputError(f"{path}: found IDX elements of type 0x{magic[2]:02x}; expected unsigned bytes (0x08)")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise InputError(f"{path}: found an IDX header that is cut off; the file is truncated: get it again")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if len(shape) not in (1, 3, 4) or 0 in shape:  # NumPy holds neither 255 dimensions nor 0 x 2**32 elements
        raise InputError(
            f"{path}: found an IDX array of {' x '.join(map(str, shape[:4]))}{' x ...' * (len(shape) > 4)}; expected N "
            "labels, or images, N x height x width or N x height x width x 3"
        )
    return shape


def _require_stored(path: Path, size: int, *, compressed: bool, ndim: int) -> None:
    stored = path.stat().st_size
    if compressed:
        limits.require_compressible(path, size, stored)
    elif stored != 4 + 4 * ndim + size:
        raise _wrong_length(path, f"{stored - 4 - 4 * ndim:,}", size)


def _wrong_length(path: Path, found: str, size: int) -> InputError:
    return InputError(
        f"{path}: found {found} bytes after the IDX header, which announces {size:,}; "
        "expected as many as the header says; the file is truncated or damaged: get it again"
    )
