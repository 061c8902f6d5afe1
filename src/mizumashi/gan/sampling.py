"""A snapshot draws labelled images, one seed per image."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.special import ndtri

from mizumashi import files
from mizumashi.data import limits
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import Precision
from mizumashi.gan.networks import Generator, Shape, folded
from mizumashi.progress import Progress, silent

CHUNK = 250
"""Images drawn at a time. Fixed: the last bits of a convolution can depend on how many there are."""


@dataclass(frozen=True)
class Snapshot:
    """The generator at one training step of a GAN run.

    Image i depends on the snapshot, the seed and i alone, and its class is i modulo the number of classes: the
    first images of a large set are the small set.

    Args:
        path: the generator's weights (safetensors).
        step: the training step.
        shape: the networks' shape.
        class_names: the name of each label.
        precision: the run's; with "bf16-mixed" the images are drawn in bfloat16 too.
    """

    path: Path
    step: int
    shape: Shape
    class_names: tuple[str, ...]
    precision: Precision = "32-true"

    def sample(
        self,
        count: int | None = None,
        *,
        per_class: int | None = None,
        seed: int = 0,
        start: int = 0,
        progress: Progress = silent,
    ) -> LabelledImages:
        """Draw labelled images.

        Args:
            count: how many in all; or
            per_class: how many of each class.
            seed: decides the latents.
            start: the index of the first image.
            progress: called after every chunk.

        Returns:
            The images `start` ... `start + count - 1` of this snapshot and seed.

        Raises:
            InputError: not exactly one of `count` and `per_class` is given, or a number is out of range.
        """
        total = self.total(count, per_class)
        images = np.concatenate(list(self.draw(total, seed=seed, start=start, progress=progress)))
        return LabelledImages(images, self.labels(total, start), self.class_names, name=f"gan@{self.step}")

    def total(self, count: int | None, per_class: int | None) -> int:
        """How many images `count` or `per_class` ask for; arguments and errors as for `sample`."""
        if (count is None) == (per_class is None):
            raise InputError("found both or neither of count and per_class; expected one of them")
        total = count if count is not None else (per_class or 0) * len(self.class_names)
        if total < 1:
            raise InputError(f"found {total} images to draw; expected at least 1")
        limits.require_size(self.path, total * self.shape.size**2 * self.shape.channels)
        return total

    def labels(self, count: int, start: int = 0) -> NDArray[np.int64]:
        """The labels of images `start` ... `start + count - 1`: count, int64."""
        return np.arange(start, start + count, dtype=np.int64) % len(self.class_names)

    def draw(
        self, count: int, *, seed: int, start: int = 0, progress: Progress = silent
    ) -> Iterator[NDArray[np.uint8]]:
        """Draw as `sample` does, chunk by chunk: arrays n x S x S x C, uint8, `count` images in all."""
        if seed < 0 or start < 0:
            raise InputError(f"found seed {seed} and start {start}; expected 0 or more for both")
        stop = start + count
        for first in range(start - start % CHUNK, stop, CHUNK):
            indices = np.arange(first, first + CHUNK)
            wanted = (indices >= start) & (indices < stop)
            yield self._chunk(indices, seed)[wanted]
            progress(f"drawing gan@{self.step}", min(first + CHUNK, stop) - start, count, "")

    @cached_property
    def _generator(self) -> Generator:
        with torch.device("meta"):
            generator = Generator(self.shape)
        with files.expect_undamaged(self.path, "train again in a new folder"):
            generator.load_state_dict(load_file(self.path), assign=True)
        quick: Generator = folded(generator).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return quick.bfloat16() if self.precision == "bf16-mixed" else quick

    @torch.inference_mode()
    def _chunk(self, indices: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
        drawn = torch.from_numpy(latents(indices, self.shape.latent_size, seed))
        labels = torch.from_numpy(indices % len(self.class_names))
        painted = self._generator(drawn.to(self._generator.project.weight.dtype), labels).float()
        pixels: NDArray[np.uint8] = ((painted + 1) * 127.5).round_().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return np.ascontiguousarray(pixels)


def latents(indices: NDArray[np.int64], latent_size: int, seed: int) -> NDArray[np.float32]:
    """The latent of each image: standard normal, depending on (seed, index) alone.

    The indices must be consecutive. A counter-based generator (Philox) jumps to each image's place in one
    stream, and the inverse of the normal distribution function takes one number for one.

    Returns:
        len(indices) x latent_size, float32.

    Example:
        >>> ten = latents(np.arange(10), 6, seed=0)
        >>> bool((latents(np.arange(7, 9), 6, seed=0) == ten[7:9]).all())
        True
    """
    blocks = math.ceil(latent_size / 4)  # Philox makes four numbers at a time
    bits = np.random.Philox(np.random.SeedSequence(seed)).advance(int(indices[0]) * blocks)
    uniform = np.random.Generator(bits).random((len(indices), 4 * blocks))[:, :latent_size]
    normal: NDArray[np.float64] = ndtri(uniform + 2.0**-54)  # never 0: numbers lie on a grid of 2**-53
    return normal.astype(np.float32)
