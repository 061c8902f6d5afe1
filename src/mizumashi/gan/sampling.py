"""A snapshot draws labelled images, one seed per image."""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors import safe_open
from scipy.special import ndtri
from torch import Tensor, nn

from mizumashi.data import limits
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import Precision
from mizumashi.gan.footprint import require_drawing_memory
from mizumashi.gan.networks import Generator, Shape, folded
from mizumashi.gan.weights import read_weights, require_size, weight_bytes
from mizumashi.utils import files
from mizumashi.utils.progress import Progress, silent

CHUNK = 250
"""Images drawn at a time. Fixed: the last bits of a convolution can depend on how many there are."""


@dataclass(frozen=True)
class Snapshot:
    """The generator at one training step of a GAN run.

    Image i depends on the snapshot, the seed, i and its label alone. Where no labels are given, its label is i
    modulo the number of classes: the first images of a large set are the small set.

    Drawing happens on the CPU, so that the same snapshot and seed give the same images on every kind of machine,
    up to rounding.

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
        labels: ArrayLike | None = None,
        seed: int = 0,
        start: int = 0,
        progress: Progress = silent,
    ) -> LabelledImages:
        """Draw labelled images.

        Args:
            count: how many in all, at least one of each class; or
            per_class: how many of each class; or
            labels: the label of each image, in order: integers from 0, any number of each.
            seed: decides the latents.
            start: the index of the first image.
            progress: called after every chunk.

        Returns:
            The images `start` ... `start + count - 1` of this snapshot and seed.

        Raises:
            InputError: not exactly one of `count`, `per_class` and `labels` is given, or a number is out of range.

        Example:
            `run.snapshot().sample(labels=real.labels)` draws a set with the labels of the set `real`, image by image.
        """
        total = self.total(count, per_class, labels)
        chosen = self._labels(total, start, labels)
        images = np.concatenate(list(self.draw(total, seed=seed, start=start, labels=chosen, progress=progress)))
        return LabelledImages(images, chosen, self.class_names, name=f"gan@{self.step}")

    def total(self, count: int | None, per_class: int | None, labels: ArrayLike | None = None) -> int:
        """How many images `count`, `per_class` or `labels` ask for; arguments and errors as for `sample`."""
        given = sum(wish is not None for wish in (count, per_class, labels))
        if given != 1:
            raise InputError(
                f"found {given} of count (--count), per_class (--per-class) and labels; expected one of them"
            )
        classes = len(self.class_names)
        if labels is not None:
            total, fewest = np.size(labels), 1
        else:
            total, fewest = int(count) if count is not None else int(per_class or 0) * classes, classes
        if total < fewest:
            raise InputError(
                f"found {total} images to draw; expected at least {fewest}"
                + (", one of each class; raise --count or --per-class" if labels is None else "")
            )
        size = total * self.shape.size**2 * self.shape.channels
        if size > limits.MAX_SET_BYTES:
            raise InputError(
                f"found a wish for {total:,} images, {size:,} bytes of images; expected at most "
                f"{limits.MAX_SET_BYTES:,} bytes; draw fewer, or raise mizumashi.data.limits.MAX_SET_BYTES"
            )
        return total

    def labels(self, count: int, start: int = 0) -> NDArray[np.int64]:
        """The labels that images `start` ... `start + count - 1` have where none are given: count, int64."""
        return np.arange(start, start + count, dtype=np.int64) % len(self.class_names)

    def draw(
        self,
        count: int,
        *,
        seed: int,
        start: int = 0,
        labels: ArrayLike | None = None,
        progress: Progress = silent,
    ) -> Iterator[NDArray[np.uint8]]:
        """Draw as `sample` does, chunk by chunk, as the images are asked for.

        Args:
            count: how many images, any number from 1.
            seed: decides the latents.
            start: the index of the first image.
            labels: the labels of images `start` ... `start + count - 1`: count integers from 0; by default
                those of `Snapshot.labels`.
            progress: called after every chunk.

        Returns:
            An iterator of arrays n x S x S x C, uint8: `count` images in all.

        Raises:
            InputError: at once, a number is out of range, or there is not one label for each image.
        """
        if count < 1 or seed < 0 or start < 0:
            raise InputError(
                f"found count {count}, seed {seed} and start {start}; expected a count of 1 or more, "
                "and 0 or more for the others"
            )
        return self._chunks(self._labels(count, start, labels), seed, start, progress)

    def _chunks(
        self, labels: NDArray[np.int64], seed: int, start: int, progress: Progress
    ) -> Iterator[NDArray[np.uint8]]:
        stop = start + len(labels)
        for first in range(start - start % CHUNK, stop, CHUNK):
            indices = np.arange(first, first + CHUNK)
            wanted = (indices >= start) & (indices < stop)
            chosen = self.labels(CHUNK, first)  # whole chunks are drawn: those not wanted need a label, too
            chosen[wanted] = labels[indices[wanted] - start]
            yield self._chunk(indices, chosen, seed)[wanted]
            progress(f"drawing gan@{self.step}", min(first + CHUNK, stop) - start, len(labels), "")

    def _labels(self, count: int, start: int, given: ArrayLike | None) -> NDArray[np.int64]:
        if given is None:
            return self.labels(count, start)
        labels, classes = np.asarray(given), len(self.class_names)
        if labels.shape != (count,) or labels.dtype.kind not in "iu":
            raise InputError(
                f"found labels of shape {labels.shape} and type {labels.dtype} for {count} images; "
                "expected one integer for each image"
            )
        if not 0 <= labels.min() <= labels.max() < classes:
            raise InputError(
                f"found labels from {labels.min()} to {labels.max()} for {classes} classes; expected 0 to {classes - 1}"
            )
        return labels.astype(np.int64)

    def export_onnx(self, path: str | Path) -> Path:
        """Write the generator as an ONNX file, which runs without mizumashi; see `mizumashi.gan.export.export_onnx`."""
        from mizumashi.gan.export import export_onnx

        return export_onnx(self, path)

    @cached_property
    def generator(self) -> Generator:
        """The generator in float32, its running statistics folded into the weights.

        Raises:
            InputError: the file is damaged.
        """
        with files.expect_undamaged(self.path, "remove it, and train into the run's folder again to remake it"):
            with torch.device("meta"):  # shapes without numbers: nothing is allocated, whatever the run describes
                generator = Generator(self.shape)
            require_size(self.path, weight_bytes(generator))
            _require_weights(self.path, generator)
            require_drawing_memory(self.shape, CHUNK)
            generator.load_state_dict(read_weights(self.path), assign=True)
        quick: Generator = folded(generator).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return quick

    @cached_property
    def _drawing(self) -> "Drawing":
        quick = copy.deepcopy(self.generator).bfloat16() if self.precision == "bf16-mixed" else self.generator
        return Drawing(quick)

    @torch.inference_mode()
    def _chunk(self, indices: NDArray[np.int64], chosen: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
        drawing = self._drawing  # before the latents, whose size its weights vouch for
        drawn = torch.from_numpy(latents(indices, self.shape.latent_size, seed))
        painted = drawing.paint(drawn, torch.from_numpy(chosen))
        if not bool(painted.isfinite().all()):
            raise InputError(
                f"{self.path}: found weights so large that images are no numbers; expected those that a training "
                "leaves; remove it, and train into the run's folder again to remake it"
            )
        pixels: NDArray[np.uint8] = drawing.pixels(painted).numpy()
        return np.ascontiguousarray(pixels)


class Drawing(nn.Module):
    """A generator and what makes images of what it paints.

    Args:
        generator: in the precision to draw in.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Draw images.

        Args:
            latents: N x Z, float32.
            labels: N, int64.

        Returns:
            N x S x S x C, uint8.
        """
        return self.pixels(self.paint(latents, labels))

    def paint(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Draw as `forward` does: N x C x S x S in [-1, 1], float32; not finite where weights are too large."""
        painted: Tensor = self.generator(latents.to(self.generator.project.weight.dtype), labels).float()
        return painted

    @staticmethod
    def pixels(painted: Tensor) -> Tensor:
        """What `forward` gives, of what `paint` gave."""
        return ((painted + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)


def _require_weights(path: Path, generator: Generator) -> None:
    """Raise `ValueError` unless a file's header names the generator's weights, each of its type and shape."""
    kinds = {torch.float32: "F32", torch.int64: "I64"}
    expected = {key: (kinds[value.dtype], list(value.shape)) for key, value in generator.state_dict().items()}
    with safe_open(path, "pt") as file:
        if set(file.keys()) != set(expected):
            raise ValueError(f"{len(file.keys())} weights of other names than the {len(expected)} of this network")
        for key, (kind, shape) in expected.items():
            piece = file.get_slice(key)
            if (piece.get_dtype(), piece.get_shape()) != (kind, shape):
                raise ValueError(
                    f"{key} is {piece.get_dtype()} of {piece.get_shape()}; this network's is {kind} of {shape}"
                )


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
