"""Files of unknown origin, read by libraries that believe the lengths in them."""

import io
import os
from pathlib import Path

_SMALL = 2**16  # bytes


class BoundedBytes(io.BytesIO):
    """Bytes in memory as a file, which knows its length.

    Args:
        content: what the file holds.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.length = len(content)


class BoundedFile(io.BufferedReader):
    """A file that is asked for no more than it holds: Python makes room for all that is asked for, there or not.

    Args:
        path: an existing file.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "short"
        >>> _ = path.write_bytes(b"abc")
        >>> with BoundedFile(path) as file:
        ...     file.read(2**62)
        b'abc'
    """

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.length = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read at most `size` bytes, or all that is left."""
        if size is not None and 0 <= size <= _SMALL:  # there are many of these, and they need no care
            return super().read(size)
        return super().read(self.piece(size))

    def piece(self, size: int | None) -> int:
        """How many bytes `read` would give for `size`."""
        left = max(0, self.length - self.tell())
        return left if size is None or size < 0 else min(size, left)
