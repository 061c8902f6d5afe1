"""Choosing a recipe by validation accuracy, on a budget: successive halving over seeds, by thirds.

The test sets have no part in it: nothing here sees more than validation accuracies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from mizumashi.studies.recipe import CLASSICAL, REAL, Recipe

VALIDATION = "validation"
"""The name of the set that recipes are chosen by."""

Accuracies = Mapping[Recipe, Sequence[float]]
"""The validation accuracy of each recipe in each seed so far, from the first on."""


@dataclass(frozen=True)
class Choice:
    """The recipe that a study chooses for one classifier.

    Args:
        recipe: the one chosen.
        baseline: the better of real images alone and real images with classical augmentation.
        gain: its validation accuracy over the baseline's, in points, mean over the seeds; 0 where it is the baseline.
        error: the standard error of the best candidate's gain, in points.
        tried: candidates that were looked at.
        cells: classifiers trained for it.
    """

    recipe: str
    baseline: str
    gain: float
    error: float
    tried: int
    cells: int


def survivors(accuracies: Accuracies, candidates: Sequence[Recipe], seeds_done: int) -> list[Recipe]:
    """The candidates that the next seed still tries: after 1, 2, 4, 8 ... seeds the best third goes on.

    Real images, alone and with classical augmentation, always go on: all else is measured by them.

    Args:
        accuracies: of all candidates, as far as they were tried.
        candidates: all there are, the plainest first.
        seeds_done: seeds that are finished.

    Returns:
        Some of the candidates, in their order.

    Source:
        Successive halving (Jamieson and Talwalkar 2016) with seeds as the resource, by thirds as Hyperband does it
        (Li et al. 2018).

    Example:
        >>> tried = {REAL: [0.9], Recipe.parse("real+gan@4"): [0.8], Recipe.parse("real+gan@8"): [0.85]}
        >>> [str(recipe) for recipe in survivors(tried, list(tried), seeds_done=1)]
        ['real', 'real+gan@8']
    """
    alive = [recipe for recipe in candidates if recipe not in (REAL, CLASSICAL)]
    done = 1
    while done <= seeds_done and len(alive) > 1:
        means = [float(np.mean(accuracies[recipe][:done])) for recipe in alive]
        best = np.argsort(-np.array(means), kind="stable")[: ceil(len(alive) / 3)]
        alive = [alive[place] for place in sorted(best)]
        done *= 2
    return [recipe for recipe in candidates if recipe in (REAL, CLASSICAL) or recipe in alive]


def choose(accuracies: Accuracies, candidates: Sequence[Recipe], count: int) -> Choice:
    """The candidate with the best validation accuracy, if it beats the baselines by more than a standard error.

    Otherwise the better baseline: what looks best among many looks better than it is, and of two that cannot be told
    apart the plainer one is taken (the one-standard-error rule; Breiman et al. 1984, section 3.4.3).

    Args:
        accuracies: of all candidates, those that went on in every seed.
        candidates: the plainest first.
        count: validation images of one seed; of one seed, they give the standard error.

    Example:
        >>> gan = Recipe.parse("real+gan@8")
        >>> choose({REAL: [0.90, 0.91], gan: [0.93, 0.945]}, [REAL, gan], 100).recipe
        'real+gan@8'
        >>> choose({REAL: [0.90, 0.91], gan: [0.90, 0.92]}, [REAL, gan], 100).recipe
        'real'
    """
    seeds = len(accuracies[REAL])
    finalists = [recipe for recipe in candidates if len(accuracies.get(recipe, ())) == seeds]
    means = {recipe: float(np.mean(accuracies[recipe])) for recipe in finalists}
    baseline = max((recipe for recipe in finalists if recipe in (REAL, CLASSICAL)), key=means.__getitem__)
    best = max(finalists, key=means.__getitem__)  # the first of equals
    gains = 100 * (np.array(accuracies[best]) - accuracies[baseline])
    if seeds > 1:
        error = float(gains.std(ddof=1) / seeds**0.5)
    else:  # as if the two read images independently, which is rather too large
        error = 100 * float(np.sqrt(sum(means[each] * (1 - means[each]) / count for each in (best, baseline))))
    chosen = best if float(gains.mean()) > error else baseline
    gain = float(gains.mean()) if chosen == best else 0.0
    cells = sum(len(tried) for tried in accuracies.values())
    return Choice(str(chosen), str(baseline), gain, error, len(accuracies), cells)
