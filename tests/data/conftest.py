"""Makers of small sets on disk, and the line that refuses one."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mizumashi.data.readers import open_images
from mizumashi.errors import InputError


def idx_bytes(array):
    """The IDX format written down by hand: 0, 0, 8 (unsigned byte), dimensions, sizes, elements."""
    return struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def write_idx_pair() -> Callable[..., Any]:
    """Write random images and their labels as IDX files into a folder; gives both arrays."""

    def write(folder, prefix="", count=4, size=(3, 5), labels=None, compress=False):
        random = np.random.default_rng(count)
        images = random.integers(0, 256, (count, *size), dtype=np.uint8)
        labels = np.array(labels if labels is not None else [0, 1] * (count // 2), np.uint8)
        folder.mkdir(exist_ok=True)
        for kind, array in ((f"images-idx{images.ndim}", images), ("labels-idx1", labels)):
            content = idx_bytes(array)
            name = f"{prefix}{kind}-ubyte" + (".gz" if compress else "")
            (folder / name).write_bytes(gzip.compress(content) if compress else content)
        return images, labels

    return write


@pytest.fixture
def save() -> Callable[..., Path]:
    """Write an image file; `pixels` is an array or one colour; `size` is width x height as Pillow has it."""

    def write(path, pixels=0, size=(6, 4), mode="L", **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else Image.new(mode, size, pixels)
        image.save(path, **options)
        return path

    return write


@pytest.fixture
def refusal() -> Callable[..., str]:
    """The one line with which a source is refused."""

    def refused(source, **options):
        with pytest.raises(InputError) as caught:
            open_images(source, **options)
        line = str(caught.value)
        assert "\n" not in line
        return line

    return refused
