"""Another image size for a whole set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from mizumashi.data import limits
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError


def resize(images: LabelledImages, size: int) -> LabelledImages:
    """Bring all images to `size` x `size` pixels: bicubic, and free of aliasing where they shrink (Pillow).

    Images that are not square are stretched. Labels, class names, name and parts stay.

    Raises:
        InputError: `size` is less than 1, or the set would be larger than `mizumashi.data.limits` allow.

    Example:
        >>> images = LabelledImages.from_arrays(np.full((2, 8, 6), 7), [0, 1])
        >>> resize(images, 16).images.shape
        (2, 16, 16, 1)
    """
    if size < 1:
        raise InputError(f"found size {size}; expected at least 1 pixel")
    if images.size == (size, size):
        return images
    limits.require_size(Path(images.name), len(images) * size**2 * images.channels)
    pixels = np.empty((len(images), size, size, images.channels), np.uint8)
    for index, image in enumerate(images.images):
        shape = image.shape if images.channels == 3 else image.shape[:2]
        small = Image.fromarray(image.reshape(shape)).resize((size, size), Image.Resampling.BICUBIC)
        pixels[index] = np.asarray(small).reshape(pixels.shape[1:])
    return replace(images, images=pixels)
