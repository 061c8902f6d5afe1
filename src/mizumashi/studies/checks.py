"""Whether results.json is what a study leaves, before arrays are made of the sizes that it implies."""

import re
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mizumashi.studies.results import StudyResult


MOST_READINGS = 2**29
"""Images that all classifiers of a study have read, each time: 500 classifiers may read a million."""


def require_whole(result: "StudyResult") -> None:
    """Raise `ValueError`, or another error, unless every cell that the plan implies is there, once.

    Arrays of recipes x test sets x seeds are then no larger than the numbers that were read.
    """
    config = result.plan.config
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
    if len({cell.key for cell in result.cells}) < len(result.cells):
        raise ValueError("two cells have one key")
    tested = max(result.cells[0].scores[test].count for test in result.tested)
    if tested * len(result.cells) > MOST_READINGS:
        raise ValueError(f"{len(result.cells)} cells have read {tested} images; expected {MOST_READINGS} at most")
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
