"""NPZ files: several arrays in one zip archive, never unpickled, and checked before allocation.

Both kinds are read, compressed or not; what is written is not compressed, which is some ten times as quick.
"""

import math
import struct
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mizumashi.data import limits
from mizumashi.data.archives import open_archive, require_known_compression
from mizumashi.data.error_text import reason
from mizumashi.errors import InputError

_LONGEST_HEADER = 10_000  # bytes; NumPy refuses more characters, but unpacks them all before
_KINDS = "biufU"  # truth values, integers, floats and text


def npz_keys(path: Path) -> set[str] | None:
    """The names of the arrays if the file is a zip archive with NumPy arrays in it, otherwise None.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        with open_archive(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return None
    except InputError:
        raise
    except Exception as error:  # zipfile raises many kinds on damaged files
        raise InputError(f"{path}: cannot read the file ({reason(error)}); get or make it again") from error
    return {name.removesuffix(".npy") for name in names if name.endswith(".npy")} or None


def read_npz(path: Path, keys: tuple[str, ...]) -> list[NDArray[Any]]:
    """Read the arrays named `keys`.

    Raises:
        InputError: an array is missing, damaged, larger than the limits, or not of numbers or text.
    """
    try:
        with open_archive(path) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of headers that Python 2 wrote
            return [_read_array(archive, f"{key}.npy", path) for key in keys]
    except InputError:
        raise
    except Exception as error:  # zipfile and numpy raise many kinds on damaged files
        raise InputError(f"{path}: cannot read the NPZ file ({reason(error)}); make it again") from error


def map_npz(path: Path, key: str) -> NDArray[Any]:
    """An array of an NPZ file that is not compressed, left on disk: pages are read when they are looked at.

    Nothing is checked but the header: open the file with `read_npz` before, and do not change it while the array is in
    use. Changes to the array stay in memory.

    Raises:
        InputError: the file is damaged or compressed.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "numbers.npz"
        >>> np.savez(path, squares=np.arange(5) ** 2)
        >>> map_npz(path, "squares").tolist()
        [0, 1, 4, 9, 16]
    """
    try:
        with open_archive(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            shape, dtype, fortran, start = _read_header(archive, info)
        with path.open("rb") as file:
            file.seek(info.header_offset + 26)  # of the member's own header: 30 bytes, its name, and extras
            name, extras = struct.unpack("<HH", file.read(4))
        if info.compress_type != zipfile.ZIP_STORED or fortran or not _is_plain(dtype):
            raise ValueError(f"{key} is compressed, in Fortran's order, or not of numbers or text")
        offset = info.header_offset + 30 + name + extras + start
        return np.memmap(path, dtype, "c", offset, shape)
    except Exception as error:  # zipfile and numpy raise many kinds on damaged files
        raise InputError(f"{path}: cannot map the NPZ file ({reason(error)}); make it again") from error


class NpzWriter:
    """Writes arrays into a new NPZ file, one after the other; `append` writes one in pieces."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def write(self, key: str, array: NDArray[Any]) -> None:
        """Write a whole array."""
        with self._archive.open(f"{key}.npy", "w", force_zip64=True) as file:
            npy.write_array(file, array, allow_pickle=False)

    def write_text(self, name: str, text: bytes) -> None:
        """Write a member that is no array; NumPy gives it as bytes."""
        with self._archive.open(name, "w", force_zip64=True) as file:
            file.write(text)

    @contextmanager
    def append(self, key: str, shape: tuple[int, ...]) -> Iterator[BinaryIO]:
        """Write the header of a uint8 array; its elements in C order are then written to the file given."""
        with self._archive.open(f"{key}.npy", "w", force_zip64=True) as file:
            npy.write_array_header_1_0(
                file,
                {"descr": npy.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False, "shape": shape},
            )
            yield cast(BinaryIO, file)


@contextmanager
def new_npz(path: Path) -> Iterator[NpzWriter]:
    """Create an NPZ file, not compressed, as `numpy.savez` does; it carries no time: equal arrays, equal files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        yield NpzWriter(archive)


def _read_array(archive: zipfile.ZipFile, member: str, path: Path) -> NDArray[Any]:
    info = archive.getinfo(member)
    shape, dtype, _, start = _read_header(archive, info)
    if dtype.hasobject:
        raise InputError(f"{path}: found Python objects in {member}; expected numbers; they are never unpickled")
    if not _is_plain(dtype):
        raise InputError(f"{path}: found elements of type {str(dtype)[:40]} in {member}; expected numbers or text")
    claimed = math.prod(shape) * dtype.itemsize
    limits.require_size(path, claimed)
    stored = min(info.compress_size, path.stat().st_size)  # the archive's directory may lie as well
    if info.compress_type == zipfile.ZIP_STORED:
        limits.require_stored(path, claimed, stored - start)
    else:
        limits.require_compressible(path, claimed, stored)
    with archive.open(info) as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    if dtype.kind == "U" and array.size:
        letters = array.ravel(order="K").view(f"{dtype.byteorder}u4")
        if letters.max() > sys.maxunicode:
            raise ValueError(f"{member} holds no text: {letters.max():#x} is no letter")
    return array


def _read_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype[Any], bool, int]:
    """An array's shape, type, whether it is in Fortran's order, and the length of its header."""
    require_known_compression(member)
    with archive.open(member) as file:
        version = npy.read_magic(file)
        length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"the header of {member.filename[:40]!r} has {length:,} bytes")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    with archive.open(member) as file:
        npy.read_magic(file)
        shape, fortran, dtype = header(file)
        return shape, dtype, fortran, file.tell()


def _is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether elements are numbers or text; elements of no size would let a header announce any number of them."""
    return dtype.kind in _KINDS and dtype.itemsize > 0
