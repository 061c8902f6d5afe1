"""Many small images as one picture that a page carries in itself."""

from base64 import b64encode
from io import BytesIO
from math import ceil

import numpy as np
from numpy.typing import NDArray

SMALLEST = 8
"""Images are not made smaller than this many pixels."""


def sheet(images: NDArray[np.uint8], columns: int) -> str:
    """Images side by side and row by row, as a `data:` address: PNG where they are grey, JPEG where they are RGB.

    Args:
        images: N x H x W x C, grey or RGB.
        columns: images in a row; the last row is filled up with black.

    Example:
        >>> sheet(np.zeros((3, 8, 8, 1), np.uint8), columns=2)[:22]
        'data:image/png;base64,'
    """
    from PIL import Image

    count, height, width, channels = images.shape
    rows = ceil(count / columns)
    padded = np.zeros((rows * columns, height, width, channels), np.uint8)
    padded[:count] = images
    tiled = padded.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    tiled = tiled.reshape(rows * height, columns * width, channels)
    file = BytesIO()
    if channels == 1:
        Image.fromarray(tiled[..., 0]).save(file, "PNG", optimize=True)
    else:
        Image.fromarray(tiled).save(file, "JPEG", quality=85, subsampling=0)
    kind = "png" if channels == 1 else "jpeg"
    return f"data:image/{kind};base64,{b64encode(file.getvalue()).decode()}"


def shrunk(images: NDArray[np.uint8], count: int, budget: int) -> NDArray[np.uint8]:
    """Images of half the side, again and again, until `count` of them fit.

    Args:
        images: N x H x W x C.
        count: how many there are of that size in all.
        budget: bytes of pixels; RGB takes a quarter of its bytes, because JPEG makes so much less of it.

    Example:
        >>> shrunk(np.zeros((2, 32, 32, 1), np.uint8), count=2, budget=600).shape
        (2, 16, 16, 1)
    """
    while True:
        _, height, width, channels = images.shape
        size = height * width * (1 if channels == 1 else channels / 4)
        if count * size <= budget or min(height, width) < 2 * SMALLEST:
            return images
        even = images[:, : height // 2 * 2, : width // 2 * 2]
        blocks = even.reshape(len(images), height // 2, 2, width // 2, 2, channels)
        images = blocks.mean(axis=(2, 4)).round().astype(np.uint8)
