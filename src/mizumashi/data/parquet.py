"""Parquet files of images as the Hugging Face hub has them: a column of image files and one of labels."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mizumashi.data import limits
from mizumashi.data.encoded import EncodedSet
from mizumashi.data.error_text import reason
from mizumashi.data.parquet_footer import read_chunks
from mizumashi.errors import InputError
from mizumashi.utils.extras import optional

_ROWS = 1000  # in a row group
_MAGIC = b"PAR1"
_CODECS = {"UNCOMPRESSED": 1, "SNAPPY": 22}
"""The codecs that are read, and how much each can shrink data at most."""
_BATCH_BYTES = 2**24
_INTEGERS = ("INT32", "INT64")


class ParquetWriter:
    """Writes images and labels into a new Parquet file, some thousand at a time."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self._rows: list[tuple[bytes, int]] = []

    def write(self, png: bytes, label: int) -> None:
        """Write one image, as the bytes of a PNG file, and its label."""
        self._rows.append((png, label))
        if len(self._rows) == _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write the rows that were kept back."""
        pyarrow = _pyarrow()
        images = [{"bytes": png, "path": None} for png, _ in self._rows]
        columns = [images, [label for _, label in self._rows]]
        schema = self._writer.schema
        arrays = [pyarrow.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        self._writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), row_group_size=_ROWS)
        self._rows.clear()


@contextmanager
def new_parquet(path: Path, class_names: Sequence[str]) -> Iterator[ParquetWriter]:
    """Create a Parquet file; equal rows give equal files with the same version of pyarrow.

    Args:
        path: the file.
        class_names: they go where `datasets.load_dataset` looks for them.

    Raises:
        InputError: pyarrow is not installed.
    """
    pyarrow = _pyarrow()
    image = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    schema = pyarrow.schema([("image", image), ("label", pyarrow.int64())])
    features = {"image": {"_type": "Image"}, "label": {"names": list(class_names), "_type": "ClassLabel"}}
    optional("pyarrow.parquet", "hub", "Parquet")
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False, "store_schema": False}
    with pyarrow.parquet.ParquetWriter(path, schema, **options) as writer:  # PNG files do not shrink
        rows = ParquetWriter(writer)
        yield rows
        rows.flush()
        writer.add_key_value_metadata({"huggingface": json.dumps({"info": {"features": features}}, ensure_ascii=False)})


def require_pyarrow() -> None:
    """Raise `InputError` unless pyarrow is installed."""
    _pyarrow()


def is_parquet(path: Path) -> bool:
    """Whether the file begins as a Parquet file does."""
    with path.open("rb") as file:
        return file.read(4) == _MAGIC


def read_parquets(parts: Sequence[Sequence[Path]]) -> EncodedSet:
    """Read the labels of Parquet files; no image is decoded.

    The columns are those that `datasets` has marked as Image and as ClassLabel, otherwise `image` (with `bytes` in it)
    and `label`. Class names are what `datasets` has written down for the first file.

    Args:
        parts: the files of the whole set, or those of the training part and those of the test part.

    Raises:
        InputError: pyarrow is not installed; or a file is damaged, compressed with more than snappy, without such
            columns, or larger than `mizumashi.data.limits` allow.
    """
    files = [_File(path) for part in parts for path in part]
    counts = [sum(len(each.labels) for each in files if each.path in part) for part in parts]
    if not all(counts):
        raise InputError(f"{parts[0][0]}: found a part without rows; expected images in each")
    others = [each for each in files if each.class_names != files[0].class_names]
    if others:
        raise InputError(
            f"{others[0].path}: found other class names than in {files[0].path}; expected the same in every file"
        )

    def images() -> Iterator[tuple[str, bytes]]:
        for each in files:
            yield from each.images()

    return EncodedSet(
        np.concatenate([each.labels for each in files]),
        files[0].class_names,
        counts[0] if len(parts) == 2 else None,
        sum(path.stat().st_size for part in parts for path in part),
        images,
    )


class _File:
    """One Parquet file whose header has been checked, and its labels."""

    def __init__(self, path: Path) -> None:
        self.path = path
        footer = _footer(path)
        self._longest = len(footer)
        with _refusing(path):
            self._chunks = read_chunks(footer)
        with _refusing(path), self._opened() as file:
            self._image, self._label, self.class_names = _columns(path, file)
            self._require_modest(file)
            pieces = [
                _whole_numbers(batch.column(0))
                for batch in file.iter_batches(_ROWS, columns=[self._label], use_threads=False)
            ]
            self.labels: NDArray[np.int64] = np.concatenate([np.empty(0, np.int64), *pieces])

    def images(self) -> Iterator[tuple[str, bytes]]:
        """The images, as many as there are labels: the columns of a damaged file may differ in length."""
        given = 0
        with _refusing(self.path), self._opened() as file:
            for group in range(file.num_row_groups):
                for batch in self._batches(file, group):
                    values = batch.column(0).field("bytes")
                    if values.null_count:
                        raise ValueError("an image has no bytes in the file")
                    if given + len(values) > len(self.labels):
                        raise ValueError(f"more images than the {len(self.labels)} labels")
                    for value in values:
                        yield f"{self.path}: row {given}", value.as_py()
                        given += 1
            if given < len(self.labels):
                raise ValueError(f"{given} images for {len(self.labels)} labels")

    def _opened(self) -> Any:
        """The file, mapped: nothing is allocated for what a page header announces but is not there."""
        optional("pyarrow.parquet", "hub", "Parquet")
        return _pyarrow().parquet.ParquetFile(
            self.path,
            memory_map=True,
            thrift_string_size_limit=self._longest,
            thrift_container_size_limit=self._longest,
        )

    def _batches(self, file: Any, group: int) -> Iterator[Any]:
        """The images of a row group, so few at a time that even equal ones, stored once, take little memory."""
        chunk = self._chunks[group][self._leaf(file, f"{self._image}.bytes")]
        rows = min(_ROWS, max(1, _BATCH_BYTES // max(1, chunk.packed * _CODECS[chunk.codec])))
        columns = [f"{self._image}.bytes"]
        batches: Iterator[Any] = file.iter_batches(rows, row_groups=[group], columns=columns, use_threads=False)
        return batches

    def _require_modest(self, file: Any) -> None:
        stored, rows = self.path.stat().st_size, file.metadata.num_rows
        if not 0 <= rows <= stored:
            raise InputError(f"{self.path}: found {rows:,} rows in {stored:,} bytes; expected an image in each")
        if len(self._chunks) != file.num_row_groups:
            raise ValueError(f"{len(self._chunks)} row groups are {file.num_row_groups}")
        for column in (self._label, f"{self._image}.bytes"):
            leaf = self._leaf(file, column)
            for chunks in self._chunks:
                if len(chunks) != file.metadata.num_columns:
                    raise ValueError(f"a row group has {len(chunks)} of {file.metadata.num_columns} columns")
                chunk = chunks[leaf]
                if chunk.codec not in _CODECS:
                    raise InputError(
                        f"{self.path}: found the compression {chunk.codec}; expected none or snappy; write it again: "
                        "pyarrow.parquet.write_table(pyarrow.parquet.read_table(OLD), NEW)"
                    )
                if not 0 <= chunk.packed <= stored:
                    raise ValueError(f"column {column} has {chunk.packed:,} bytes")
                limits.require_expansion(self.path, chunk.unpacked, chunk.packed)

    @staticmethod
    def _leaf(file: Any, name: str) -> int:
        return next(place for place, leaf in enumerate(_leaves(file)) if leaf.path == name)


def _footer(path: Path) -> bytes:
    """What Arrow unpacks on opening, if its length can be right."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 8))
        tail = file.read(8)
        length = int.from_bytes(tail[:4], "little")
        if size < 12 or tail[4:] != _MAGIC or not 0 < length <= size - 12:
            raise InputError(f"{path}: found no end of the Parquet file; it is truncated or damaged: get it again")
        if length > limits.MAX_MEMBERS_BYTES:
            raise InputError(
                f"{path}: found a Parquet file's directory of {length:,} bytes; expected at most "
                f"{limits.MAX_MEMBERS_BYTES:,}; write larger row groups, or raise "
                "mizumashi.data.limits.MAX_MEMBERS_BYTES"
            )
        file.seek(size - 8 - length)
        return file.read(length)


def _columns(path: Path, file: Any) -> tuple[str, str, tuple[str, ...] | None]:
    """The names of the images' and the labels' columns, and the class names if the file has them."""
    written = (file.metadata.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(written).get("info", {}).get("features", {})
    marked = {kind: [name for name, each in features.items() if each.get("_type") == kind] for kind in _KINDS}
    image, label = (found[0] if len(found) == 1 else _KINDS[kind] for kind, found in marked.items())
    leaves = {(leaf.path, leaf.physical_type) for leaf in _leaves(file)}
    if (f"{image}.bytes", "BYTE_ARRAY") not in leaves or not {(label, kind) for kind in _INTEGERS} & leaves:
        listed = ", ".join(repr(name)[:40] for name, _ in sorted(leaves)[:8])
        raise InputError(
            f"{path}: found the columns {listed}; expected image (bytes and path, as `datasets` has it) and label "
            "(whole numbers)"
        )
    names = features.get(label, {}).get("names")
    if names is None:
        return image, label, None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("the class names are no list of text")
    limits.require_class_names(path, names)
    return image, label, tuple(names)


_KINDS = {"Image": "image", "ClassLabel": "label"}
"""What `datasets` calls the two kinds of columns, and what a column is called where it is silent."""


def _whole_numbers(labels: Any) -> NDArray[np.int64]:
    if labels.null_count:
        raise ValueError("an image has no label")
    return np.asarray(labels).astype(np.int64)


def _leaves(file: Any) -> list[Any]:
    schema = file.metadata.schema
    return [schema.column(place) for place in range(file.metadata.num_columns)]


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a Parquet file into an `InputError`."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # Arrow raises many kinds on damaged files
        raise InputError(f"{path}: cannot read the Parquet file ({reason(error)}); get or make it again") from error


def _pyarrow() -> Any:
    return optional("pyarrow", "hub", "Parquet")
