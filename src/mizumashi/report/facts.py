"""What a report shows of a finished study, read from its files and computed once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.npz import read_npz
from mizumashi.errors import InputError
from mizumashi.gan.collapse import COLLAPSED
from mizumashi.measure.embedding import SharedMap
from mizumashi.measure.statistics import Interval
from mizumashi.stored import stored
from mizumashi.studies.results import StudyResult

MOST_CONFUSED = 1000
"""Of more classes there is no confusion matrix: it would take too much memory."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images behind the points of one set on the map.

    Args:
        images: N x H x W x C, uint8, in the order of the points.
        labels: N.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Generated images of the last stage, each with the training image that it is nearest to.

    The first half are those most like a copy, the surest first; the second half were drawn at random.

    Args:
        generated: N x H x W x C, uint8.
        nearest: the same shape.
        nearness: N, as `mizumashi.measure.copies.Copies` has it: 0 for a copy, near 1 for none.
        distance: N, the root mean square difference of the pixels, in grey levels.
    """

    generated: NDArray[np.uint8]
    nearest: NDArray[np.uint8]
    nearness: NDArray[np.float64]
    distance: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Confusion:
    """How one recipe's classifiers read each class of a real test set.

    Args:
        classifier: its name.
        test: the test set's.
        recipe: what trained it.
        counts: K x K, rows the labels, columns what was read; sums over all seeds.
    """

    classifier: str
    test: str
    recipe: str
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Collapse:
    """The class that varies least at a stage, of all seeds.

    Args:
        stage: its name.
        share: of the real images' variation.
        class_name: the class.
        seed: the GAN's.
    """

    stage: str
    share: float
    class_name: str
    seed: int

    @property
    def collapsed(self) -> bool:
        """Whether that counts as collapsed."""
        return self.share < COLLAPSED


class Facts:
    """What a report shows, of one study; every part is read or computed when it is first asked for.

    Args:
        result: the study.
    """

    def __init__(self, result: StudyResult) -> None:
        self.result = result

    @cached_property
    def class_names(self) -> list[str]:
        """The name of each label."""
        names: list[str] = self.result.plan["source"]["class_names"]
        return names

    @property
    def equilibrium(self) -> dict[str, float]:
        """The losses where the discriminator cannot tell: D = 1/2 everywhere."""
        generator = {"non-saturating": math.log(2), "minimax": -math.log(2)}[self.result.plan["gan"]["objective"]]
        return {"generator": generator, "discriminator": 2 * math.log(2)}

    @property
    def _image_shape(self) -> tuple[int, ...]:
        source = self.result.plan["source"]
        return (*source["size"], source["channels"])

    @cached_property
    def losses(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """For each network and seed ("seed 0"), one loss for each step."""
        from mizumashi.gan.run import GanRun

        result = self.result
        runs = {seed: GanRun(result.path / "runs" / str(seed) / "gan").losses() for seed in result.seeds}
        for seed, losses in runs.items():
            if len(losses["generator"]) != result.plan["gan"]["steps"]:
                path = result.path / "runs" / str(seed) / "gan" / "log.jsonl"
                raise _refusal(path, f"{len(losses['generator'])} steps")
        return {
            network: {f"seed {seed}": losses[network] for seed, losses in runs.items()}
            for network in ("generator", "discriminator")
        }

    @cached_property
    def collapse(self) -> list[Collapse]:
        """For each stage the class that varies least; runs of older versions do not tell."""
        from mizumashi.gan.run import GanRun

        result = self.result
        by_seed = {seed: GanRun(result.path / "runs" / str(seed) / "gan").variation() for seed in result.seeds}
        rows = []
        for stage, step in zip(result.stages, result.plan["gan"]["snapshots"], strict=True):
            found = [
                (share, self.class_names[label], seed)
                for seed, variation in by_seed.items()
                for label, share in enumerate(variation.get(step, []))
            ]
            if found:
                rows.append(Collapse(stage, *min(found)))
        return rows

    @cached_property
    def examples(self) -> dict[str, NDArray[np.uint8]]:
        """For each test set K x E x H x W x C: the same places of every stage's show the same latents."""
        path, classes = self.result.path / "examples.npz", len(self.class_names)
        images, names = read_npz(stored(path), ("images", "sets"))
        one_each = images.shape[:2] == (len(self.result.tests), classes) and 0 not in images.shape[2:3]
        if not one_each or images.shape[3:] != self._image_shape or images.dtype != np.uint8:
            raise _refusal(path, f"images of shape {images.shape} and type {images.dtype}")
        if names.shape != (len(images),) or set(names.tolist()) != set(self.result.tests):
            raise _refusal(path, "images of other sets")
        return dict(zip(names.tolist(), images, strict=True))

    @cached_property
    def positions(self) -> SharedMap:
        """The t-SNE map."""
        stages, path = self.result.stages, self.result.path / "map.npz"
        reference, *others = read_npz(stored(path), ("real", *stages))
        for points in (reference, *others):
            if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not _are_small(points):
                raise _refusal(path, f"positions of shape {points.shape} and type {points.dtype}")
        return SharedMap(reference, dict(zip(stages, others, strict=True)))

    @cached_property
    def points(self) -> dict[str, NDArray[np.float64]]:
        """The positions of all sets on the map, the real one's first: N x 2 each."""
        return {"real": self.positions.reference, **self.positions.others}

    @cached_property
    def pictures(self) -> dict[str, Pictures] | None:
        """The images behind the map's points, by set; None where an older version did not keep them.

        Raises:
            InputError: they are not one for each point.
        """
        path = self.result.path / "map-images.npz"
        if not path.exists():
            return None
        found = {}
        for name, points in self.points.items():
            images, labels = read_npz(stored(path), (name, f"labels {name}"))
            _require_pictures(path, images, (len(points), *self._image_shape))
            if labels.shape != (len(points),) or not np.isin(labels, np.arange(len(self.class_names))).all():
                raise _refusal(path, f"labels of {name} that do not fit its points")
            found[name] = Pictures(images, labels)
        return found

    @cached_property
    def neighbours(self) -> Neighbours | None:
        """Generated images and their nearest training images; None where an older version did not keep them.

        Raises:
            InputError: the file's arrays do not fit together.
        """
        path = self.result.path / "runs" / str(self.result.seeds[0]) / "neighbours.npz"
        if not path.exists():
            return None
        generated, nearest, nearness, distance = read_npz(
            stored(path), ("generated", "nearest", "nearness", "distance")
        )
        for numbers in (nearness, distance):
            if numbers.shape != generated.shape[:1] or not len(numbers) or not _are_small(numbers):
                raise _refusal(path, f"numbers of shape {numbers.shape} and type {numbers.dtype}")
        for images in (generated, nearest):
            _require_pictures(path, images, (len(nearness), *self._image_shape))
        return Neighbours(generated, nearest, nearness, distance)

    @cached_property
    def gains(self) -> dict[tuple[str, str], dict[str, Interval]]:
        """For each classifier and test set, what each recipe gains over real images."""
        result = self.result
        return {
            (classifier, test): result.gains(classifier, test)
            for classifier in result.classifiers
            for test in result.tests
        }

    @cached_property
    def accuracies(self) -> dict[tuple[str, str], dict[str, Interval]]:
        """For each classifier and test set, each recipe's accuracy."""
        result = self.result
        return {
            (classifier, test): result.accuracies(classifier, test)
            for classifier in result.classifiers
            for test in result.tests
        }

    @cached_property
    def confusions(self) -> list[Confusion]:
        """For each classifier and real test set: real images, the verdict's pick, and the last stage's images."""
        return list(self._confusions()) if len(self.class_names) <= MOST_CONFUSED else []

    def _confusions(self) -> Iterator[Confusion]:
        for case in self.result.verdict.cases:
            asked = dict.fromkeys(["real", case.best, self.result.stages[-1]])
            for recipe in [recipe for recipe in asked if recipe in self.result.recipes(case.classifier)]:
                counts = self.result.confusion(case.classifier, case.test, recipe)
                yield Confusion(case.classifier, case.test, recipe, counts)


def _require_pictures(path: Path, images: NDArray[np.uint8], shape: tuple[int, ...]) -> None:
    if images.shape != shape or images.dtype != np.uint8:
        raise _refusal(path, f"images of shape {images.shape} and type {images.dtype} instead of {shape} and uint8")


def _are_small(numbers: NDArray[np.generic]) -> bool:
    """Whether all are numbers that a figure can show; positions on a map and grey levels are below some hundred."""
    return numbers.dtype.kind == "f" and bool(np.less(np.abs(numbers), 1e9).all())


def _refusal(path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: found {found}; expected what the study kept there; remove it, and the study's command makes it again"
    )
