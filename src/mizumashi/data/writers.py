"""Labelled images out: streaming writers, whole or not at all; `open_images` reads all back identically."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.card import CARD, Origin, card_text
from mizumashi.data.folders import class_folders, natural_order, write_class_names
from mizumashi.data.formats import Format
from mizumashi.data.idx import new_idx
from mizumashi.data.image_files import as_picture, png_bytes
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import new_npz
from mizumashi.data.parquet import new_parquet, require_pyarrow
from mizumashi.data.readers import require_classes
from mizumashi.data.tars import SHARD, new_tar
from mizumashi.errors import InputError, nearest
from mizumashi.utils.files import atomic_file, atomic_folder, require_new_file, require_new_folder
from mizumashi.utils.locks import forget_killed_writer, lock_name


def write_images(images: LabelledImages, path: str | Path, format: Format, *, origin: Origin | None = None) -> Path:
    """Write labelled images; arguments, result and errors as for `write_stream`.

    Example:
        >>> import tempfile
        >>> from mizumashi.data.readers import open_images
        >>> images = LabelledImages.from_arrays(np.zeros((2, 8, 8), np.uint8), [1, 0], ["cat", "dog"])
        >>> path = write_images(images, Path(tempfile.mkdtemp()) / "pets", "npz")
        >>> path.name, open_images(path).equals(images)
        ('pets.npz', True)
    """
    chunks, test_start = [images.images], images.test_start
    return write_stream(chunks, images.labels, images.class_names, path, format, test_start, origin=origin)


def write_stream(
    chunks: Iterable[NDArray[np.uint8]],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    path: str | Path,
    format: Format,
    test_start: int | None = None,
    *,
    origin: Origin | None = None,
) -> Path:
    """Write labelled images that arrive in chunks, as when they are drawn; one chunk is held at a time.

    Everything that can be is checked before the first chunk is asked for.

    - "idx", "idx.gz": a folder of IDX files: MNIST's four names where there are parts, otherwise
      `images-idx3-ubyte` and `labels-idx1-ubyte` (`idx4` for RGB), and classes.json where the class names are
      not the labels' numbers.
    - "folder": a folder with one sub-folder of PNG files per class, below train/ and test/ where there are
      parts. Files are numbered through the whole set, so that the order comes back. A class name that some
      file system cannot hold becomes the folder `class-NUMBER`, and classes.json has the names.
    - "npz": one file with `images`, `labels`, `class_names` and, where there are parts, `test_start`, not
      compressed; `.npz` is added to the name where it lacks.
    - "parquet": a folder that `datasets.load_dataset` reads: `data/train-00000-of-00001.parquet` and, where there
      are parts, `data/test-00000-of-00001.parquet`, with the columns image (PNG) and label, and the class names.
    - "webdataset": a folder of tar files, `train-000000.tar` and so on, of 10,000 images each, `test-000000.tar` and
      so on where there are parts; of an image numbered 7, `0007.png` and `0007.cls`, which holds its label.
      classes.json has the class names where they are not the labels' numbers.

    Where `origin` is given, the set carries a dataset card (see `mizumashi.data.card`): README.md in its folder, and in
    an NPZ file, which is a zip archive, the member README.md. `open_images` leaves it out.

    Equal images give equal files, byte by byte, with the same versions of the libraries.

    Args:
        chunks: arrays of n x H x W x C, uint8, with 1 or 3 channels, in the order of the labels.
        labels: N, each in 0 ... len(class_names) - 1.
        class_names: the name of each label.
        path: a new or empty folder; for "npz" a new file.
        format: see above.
        test_start: where the set has parts, the index of the first test image.
        origin: what made the set, for its card; None for none.

    Returns:
        The path that was written.

    Raises:
        InputError: `path` cannot be written (see `require_writable`), a class has no (training) images, a name is
            no text, the chunks do not fit together or the labels, or another process writes there. Nothing is
            written then.
    """
    require_writable(path, format)
    target = _target(path, format)
    plan = _Plan(labels, tuple(class_names), test_start, format, origin)
    plan.require_usable(target)
    with lock_name(target):
        if format == "npz":
            _write_npz(chunks, plan, target)
            return target
        with atomic_folder(target) as folder:
            stream = _Stream(chunks, len(labels))
            _FOLDER_WRITERS[format](stream, plan, folder)
            stream.require_end()
            if origin is not None:
                (folder / CARD).write_bytes(plan.card(stream.shape))
    return target


def require_writable(path: str | Path, format: Format) -> None:
    """Raise `InputError` unless a set can be written to `path` in `format`; but for leftovers, nothing changes.

    To be called before long work, whose result `write_images` or `write_stream` is then to write.

    Raises:
        InputError: the format is unknown; or `path` holds something: it must be a new file for "npz", otherwise
            a new or empty folder; or no file can be made there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> require_writable(folder, "idx")
        >>> _ = (folder / "notes.txt").write_text("mine")
        >>> require_writable(folder, "idx")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        mizumashi.errors.InputError: found a folder that is not empty at ...; choose another --out
    """
    if format not in get_args(Format):
        known = get_args(Format)
        raise InputError(f"found format {format!r}{nearest(format, known)}; expected one of {', '.join(known)}")
    if format == "parquet":
        require_pyarrow()
    if not Path(path).name:
        raise InputError(f"found {str(path)!r} as the place to write to; expected a new name; choose another --out")
    target = _target(path, format)
    forget_killed_writer(target)
    if format == "npz":
        require_new_file(target)
    else:
        require_new_folder(target)


def is_written(path: str | Path, format: Format) -> bool:
    """Whether there is a set, or anything else, where `write_images` would write one."""
    target = _target(path, format)
    return target.is_file() or (target.is_dir() and any(target.iterdir()))


def _target(path: str | Path, format: Format) -> Path:
    """Where a set given `path` is written."""
    path = Path(path)
    return path.with_name(f"{path.name}.npz") if format == "npz" and path.suffix != ".npz" else path


@dataclass(frozen=True)
class _Plan:
    """What is known of a set before its images arrive."""

    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    test_start: int | None
    format: Format
    origin: Origin | None

    def require_usable(self, path: Path) -> None:
        """Hold the set to what `open_images` demands, and class names to what a file can hold."""
        blank = np.broadcast_to(np.uint8(0), (len(self.labels), 1, 1, 1))
        require_classes(LabelledImages(blank, self.labels, self.class_names, path.name, self.test_start))
        for name in self.class_names:
            if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
                raise InputError(
                    f"{path}: found class name {name!r}; expected text that a file can hold; rename the class"
                )

    def card(self, shape: tuple[int, ...]) -> bytes:
        """The dataset card of a set that has an origin; `shape` is an image's."""
        assert self.origin is not None, "only generated sets have a card"
        return card_text(self.origin, self.labels, self.class_names, shape, self.format, self.test_start).encode()

    @property
    def numbered(self) -> bool:
        """Whether the class names are the labels' numbers."""
        return self.class_names == tuple(map(str, range(len(self.class_names))))

    def key(self, index: int) -> str:
        """The number of an image, so long that sorting by text sorts by number."""
        return f"{index:0{len(str(len(self.labels) - 1))}d}"

    @property
    def parts(self) -> list[tuple[str, int, int]]:
        """Each part's name, first image and end."""
        if self.test_start is None:
            return [("", 0, len(self.labels))]
        return [("train", 0, self.test_start), ("test", self.test_start, len(self.labels))]


class _Stream:
    """Chunks as one stream of images: `take` gives the next ones, wherever the chunks' borders are."""

    def __init__(self, chunks: Iterable[NDArray[np.uint8]], count: int) -> None:
        self._chunks, self._count, self._given = _alike(chunks), count, 0
        self._rest = self._next()
        self.shape = self._rest.shape[1:]

    def take(self, count: int) -> Iterator[NDArray[np.uint8]]:
        """The next `count` images, in pieces."""
        while count:
            if not len(self._rest):
                self._rest = self._next()
            piece, self._rest = self._rest[:count], self._rest[count:]
            count -= len(piece)
            self._given += len(piece)
            yield piece

    def require_end(self) -> None:
        """Raise `InputError` if there are more images than labels."""
        if len(self._rest) or any(len(chunk) for chunk in self._chunks):
            raise InputError(f"found more images than the {self._count} labels; expected one label for each image")

    def _next(self) -> NDArray[np.uint8]:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise InputError(f"found {self._given} images for {self._count} labels; expected one label for each image")
        return chunk


def _alike(chunks: Iterable[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    """Hold every chunk to the first one's size and channels."""
    shape: tuple[int, ...] | None = None
    for chunk in chunks:
        if chunk.dtype != np.uint8 or chunk.ndim != 4 or chunk.shape[3] not in (1, 3) or 0 in chunk.shape[1:]:
            raise InputError(
                f"found images of shape {chunk.shape} and type {chunk.dtype}; "
                "expected N x H x W x C, uint8, with 1 or 3 channels"
            )
        if shape is not None and chunk.shape[1:] != shape:
            raise InputError(f"found images of {chunk.shape[1:]} after images of {shape}; expected one size")
        shape = chunk.shape[1:]
        yield chunk


def _write_idx(stream: _Stream, plan: _Plan, folder: Path) -> None:
    if len(plan.class_names) > 256:
        raise InputError(f"found {len(plan.class_names)} classes; expected at most 256 in IDX; choose npz or folder")
    compressed = plan.format == "idx.gz"
    shape = stream.shape if stream.shape[2] == 3 else stream.shape[:2]
    ending = "-ubyte.gz" if compressed else "-ubyte"
    prefixes = {"": "", "train": "train-", "test": "t10k-"}
    for part, start, stop in plan.parts:
        images = folder / f"{prefixes[part]}images-idx{len(shape) + 1}{ending}"
        with new_idx(images, (stop - start, *shape), compressed=compressed) as file:
            for piece in stream.take(stop - start):
                file.write(np.ascontiguousarray(piece).data)
        labels = folder / f"{prefixes[part]}labels-idx1{ending}"
        with new_idx(labels, (stop - start,), compressed=compressed) as file:
            file.write(plan.labels[start:stop].astype(np.uint8).tobytes())
    if not plan.numbered:
        write_class_names(folder, plan.class_names)


def _write_class_folders(stream: _Stream, plan: _Plan, folder: Path) -> None:
    names = class_folders(plan.class_names)
    folders = [names[name] for name in plan.class_names]
    for part, start, stop in plan.parts:
        for label in np.unique(plan.labels[start:stop]):
            (folder / part / folders[label]).mkdir(parents=True)
        index = start
        for piece in stream.take(stop - start):
            for image in piece:
                as_picture(image).save(folder / part / folders[plan.labels[index]] / f"{plan.key(index)}.png")
                index += 1
    if natural_order(folders) != plan.class_names:
        write_class_names(folder, plan.class_names)


def _write_parquet(stream: _Stream, plan: _Plan, folder: Path) -> None:
    (folder / "data").mkdir()
    for part, start, stop in plan.parts:
        with new_parquet(folder / "data" / f"{part or 'train'}-00000-of-00001.parquet", plan.class_names) as file:
            for index, png in _pngs(stream, start, stop):
                file.write(png, int(plan.labels[index]))


def _write_tars(stream: _Stream, plan: _Plan, folder: Path) -> None:
    for part, start, stop in plan.parts:
        for number, first in enumerate(range(start, stop, SHARD)):
            with new_tar(folder / f"{part or 'train'}-{number:06d}.tar") as file:
                for index, png in _pngs(stream, first, min(first + SHARD, stop)):
                    file.write(plan.key(index), png, int(plan.labels[index]))
    if not plan.numbered:
        write_class_names(folder, plan.class_names)


def _pngs(stream: _Stream, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
    """The next images, `start` ... `stop - 1` of the set, as PNG files."""
    index = start
    for piece in stream.take(stop - start):
        for image in piece:
            yield index, png_bytes(image)
            index += 1


_FOLDER_WRITERS = {
    "idx": _write_idx,
    "idx.gz": _write_idx,
    "folder": _write_class_folders,
    "parquet": _write_parquet,
    "webdataset": _write_tars,
}


def _write_npz(chunks: Iterable[NDArray[np.uint8]], plan: _Plan, path: Path) -> None:
    with atomic_file(path) as temporary, new_npz(temporary) as archive:
        stream = _Stream(chunks, len(plan.labels))
        with archive.append("images", (len(plan.labels), *stream.shape)) as file:
            for piece in stream.take(len(plan.labels)):
                file.write(np.ascontiguousarray(piece).data)
        stream.require_end()
        archive.write("labels", plan.labels)
        archive.write("class_names", np.array(plan.class_names))
        if plan.test_start is not None:
            archive.write("test_start", np.array(plan.test_start))
        if plan.origin is not None:
            archive.write_text(CARD, plan.card(stream.shape))
