"""Cells: one (seed, recipe, classifier) trained and scored on every test set."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mizumashi.classifiers.score import Model, Score, judge
from mizumashi.errors import InputError
from mizumashi.studies.arrays import read_test_array, write_test_arrays
from mizumashi.studies.classifiers import Classifier, Job
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.training_sets import Material
from mizumashi.utils import files
from mizumashi.utils.progress import Progress
from mizumashi.utils.schema import from_json, to_json
from mizumashi.utils.seeding import numpy_generator
from mizumashi.utils.stored import stored

_REMAKE = "remove it and the file beside it, and the study makes both again"


@dataclass(frozen=True)
class Cell:
    """One result.

    Args:
        key: hash of the configuration and of the contents of all inputs.
        seed: the GAN's seed.
        classifier_seed: from 0; decides the order of the classifier's mini-batches together with the seed.
        recipe: how the training set was made.
        classifier: the classifier's name.
        scores: accuracy and loss on each test set.
    """

    key: str
    seed: int
    classifier_seed: int
    recipe: str
    classifier: str
    scores: dict[str, Score]


@dataclass(frozen=True)
class Cells:
    """The cells of one seed's material: those that are on disk are read, the others made.

    Args:
        material: images of one seed.
        classifier_seeds: models for each recipe and classifier.
        folder: where the cells' files are.
        kept: the test sets whose images' readings are kept one by one.
        progress: called as training goes on.
    """

    material: Material
    classifier_seeds: int
    folder: Path
    kept: Sequence[str]
    progress: Progress

    def run(self, classifier: Classifier, recipes: Sequence[Recipe]) -> list[Cell]:
        """Train and score what is missing, as many recipes at a time as the classifier takes; recipe by recipe."""
        cells: list[Cell] = []
        for start in range(0, len(recipes), classifier.recipes_at_once):
            keys = {
                (recipe, number): self._key(recipe, number, classifier)
                for recipe in recipes[start : start + classifier.recipes_at_once]
                for number in range(self.classifier_seeds)
            }
            missing = {place: key for place, key in keys.items() if not self._path(key).exists()}
            if missing:
                self._train_and_score(classifier, missing)
            cells += [read_cell(self._path(key)) for key in keys.values()]
        return cells

    def _train_and_score(self, classifier: Classifier, keys: Mapping[tuple[Recipe, int], str]) -> None:
        sets = {recipe: self.material.training_set(recipe) for recipe, _ in keys}
        jobs = [Job(sets[recipe], self._order_seed(number), recipe.classical) for recipe, number in keys]
        with closing(classifier.train(jobs, self.progress)) as models:  # stopped, it ends what it does side by side
            for (place, key), model in zip(keys.items(), models, strict=True):
                self._score(*place, key, classifier.name, model)

    def _score(self, recipe: Recipe, number: int, key: str, classifier: str, model: Model) -> None:
        scores, readings = {}, []
        for name, images in self.material.tests.items():
            scores[name], read = judge(model, images)
            if name in self.kept:
                readings.append(read.astype(np.uint16))
        write_test_arrays(self._path(key).with_suffix(".npz"), readings)
        cell = Cell(key, self.material.seed, number, str(recipe), classifier, scores)
        files.write_json(self._path(key), to_json(cell))  # last: where it is, the cell is whole

    def _order_seed(self, number: int) -> int:
        # All recipes of a seed share the order of positions, so that they are compared in pairs.
        return int(numpy_generator(self.material.seed, "classifier", number).integers(2**63))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    @cached_property
    def _contents(self) -> dict[str, str]:
        material = self.material
        return (
            {"real": material.real.content_hash()}
            | {f"gan@{step}": images.content_hash() for step, images in material.generated.items()}
            | {f"test {name}": images.content_hash() for name, images in material.tests.items()}
        )

    def _key(self, recipe: Recipe, number: int, classifier: Classifier) -> str:
        parts = [f"gan@{step}" for step in recipe.steps(list(self.material.generated))]
        inputs = {part: self._contents[part] for part in (["real"] if recipe.real else []) + parts}
        tests = {name: value for name, value in self._contents.items() if name.startswith("test ")}
        configuration = {
            "recipe": str(recipe),
            "seed": self.material.seed,
            "classifier_seed": number,
            "grow": self.material.grow,
            "balance": self.material.balance,
        }
        value = [configuration, classifier.description, inputs, tests]
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def read_cell(path: Path) -> Cell:
    """Read a cell's file.

    Raises:
        InputError: the file is missing or damaged.
    """
    value = files.read_json(stored(path))
    with files.expect_undamaged(path, _REMAKE):
        return from_json(Cell, value)


def read_predictions(folder: Path, cell: Cell, place: int) -> NDArray[np.int64]:
    """The class that a cell's classifier read in each image of a test set whose readings are kept.

    Args:
        folder: the folder of the cells.
        cell: one of them.
        place: the test set's place among those kept.

    Raises:
        InputError: the file is missing or damaged.
    """
    path = folder / f"{cell.key}.npz"
    found = read_test_array(path, place)
    if found.ndim != 1 or found.dtype.kind not in "iu":
        raise InputError(f"{path}: found readings of shape {found.shape} and type {found.dtype}; {_REMAKE}")
    return found.astype(np.int64)
