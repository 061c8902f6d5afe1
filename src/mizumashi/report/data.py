"""What a report shows of a finished study, read from its files and computed once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mizumashi.gan.collapse import COLLAPSED
from mizumashi.metrics.tsne import SharedMap
from mizumashi.stats.inference import Interval
from mizumashi.studies import arrays
from mizumashi.studies.arrays import ImageShape, Neighbours, Pictures
from mizumashi.studies.results import StudyResult

MOST_CONFUSED = 1000
"""Of more classes there is no confusion matrix: it would take too much memory."""


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


class ReportData:
    """What a report shows, of one study; every part is read or computed when it is first asked for.

    Args:
        result: the study.
    """

    def __init__(self, result: StudyResult) -> None:
        self.result = result

    @cached_property
    def class_names(self) -> list[str]:
        """The name of each label."""
        return [*self.result.plan.class_names]

    @property
    def equilibrium(self) -> dict[str, float]:
        """The losses where the discriminator cannot tell: D = 1/2 everywhere."""
        generator = {"non-saturating": math.log(2), "minimax": -math.log(2)}[self.result.plan.gan.objective]
        return {"generator": generator, "discriminator": 2 * math.log(2)}

    @property
    def _image_shape(self) -> ImageShape:
        source = self.result.plan.source
        return (*source.size, source.channels)

    @cached_property
    def losses(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """For each network and seed ("seed 0"), one loss for each step."""
        from mizumashi.gan.run import GanRun

        result = self.result
        runs = {seed: GanRun(self.result.store.gan(seed)).losses() for seed in result.seeds}
        for seed, losses in runs.items():
            if len(losses["generator"]) != result.plan.gan.steps:
                raise arrays.refusal(self.result.store.gan(seed) / "log.jsonl", f"{len(losses['generator'])} steps")
        return {
            network: {f"seed {seed}": losses[network] for seed, losses in runs.items()}
            for network in ("generator", "discriminator")
        }

    @cached_property
    def collapse(self) -> list[Collapse]:
        """For each stage the class that varies least; runs of older versions do not tell."""
        from mizumashi.gan.run import GanRun

        result = self.result
        by_seed = {seed: GanRun(self.result.store.gan(seed)).variation() for seed in result.seeds}
        rows = []
        for stage, step in zip(result.stages, result.plan.gan.stages, strict=True):
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
        return arrays.read_examples(
            self.result.store.examples, self.result.tests, len(self.class_names), self._image_shape
        )

    @cached_property
    def positions(self) -> SharedMap:
        """The t-SNE map."""
        return arrays.read_map(self.result.store.map, self.result.stages)

    @cached_property
    def points(self) -> dict[str, NDArray[np.float64]]:
        """The positions of all sets on the map, the real one's first: N x 2 each."""
        return {"real": self.positions.reference, **self.positions.others}

    @cached_property
    def pictures(self) -> dict[str, Pictures] | None:
        """The images behind the map's points, by set; None where an older version did not keep them."""
        path, counts = self.result.store.map_images, {name: len(points) for name, points in self.points.items()}
        return arrays.read_pictures(path, counts, len(self.class_names), self._image_shape) if path.exists() else None

    @cached_property
    def neighbours(self) -> Neighbours | None:
        """Generated images and their nearest training images; None where an older version did not keep them."""
        path = self.result.store.neighbours(self.result.seeds[0])
        return arrays.read_neighbours(path, self._image_shape) if path.exists() else None

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
