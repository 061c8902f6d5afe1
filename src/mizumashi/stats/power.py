"""How many seeds a claim takes, and what a number of seeds can show."""

from bisect import bisect_left

import numpy as np
from numpy.typing import ArrayLike

from mizumashi.errors import InputError

LEVEL = 0.05
"""A claim's corrected p-value lies below it."""

FEWEST_SEEDS = 6
"""No claim is made from fewer: sign flips of 5 differences reach no p-value below 2 / 2^5 = 0.06."""

MOST_SEEDS = 10_000
"""A case that takes more is called one that seeds do not settle."""

USUAL_POWER = 0.8
"""With so many seeds that a study finds the effect in 80 % of the cases (Cohen, 1988), a case counts as settled."""


def fewest_seeds(comparisons: int) -> int:
    """Seeds below which no result, however clear, passes Holm's correction.

    Of S paired differences the sign-flip test's smallest p-value is 2 / 2^S, where all have one sign. Holm's
    correction multiplies the smallest of m p-values by m, so a claim needs m * 2 / 2^S < 0.05.

    Args:
        comparisons: m, all that are corrected for together; at least 1.

    Raises:
        InputError: there is no comparison.

    Example:
        >>> fewest_seeds(1), fewest_seeds(2), fewest_seeds(24), fewest_seeds(45)
        (6, 7, 10, 11)
    """
    if comparisons < 1:
        raise InputError(f"found {comparisons} comparisons; expected at least 1")
    seeds = FEWEST_SEEDS
    while comparisons * 2 / 2**seeds >= LEVEL:
        seeds += 1
    return seeds


def power(gain: float, deviation: float, seeds: int, comparisons: int, image_error: float = 0) -> float:
    """The probability that a study claims a gain that is there.

    That of a paired t test at the level that Holm's correction asks of the smallest p-value, 0.05 / m, from the
    noncentral t distribution. Below `fewest_seeds` it is 0, and where only differences of one sign pass, at most the
    probability of these. One seed more, where few sign flips pass, it is up to 0.12 too high, from four seeds more at
    most 0.02 (measured at a gain of 1, a deviation of 0.6, and 1 to 45 comparisons). Where the test images count,
    simulated studies claimed by up to 0.11 less often, because `bootstrap_interval` errs on the wide side.

    Args:
        gain: the true gain, in points.
        deviation: standard deviation of the paired differences over seeds, in points.
        seeds: S.
        comparisons: m, all that are corrected for together.
        image_error: standard error that stems from the choice of test images, in points; more seeds do not lower it.

    Example:
        >>> [round(power(1.0, 0.6, seeds, comparisons=24), 2) for seeds in (9, 10, 12, 16)]
        [0.0, 0.61, 0.92, 0.99]
        >>> round(power(1.0, 0.6, 16, comparisons=24, image_error=0.3), 2)
        0.45
    """
    return _power(abs(gain), deviation, seeds, comparisons, image_error, same_images=False)


def seeds_needed(differences: ArrayLike, comparisons: int, image_error: float = 0) -> int | None:
    """Seeds in all with which an open case would probably be settled: claimed with a probability of 0.8.

    The study goes on with the same test images: their choice, which a claim must allow for, is not made again, so that
    only the new seeds are left to chance. The mean and the standard deviation of the differences so far are taken for
    the true ones: it is a plan, not a promise. It also does not make a second look free: of 4,000 simulated cases
    without any effect, 3.2 % were claimed from 6 seeds, 7.1 % from 6 or else from the seeds needed then, and 20 % by
    who looks after every seed up to 30.

    Args:
        differences: one paired difference for each of at least 2 seeds so far, in points.
        comparisons: all that are corrected for together.
        image_error: as for `power`.

    Returns:
        More than there are so far; None where the mean is 0, or where 10,000 seeds would not do: the gain is too
        small for them, or for the test images.

    Raises:
        InputError: there are fewer than 2 differences.

    Example:
        >>> seeds_needed([0.9, -0.3, 0.6, 0.1, 0.8, 0.3], comparisons=8)
        21
        >>> seeds_needed([0.9, -0.3, 0.6, 0.1, 0.8, 0.3], comparisons=8, image_error=0.2) is None
        True
    """
    gains = np.asarray(differences, np.float64)
    if len(gains) < 2:
        raise InputError(f"found {len(gains)} seeds; expected at least 2: one seed tells nothing of their spread")
    gain, deviation = float(gains.mean()), float(gains.std(ddof=1))
    if gain == 0:
        return None
    choices = range(max(fewest_seeds(comparisons), len(gains) + 1), MOST_SEEDS + 1)

    def settles(seeds: int) -> float:
        return _power(abs(gain), deviation, seeds, comparisons, image_error, same_images=True)

    place = bisect_left(choices, USUAL_POWER, key=settles)
    return choices[place] if place < len(choices) else None


def _power(
    gain: float, deviation: float, seeds: int, comparisons: int, image_error: float, *, same_images: bool
) -> float:
    """The probability of a claim, where the test images are drawn with the seeds, or are those that gave `gain`."""
    from scipy.stats import nct, norm, t

    if seeds < fewest_seeds(comparisons):
        return 0.0
    seed_part = deviation**2 / seeds
    variance = seed_part + image_error**2
    if variance == 0:
        return float(gain != 0)
    freedom = (seeds - 1) * (variance / seed_part) ** 2 if seed_part else np.inf  # as in `bootstrap_interval`
    limit = t.isf(LEVEL / comparisons / 2, freedom)
    by_chance = seed_part if same_images else variance
    if by_chance == 0:
        return float(gain > limit * image_error)
    found = float(nct.sf(limit * np.sqrt(variance / by_chance), freedom, gain / np.sqrt(by_chance)))
    if deviation and comparisons * 4 / 2**seeds >= LEVEL:  # one difference of another sign is too many
        found = min(found, float(norm.cdf(gain / deviation)) ** seeds)
    return found
