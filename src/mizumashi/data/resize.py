"""Another image size, for one image or a whole set."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mizumashi.data import limits
from mizumashi.data.image_files import as_picture
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
    require_side(size)
    if images.size == (size, size):
        return images
    limits.require_size(Path(images.name), len(images) * size**2 * images.channels)
    pixels = np.empty((len(images), size, size, images.channels), np.uint8)
    for index, image in enumerate(images.images):
        pixels[index] = resize_image(image, size)
    return replace(images, images=pixels)


def resize_image(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Bring one image, H x W x C, uint8, to `size` x `size` x C as `resize` does; C is 1 or 3.

    Example:
        >>> resize_image(np.full((8, 6, 1), 7, np.uint8), 16).shape
        (16, 16, 1)
    """
    resized = as_picture(image).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(resized).reshape(size, size, image.shape[2])


def require_side(size: int) -> None:
    """Raise `InputError` unless images can have this side."""
    if size < 1:
        raise InputError(f"found size {size}; expected at least 1 pixel")
