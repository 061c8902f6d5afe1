"""SMOTE: images between an image and a neighbour of its class."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.utils.seeding import numpy_generator

NEIGHBOURS = 5


def smote(images: LabelledImages, counts: Sequence[int], seed: int) -> LabelledImages:
    """New images, each somewhere on the line between a real one and one of its five nearest of the same class.

    Args:
        images: the real images, without parts.
        counts: how many new ones of each class; K numbers.
        seed: any non-negative integer.

    Returns:
        sum(counts) images, class by class.

    Raises:
        InputError: a class that shall grow has fewer than two images.

    Source:
        Chawla et al. 2002, by imbalanced-learn.

    Example:
        >>> pixels = np.zeros((4, 8, 8), np.uint8)
        >>> pixels[1], pixels[3] = 100, 100
        >>> pets = LabelledImages.from_arrays(pixels, [0, 0, 1, 1])
        >>> smote(pets, [3, 0], seed=0).counts.tolist()
        [3, 0]
    """
    from imblearn.over_sampling import SMOTE

    growing = [label for label, count in enumerate(counts) if count]
    few = [label for label in growing if images.counts[label] < 2]
    if few:
        raise InputError(
            f"{images.name}: found {images.counts[few[0]]} image of class {images.class_names[few[0]]!r}; expected two "
            "at least, for smote to draw between them; add images, or leave smote out"
        )
    if not growing:
        return images.take([])
    state = int(numpy_generator(seed, "smote").integers(2**31))
    neighbours = min(NEIGHBOURS, *(int(images.counts[label]) - 1 for label in growing), NEIGHBOURS)
    wanted = {label: int(images.counts[label]) + counts[label] for label in growing}
    rows = images.images.reshape(len(images), -1).astype(np.float32)  # of bytes, differences would wrap around
    grown, labels = SMOTE(sampling_strategy=wanted, k_neighbors=neighbours, random_state=state).fit_resample(
        rows, images.labels
    )
    new = np.rint(grown[len(images) :]).clip(0, 255).astype(np.uint8).reshape(-1, *images.images.shape[1:])
    return replace(images, images=new, labels=labels[len(images) :].astype(np.int64), name="smote", test_start=None)
