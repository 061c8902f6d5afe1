"""The arrays that a study keeps in NPZ files, for its statistics and its report: written and read here.

K classes, E examples of each, N images; a file that holds something else than the study kept is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import new_npz, read_npz
from mizumashi.errors import InputError
from mizumashi.metrics.tsne import SharedMap
from mizumashi.utils import files
from mizumashi.utils.stored import stored

ImageShape = tuple[int, int, int]
"""Height, width and channels."""


def write_test_arrays(path: Path, arrays: Sequence[NDArray[np.integer]]) -> None:
    """Keep one array for each real test set, such as its labels, or what a classifier read in its images."""
    _write(path, {f"test{place}": array for place, array in enumerate(arrays)})


def read_test_array(path: Path, place: int) -> NDArray[np.integer]:
    """What `write_test_arrays` kept for a test set, as it is.

    Raises:
        InputError: the file is missing or damaged.
    """
    (found,) = read_npz(stored(path), (f"test{place}",))
    return found


def write_examples(path: Path, tests: Mapping[str, LabelledImages], most: int) -> None:
    """Keep the first images of each class in each test set, at most so many; zeros where there are fewer."""
    first = next(iter(tests.values()))
    examples = np.zeros((len(tests), len(first.class_names), most, *first.images.shape[1:]), np.uint8)
    for row, images in enumerate(tests.values()):
        for label in range(len(images.class_names)):
            chosen = images.images[images.labels == label][:most]
            examples[row, label, : len(chosen)] = chosen
    _write(path, {"images": examples, "sets": np.array(list(tests))})


def read_examples(path: Path, tests: Sequence[str], classes: int, shape: ImageShape) -> dict[str, NDArray[np.uint8]]:
    """For each test set K x E x H x W x C.

    Raises:
        InputError: the file is missing, damaged or of other sets.
    """
    images, names = read_npz(stored(path), ("images", "sets"))
    one_each = images.shape[:2] == (len(tests), classes) and 0 not in images.shape[2:3]
    if not one_each or images.shape[3:] != shape or images.dtype != np.uint8:
        raise refusal(path, f"images of shape {images.shape} and type {images.dtype}")
    if names.shape != (len(images),) or set(names.tolist()) != set(tests):
        raise refusal(path, "images of other sets")
    return dict(zip(names.tolist(), images, strict=True))


def write_map(path: Path, positions: SharedMap) -> None:
    """Keep a t-SNE map: a matrix n x 2 for each set."""
    _write(path, {"real": positions.reference, **positions.others})


def read_map(path: Path, stages: Sequence[str]) -> SharedMap:
    """The map that `write_map` kept.

    Raises:
        InputError: the file is missing, damaged or of other stages.
    """
    reference, *others = read_npz(stored(path), ("real", *stages))
    for points in (reference, *others):
        if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not _are_small(points):
            raise refusal(path, f"positions of shape {points.shape} and type {points.dtype}")
    return SharedMap(reference, dict(zip(stages, others, strict=True)))


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images behind the points of one set on the map.

    Args:
        images: N x H x W x C, uint8, in the order of the points.
        labels: N.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def write_pictures(path: Path, pictures: Mapping[str, Pictures]) -> None:
    """Keep the images behind the points of a map, by set."""
    # Not compressed: images of a collapsed GAN, all alike, would be refused when they are read.
    with files.atomic_file(path) as temporary, new_npz(temporary) as file:
        for name, each in pictures.items():
            file.write(name, each.images)
            file.write(f"labels {name}", each.labels)


def read_pictures(path: Path, counts: Mapping[str, int], classes: int, shape: ImageShape) -> dict[str, Pictures]:
    """The images behind the points of each set.

    Args:
        path: the file's.
        counts: how many points each set has on the map.
        classes: K.
        shape: of an image.

    Raises:
        InputError: the file is missing or damaged, or its images are not one for each point.
    """
    found = {}
    for name, count in counts.items():
        images, labels = read_npz(stored(path), (name, f"labels {name}"))
        _require_images(path, images, (count, *shape))
        if labels.shape != (count,) or not np.isin(labels, np.arange(classes)).all():
            raise refusal(path, f"labels of {name} that do not fit its points")
        found[name] = Pictures(images, labels)
    return found


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Generated images of the last stage, each with the training image that it is nearest to.

    The first half are those most like a copy, the surest first; the second half were drawn at random.

    Args:
        generated: N x H x W x C, uint8.
        nearest: the same shape.
        nearness: N, as `mizumashi.metrics.memorization.Copies` has it: 0 for a copy, near 1 for none.
        distance: N, the root mean square difference of the two images' pixels, in grey levels.
    """

    generated: NDArray[np.uint8]
    nearest: NDArray[np.uint8]
    nearness: NDArray[np.float64]
    distance: NDArray[np.float64]


def write_neighbours(path: Path, neighbours: Neighbours) -> None:
    """Keep generated images and their nearest training images."""
    _write(path, vars(neighbours))


def read_neighbours(path: Path, shape: ImageShape) -> Neighbours:
    """What `write_neighbours` kept.

    Raises:
        InputError: the file is missing or damaged, or its arrays do not fit together.
    """
    generated, nearest, nearness, distance = read_npz(stored(path), ("generated", "nearest", "nearness", "distance"))
    for numbers in (nearness, distance):
        if numbers.shape != generated.shape[:1] or not len(numbers) or not _are_small(numbers):
            raise refusal(path, f"numbers of shape {numbers.shape} and type {numbers.dtype}")
    for images in (generated, nearest):
        _require_images(path, images, (len(nearness), *shape))
    return Neighbours(generated, nearest, nearness, distance)


def refusal(path: Path, found: str) -> InputError:
    """What is said of a file that holds something else than the study kept there."""
    return InputError(
        f"{path}: found {found}; expected what the study kept there; remove it, and the study's command makes it again"
    )


def _write(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    with files.atomic_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _require_images(path: Path, images: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    if images.shape != shape or images.dtype != np.uint8:
        raise refusal(path, f"images of shape {images.shape} and type {images.dtype} instead of {shape} and uint8")


def _are_small(numbers: NDArray[np.generic]) -> bool:
    """Whether all are numbers that a figure can show; positions on a map and grey levels are below some hundred."""
    return numbers.dtype.kind == "f" and bool(np.less(np.abs(numbers), 1e9).all())
