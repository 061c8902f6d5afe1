"""Whether a GAN has collapsed: whether what it draws of a class still varies."""

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages

PER_CLASS = 32
"""Images of each class that a snapshot is judged by."""

COLLAPSED = 0.1
"""Below this share of the real images' variation a class counts as collapsed."""


def variation(images: LabelledImages) -> NDArray[np.float64]:
    """How much the images of each class differ: the standard deviation of a pixel, root mean square over pixels.

    Args:
        images: N x H x W x C.

    Returns:
        K numbers in grey levels, 0 ... 127.5; 0 where a class has fewer than two images or all are the same.

    Example:
        >>> pixels = np.zeros((4, 8, 8), np.uint8)
        >>> pixels[1] = 100
        >>> variation(LabelledImages.from_arrays(pixels, [0, 0, 1, 1])).tolist()
        [50.0, 0.0]
    """
    found = np.zeros(len(images.class_names))
    for label in np.unique(images.labels):
        of_class = images.images[images.labels == label][:1000]
        found[label] = np.sqrt(of_class.var(axis=0, dtype=np.float64).mean())
    return found


def relative_variation(generated: LabelledImages, real: NDArray[np.float64]) -> list[float]:
    """The variation of generated images as a share of the real ones', for each class.

    Args:
        generated: drawn images.
        real: what `variation` says of the real images.

    Returns:
        K numbers: about 1 where a class varies as the real one does; 1 where the real images do not vary either.
    """
    drawn = variation(generated)
    shares = np.divide(drawn, real, out=np.ones_like(real), where=real > 0)
    return [round(float(share), 4) for share in shares]


def collapsed(shares: list[float]) -> list[int]:
    """The labels of the classes that hardly vary any more.

    Example:
        >>> collapsed([0.9, 0.02, 1.1])
        [1]
    """
    return [label for label, share in enumerate(shares) if share < COLLAPSED]
