"""Folders of image files: one sub-folder per class, or a flat folder, file names beginning with labels."""

import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mizumashi.data import limits
from mizumashi.data.image_files import is_image
from mizumashi.errors import InputError
from mizumashi.utils.files import read_json

NAMES_FILE = "classes.json"
"""A list of the class names in the order of their labels, where files and folders alone do not tell them."""

_log = logging.getLogger("mizumashi")

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?|class-\d+|classes\.json|train|test", re.IGNORECASE)
_UNSAFE = re.compile(r'[<>:"/\\|?*]')


@dataclass(frozen=True)
class ImageFiles:
    """The files of a set, in order: first the training part, then the test part where there is one."""

    paths: list[Path]
    labels: list[int]
    class_names: tuple[str, ...]
    test_start: int | None


def list_image_files(folder: Path) -> ImageFiles:
    """Find the image files of a set and their labels; nothing is decoded.

    With sub-folders, each is a class, or train/ and test/ are parts that are read alike. Without, the label
    of a file is the first character of its name. Class names are sorted, whole numbers by value, unless
    classes.json lists them. If the file names of a part are numbers that do not repeat, the images come in
    that order, otherwise by class and file name. Hidden files are skipped, and so are files that neither are
    images nor are called so.

    Raises:
        InputError: the folder holds no images, an empty class, a class that only the test part has, images
            beside class folders, folders inside class folders or an image that cannot be read.
    """
    listed = read_class_names(folder)
    parts = _parts(folder)
    found = [_labelled(part, listed) for part in parts]
    class_names = listed or natural_order({name for _, name in found[0]})
    surplus = {name for part in found for _, name in part} - set(class_names)
    if surplus:
        where = f"which {NAMES_FILE} does not list" if listed else "in the test part only"
        raise InputError(
            f"{folder}: found class {min(surplus)!r}, {where}; expected the "
            f"{'listed' if listed else 'training'} classes; remove it, or add it there"
        )
    number = {name: label for label, name in enumerate(class_names)}
    entries = [(path, number[name]) for part in found for path, name in _in_order(part, number)]
    return ImageFiles(
        paths=[path for path, _ in entries],
        labels=[label for _, label in entries],
        class_names=class_names,
        test_start=len(found[0]) if len(found) == 2 else None,
    )


def class_folders(class_names: Sequence[str]) -> dict[str, str]:
    """A folder name for each class name: itself where any file system can hold it, otherwise `class-NUMBER`.

    Example:
        >>> class_folders(["cat", "../../etc", "CON", "犬"])
        {'cat': 'cat', '../../etc': 'class-1', 'CON': 'class-2', '犬': '犬'}
    """
    folded = [_composed(name).casefold() for name in class_names]  # equal on a file system that folds case
    alike = Counter(folded)
    return {
        name: name if _is_safe(name) and alike[folded[label]] == 1 else f"class-{label}"
        for label, name in enumerate(class_names)
    }


def natural_order(names: Iterable[str]) -> tuple[str, ...]:
    """Sort names by code point, whole numbers first and by value.

    Example:
        >>> natural_order(["10", "9", "cat", "Ant"])
        ('9', '10', 'Ant', 'cat')
    """
    return tuple(sorted(names, key=lambda name: (0, int(name), name) if _is_number(name) else (1, 0, name)))


def read_class_names(folder: Path) -> tuple[str, ...] | None:
    """The class names that classes.json lists, or None where there is no such file.

    Raises:
        InputError: the file is not a list of different strings, or larger than `mizumashi.data.limits` allow.
    """
    path = folder / NAMES_FILE
    if not path.exists():
        return None
    if not path.is_file():  # reading a pipe could wait for ever
        raise InputError(f"{path}: found no file; expected a list of class names; remove what is there")
    if path.stat().st_size > limits.MAX_NAMES_BYTES:
        raise InputError(
            f"{path}: found {path.stat().st_size:,} bytes of class names; expected at most {limits.MAX_NAMES_BYTES:,}; "
            "shorten the names, or raise mizumashi.data.limits.MAX_NAMES_BYTES"
        )
    names = read_json(path)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise InputError(f"{path}: expected a list of different class names, in the order of the labels; repair it")
    limits.require_class_names(path, names)
    return tuple(names)


def write_class_names(folder: Path, class_names: Sequence[str]) -> None:
    """Write classes.json."""
    (folder / NAMES_FILE).write_text(json.dumps(list(class_names), ensure_ascii=False) + "\n", encoding="utf-8")


def visible(folder: Path) -> list[Path]:
    """The folder's files, folders and links, sorted by name, without hidden ones and without classes.json.

    Raises:
        InputError: the folder cannot be listed.
    """
    try:
        # Pipes and devices are left out, and links to them: reading one could wait for ever.
        entries = [entry for entry in folder.iterdir() if entry.is_file() or entry.is_dir() or not entry.exists()]
    except OSError as error:
        raise InputError(f"{folder}: cannot list the folder ({error.strerror}); expected a readable one") from error
    return sorted(entry for entry in entries if not entry.name.startswith(".") and entry.name != NAMES_FILE)


def _parts(folder: Path) -> list[Path]:
    """The folder itself, or its train/ and test/ where it holds no other folders."""
    names = {entry.name for entry in visible(folder) if entry.is_dir()}
    if names and names <= {"train", "test"}:
        _require_no_images(folder)
        return [folder / name for name in ("train", "test") if name in names]
    return [folder]


def _labelled(part: Path, listed: tuple[str, ...] | None) -> list[tuple[Path, str]]:
    """The image files of one part with the names of their classes."""
    folders = [entry for entry in visible(part) if entry.is_dir()]
    if not folders:
        files = [path for path in visible(part) if is_image(path)]
        if not files:
            raise InputError(
                f"{part}: found no labelled images; expected IDX files, one sub-folder of images per class, "
                "or image files whose names begin with their label"
            )
        if all(_is_number(path.stem) for path in files):
            _log.warning("%s: labels are the first digits of file names that are mere numbers: is that so?", part)
        return [(path, _composed(path.name)[0]) for path in files]
    _require_no_images(part)
    true_name = {folder: name for name, folder in class_folders(listed or ()).items()}
    return [
        (path, true_name.get(_composed(folder.name), _composed(folder.name)))
        for folder in folders
        for path in _class_files(folder)
    ]


def _class_files(folder: Path) -> list[Path]:
    entries = visible(folder)
    inner = [entry for entry in entries if entry.is_dir()]
    if inner:
        raise InputError(
            f"{folder.parent}: found folder {inner[0].name!r} inside a class folder, {folder.name!r}; "
            "expected image files; above class folders there may only be train and test"
        )
    files = [path for path in entries if is_image(path)]
    if not files:
        raise InputError(f"{folder.parent}: found no image of class {folder.name!r}; add images or remove the folder")
    return files


def _require_no_images(folder: Path) -> None:
    for entry in visible(folder):
        if not entry.is_dir() and is_image(entry):
            raise InputError(f"{entry}: found an image beside folders; expected each image in the folder of its class")


def _in_order(part: list[tuple[Path, str]], number: dict[str, int]) -> list[tuple[Path, str]]:
    stems = [path.stem for path, _ in part]
    if all(map(_is_number, stems)) and len(set(map(int, stems))) == len(stems):
        return sorted(part, key=lambda entry: int(entry[0].stem))
    return sorted(part, key=lambda entry: (number[entry[1]], entry[0].name))


def _composed(name: str) -> str:
    """The name in Unicode's composed form; some file systems take names apart."""
    return unicodedata.normalize("NFC", name)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _is_safe(name: str) -> bool:
    return (
        0 < len(name.encode(errors="replace")) <= 100
        and name.isprintable()
        and name == _composed(name)
        and name == name.strip()
        and name[0] != "."
        and name[-1] != "."
        and not _UNSAFE.search(name)
        and not _RESERVED.fullmatch(name)
    )
