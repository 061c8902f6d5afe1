"""Whether results.json is what a study leaves, before arrays are made of the sizes that it implies."""

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from mizumashi.schema import from_json
from mizumashi.studies.plan import planned_config

if TYPE_CHECKING:
    from mizumashi.studies.results import StudyResult


@dataclass(frozen=True)
class _Images:
    """What a plan says of a set; see `mizumashi.data.images.LabelledImages.describe`."""

    name: str
    sha256: str
    count: int
    size: tuple[int, int]
    channels: int
    class_names: tuple[str, ...]
    train: int = 0


def require_plan(plan: dict[str, Any]) -> None:
    """Raise `ValueError`, or another error, unless this is the plan of a study.

    Args:
        plan: what a plan.json or the same part of a results.json holds.
    """
    planned_config(plan)
    sets = [from_json(_Images, plan[role]) for role in ("source", "target", "few") if role == "source" or plan[role]]
    if len({images.class_names for images in sets}) > 1 or not sets[0].class_names:
        raise ValueError("the sets have different classes, or none")
    source, target = plan["origins"]
    if not all(isinstance(origin, str | None) for origin in (source, target)):
        raise ValueError("an origin is no text")
    versions = plan["versions"]
    if not versions or not all(isinstance(word, str) for each in versions for word in [*each, *each.values()]):
        raise ValueError("a version is no text")


def require_whole(result: "StudyResult") -> None:
    """Raise `ValueError`, or another error, unless every cell that the plan implies is there, once.

    Arrays of recipes x test sets x seeds are then no larger than the numbers that were read.
    """
    require_plan(result.plan)
    config = planned_config(result.plan)
    seeds = list(range(config.gan.seed, config.gan.seed + config.seeds))
    if result.seeds != seeds:
        raise ValueError(f"cells are of {len(result.seeds)} seeds; planned are {len(seeds)}")
    if len(set(result.classifiers)) < len(result.classifiers):
        raise ValueError("a classifier is there twice")
    tests = set(result.cells[0].scores)
    if not {*result.tested, *result.stages} <= tests:
        raise ValueError("a test set has no scores")
    for cell in result.cells:
        if not re.fullmatch(r"[0-9a-f]{24}", cell.key):  # it leads to files
            raise ValueError(f"no cell has the key {cell.key!r:.40}")
        if set(cell.scores) != tests or cell.classifier not in result.classifiers:
            raise ValueError("a cell has other test sets, or another classifier, than the study")
        for score in cell.scores.values():
            if not (0 <= score.accuracy <= 1 and 0 <= score.class_accuracy <= 1 and isfinite(score.loss)):
                raise ValueError("an accuracy or a loss is out of range")
    there = [(cell.classifier, cell.recipe, cell.seed, cell.classifier_seed) for cell in result.cells]
    recipes = [(classifier, recipe) for classifier in result.classifiers for recipe in result.recipes(classifier)]
    if len(recipes) * len(seeds) * config.classifier_seeds > len(there):
        raise ValueError("cells are missing")
    numbers = range(config.classifier_seeds)
    planned = {(*recipe, seed, number) for recipe in recipes for seed in seeds for number in numbers}
    if len(set(there)) < len(there) or not planned <= set(there):
        raise ValueError("a cell is missing, or there twice")
    measured = {seed: set(stages) for seed, stages in result.distances.items()}
    if measured != {str(seed): set(result.stages) for seed in seeds}:
        raise ValueError("distances are of other seeds or stages")
