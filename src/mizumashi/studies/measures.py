"""What a study measures beside its cells, and keeps: distances, copies, a map, examples, the tests' labels."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mizumashi import files
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import new_npz
from mizumashi.errors import InputError
from mizumashi.measure.copies import Copies, copies
from mizumashi.measure.distances import TwoSample, two_sample_accuracy
from mizumashi.measure.embedding import shared_map
from mizumashi.progress import Progress
from mizumashi.randomness import numpy_generator
from mizumashi.schema import from_json
from mizumashi.stored import stored
from mizumashi.studies.choice import VALIDATION
from mizumashi.studies.material import Material

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
            found[stage] = asdict(told)
            progress("telling generated from real", done, len(stages), "")
        files.write_json(path, found)
    with files.expect_undamaged(path, "remove it to measure again"):
        distances = {stage: asdict(from_json(TwoSample, told)) for stage, told in files.read_json(stored(path)).items()}
    if set(distances) != set(stages):
        raise InputError(f"{path}: found {sorted(distances)}; expected every stage; remove it to measure again")
    return distances


def measure_copies(material: Material, held_out: LabelledImages, path: Path, progress: Progress) -> dict[str, Any]:
    """Whether the last stage's images are copies of the real training images, measured once and kept as JSON.

    The last stage, because a generator learns to copy, if it does, the longer the better. Beside the numbers,
    neighbours.npz keeps some of those images, each with the training image that it is nearest to.
    """
    neighbours = path.with_name("neighbours.npz")
    if not path.exists() or not neighbours.exists():
        progress("looking for copies", 0, 1, "")
        *_, last = _stages(material).values()
        some, generated = (_some(images, COPY_IMAGES, material.seed) for images in (held_out, last))
        found = copies(material.real.images, some, generated, material.seed)
        _write_neighbours(material.real.images, generated, found, neighbours)
        if not path.exists():  # studies of older versions have the numbers alone
            numbers = ("share", "low", "high", "expected_share", "p_value", "identical")
            files.write_json(path, {"count": len(generated)} | {number: getattr(found, number) for number in numbers})
        progress("looking for copies", 1, 1, "")
    with files.expect_undamaged(path, "remove it to measure again"):
        measured: dict[str, Any] = {
            name: value + 0 for name, value in files.read_json(stored(path)).items()
        }  # numbers, no text
    return measured


def write_map(material: Material, path: Path, progress: Progress) -> None:
    """One t-SNE map of real images and of each stage's, unless it is there: a matrix n x 2 for each set."""
    if path.exists():
        return
    progress("t-SNE map", 0, 1, "")
    stages = _stages(material)
    real, *others = (_rows(images, material.seed) for images in (material.real, *stages.values()))
    found = shared_map(real, dict(zip(stages, others, strict=True)), material.seed)
    write_npz(path, {"real": found.reference, **found.others})
    progress("t-SNE map", 1, 1, "")


def write_map_images(material: Material, path: Path) -> None:
    """The images behind the points of `write_map`, unless they are there.

    For each set, "real" and each stage, its n x H x W x C images in the order of its positions, and as "labels SET"
    their n labels.
    """
    if path.exists():
        return
    # Not compressed: images of a collapsed GAN, all alike, would be refused when they are read.
    with files.whole_file(path) as temporary, new_npz(temporary) as file:
        for name, images in {"real": material.real, **_stages(material)}.items():
            chosen = _places(images, MAP_IMAGES, material.seed)
            file.write(name, images.images[chosen])
            file.write(f"labels {name}", images.labels[chosen])


def write_examples(tests: Mapping[str, LabelledImages], path: Path) -> None:
    """The first images of each class in each test set: sets x K x EXAMPLES x H x W x C; zeros where too few."""
    if path.exists():
        return
    tests = {name: images for name, images in tests.items() if name != VALIDATION}
    first = next(iter(tests.values()))
    shape = (len(tests), len(first.class_names), EXAMPLES, *first.images.shape[1:])
    examples = np.zeros(shape, np.uint8)
    for row, images in enumerate(tests.values()):
        for label in range(len(images.class_names)):
            chosen = images.images[images.labels == label][:EXAMPLES]
            examples[row, label, : len(chosen)] = chosen
    write_npz(path, {"images": examples, "sets": np.array(list(tests))})


def write_labels(tested: Mapping[str, LabelledImages], path: Path) -> None:
    """The labels of the real test sets, in the order in which readings are kept."""
    if not path.exists():
        write_npz(path, {f"test{place}": images.labels for place, images in enumerate(tested.values())})


def write_npz(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write arrays as a compressed NPZ file, whole or not at all."""
    with files.whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _write_neighbours(real: NDArray[np.uint8], generated: NDArray[np.uint8], found: Copies, path: Path) -> None:
    """The EXAMPLES generated images most like a copy, the surest first, and after them as many drawn at random.

    `generated` and `nearest`: 2E x H x W x C, a generated image and its nearest training image in one place;
    `nearness`: 2E, as `mizumashi.measure.copies` has it; `distance`: 2E, the root mean square difference of the two
    images' pixels, in grey levels.
    """
    surest = np.argsort(found.nearness, kind="stable")[:EXAMPLES]
    places = np.concatenate([surest, np.arange(len(generated))[:EXAMPLES]])  # in random order already
    drawn, nearest = generated[places], real[found.nearest[places]]
    differences = (drawn.astype(np.float64) - nearest).reshape(len(places), -1)
    distance = np.sqrt(np.square(differences).mean(axis=1))
    arrays = {"generated": drawn, "nearest": nearest, "nearness": found.nearness[places], "distance": distance}
    write_npz(path, arrays)


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
