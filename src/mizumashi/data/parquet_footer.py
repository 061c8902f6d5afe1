"""What a Parquet file's footer says of its pieces, read here: pyarrow ends the process over some damaged footers.

The footer is in Thrift's compact protocol. Of its fields those few are kept that say how large the pieces are; all
others are passed over. A field that is there twice counts the second time, as it does for pyarrow.
"""

from collections.abc import Iterator
from typing import NamedTuple

_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)

_ROW_GROUPS, _COLUMNS, _META_DATA, _CODEC, _UNPACKED, _PACKED = 4, 1, 3, 4, 6, 7
"""Numbers of fields: of FileMetaData, RowGroup, ColumnChunk, and of ColumnMetaData the last three."""

_CODECS = ("UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW")


class Chunk(NamedTuple):
    """One column of one row group.

    Args:
        codec: its compression.
        unpacked: bytes, as the footer says.
        packed: bytes in the file, as the footer says.
    """

    codec: str
    unpacked: int
    packed: int


def read_chunks(footer: bytes) -> list[list[Chunk]]:
    """For each row group of a footer its columns, in the order of the schema.

    Raises:
        Exception: the footer is damaged; any of several kinds.
    """
    walk, groups = _Walk(footer), list[list[Chunk]]()
    for number, kind in walk.fields():
        if (number, kind) == (_ROW_GROUPS, _LIST):
            groups = [_row_group(walk) for _ in walk.structs()]
        else:
            walk.skip(kind)
    return groups


def _row_group(walk: "_Walk") -> list[Chunk]:
    columns: list[Chunk] = []
    for number, kind in walk.fields():
        if (number, kind) == (_COLUMNS, _LIST):
            columns = [_column(walk) for _ in walk.structs()]
        else:
            walk.skip(kind)
    return columns


def _column(walk: "_Walk") -> Chunk:
    found: Chunk | None = None
    for number, kind in walk.fields():
        if (number, kind) == (_META_DATA, _STRUCT):
            found = _meta_data(walk)
        else:
            walk.skip(kind)
    if found is None:
        raise ValueError("a column says nothing of its size")
    return found


def _meta_data(walk: "_Walk") -> Chunk:
    numbers = {}
    for number, kind in walk.fields():
        if number in (_CODEC, _UNPACKED, _PACKED) and kind in (_I32, _I64):
            numbers[number] = walk.integer()
        else:
            walk.skip(kind)
    if len(numbers) < 3 or not 0 <= numbers[_CODEC] < len(_CODECS):
        raise ValueError("a column says nothing of its size or compression")
    return Chunk(_CODECS[numbers[_CODEC]], numbers[_UNPACKED], numbers[_PACKED])


class _Walk:
    """A place in a message of Thrift's compact protocol."""

    def __init__(self, message: bytes) -> None:
        self._message, self._place = message, 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Number and kind of each field of a struct; whoever takes one must read or skip its value."""
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self.integer()
            yield number, head & 15

    def structs(self) -> Iterator[None]:
        """Once for each struct of a list."""
        size, kind = self._list()
        if kind != _STRUCT:
            raise ValueError("a list holds no structs")
        for _ in range(size):
            yield

    def integer(self) -> int:
        """A signed number."""
        number = self._unsigned()
        return number >> 1 ^ -(number & 1)

    def skip(self, kind: int, *, element: bool = False) -> None:
        """Pass over a value; truth values take room only as elements of a list."""
        if kind in (_TRUE, _FALSE):
            self._jump(1 if element else 0)
        elif kind == _BYTE:
            self._jump(1)
        elif kind in (_I16, _I32, _I64):
            self._unsigned()
        elif kind == _DOUBLE:
            self._jump(8)
        elif kind == _BINARY:
            self._jump(self._unsigned())
        elif kind in (_LIST, _SET):
            size, inner = self._list()
            for _ in range(size):
                self.skip(inner, element=True)
        elif kind == _MAP:
            self._skip_map()
        elif kind == _STRUCT:
            for _, inner in self.fields():
                self.skip(inner)
        else:
            raise ValueError(f"a value is of kind {kind}")

    def _skip_map(self) -> None:
        size = self._unsigned()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self.skip(kinds >> 4, element=True)
            self.skip(kinds & 15, element=True)

    def _list(self) -> tuple[int, int]:
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._unsigned()
        if size > len(self._message) - self._place:  # each element takes a byte at least
            raise ValueError(f"a list has {size:,} elements")
        return size, head & 15

    def _byte(self) -> int:
        self._jump(1)
        return self._message[self._place - 1]

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise ValueError("a number has more than 64 bits")

    def _jump(self, count: int) -> None:
        self._place += count
        if self._place > len(self._message):
            raise ValueError("the footer is cut off")
