"""The numbers of a finished study, from its files."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mizumashi.errors import InputError
from mizumashi.metrics.memorization import CopyNumbers
from mizumashi.metrics.two_sample import TwoSample
from mizumashi.stats.inference import Interval, gain_estimates, t_interval
from mizumashi.studies.arrays import read_test_array
from mizumashi.studies.cell import Cell, read_predictions
from mizumashi.studies.checks import require_whole
from mizumashi.studies.record import PlanRecord
from mizumashi.studies.selection import VALIDATION, Choice
from mizumashi.studies.store import Store
from mizumashi.utils import files
from mizumashi.utils.layout import STUDY
from mizumashi.utils.schema import from_json
from mizumashi.utils.stored import stored

if TYPE_CHECKING:
    from mizumashi.studies.verdict import Verdict

_FAULTLESS = ""  # no recipe is spelt so


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found.

    Args:
        path: the study's folder.
        plan: what was done, as plan.json has it.
        cells: every cell.
        distances: for each seed and stage, how well generated images are told from real ones.
        copies: whether the last stage's images of the first seed are copies of the training images.
        choices: for each classifier the recipe that validation speaks for; empty where the study chose none.

    Shapes: R recipes, T test sets, S seeds, C classifiers of one seed, N test images.
    """

    path: Path
    plan: PlanRecord
    cells: tuple[Cell, ...]
    distances: dict[str, dict[str, TwoSample]]
    copies: CopyNumbers
    choices: dict[str, Choice]

    @classmethod
    def read(cls, path: str | Path) -> "StudyResult":
        """Read STUDY/results.json.

        Raises:
            InputError: the folder holds no finished study.
        """
        folder = Path(path)
        file = Store(folder).results
        STUDY.require_plain(folder)
        if not file.is_file():
            raise InputError(
                f"found no finished study in {folder}; expected results.json; "
                "`mizumashi study IMAGES --out STUDY` makes it, or finishes one that was stopped"
            )
        results = files.read_json(stored(file))
        with files.expect_undamaged(file, "the study's command writes it again"):
            cells = tuple(from_json(Cell, cell) for cell in results["cells"])
            distances = {
                seed: {stage: from_json(TwoSample, told) for stage, told in stages.items()}
                for seed, stages in results["distances"].items()
            }
            choices = {classifier: from_json(Choice, chosen) for classifier, chosen in results["choices"].items()}
            copied = from_json(CopyNumbers, results["copies"])
            found = cls(folder, from_json(PlanRecord, results["plan"]), cells, distances, copied, choices)
            require_whole(found)
        return found

    @property
    def store(self) -> Store:
        """Where the study's files lie."""
        return Store(self.path)

    @property
    def classifiers(self) -> list[str]:
        """The kinds of classifiers, in the plan's order."""
        return self.plan.classifier_names

    def recipes(self, classifier: str) -> list[str]:
        """The recipes that every seed tried, in the plan's order, and the one that was chosen."""
        chosen = [self.choices[classifier].recipe] if classifier in self.choices else []
        return list(dict.fromkeys([*self.plan.recipes, *chosen]))

    @property
    def stages(self) -> list[str]:
        """The generated sets, in the order of training."""
        return [f"gan@{step}" for step in self.plan.gan.stages]

    @property
    def tests(self) -> list[str]:
        """The test sets: the source's, each stage's, and the target where there is one."""
        return [name for name in self.cells[0].scores if name != VALIDATION]

    @property
    def tested(self) -> list[str]:
        """The real ones among the test sets: the source's, and the target where there is one."""
        return [self.plan.source.name, *([self.target] if self.target else [])]

    @property
    def target(self) -> str | None:
        """The target's name."""
        return self.plan.target.name if self.plan.target else None

    @property
    def seeds(self) -> list[int]:
        """The seeds of the GANs."""
        return sorted({cell.seed for cell in self.cells})

    @property
    def balances(self) -> bool:
        """Whether every class counts alike in all accuracies and gains: where the study balances the classes."""
        return self.plan.regime.balance

    @property
    def counting(self) -> str:
        """What is said of an accuracy on a test set, behind the set's name."""
        return ", every class counting alike" if self.balances else ""

    def accuracy(self, classifier: str) -> NDArray[np.float64]:
        """R x T x S, in 0 ... 1: the mean over the classifiers of a seed; see `balances`."""
        return self._numbers(classifier, "class_accuracy" if self.balances else "accuracy")

    def loss(self, classifier: str) -> NDArray[np.float64]:
        """R x T x S, in nats: the mean over the classifiers of a seed."""
        return self._numbers(classifier, "loss")

    def right(self, classifier: str, test: str) -> dict[str, NDArray[np.bool_]]:
        """For each recipe S x C x N: which images of a real test set its classifiers read rightly.

        Raises:
            InputError: a file of readings is missing or damaged.
        """
        place, labels = self.tested.index(test), self.labels(test)
        shape = len(self.seeds), self.plan.classifier_seeds, len(labels)
        found = {recipe: np.zeros(shape, np.bool_) for recipe in self.recipes(classifier)}
        for cell in self._cells(classifier):
            where = self.seeds.index(cell.seed), cell.classifier_seed
            found[cell.recipe][where] = self._readings(cell, place, labels) == labels
        return found

    def labels(self, test: str) -> NDArray[np.int64]:
        """The labels of a real test set: N.

        Raises:
            InputError: their file is missing or damaged.
        """
        path, count = self.store.labels, self.cells[0].scores[test].count
        labels = read_test_array(path, self.tested.index(test))
        if not count or labels.shape != (count,) or not _within((labels,), len(self.plan.class_names)):
            raise InputError(
                f"{path}: found other labels than the study's; remove it, and the study's command makes it again"
            )
        return labels.astype(np.int64)

    def balanced_by(self, test: str) -> NDArray[np.int64] | None:
        """The labels of a real test set in which every class counts alike, or None: see `balances`."""
        return self.labels(test) if self.balances else None

    def gains(self, classifier: str, test: str) -> dict[str, Interval]:
        """What each recipe gains over real images on a test set, in points of accuracy, with its 95 % interval.

        On a real test set it is `bootstrap_interval` over seeds and test images; on a generated one, which every seed
        has its own of, Student's over the seeds.

        Raises:
            InputError: a file of readings is missing or damaged.
        """
        baseline, *others = self.recipes(classifier)
        if test in self.tested:
            right = self.right(classifier, test)
            pairs = [(recipe, baseline) for recipe in others]
            estimates = gain_estimates(right, pairs, self.seeds[0], labels=self.balanced_by(test))
            return {recipe: estimate.interval for recipe, estimate in zip(others, estimates, strict=True)}
        real, *accuracies = 100 * self.accuracy(classifier)[:, self.tests.index(test)]
        return {recipe: t_interval(reached - real) for recipe, reached in zip(others, accuracies, strict=True)}

    def accuracies(self, classifier: str, test: str) -> dict[str, Interval]:
        """Each recipe's accuracy on a test set, in 0 ... 1, with its 95 % interval, from the same sources as `gains`.

        Ends beyond 0 and 1 are cut to them.

        Raises:
            InputError: a file of readings is missing or damaged.
        """
        recipes = self.recipes(classifier)
        if test in self.tested:
            right = self.right(classifier, test)
            # What a recipe gains over one that reads all images rightly is its accuracy less 100 points.
            right[_FAULTLESS] = np.ones_like(right[recipes[0]])
            pairs = [(recipe, _FAULTLESS) for recipe in recipes]
            estimates = gain_estimates(right, pairs, self.seeds[0], labels=self.balanced_by(test))
            found = [1 + np.array(estimate.interval) / 100 for estimate in estimates]
        else:
            found = [np.array(t_interval(values)) for values in self.accuracy(classifier)[:, self.tests.index(test)]]
        ends = [[float(number) for number in np.clip(interval, 0, 1)] for interval in found]
        return {recipe: Interval(*interval) for recipe, interval in zip(recipes, ends, strict=True)}

    def confusion(self, classifier: str, test: str, recipe: str) -> NDArray[np.int64]:
        """How often each class of a real test set was read as which: K x K, rows the labels, sums over all seeds.

        Raises:
            InputError: a file of readings is missing or damaged.
        """
        place, classes = self.tested.index(test), len(self.plan.class_names)
        labels = self.labels(test)
        found = np.zeros(classes**2, np.int64)
        for cell in self._cells(classifier):
            if cell.recipe == recipe:
                readings = self._readings(cell, place, labels)
                found += np.bincount(labels * classes + readings, minlength=classes**2)
        return found.reshape(classes, classes)

    @cached_property
    def verdict(self) -> "Verdict":
        """What the study concludes (see `mizumashi.studies.verdict`)."""
        from mizumashi.studies.verdict import conclude  # it reads results

        return conclude(self)

    def _readings(self, cell: Cell, place: int, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """What a cell's classifier read in each image of a real test set: a class for each label."""
        readings = read_predictions(self.store.cells, cell, place)
        if labels.shape != readings.shape or not _within((readings,), len(self.plan.class_names)):
            raise InputError(
                f"{self.store.cells / cell.key}.npz: found readings of other images or classes than the study's; "
                "remove it and the JSON file beside it, and the study makes them again"
            )
        return readings

    def _cells(self, classifier: str) -> list[Cell]:
        recipes = self.recipes(classifier)
        return [cell for cell in self.cells if cell.classifier == classifier and cell.recipe in recipes]

    def _numbers(self, classifier: str, what: str) -> NDArray[np.float64]:
        recipes, seeds = self.recipes(classifier), self.seeds
        found = np.zeros((len(recipes), len(self.tests), len(seeds)))
        for cell in self._cells(classifier):
            place = recipes.index(cell.recipe), slice(None), seeds.index(cell.seed)
            found[place] += [getattr(cell.scores[test], what) for test in self.tests]
        found /= self.plan.classifier_seeds
        return found


def _within(arrays: tuple[NDArray[np.integer], ...], classes: int) -> bool:
    """Whether all are labels of that many classes."""
    return all(each.dtype.kind in "iu" and each.min() >= 0 and each.max() < classes for each in arrays)
