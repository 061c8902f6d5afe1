"""Labelled images in: the reader is chosen by content, and bad input ends in one clear line."""

import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mizumashi.data import catalog, limits
from mizumashi.data.encoded import EncodedSet, shards
from mizumashi.data.folders import list_image_files, read_class_names, visible
from mizumashi.data.formats import Preprocess
from mizumashi.data.idx import idx_dimensions, read_idx
from mizumashi.data.image_files import read_image
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import npz_keys, read_npz
from mizumashi.data.parquet import is_parquet, read_parquets
from mizumashi.data.preprocess import mnist_style
from mizumashi.data.resize import require_side, resize_image
from mizumashi.data.tars import is_tar, read_tars
from mizumashi.errors import InputError, nearest

_FORMATS = (
    "IDX files, NPZ, Parquet, WebDataset, a folder with one sub-folder per class, or one of images named by their label"
)
_KERAS = ("x_train", "y_train", "x_test", "y_test")
_TEST = re.compile(r"(?<![a-z])(t10k|test)", re.IGNORECASE)  # in the name of a test part's file
_Named = Iterable[tuple[str, NDArray[np.uint8]]]
_log = logging.getLogger("mizumashi")


def open_images(
    source: str | Path,
    *,
    preprocess: Preprocess | None = None,
    resize: int | None = None,
    data_dir: str | Path | None = None,
) -> LabelledImages:
    """Open labelled images by catalogue name or path.

    The text `digits`, `mnist` or `faxocr` means the catalogue's set, even where a file of that name exists:
    write `./mnist`, or give a `Path`, for the file. Paths are read by what they hold:

    - IDX files, plain or gzipped: a folder with MNIST's four files (training and test part) or one pair, or
      the path of an images file, whose labels file lies beside it. Classes are the numbers that occur, or as
      classes.json lists.
    - A folder with one sub-folder of images per class, with train/ and test/ above them where there are
      parts.
    - A folder of images whose file names begin with the label (one character), as FaxOCR's.
    - NPZ with `images`, `labels`, `class_names` (optional), `test_start` (optional), or with Keras's
      `x_train`, `y_train`, `x_test`, `y_test`.

    - Parquet files of images and labels as the Hugging Face hub has them (pip install 'mizumashi[hub]'): a folder
      with `train-...parquet` and, where there are parts, `test-...parquet`, there or in `data`; or one file.
    - WebDataset shards, with an image and a `.cls` file of its label in each sample: a folder with `train-...tar` and,
      where there are parts, `test-...tar`; or one file. Class names come from classes.json.

    A README.md, the dataset card of a generated set, is left out.

    Image files may be PNG, JPEG, BMP, GIF, PNM, TIFF or WebP; see `mizumashi.data.image_files.read_image` for
    how palettes and transparency are read.

    Args:
        source: a catalogue name or a path.
        preprocess: "mnist-style" passes every image, of any size, through `mnist_style`: 28 x 28, grey.
            Images that become blank stay in the set, and one warning counts them. The catalogue's `faxocr`
            always is.
        resize: the side in pixels to which every image, of any size, is then brought as by
            `mizumashi.data.resize.resize`; files of differing sizes make one set so.
        data_dir: the folder where the catalogue's files lie; by default what MIZUMASHI_DATA names.

    Returns:
        The set; where the source has a training and a test part, with `.train` and `.test`.

    Raises:
        InputError: the source is unknown, damaged or not one set of images of one size and of two classes at
            least; or there is no folder `data_dir`, or `resize` is less than 1 or more than
            `mizumashi.data.limits` allow.

    Example:
        >>> digits = open_images("digits")
        >>> len(digits.train), len(digits.test), digits.size
        (1415, 382, (16, 16))
    """
    if resize is not None:
        require_side(resize)
    if data_dir is not None:
        catalog.require_data_folder(data_dir)
    if isinstance(source, str) and source in catalog.NAMES:
        if Path(source).exists():
            _log.warning("%s is the catalogue's set; for what has that name here write ./%s", source, source)
        images = _open_known(source, preprocess, resize, data_dir)
    else:
        images = _open_path(Path(source), preprocess, resize)
    require_classes(images)
    return images.renamed(images.name.encode("utf-8", "replace").decode())  # a path may hold bytes that are no text


def require_classes(images: LabelledImages) -> None:
    """Raise `InputError` unless there are two classes, and images of each in the set or its training part."""
    trained = images if images.test_start is None else images.train
    empty = np.flatnonzero(trained.counts == 0)
    if len(images.class_names) < 2:
        raise InputError(
            f"{images.name}: found the classes {list(images.class_names)}; expected two at least; "
            "labels are numbers, sub-folder names or the first characters of file names"
        )
    if len(empty):
        raise InputError(
            f"{trained.name}: found no image of class {images.class_names[empty[0]]!r}; "
            "expected images of every class; add some or remove the class"
        )


def _open_known(
    name: str, preprocess: Preprocess | None, resize: int | None, data_dir: str | Path | None
) -> LabelledImages:
    if name == "digits":
        return _shaped_set(catalog.load_digits(), preprocess, resize)
    if name == "faxocr":
        preprocess = "mnist-style"  # its cut-outs have 13 sizes
    return _open_path(catalog.find(name, data_dir), preprocess, resize).renamed(name)


def _open_path(path: Path, preprocess: Preprocess | None, resize: int | None) -> LabelledImages:
    if path.is_dir():
        if any(idx_dimensions(entry) for entry in visible(path) if entry.is_file()):
            images = _read_idx_folder(path)
        elif files := shards(path, ".parquet"):
            return _read_encoded(path, read_parquets(files), preprocess, resize)
        elif files := shards(path, ".tar"):
            return _read_encoded(path, read_tars(files), preprocess, resize)
        else:
            return _read_image_folder(path, preprocess, resize)
    elif path.is_file():
        if is_parquet(path):
            return _read_encoded(path, read_parquets([[path]]), preprocess, resize)
        if is_tar(path):
            return _read_encoded(path, read_tars([[path]]), preprocess, resize)
        images = _read_file(path)
    else:
        raise InputError(
            f"found no file, folder or known set {str(path)!r}{nearest(str(path), catalog.NAMES)}; "
            f"expected a path or one of {', '.join(catalog.NAMES)}"
        )
    return _shaped_set(images, preprocess, resize)


def _read_file(path: Path) -> LabelledImages:
    if idx_dimensions(path):
        return _read_idx_set([path], path)
    keys = npz_keys(path)
    if keys is None:
        raise InputError(f"{path}: found a file of no known format; expected {_FORMATS}")
    return _read_npz_set(path, keys)


def _read_image_folder(folder: Path, preprocess: Preprocess | None, resize: int | None) -> LabelledImages:
    files = list_image_files(folder)
    source: _Named = ((str(path), read_image(path)) for path in files.paths)
    stored = sum(path.stat().st_size for path in files.paths) if resize is None and preprocess is None else None
    pixels = _stack(_shaped(source, len(files.paths), folder, preprocess, resize), len(files.paths), folder, stored)
    labels = np.array(files.labels, np.int64)
    return LabelledImages(pixels, labels, files.class_names, folder.resolve().name, files.test_start)


def _read_encoded(path: Path, found: EncodedSet, preprocess: Preprocess | None, resize: int | None) -> LabelledImages:
    source: _Named = ((name, read_image(Path(name), content)) for name, content in found.images())
    count, stored = len(found.labels), found.stored if resize is None and preprocess is None else None
    pixels = _stack(_shaped(source, count, path, preprocess, resize), count, path, stored)
    return _assemble(path, pixels, found.labels, found.class_names, found.test_start)


def _stack(source: _Named, count: int, folder: Path, stored: int | None = None) -> NDArray[np.uint8]:
    """Gather images H x W x C of one size into N x H x W x C; where they come as they are, from `stored` bytes."""
    pixels: NDArray[np.uint8] | None = None
    first = ""
    for index, (name, image) in enumerate(source):
        if pixels is None:
            limits.require_size(folder, count * image.size)
            if stored is not None:  # a large first image must not make room for many that are small
                limits.require_expansion(folder, count * image.size, stored)
            pixels, first = np.empty((count, *image.shape), np.uint8), name
        elif image.shape != pixels.shape[1:]:
            ways = "--preprocess mnist-style"
            if image.shape[2] == pixels.shape[3]:
                ways = f"--resize SIZE --out NEW, or with {ways} in place of --resize SIZE"
            else:
                ways = f"{ways} --out NEW, or convert the files to one colour mode"
            raise InputError(
                f"{folder}: found {_described(pixels.shape[1:])} in {first} and {_described(image.shape)} "
                f"in {name}; expected images of one size and colour mode; try: mizumashi data {folder} {ways}"
            )
        pixels[index] = image
    assert pixels is not None, "list_image_files gives at least one file"
    return pixels


def _described(shape: tuple[int, ...]) -> str:
    return f"{'grey' if shape[2] == 1 else 'RGB'} {shape[1]} x {shape[0]}"


def _shaped(source: _Named, count: int, origin: Path, preprocess: Preprocess | None, resize: int | None) -> _Named:
    """Preprocess and resize images one by one."""
    if preprocess == "mnist-style":
        source = _mnist_styled(source)
    return source if resize is None else _resized(source, count, origin, resize)


def _shaped_set(images: LabelledImages, preprocess: Preprocess | None, resize: int | None) -> LabelledImages:
    if preprocess is None and resize is None:
        return images
    count, origin = len(images), Path(images.name)
    source = ((f"image {index}", image) for index, image in enumerate(images.images))
    return replace(images, images=_stack(_shaped(source, count, origin, preprocess, resize), count, origin))


def _resized(source: _Named, count: int, origin: Path, size: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for name, image in source:
        limits.require_size(origin, count * size**2 * image.shape[2])  # before the first large image is made
        yield name, resize_image(image, size)


def _mnist_styled(source: _Named) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Pass images through `mnist_style`; at the end, warn of those that have become blank."""
    blank = []
    for name, image in source:
        small = mnist_style(image)
        if not small.any():
            blank.append(name)
        yield name, small[..., np.newaxis]
    if blank:
        first = ", ".join(blank[:3]) + (", ..." if len(blank) > 3 else "")
        _log.warning("%d images are blank after preprocessing and stay in the set: %s", len(blank), first)


def _read_idx_folder(folder: Path) -> LabelledImages:
    files: dict[str, Path] = {}
    for path in visible(folder):
        if path.is_file() and (idx_dimensions(path) or 0) > 1:
            files.setdefault(path.name.removesuffix(".gz"), path)  # sorted: the plain file comes first
    if not files:
        raise InputError(
            f"{folder}: found IDX files, but none of images; expected ...images-idx3-ubyte beside each "
            "...labels-idx1-ubyte; add the images file"
        )
    test = [path for name, path in files.items() if _TEST.search(name)]
    train = [path for path in files.values() if path not in test]
    if not train:
        raise InputError(
            f"{folder}: found {', '.join(path.name for path in test)} alone, a test part's images; expected training "
            "images beside them; add the training files, or give the path of the images file to open it alone"
        )
    if len(train) != 1 or len(test) > 1:
        raise InputError(
            f"{folder}: found {len(files)} IDX images files, {', '.join(files)}; expected one, or one for "
            "training and one with t10k or test in its name; give the path of one of them"
        )
    return _read_idx_set([*train, *test], folder)


def _read_idx_set(paths: list[Path], source: Path) -> LabelledImages:
    """Read one images file, or a training and a test images file, each with the labels file beside it."""
    parts = [_read_idx_pair(path) for path in paths]
    if parts[0][0].shape[1:] != parts[-1][0].shape[1:]:
        raise InputError(
            f"{source}: found {_described(parts[0][0].shape[1:])} in {paths[0].name} and "
            f"{_described(parts[1][0].shape[1:])} in {paths[1].name}; expected one size and colour mode"
        )
    return _assemble(
        source,
        np.concatenate([images for images, _ in parts]) if len(parts) == 2 else parts[0][0],
        np.concatenate([labels for _, labels in parts]),
        read_class_names(paths[0].parent),
        len(parts[0][1]) if len(parts) == 2 else None,
    )


def _read_idx_pair(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images, N x H x W x C, and their labels."""
    labels_path = _labels_beside(path)
    images, labels = read_idx(path), read_idx(labels_path)
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)) or not images.size:
        raise InputError(
            f"{path}: found an array of {' x '.join(map(str, images.shape))}; expected images, "
            "N x height x width or N x height x width x 3"
        )
    if labels.shape != images.shape[:1]:
        raise InputError(
            f"found {' x '.join(map(str, labels.shape))} labels in {labels_path} for {len(images)} images "
            f"in {path}; expected one label for each image"
        )
    return images if images.ndim == 4 else images[..., np.newaxis], labels


def _labels_beside(path: Path) -> Path:
    plain = path.name.removesuffix(".gz")
    labels = plain.replace("images", "labels").replace("idx3", "idx1").replace("idx4", "idx1")
    if "images" in plain:
        for name in (labels + path.name[len(plain) :], labels, labels + ".gz"):
            if path.with_name(name).is_file():
                return path.with_name(name)
    raise InputError(
        f"{path}: found no labels file beside this IDX file; expected the names ...images-idx3-ubyte and "
        "...labels-idx1-ubyte (plain or .gz); give the path of the images file"
    )


def _read_npz_set(path: Path, keys: set[str]) -> LabelledImages:
    if keys >= set(_KERAS):
        x_train, y_train, x_test, y_test = read_npz(path, _KERAS)
        paired = x_train.shape[:1] == y_train.shape and x_test.shape[:1] == y_test.shape
        if not paired or x_train.ndim < 3 or x_train.shape[1:] != x_test.shape[1:]:
            raise InputError(
                f"{path}: found x_train {x_train.shape}, y_train {y_train.shape}, x_test {x_test.shape}, "
                f"y_test {y_test.shape}; expected one label for each image and images of one size"
            )
        images, labels = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
        return _assemble(path, images, labels, None, len(x_train))
    if not keys >= {"images", "labels"}:
        named = [repr(key)[:40] for key in sorted(keys)[:8]]
        raise InputError(
            f"{path}: found the arrays {', '.join(named)}{', ...' * (len(keys) > len(named))}; "
            f"expected images and labels, or {', '.join(_KERAS)}"
        )
    optional = [key for key in ("class_names", "test_start") if key in keys]
    images, labels, *others = read_npz(path, ("images", "labels", *optional))
    found = dict(zip(optional, others, strict=True))
    names, start = found.get("class_names"), found.get("test_start")
    if names is not None and (names.dtype.kind != "U" or names.ndim != 1):
        raise InputError(f"{path}: found class_names of type {names.dtype}; expected a list of strings")
    if names is not None:
        limits.require_classes(path, len(names))  # before each becomes a string of its own
    if start is not None and (start.dtype.kind not in "iu" or start.ndim != 0):
        raise InputError(f"{path}: found test_start of type {start.dtype}; expected one whole number")
    class_names = None if names is None else tuple(names.tolist())
    return _assemble(path, images, labels, class_names, None if start is None else int(start))


def _assemble(
    source: Path,
    images: NDArray[Any],
    labels: NDArray[Any],
    class_names: tuple[str, ...] | None,
    test_start: int | None,
) -> LabelledImages:
    """Make a set of arrays; without class names, the classes are the numbers in the training part."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(
            f"{source}: found labels of shape {labels.shape} and type {labels.dtype}; "
            "expected one whole number for each image"
        )
    if class_names is None:
        numbers = np.unique(labels[:test_start])
        limits.require_classes(source, len(numbers))
        surplus = np.setdiff1d(labels, numbers)
        if len(surplus):
            raise InputError(
                f"{source}: found class '{surplus[0]}' in the test part only; expected the training classes"
            )
        labels, class_names = np.searchsorted(numbers, labels), tuple(map(str, numbers.tolist()))
    joined = LabelledImages.from_arrays(images, labels, class_names, source.resolve().name)
    return replace(joined, test_start=test_start)
