"""The catalogue: sets that are known by name."""

import errno
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from mizumashi.data.archives import open_archive, require_known_compression
from mizumashi.data.error_text import reason
from mizumashi.data.images import LabelledImages
from mizumashi.data.resize import resize
from mizumashi.errors import InputError, nearest
from mizumashi.utils.files import atomic_folder, folders_above
from mizumashi.utils.locks import lock_name

NAMES = ("digits", "faxocr", "mnist")

# torchvision's mirrors, and the MD5 sums by which it knows the gzipped originals.
MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_MD5 = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}

FAXOCR_ARCHIVE = "https://github.com/faxocr/kocr/archive/431caf34c46a44bf34bfaccbf21c3ad4cfead780.zip"
FAXOCR_LEAST = 1861  # as many are known to be there
_FAXOCR_MEMBER = re.compile(r"[^/]+/images/numbers/([0-9]-[\w.-]+\.png)", re.ASCII)
_FAXOCR_LARGEST = 2**20  # bytes of one image; they have some 500
_FAXOCR_MOST = 2**26  # bytes of them all

_FILES = {"mnist": tuple(MNIST_MD5), "faxocr": ("numbers",)}

# The labels repeat one form of 130 digits (0 to 9 three times, then a fixed sequence), of which 24 are
# missing or changed in all. Aligned to it, the 1,797 labels are exactly 14 forms, starting at 0, 130, 256,
# 386, 516, 646, 776, 906, 1029, 1157, 1287, 1415, 1545 and 1667. The set's description speaks of 13 writers,
# but no two forms look like one hand: the class means of two forms differ by 17.9 or more, those of two
# halves of a form by 14.6 or less. So a cut between forms is a cut between writers: 11 forms for training, 3
# for testing.
DIGITS_TEST_START = 1415


def load_digits() -> LabelledImages:
    """scikit-learn's 1,797 digits, 16 x 16, grey, white ink on black; no writer is in both parts.

    The set's 8 x 8 images with values from 0 to 16 are scaled to 0 ... 255 and enlarged twofold (bicubic).
    The training part is the first 1,415 images, the test part the last 382, which three other writers wrote.

    Example:
        >>> digits = load_digits()
        >>> len(digits.train), len(digits.test), digits.size, digits.images.max().item()
        (1415, 382, (16, 16), 255)
    """
    from sklearn.datasets import load_digits as load

    pixels, labels = load(return_X_y=True)
    images = np.rint(pixels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    digits = LabelledImages.from_arrays(images, labels, name="digits")
    return replace(resize(digits, 16), test_start=DIGITS_TEST_START)


def find(name: str, data_dir: str | Path | None = None) -> Path:
    """The folder with the files of `mnist` or `faxocr`: in the data folder, else downloaded to the cache.

    The data folder holds `mnist/` with the four IDX files (gzipped or plain) and `faxocr/numbers/` with the
    PNG files.

    MNIST's files are downloaded with their checksums. FaxOCR comes as GitHub's archive of one fixed commit.
    GitHub does not promise that an archive stays the same byte by byte, so there is no checksum to hold it
    to: what vouches for it is HTTPS and the commit in the address. Only images/numbers/*.png is taken from
    it.

    Args:
        name: "mnist" or "faxocr".
        data_dir: the data folder; by default the environment variable MIZUMASHI_DATA, where it is set.

    Raises:
        InputError: the data folder does not exist or lacks a file of the set, or the download failed; the
            line says which files to put where.
    """
    if name not in _FILES:
        raise InputError(f"found the name {name!r}{nearest(name, _FILES)}; expected one of {', '.join(_FILES)}")
    setting = os.environ.get("MIZUMASHI_DATA")
    folder = Path(data_dir) if data_dir is not None else Path(setting) if setting else None
    if folder is not None:
        require_data_folder(folder)
    if folder is not None and (folder / name).is_dir():
        return _in_data_folder(name, folder)
    _require_cache()
    try:
        return _download_mnist() if name == "mnist" else _download_faxocr()
    except InputError as error:
        raise InputError(f"cannot download {name} ({error}); {_where_to_put(name, folder)}") from error


def require_data_folder(folder: str | Path) -> None:
    """Raise `InputError` unless the data folder is there."""
    if not Path(folder).is_dir():
        raise InputError(f"found no data folder at {folder}; expected one; correct --data-dir or MIZUMASHI_DATA")


def _require_cache() -> None:
    """Raise `InputError` unless the folder for downloads is there, or can be made."""
    import pooch  # type: ignore[import-untyped]

    cache = Path(pooch.os_cache("mizumashi"))
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        what = "a folder that may not be written to" if there.is_dir() else "a file"
        raise InputError(
            f"found {what} at {there}; expected a folder, to keep downloads in {cache}; correct it, or set "
            "XDG_CACHE_HOME to another"
        )


def _in_data_folder(name: str, folder: Path) -> Path:
    files = folder / name
    missing = [
        file for file in _FILES[name] if not (files / file).exists() and not (files / file.removesuffix(".gz")).exists()
    ]
    if missing:
        raise InputError(f"{files}: found no {', '.join(missing)}; {_where_to_put(name, folder)}")
    return files if name == "mnist" else files / "numbers"


def _where_to_put(name: str, folder: Path | None) -> str:
    origin = " (images/numbers of github.com/faxocr/kocr)" if name == "faxocr" else ""
    setting = "" if folder else " and name FOLDER with --data-dir or MIZUMASHI_DATA"
    return f"put {', '.join(_FILES[name])}{origin} into {folder or 'FOLDER'}/{name}{setting}"


def _download_mnist() -> Path:
    import pooch

    folder = Path(pooch.os_cache("mizumashi")) / "mnist"
    for file, md5 in MNIST_MD5.items():
        _retrieve([mirror + file for mirror in MNIST_MIRRORS], f"md5:{md5}", folder / file)
    return folder


def _download_faxocr() -> Path:
    import pooch

    folder = Path(pooch.os_cache("mizumashi")) / "faxocr" / "numbers"
    if folder.is_dir():  # it was written whole
        return folder
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "kocr.zip"
        _retrieve([FAXOCR_ARCHIVE], None, path)
        try:
            with lock_name(folder), atomic_folder(folder) as new:
                extract_numbers(path, new)
        except OSError as error:
            raise InputError(f"{folder}: {error}") from error
    return folder


def _retrieve(mirrors: list[str], checksum: str | None, path: Path) -> None:
    """Download one file from the first mirror that gives it, unless it is there and has the checksum."""
    import pooch

    failure = ""
    for mirror in mirrors:
        try:
            with folders_above(path), _quiet(pooch.get_logger()):
                pooch.retrieve(mirror, checksum, fname=path.name, path=path.parent)
        except OSError as error:  # no network, no such file; or here no room, which has a number of the system's
            here = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
            failure = f"{path.parent}: {error.strerror}" if here else f"{mirror}: {type(error).__name__}"
        except ValueError:
            failure = f"{mirror}: its checksum is not the known one"
        else:
            return
    raise InputError(failure)


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Keep a library's own lines off the terminal; what fails is in our error."""
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def extract_numbers(path: Path, folder: Path) -> None:
    """Take the digits from the repository's archive.

    Args:
        path: the archive.
        folder: an empty folder for the PNG files.

    Raises:
        InputError: the archive is damaged, holds too few images, or more bytes of them than there can be.
    """
    names = set()
    for name, content in _numbers(path):
        (folder / name).write_bytes(content)
        names.add(name)
    if len(names) < FAXOCR_LEAST:
        raise InputError(f"{FAXOCR_ARCHIVE}: found {len(names)} images, expected {FAXOCR_LEAST} at least")


def _numbers(path: Path) -> Iterator[tuple[str, bytes]]:
    """The digits' file names and contents; members whose names lead elsewhere do not match."""
    left = _FAXOCR_MOST
    try:
        with open_archive(path) as archive:
            for member in archive.infolist():
                match = _FAXOCR_MEMBER.fullmatch(member.filename)
                if not match or member.file_size > _FAXOCR_LARGEST:
                    continue
                require_known_compression(member)
                with archive.open(member) as file:
                    content = file.read(_FAXOCR_LARGEST)  # archive.read() would unpack all before it looks
                left -= len(content)
                if left < 0:
                    raise InputError(f"found more than {_FAXOCR_MOST:,} bytes of images; expected some 2 MB")
                yield match[1], content
    except Exception as error:  # zipfile raises many kinds on damaged archives
        raise InputError(f"{FAXOCR_ARCHIVE}: {reason(error)}") from error
