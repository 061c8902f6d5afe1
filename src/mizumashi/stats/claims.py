"""What a study may claim.

Shapes: S seeds, C classifiers of one seed and recipe, N test images, B resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mizumashi.errors import InputError, nearest
from mizumashi.stats.inference import RESAMPLES, Estimate, gain_estimates, holm, mcnemar_p, permutation_ps
from mizumashi.stats.power import FEWEST_SEEDS, LEVEL

Method = Literal["permutation test over seeds", "McNemar's test", "bootstrap of test images", "interval only"]


@dataclass(frozen=True)
class Comparison:
    """What a recipe gains over a baseline on one test set.

    Args:
        test: the test set's name.
        recipe: the recipe's name.
        baseline: the baseline's name.
        gain: in points of accuracy.
        low: lower end of its 95 % interval, from `bootstrap_interval`; not corrected for the number of comparisons.
        high: upper end.
        p: two-sided p-value; None where there is only an interval.
        corrected_p: the same after Holm's correction for all comparisons.
        seeds: S.
        images: N.
        method: what `p` stems from: of 6 seeds or more the permutation test. Of one seed it is McNemar's test, or the
            bootstrap where the seed has several classifiers or classes count alike: both cover the test images alone,
            never the seeds.
        differences: the gain in each seed, in points.
        image_error: the part of the standard error that stems from the test images, in points. With `differences`
            it tells how many seeds an open case takes (`mizumashi.stats.power.seeds_needed`).
    """

    test: str
    recipe: str
    baseline: str
    gain: float
    low: float
    high: float
    p: float | None
    corrected_p: float | None
    seeds: int
    images: int
    method: Method
    differences: tuple[float, ...]
    image_error: float

    @property
    def claims(self) -> bool:
        """Whether this is called a gain or a loss: the corrected p-value is below 0.05, and 0 outside the interval."""
        return self.corrected_p is not None and self.corrected_p < LEVEL and not self.low <= 0 <= self.high


def compare_all(
    right: Mapping[str, Mapping[str, NDArray[np.bool_]]],
    baselines: Sequence[str],
    seed: int,
    resamples: int = RESAMPLES,
    *,
    labels: Mapping[str, NDArray[np.int64] | None] | None = None,
) -> list[Comparison]:
    """Compare every recipe with every baseline on every test set, with Holm's correction over all of it.

    From 6 seeds, a p-value is the larger of two, that of the permutation test over seeds and that of
    `bootstrap_interval`. The first alone is about these very test images: recipes that are alike on all images differ
    a little on any 500, and enough seeds show it. From 2 to 5 seeds there are only intervals.

    Measured on 1,000 simulated studies without any effect each, with 500 images and variances as on MNIST:

    | comparisons | seeds | studies that claim an effect (95 % interval) |
    | --- | --- | --- |
    | 1 | 6 | 2.4 % (1.6 to 3.5) |
    | 24: 9 recipes, 1 baseline, 3 test sets | 10 | 0.8 % (0.4 to 1.6) |
    | 45: 9 recipes, 2 baselines, 3 test sets | 12 | 1.0 % (0.5 to 1.8) |

    With the permutation test's p-values corrected alone, and intervals that leave out 0, 34 % of the studies with 24
    comparisons would claim one. What one run claims is about its two classifiers: of two recipes that gain nothing
    and whose seeds differ by 0.4 points, 7 % of 1,000 runs with 1,000 images claim a gain, and 40 % of 300 with 10,000.

    Args:
        right: for each test set and recipe S x N or S x C x N: which images the recipe's classifiers read rightly.
            The images are the same in all seeds.
        baselines: the recipes with which the others are compared, and each with those before it.
        seed: decides the resamples; any non-negative integer.
        resamples: B.
        labels: for each test set in which every class shall count alike, however many images it has, N labels; for
            others none, or None.

    Returns:
        Test set by test set and baseline by baseline.

    Raises:
        InputError: a baseline is no recipe, the recipes of a test set differ in shape, or there is not one label for
            each of its images.

    Example:
        >>> random = np.random.default_rng(0).random((2, 7, 800))
        >>> right = {"mnist": {"real": random[0] < 0.80, "gan@4": random[1] < 0.86}}
        >>> for found in compare_all(right, ["real"], seed=0):
        ...     print(found.recipe, round(found.gain, 1), found.p, found.claims)
        gan@4 6.9 0.015625 True
    """
    found = [
        one
        for test, recipes in right.items()
        for one in _compare(test, recipes, baselines, seed, resamples, (labels or {}).get(test))
    ]
    corrected = iter(holm([one.p for one in found if one.p is not None]))
    return [one if one.p is None else replace(one, corrected_p=next(corrected)) for one in found]


def _compare(
    test: str,
    right: Mapping[str, NDArray[np.bool_]],
    baselines: Sequence[str],
    seed: int,
    resamples: int,
    labels: NDArray[np.int64] | None,
) -> list[Comparison]:
    """The comparisons on one test set, not yet corrected."""
    pairs = _pairs(test, list(right), baselines)
    if not pairs:
        return []
    estimates = gain_estimates(right, pairs, seed, resamples, labels=labels)
    method, p_values = _p_values(right, pairs, estimates, seed, every_image_alike=labels is None)
    return [
        Comparison(
            test,
            *pair,
            *estimate.interval,
            p=None if p is None else max(p, estimate.p),
            corrected_p=None,
            seeds=len(estimate.gains),
            images=right[pair[0]].shape[-1],
            method=method,
            differences=tuple(estimate.gains.tolist()),
            image_error=estimate.image_error,
        )
        for pair, estimate, p in zip(pairs, estimates, p_values, strict=True)
    ]


def _pairs(test: str, recipes: list[str], baselines: Sequence[str]) -> list[tuple[str, str]]:
    """Each baseline below all recipes but itself and the baselines before it."""
    for name in baselines:
        if name not in recipes:
            hint = nearest(name, recipes)
            raise InputError(f"{test}: found the baseline {name!r}; expected one of {', '.join(recipes)}{hint}")
    return [
        (recipe, baseline)
        for place, baseline in enumerate(baselines)
        for recipe in recipes
        if recipe not in baselines[: place + 1]
    ]


def _p_values(
    right: Mapping[str, NDArray[np.bool_]],
    pairs: list[tuple[str, str]],
    estimates: list[Estimate],
    seed: int,
    *,
    every_image_alike: bool,
) -> tuple[Method, list[float | None]]:
    """The test that suits the number of seeds, and each pair's p-value by it."""
    seeds = len(estimates[0].gains)
    if seeds >= FEWEST_SEEDS:
        return "permutation test over seeds", [*permutation_ps(np.stack([one.gains for one in estimates]), seed)]
    if seeds > 1:
        return "interval only", [None] * len(pairs)
    if every_image_alike and all(array.size == array.shape[-1] for array in right.values()):
        return "McNemar's test", [mcnemar_p(right[first].ravel(), right[second].ravel()) for first, second in pairs]
    return "bootstrap of test images", [0.0] * len(pairs)  # the interval's own p-value is the larger one
