"""How much memory training and drawing need, and how long training takes, before anything is allocated."""

import os
from collections.abc import Callable

import torch
from torch import Tensor, nn

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig, Precision
from mizumashi.gan.networks import Discriminator, Generator, Shape

Note = Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]

_PROCESS_BYTES = 400 * 2**20  # of a process with PyTorch loaded (396 MiB measured)


def training_bytes(shape: Shape, batch_size: int, precision: Precision = "32-true") -> int:
    """About how many bytes training needs for its networks and one mini-batch: rather too few than too many.

    A step needs weights, gradients and Adam's two moments, and what the layers give out for one mini-batch; the
    discriminator judges real and generated images. A checkpoint needs weights and moments two times more, for the
    bytes of each tensor and for those of the file. The larger of both counts; the training images do not.

    Args:
        shape: the networks' shape.
        batch_size: images in a mini-batch.
        precision: of what the layers give out; weights and moments are float32 in all of them.

    Example:
        >>> paper = Shape(28, 1, 10, 100, (64, 128, 256))
        >>> training_bytes(paper, batch_size=64) // 2**20, training_bytes(paper, batch_size=2) // 2**20
        (97, 94)
    """
    outputs: list[int] = []
    layers = _forward(shape, batch_size, lambda _, __, output: outputs.append(output.numel()), judged=2)
    weights = 4 * sum(weight.numel() for layer in layers for weight in layer.parameters())
    activations = (4 if precision == "32-true" else 2) * sum(outputs)
    return max(4 * weights + activations, 10 * weights)


def drawing_bytes(shape: Shape, count: int) -> int:
    """How many bytes the generator's largest layer gives out for so many images at once, in float32.

    Example:
        >>> drawing_bytes(Shape(28, 1, 10, 100, (64, 128, 256)), count=250) // 2**20
        47
    """
    outputs: list[int] = []
    _forward(shape, count, lambda _, __, output: outputs.append(output.numel()), judged=0)
    return 4 * max(outputs)


def training_seconds(images: LabelledImages, config: GanConfig) -> float:
    """Some seconds that training takes on one core: a guess, to tell the short from the long.

    A step multiplies some four times as many numbers as one pass forward through both networks does; a core multiplies
    some 5e10 a second, and spends some 6 milliseconds of each step on other things.

    Example:
        >>> import numpy as np
        >>> images = LabelledImages.from_arrays(np.zeros((64, 28, 28), np.uint8), np.arange(64) % 10)
        >>> 2 < training_seconds(images, GanConfig(steps=20)) < 20
        True
    """
    products: list[int] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        # A convolution uses its weights at every pixel: of its output, or where it is transposed, of its input.
        at = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        weights = sum(weight.numel() for weight in layer.parameters())
        products.append(weights * (at[:, 0].numel() if at.ndim == 4 else len(at)))

    _forward(_shape(images, config), config.batch_size, note, judged=1)
    return config.steps * (4 * sum(products) / 5e10 + 0.006)


def require_memory(images: LabelledImages, config: GanConfig) -> None:
    """Raise `InputError` if training needs more than this machine's physical memory, where that is known."""
    needed, there = _needed(images, config), physical_memory()
    if there is not None and needed > there:
        raise InputError(
            f"found networks and a mini-batch that need about {needed / 1e9:,.1f} GB to train; expected at most the "
            f"{there / 1e9:,.1f} GB of this machine's memory; lower --widths, --latent-size or --batch-size"
        )


def require_drawing_memory(shape: Shape, count: int) -> None:
    """Raise `ValueError` if drawing so many images at once needs more than this machine's memory, where that is known.

    A run may describe layers so wide that the small file of their weights draws images of gigabytes.
    """
    needed, there = drawing_bytes(shape, count), physical_memory()
    if there is not None and needed > there:
        raise ValueError(f"drawing {count} images takes {needed:,} bytes of memory; this machine has {there:,}")


def fitting(images: LabelledImages, config: GanConfig) -> int | None:
    """How many processes can each train a GAN on these images in half of this machine's memory, where that is known.

    One at least: of a single one, `require_memory` says whether it fits.
    """
    there, needed = physical_memory(), _needed(images, config) + images.images.nbytes + _PROCESS_BYTES
    return None if there is None else max(1, there // 2 // needed)


def _forward(shape: Shape, batch_size: int, note: Note, *, judged: int) -> list[nn.Module]:
    """Draw a mini-batch and judge it so often, in shapes without numbers: nothing is allocated, however large.

    Args:
        shape: the networks' shape.
        batch_size: images in the mini-batch.
        note: called after each layer with the layer, what went in and what came out.
        judged: how often the discriminator sees the mini-batch.

    Returns:
        The layers of both networks.
    """
    with torch.device("meta"):
        generator, discriminator = Generator(shape), Discriminator(shape)
        layers = [*generator.children(), *discriminator.children()]
        for layer in layers:
            layer.register_forward_hook(note)
        labels = torch.zeros(batch_size, dtype=torch.int64)
        images = generator(torch.zeros(batch_size, shape.latent_size), labels)
        for _ in range(judged):
            discriminator(images, labels)
    return layers


def _needed(images: LabelledImages, config: GanConfig) -> int:
    return training_bytes(_shape(images, config), config.batch_size, config.precision)


def _shape(images: LabelledImages, config: GanConfig) -> Shape:
    return Shape(images.size[0], images.channels, len(images.class_names), config.latent_size, config.widths)


def physical_memory() -> int | None:
    """This machine's memory in bytes, or None where the system does not say."""
    try:
        pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None
    return pages * size if pages > 0 and size > 0 else None
