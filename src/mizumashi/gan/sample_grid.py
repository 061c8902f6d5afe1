"""A picture of what a snapshot draws, to be looked at while the GAN trains."""

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages

COLUMNS = 10
"""Images of each class in a picture."""

MOST_CLASSES = 20
"""Classes in a picture: of more, the first ones are shown."""


def grid(images: LabelledImages) -> NDArray[np.uint8]:
    """The first images of each class, a row for each class; black where there are too few.

    Args:
        images: N x H x W x C.

    Returns:
        rows * H x COLUMNS * W x C, with a row for each class, MOST_CLASSES at most.

    Example:
        >>> images = LabelledImages.from_arrays(np.ones((3, 2, 2), np.uint8), [0, 1, 0])
        >>> grid(images)[..., 0].shape, grid(images)[::2, ::2, 0].sum(axis=1).tolist()
        ((4, 20), [2, 1])
    """
    height, width = images.size
    classes = min(len(images.class_names), MOST_CLASSES)
    tiles = np.zeros((classes, COLUMNS, height, width, images.channels), np.uint8)
    for label in range(classes):
        shown = images.images[images.labels == label][:COLUMNS]
        tiles[label, : len(shown)] = shown
    return tiles.transpose(0, 2, 1, 3, 4).reshape(classes * height, COLUMNS * width, images.channels)
