"""Labelled images out: streaming writers, whole or not at all; `open_images` reads all back identically."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mizumashi.data.folders import class_folders, natural_order, write_class_names
from mizumashi.data.formats import Format
from mizumashi.data.idx import new_idx
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import new_npz
from mizumashi.data.readers import require_classes
from mizumashi.errors import InputError, nearest
from mizumashi.files import (
    forget_killed_writer,
    require_new_file,
    require_new_folder,
    sole_writer,
    whole_file,
    whole_folder,
)


def write_images(images: LabelledImages, path: str | Path, format: Format) -> Path:
    """Write labelled images; arguments, result and errors as for `write_stream`.

    Example:
        >>> import tempfile
        >>> from mizumashi.data.readers import open_images
        >>> images = LabelledImages.from_arrays(np.zeros((2, 8, 8), np.uint8), [1, 0], ["cat", "dog"])
        >>> path = write_images(images, Path(tempfile.mkdtemp()) / "pets", "npz")
        >>> path.name, open_images(path).equals(images)
        ('pets.npz', True)
    """
    return write_stream([images.images], images.labels, images.class_names, path, format, images.test_start)


def write_stream(
    chunks: Iterable[NDArray[np.uint8]],
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    path: str | Path,
    format: Format,
    test_start: int | None = None,
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

    Equal images give equal files, byte by byte, with the same versions of the libraries.

    Args:
        chunks: arrays of n x H x W x C, uint8, with 1 or 3 channels, in the order of the labels.
        labels: N, each in 0 ... len(class_names) - 1.
        class_names: the name of each label.
        path: a new or empty folder; for "npz" a new file.
        format: see above.
        test_start: where the set has parts, the index of the first test image.

    Returns:
        The path that was written.

    Raises:
        InputError: `path` cannot be written (see `require_writable`), a class has no (training) images, a name is
            no text, the chunks do not fit together or the labels, or another process writes there. Nothing is
            written then.
    """
    require_writable(path, format)
    target = _target(path, format)
    plan = _Plan(labels, tuple(class_names), test_start)
    plan.require_usable(target)
    with sole_writer(target):
        if format == "npz":
            _write_npz(chunks, plan, target)
            return target
        with whole_folder(target) as folder:
            if format == "folder":
                _write_class_folders(chunks, plan, folder)
            else:
                _write_idx(chunks, plan, folder, compressed=format == "idx.gz")
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

    def require_usable(self, path: Path) -> None:
        """Hold the set to what `open_images` demands, and class names to what a file can hold."""
        blank = np.broadcast_to(np.uint8(0), (len(self.labels), 1, 1, 1))
        require_classes(LabelledImages(blank, self.labels, self.class_names, path.name, self.test_start))
        for name in self.class_names:
            if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
                raise InputError(
                    f"{path}: found class name {name!r}; expected text that a file can hold; rename the class"
                )

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


def _write_idx(chunks: Iterable[NDArray[np.uint8]], plan: _Plan, folder: Path, *, compressed: bool) -> None:
    if len(plan.class_names) > 256:
        raise InputError(f"found {len(plan.class_names)} classes; expected at most 256 in IDX; choose npz or folder")
    stream = _Stream(chunks, len(plan.labels))
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
    stream.require_end()
    if plan.class_names != tuple(map(str, range(len(plan.class_names)))):
        write_class_names(folder, plan.class_names)


def _write_class_folders(chunks: Iterable[NDArray[np.uint8]], plan: _Plan, folder: Path) -> None:
    names = class_folders(plan.class_names)
    folders = [names[name] for name in plan.class_names]
    width = len(str(len(plan.labels) - 1))
    stream = _Stream(chunks, len(plan.labels))
    for part, start, stop in plan.parts:
        for label in np.unique(plan.labels[start:stop]):
            (folder / part / folders[label]).mkdir(parents=True)
        index = start
        for piece in stream.take(stop - start):
            for image in piece:
                file = folder / part / folders[plan.labels[index]] / f"{index:0{width}d}.png"
                Image.fromarray(image if image.shape[2] == 3 else image[..., 0]).save(file)
                index += 1
    stream.require_end()
    if natural_order(folders) != plan.class_names:
        write_class_names(folder, plan.class_names)


def _write_npz(chunks: Iterable[NDArray[np.uint8]], plan: _Plan, path: Path) -> None:
    with whole_file(path) as temporary, new_npz(temporary) as archive:
        stream = _Stream(chunks, len(plan.labels))
        with archive.append("images", (len(plan.labels), *stream.shape)) as file:
            for piece in stream.take(len(plan.labels)):
                file.write(np.ascontiguousarray(piece).data)
        stream.require_end()
        archive.write("labels", plan.labels)
        archive.write("class_names", np.array(plan.class_names))
        if plan.test_start is not None:
            archive.write("test_start", np.array(plan.test_start))
