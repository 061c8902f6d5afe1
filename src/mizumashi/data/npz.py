"""NPZ files: several arrays in one zip archive, never unpickled, and checked before allocation.

Both kinds are read, compressed or not; what is written is not compressed, which is some ten times as quick.
"""

import math
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from mizumashi.data import limits
from mizumashi.errors import InputError


def npz_keys(path: Path) -> set[str] | None:
    """The names of the arrays if the file is a zip archive with NumPy arrays in it, otherwise None.

    Raises:
        InputError: the file cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot read the file ({error.strerror})") from error
    return {name.removesuffix(".npy") for name in names if name.endswith(".npy")} or None


def read_npz(path: Path, keys: tuple[str, ...]) -> list[NDArray[Any]]:
    """Read the arrays named `keys`.

    Raises:
        InputError: an array is missing, damaged, larger than the limit, or of Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [_read_array(archive, f"{key}.npy", path) for key in keys]
    except InputError:
        raise
    except Exception as error:  # zipfile and numpy raise many kinds on damaged files
        raise InputError(f"{path}: cannot read the NPZ file ({error}); it is damaged: make it again") from error


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
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(f"{key}.npy")
            with archive.open(info) as member:
                shape, dtype = _read_header(member)
                start = member.tell()
        with path.open("rb") as file:
            file.seek(info.header_offset + 26)  # of the member's own header: 30 bytes, its name, and extras
            name, extras = struct.unpack("<HH", file.read(4))
        if info.compress_type != zipfile.ZIP_STORED or dtype.hasobject:
            raise ValueError(f"{key} is compressed or of Python objects")
        offset = info.header_offset + 30 + name + extras + start
        return np.memmap(path, dtype, "c", offset, shape)
    except Exception as error:  # zipfile and numpy raise many kinds on damaged files
        raise InputError(f"{path}: cannot map the NPZ file ({error}); it is damaged: make it again") from error


class NpzWriter:
    """Writes arrays into a new NPZ file, one after the other; `append` writes one in pieces."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def write(self, key: str, array: NDArray[Any]) -> None:
        """Write a whole array."""
        with self._archive.open(f"{key}.npy", "w", force_zip64=True) as file:
            npy.write_array(file, array, allow_pickle=False)

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
    with archive.open(info) as file:
        shape, dtype = _read_header(file)
        start = file.tell()
    if dtype.hasobject:
        raise InputError(f"{path}: found Python objects in {member}; expected numbers; they are never unpickled")
    claimed = math.prod(shape) * dtype.itemsize
    limits.require_size(path, claimed)
    stored = min(info.compress_size, path.stat().st_size)  # the archive's directory may lie as well
    if info.compress_type == zipfile.ZIP_STORED:
        limits.require_stored(path, claimed, stored - start)
    else:
        limits.require_compressible(path, claimed, stored)
    with archive.open(info) as file:
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    return array


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = npy.read_magic(file)
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = header(file)
    return shape, dtype
