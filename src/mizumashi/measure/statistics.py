"""How certain a number is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Interval(NamedTuple):
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float


def t_interval(values: ArrayLike) -> Interval:
    """Mean and Student's 95 % interval of numbers that each stem from one seed.

    The interval covers how such numbers vary from seed to seed. Of one number there is no interval: both ends are
    nan.

    Args:
        values: N numbers; paired differences, to compare two recipes.

    Example:
        >>> mean, low, high = t_interval([0.90, 0.91, 0.92])
        >>> round(mean, 3), round(low, 3), round(high, 3)
        (0.91, 0.885, 0.935)
    """
    from scipy.stats import sem, t

    numbers = np.asarray(values, np.float64)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Interval(mean, float("nan"), float("nan"))
    half = float(t.ppf(0.975, len(numbers) - 1) * sem(numbers))
    return Interval(mean, mean - half, mean + half)
