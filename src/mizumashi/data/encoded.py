"""Sets of encoded images in a few large files: what Parquet and WebDataset have in common."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.folders import visible
from mizumashi.errors import InputError

_SPLIT = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True)
class EncodedSet:
    """Labelled images that are not decoded yet.

    Args:
        labels: N, in the order of the images: the training part, then the test part where there is one.
        class_names: the name of each label, or None where the labels are all that is known.
        test_start: where there are parts, the index of the first test image.
        stored: the bytes of the files.
        images: gives an iterator over a name for messages and the bytes of an image file, N times.
    """

    labels: NDArray[np.int64]
    class_names: tuple[str, ...] | None
    test_start: int | None
    stored: int
    images: Callable[[], Iterator[tuple[str, bytes]]]


def shards(folder: Path, suffix: str) -> list[list[Path]]:
    """The files of a set with that suffix in a folder, or in `data` below it: one list for each part.

    The first word of a file's name is its split: `train-00000-of-00002.parquet`. There may be one split of any name, or
    train and test.

    Returns:
        No list where there are no such files, otherwise one, or the training part's and the test part's.

    Raises:
        InputError: there are other splits.
    """
    found = [path for path in visible(folder) if path.is_file() and path.suffix == suffix]
    if not found and (folder / "data").is_dir():
        found = [path for path in visible(folder / "data") if path.is_file() and path.suffix == suffix]
    splits: dict[str, list[Path]] = {}
    for path in found:
        word = _SPLIT.match(path.name)
        splits.setdefault(word[0].lower() if word else "", []).append(path)
    if len(splits) < 2:
        return list(splits.values())
    if set(splits) != {"train", "test"}:
        raise InputError(
            f"{folder}: found {suffix} files of splits {', '.join(map(repr, sorted(splits)[:8]))}; expected one, or "
            "train and test; move the others away, or give the path of one file"
        )
    return [splits["train"], splits["test"]]
