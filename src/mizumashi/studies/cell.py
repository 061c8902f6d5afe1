"""Cells: one (seed, recipe, classifier) trained and scored on every test set."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mizumashi import files
from mizumashi.classify.softmax import Score, SoftmaxConfig, score, train_softmax
from mizumashi.data.images import LabelledImages
from mizumashi.data.split import mix
from mizumashi.progress import Progress
from mizumashi.randomness import numpy_generator
from mizumashi.studies.recipe import Recipe

RECIPES_AT_ONCE = 12
"""Recipes whose training sets are held at once: memory does not grow with the number of recipes beyond it."""


@dataclass(frozen=True)
class Material:
    """What all cells of one seed are made from.

    Args:
        seed: the GAN's seed; it decides the sampling and the mixing too.
        real: the source's training images.
        generated: the generated training images of each stage.
        tests: the test sets by name.
    """

    seed: int
    real: LabelledImages
    generated: Mapping[int, LabelledImages]
    tests: Mapping[str, LabelledImages]


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

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Cell":
        """The cell that `dataclasses.asdict` turned into JSON."""
        return cls(**value | {"scores": {name: Score(**numbers) for name, numbers in value["scores"].items()}})


def run_softmax_cells(
    material: Material,
    recipes: Sequence[Recipe],
    classifier_seeds: int,
    config: SoftmaxConfig,
    folder: Path,
    progress: Progress,
) -> list[Cell]:
    """Train and score every recipe's softmax models, all that are missing in one batched computation.

    Args:
        material: images of one seed.
        recipes: which training sets to make.
        classifier_seeds: models for each recipe.
        config: how they are trained.
        folder: where the cells' files are; a cell whose file is there is not computed again.
        progress: called as training goes on.

    Returns:
        The cells, recipe by recipe.
    """
    contents = _hashes(material)
    cells: list[Cell] = []
    for start in range(0, len(recipes), RECIPES_AT_ONCE):
        keys = {
            (recipe, number): _key(material, recipe, number, config, contents)
            for recipe in recipes[start : start + RECIPES_AT_ONCE]
            for number in range(classifier_seeds)
        }
        missing = {place: key for place, key in keys.items() if not (folder / f"{key}.json").exists()}
        if missing:
            _train_and_score(material, missing, config, folder, progress)
        cells += [_read(folder / f"{key}.json") for key in keys.values()]
    return cells


def _train_and_score(
    material: Material, keys: Mapping[tuple[Recipe, int], str], config: SoftmaxConfig, folder: Path, progress: Progress
) -> None:
    """Train one model for each recipe and classifier seed, all in one batched computation, and write their cells."""
    sets = {recipe: _training_set(material, recipe) for recipe, _ in keys}
    models = train_softmax(
        [sets[recipe] for recipe, _ in keys],
        [_order_seed(material.seed, number) for _, number in keys],
        config,
        progress=progress,
    )
    for ((recipe, number), key), model in zip(keys.items(), models, strict=True):
        scores = {name: score(model, images) for name, images in material.tests.items()}
        cell = Cell(key, material.seed, number, str(recipe), "softmax", scores)
        files.write_json(folder / f"{key}.json", asdict(cell))


def _read(path: Path) -> Cell:
    cell = files.read_json(path)
    with files.expect_undamaged(path, "remove it, and the study makes it again"):
        return Cell.from_json(cell)


def _training_set(material: Material, recipe: Recipe) -> LabelledImages:
    """A set of the real set's size; a mix takes half its images from each side (the paper, section 5)."""
    if recipe.step is None:
        return material.real
    generated = material.generated[recipe.step]
    if not recipe.real:
        return generated
    return mix(material.real, generated, share=0.5, total=len(material.real), seed=material.seed)


def _order_seed(seed: int, number: int) -> int:
    # All recipes of a seed share the order of positions, so that they are compared in pairs.
    return int(numpy_generator(seed, "classifier", number).integers(2**63))


def _hashes(material: Material) -> dict[str, str]:
    return (
        {"real": material.real.content_hash()}
        | {f"gan@{step}": images.content_hash() for step, images in material.generated.items()}
        | {f"test {name}": images.content_hash() for name, images in material.tests.items()}
    )


def _key(material: Material, recipe: Recipe, number: int, config: SoftmaxConfig, contents: Mapping[str, str]) -> str:
    inputs = {part: contents[part] for part in str(recipe).split("+")}
    tests = {name: value for name, value in contents.items() if name.startswith("test ")}
    configuration = {"recipe": str(recipe), "seed": material.seed, "classifier_seed": number}
    value = [configuration, asdict(config), inputs, tests]
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]
