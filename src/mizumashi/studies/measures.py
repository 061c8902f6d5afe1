"""What a study measures beside its cells, and keeps: distances, copies, a map, examples, the tests' labels."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.metrics.memorization import Copies, CopyNumbers, copies
from mizumashi.metrics.tsne import shared_map
from mizumashi.metrics.two_sample import TwoSample, two_sample_accuracy
from mizumashi.studies import arrays
from mizumashi.studies.arrays import Neighbours, Pictures
from mizumashi.studies.selection import VALIDATION
from mizumashi.studies.training_sets import Material
from mizumashi.utils import files
from mizumashi.utils.progress import Progress
from mizumashi.utils.schema import from_json, to_json
from mizumashi.utils.seeding import numpy_generator
from mizumashi.utils.stored import stored

MAP_IMAGES = 1000
"""Images of each set in the t-SNE map (the paper, section 4)."""

COPY_IMAGES = 1000
"""Generated and held-out images that are compared with all training images: some four seconds for 60,000 of MNIST."""

EXAMPLES = 10
"""Images of each class and set that a study keeps for its figures, and pairs of neighbours."""


def measure_distances(material: Material, path: Path, progress: Progress) -> dict[str, Any]:
    """How well each stage's images are told from the real training images, measured once and kept as JSON.

    Raises:
        InputError: the file is of other stages, or damaged.
    """
    stages = _stages(material)
    if not path.exists():
        found = {}
        for done, (stage, images) in enumerate(stages.items(), start=1):
            # Against training images: test images may come from other writers.
            told = two_sample_accuracy(material.real.images, images.images, material.seed)
            found[stage] = to_json(told)
            progress("telling generated from real", done, len(stages), "")
        files.write_json(path, found)
    with files.expect_undamaged(path, "remove it to measure again"):
        distances = {
            stage: to_json(from_json(TwoSample, told)) for stage, told in files.read_json(stored(path)).items()
        }
    if set(distances) != set(stages):
        raise InputError(f"{path}: found {sorted(distances)}; expected every stage; remove it to measure again")
    return distances


def measure_copies(
    material: Material, held_out: LabelledImages, path: Path, neighbours: Path, progress: Progress
) -> CopyNumbers:
    """Whether the last stage's images are copies of the real training images, measured once and kept as JSON.

    The last stage, because a generator learns to copy, if it does, the longer the better. Beside the numbers,
    `neighbours` keeps some of those images, each with the training image that it is nearest to.
    """
    if not path.exists() or not neighbours.exists():
        progress("looking for copies", 0, 1, "")
        *_, last = _stages(material).values()
        some, generated = (_some(images, COPY_IMAGES, material.seed) for images in (held_out, last))
        found = copies(material.real.images, some, generated, material.seed)
        arrays.write_neighbours(neighbours, _neighbours(material.real.images, generated, found))
        if not path.exists():  # studies of older versions have the numbers alone
            numbers = {each.name: getattr(found, each.name) for each in fields(CopyNumbers) if each.name != "count"}
            files.write_json(path, to_json(CopyNumbers(len(generated), **numbers)))
        progress("looking for copies", 1, 1, "")
    with files.expect_undamaged(path, "remove it to measure again"):
        return from_json(CopyNumbers, files.read_json(stored(path)))


def keep_map(material: Material, path: Path, progress: Progress) -> None:
    """One t-SNE map of real images and of each stage's, unless it is there."""
    if path.exists():
        return
    progress("t-SNE map", 0, 1, "")
    stages = _stages(material)
    real, *others = (_rows(images, material.seed) for images in (material.real, *stages.values()))
    arrays.write_map(path, shared_map(real, dict(zip(stages, others, strict=True)), material.seed))
    progress("t-SNE map", 1, 1, "")


def keep_pictures(material: Material, path: Path) -> None:
    """The images behind the points of `keep_map`, unless they are there."""
    if path.exists():
        return
    found = {}
    for name, images in {"real": material.real, **_stages(material)}.items():
        chosen = _places(images, MAP_IMAGES, material.seed)
        found[name] = Pictures(images.images[chosen], images.labels[chosen])
    arrays.write_pictures(path, found)


def keep_examples(tests: Mapping[str, LabelledImages], path: Path) -> None:
    """The first EXAMPLES images of each class in each test set, unless they are there."""
    if not path.exists():
        arrays.write_examples(path, {name: each for name, each in tests.items() if name != VALIDATION}, EXAMPLES)


def keep_labels(tested: Mapping[str, LabelledImages], path: Path) -> None:
    """The labels of the real test sets, in the order in which readings are kept, unless they are there."""
    if not path.exists():
        arrays.write_test_arrays(path, [images.labels for images in tested.values()])


def _neighbours(real: NDArray[np.uint8], generated: NDArray[np.uint8], found: Copies) -> Neighbours:
    """The EXAMPLES generated images most like a copy, the surest first, and after them as many drawn at random."""
    surest = np.argsort(found.nearness, kind="stable")[:EXAMPLES]
    places = np.concatenate([surest, np.arange(len(generated))[:EXAMPLES]])  # in random order already
    drawn, nearest = generated[places], real[found.nearest[places]]
    differences = (drawn.astype(np.float64) - nearest).reshape(len(places), -1)
    return Neighbours(drawn, nearest, found.nearness[places], np.sqrt(np.square(differences).mean(axis=1)))


def _stages(material: Material) -> dict[str, LabelledImages]:
    return {f"gan@{step}": material.tests[f"gan@{step}"] for step in material.generated}


def _some(images: LabelledImages, count: int, seed: int) -> NDArray[np.uint8]:
    """Random images, or all where there are fewer."""
    return images.images[_places(images, count, seed)]


def _places(images: LabelledImages, count: int, seed: int) -> NDArray[np.int64]:
    """Where the random images stand that `_some` takes."""
    return numpy_generator(seed, "subset").permutation(len(images))[:count]


def _rows(images: LabelledImages, seed: int) -> NDArray[np.uint8]:
    """MAP_IMAGES random images, each as one row of pixels."""
    chosen = _some(images, MAP_IMAGES, seed)
    return chosen.reshape(len(chosen), -1)
