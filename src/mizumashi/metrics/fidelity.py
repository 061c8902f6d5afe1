"""How good and how varied generated images are, as numbers from their features."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mizumashi.errors import InputError
from mizumashi.utils.seeding import numpy_generator

NEIGHBOURS = 5
PARTS = 10
FEWEST_IMAGES = 20
MOST_IMAGES = 5000

_ROWS_AT_ONCE = 500  # whose distances to all others are in memory together

Features = NDArray[np.float64]


@dataclass(frozen=True)
class Fidelity:
    """How near the features of generated images come to those of real ones.

    Each number depends on the network that gave the features: compare only values of one network, and `fid`,
    which falls as the sets grow, only at one `count`. What the best generator would score is what other real
    images score.

    Args:
        fid: Frechet distance between the normal distributions fitted to both sets (Heusel et al., 2017); 0 for
            equal means and covariances, lower is better. It is biased upwards, the more so the fewer the images.
        kid: squared maximum mean discrepancy with the kernel (x y / D + 1)^3 (Binkowski et al., 2018), of all images
            at once; lower is better. It is unbiased: for sets of one distribution it is as often below 0 as above.
        kid_error: standard error of `kid`, by the jackknife over ten parts; the spread of the customary overlapping
            subsets would tell none.
        precision: share of the generated images within the real ones' reach, that is, nearer to some real image than
            its 5th nearest real neighbour (Kynkäänniemi et al., 2019); 0 to 1, higher is better: the images look real.
        recall: share of the real images within the generated ones' reach; 0 to 1, higher is better: the images
            are as varied.
        density: how many real images reach a generated one, divided by 5 (Naeem et al., 2020); about 1 for sets of
            one distribution and above it where generated images crowd around typical real ones. Unlike precision
            it is not fooled by single real outliers.
        coverage: share of the real images with a generated one within their reach (same paper); 0 to 1, higher
            is better. Unlike recall it is not fooled by single generated outliers.
        count: images of either set that were compared.
    """

    fid: float
    kid: float
    kid_error: float
    precision: float
    recall: float
    density: float
    coverage: float
    count: int


def fidelity(real: NDArray[np.floating], generated: NDArray[np.floating], seed: int) -> Fidelity:
    """Compare generated images with real ones by the features that a frozen network gives for them.

    As many images are taken from either set, 5,000 at most: all numbers but `kid` change with how many there are.

    Measured on MNIST, 5,000 images a side, with 64 principal components as features:

    | real images beside | fid | kid | precision | recall | density | coverage |
    | --- | --- | --- | --- | --- | --- | --- |
    | other real ones | 0.22 | 0.000 | 0.95 | 0.96 | 0.99 | 0.97 |
    | those without ones | 1.13 | 0.016 | 0.95 | 0.95 | 0.98 | 0.87 |
    | ones alone | 43.1 | 0.999 | 0.97 | 0.14 | 1.07 | 0.15 |
    | moved by a pixel | 2.77 | 0.040 | 0.83 | 0.80 | 0.57 | 0.67 |
    | blurred (1 pixel) | 5.44 | 0.017 | 1.00 | 0.06 | 3.44 | 0.91 |
    | one image 5,000 times | 100.6 | 5.385 | 1.00 | 0.00 | 0.60 | 0.00 |

    Of 1,000 images a side, other real ones have a `fid` of 0.88. Precision and density alone praise blurred images
    and a single good one.

    Give real images drawn at random: every twelfth of MNIST's training file has a `fid` of 1.6 from its test images,
    5,000 random ones one of 0.3. And give some that the generator was not trained on: beside those it was trained
    on, copies are the best images there are.

    Args:
        real: N x D, features of real images.
        generated: M x D, of generated ones, from the same network.
        seed: draws the images; any non-negative integer.

    Returns:
        The numbers; the same arguments give the same numbers on the same machine.

    Raises:
        InputError: the features are not as wide in both sets, a set has fewer than 20 images, or a feature is not
            a finite number.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> real, narrow = generator.normal(0, 1, (500, 4)), generator.normal(0, 0.3, (500, 4))
        >>> found = fidelity(real, narrow, seed=0)
        >>> found.precision > 0.9, found.recall < 0.2
        (True, True)
    """
    for name, rows in (("real", real), ("generated", generated)):
        if rows.ndim != 2 or rows.shape[1:] != real.shape[1:] or rows.size == 0:
            raise InputError(
                f"found {name} features of shape {rows.shape} beside real ones of shape {real.shape}; expected one row "
                "for each image, as long in both sets"
            )
        if not np.isfinite(rows).all():
            raise InputError(
                f"found {name} features that are not finite; expected numbers; look at the feature network"
            )
    count = min(len(real), len(generated), MOST_IMAGES)
    if count < FEWEST_IMAGES:
        raise InputError(
            f"found {len(real)} real and {len(generated)} generated images; expected at least {FEWEST_IMAGES} of each"
        )
    sides = [
        rows[numpy_generator(seed, "fidelity draw").permutation(len(rows))[:count]].astype(np.float64)
        for rows in (real, generated)
    ]
    return Fidelity(frechet_distance(*sides), *kernel_distance(*sides), *_reach(*sides), count)


def frechet_distance(real: Features, generated: Features) -> float:
    """Frechet distance between the normal distributions fitted to two sets of rows, N x D and M x D."""
    shift = real.mean(0) - generated.mean(0)
    real_root, generated_root = _covariance_root(real), _covariance_root(generated)
    # The trace of the root of both covariances' product, without the product: exact where they are singular.
    shared = np.linalg.norm(real_root @ generated_root.T, "nuc")
    return max(0.0, float(shift @ shift + np.sum(real_root**2) + np.sum(generated_root**2) - 2 * shared))


def _covariance_root(rows: Features) -> Features:
    """R with R^T R the covariance of the rows."""
    root: Features = np.linalg.qr(rows - rows.mean(0), mode="r") / np.sqrt(len(rows) - 1)
    return root


def kernel_distance(real: Features, generated: Features) -> tuple[float, float]:
    """Squared maximum mean discrepancy of two sets of N x D rows, and its standard error.

    The error is a jackknife's: from how the value changes when a tenth of both sets is left out. For sets of one
    distribution it is some 1.5 times too large.
    """
    sizes = np.array([len(part) for part in np.array_split(real, PARTS)])
    within = _kernel_sums(real, real, pairs_only=True) + _kernel_sums(generated, generated, pairs_only=True)
    between = _kernel_sums(real, generated)

    def discrepancy(kept: NDArray[np.int64]) -> float:
        count, places = sizes[kept].sum(), np.ix_(kept, kept)
        return float(within[places].sum() / (count * (count - 1)) - 2 * between[places].sum() / count**2)

    parts = np.arange(PARTS)
    without_one = [discrepancy(np.delete(parts, part)) for part in parts]
    return discrepancy(parts), float(np.std(without_one) * np.sqrt(PARTS - 1))


def _kernel_sums(first: Features, second: Features, pairs_only: bool = False) -> Features:
    """The kernel's sum between each tenth of one set and each of the other, 10 x 10; or of pairs of different rows."""
    bounds = np.cumsum([0, *(len(part) for part in np.array_split(second, PARTS))])
    sums = np.empty((PARTS, PARTS))
    for place, part in enumerate(np.array_split(first, PARTS)):
        base = part @ second.T / second.shape[1] + 1
        kernel = base * base * base
        if pairs_only:
            np.fill_diagonal(kernel[:, bounds[place] :], 0)
        sums[place] = np.add.reduceat(kernel.sum(0), bounds[:-1])
    return sums


def _reach(real: Features, generated: Features) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage."""
    from scipy.spatial.distance import cdist

    real_radii, generated_radii = _radii(real), _radii(generated)
    reached_by = np.zeros(len(generated))
    recalled, covered = 0, 0
    for rows, radii in zip(_chunks(real), _chunks(real_radii), strict=True):
        distances = cdist(rows, generated)
        within_real = distances < radii[:, None]
        reached_by += within_real.sum(0)
        covered += int(within_real.any(1).sum())
        recalled += int((distances < generated_radii).any(1).sum())
    precision, density = float((reached_by > 0).mean()), float(reached_by.mean() / NEIGHBOURS)
    return precision, recalled / len(real), density, covered / len(real)


def _radii(points: Features) -> Features:
    """How far each point's 5th nearest other point is."""
    from scipy.spatial.distance import cdist

    nearest = [np.partition(cdist(rows, points), NEIGHBOURS, axis=1)[:, NEIGHBOURS] for rows in _chunks(points)]
    return np.concatenate(nearest)


def _chunks(rows: Features) -> Iterator[Features]:
    return (rows[start : start + _ROWS_AT_ONCE] for start in range(0, len(rows), _ROWS_AT_ONCE))


def per_class_accuracy(
    labels: NDArray[np.integer], predictions: NDArray[np.integer], classes: int
) -> NDArray[np.float64]:
    """Share of each class's images that are classified right.

    Of a classifier that was trained on generated images and tested on real ones it is the classification accuracy
    score (Ravuri and Vinyals, 2019), which shows the classes that a generator fails at.

    Args:
        labels: N true classes, 0 to K - 1.
        predictions: N predicted classes.
        classes: K.

    Returns:
        K shares; nan for a class without images.

    Example:
        >>> per_class_accuracy(np.array([0, 0, 1]), np.array([0, 1, 1]), classes=3)
        array([0.5, 1. , nan])
    """
    from sklearn.metrics import recall_score

    shares: NDArray[np.float64] = recall_score(
        labels, predictions, labels=range(classes), average=None, zero_division=np.nan
    )
    return shares
