"""Classical augmentation: every image shifted, rotated, scaled and perhaps degraded, by numbers drawn for it alone.

Each transformation is kornia's. The numbers are drawn here, one row for each image, so that no global generator is
touched and no image depends on another.

Shapes: N images, C channels, H x W pixels.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mizumashi.data.images import LabelledImages
from mizumashi.utils.schema import require_fields
from mizumashi.utils.seeding import torch_generator

if TYPE_CHECKING:
    from torch import Generator, Tensor

CHUNK = 500
"""Images that `augmented` transforms at a time. Fixed: each chunk has a generator of its own."""

_NUMBERS = 14  # drawn for each image, beside those of its noise
_COARSE_STEPS = 4
_THINNEST = 0.75  # of the way to the minimum or maximum: the whole way would wipe out the thinnest strokes
_LARGE = 40  # pixels a side from which strokes grow and shrink by two pixels instead of one


@dataclass(frozen=True)
class Classical:
    """How far classical augmentation goes; the defaults keep characters and small photographs recognisable.

    Lengths are shares of the image's side, so that they suit images of 16 to 64 pixels alike. Every image is
    shifted, rotated and scaled; each degradation hits it or not, with a probability of its own and, where it hits,
    half to the whole of its largest strength.

    Args:
        shift_share: the farthest shift, each way and in both directions, as a share of the side.
        rotation_degrees: the largest rotation, each way.
        scale_share: the largest change of scale: 0.1 is a tenth larger to a tenth smaller.
        flip: whether left and right are exchanged in half of the images. Not for characters: p would be q.
        stroke_probability: of thinner or thicker strokes. Light strokes are thinned by the minimum of
            neighbouring pixels and dark ones by the maximum; one of both is chosen at random.
        blur_probability: of a Gaussian blur.
        blur_share: its largest standard deviation, as a share of the side.
        coarse_probability: of a lower resolution: sampled down by averaging and up again.
        coarse_share: the lowest resolution, as a share of the image's own.
        noise_probability: of Gaussian noise, independent in every pixel and channel.
        noise_deviation: its largest standard deviation, as a share of the range from black to white.

    Raises:
        InputError: a value is out of range.

    Example:
        >>> Classical(flip=True).rotation_degrees
        12.0
    """

    shift_share: float = 0.08
    rotation_degrees: float = 12.0
    scale_share: float = 0.12
    flip: bool = False
    stroke_probability: float = 0.2
    blur_probability: float = 0.2
    blur_share: float = 0.03
    coarse_probability: float = 0.2
    coarse_share: float = 0.5
    noise_probability: float = 0.2
    noise_deviation: float = 0.1

    def __post_init__(self) -> None:
        shares = ("stroke_probability", "blur_probability", "coarse_probability", "noise_probability")
        ranges = dict.fromkeys((*shares, "noise_deviation"), (0.0, 1.0)) | {
            "shift_share": (0.0, 0.5),
            "rotation_degrees": (0.0, 180.0),
            "scale_share": (0.0, 0.5),
            "blur_share": (0.0, 0.25),
            "coarse_share": (0.05, 1.0),
        }
        require_fields(self, ranges)


def augment(images_NCHW: "Tensor", config: Classical, generator: "Generator") -> "Tensor":
    """Transform every image independently.

    Image i depends on its own pixels, the configuration, the generator's state and i, and up to rounding neither on
    the other images nor on how many there are. Beyond an image's border its outermost pixels go on, so that dark and
    light backgrounds stay what they are.

    Args:
        images_NCHW: N x C x H x W, float32 in [0, 1]; they are not changed.
        config: how far to go.
        generator: on the CPU; it draws the same number of numbers for every image.

    Returns:
        N x C x H x W, float32 in [0, 1], on the images' device.

    Example:
        >>> import torch
        >>> grey = torch.full((2, 1, 28, 28), 0.5)
        >>> still = Classical(noise_probability=0)  # whatever else is done to plain grey, it stays
        >>> torch.allclose(augment(grey, still, torch.Generator().manual_seed(0)), grey)
        True
    """
    import torch

    count = len(images_NCHW)
    drawn = torch.rand(count, _NUMBERS + images_NCHW.shape[1:].numel(), generator=generator).to(images_NCHW.device)
    numbers = iter(drawn[:, :_NUMBERS].unbind(1))
    moved = _moved(images_NCHW, config, numbers)
    _restroke(moved, config, numbers)
    _blur(moved, config, numbers)
    _coarsen(moved, config, numbers)
    _add_noise(moved, config, numbers, drawn[:, _NUMBERS:].view_as(moved))
    return moved.clamp_(0, 1)


def augmented(images: LabelledImages, seed: int, config: Classical = Classical()) -> LabelledImages:
    """A set in which every image is transformed once; the labels stay.

    Image i depends on image i, the seed, the configuration and i alone.

    Args:
        images: the set.
        seed: decides the transformations.
        config: how far they go.

    Example:
        >>> digits = LabelledImages.from_arrays(np.zeros((3, 16, 16), np.uint8), [0, 1, 0], name="digits")
        >>> moved = augmented(digits, seed=0)
        >>> moved.name, len(moved), moved.labels.tolist()
        ('digits+classical', 3, [0, 1, 0])
    """
    import torch

    pixels = np.empty_like(images.images)
    chunk_NHWC = np.zeros((CHUNK, *images.images.shape[1:]), np.uint8)  # the last one is filled up: bits stay the same
    for first in range(0, len(images), CHUNK):
        some = images.images[first : first + CHUNK]
        chunk_NHWC[: len(some)] = some
        chunk_NCHW = torch.from_numpy(chunk_NHWC).permute(0, 3, 1, 2).contiguous().float() / 255
        result = augment(chunk_NCHW, config, torch_generator(seed, "classical", first // CHUNK))
        pixels[first : first + CHUNK] = (result * 255).round_().to(torch.uint8).permute(0, 2, 3, 1)[: len(some)]
    return replace(images, images=pixels, name=f"{images.name}+classical")


def _moved(images: "Tensor", config: Classical, numbers: "Iterator[Tensor]") -> "Tensor":
    """Shift, rotate, scale and flip, in one bilinear resampling."""
    import torch
    from kornia.geometry.transform import get_affine_matrix2d, warp_affine

    size = torch.tensor([images.shape[3], images.shape[2]], device=images.device)  # x before y, as kornia has it
    shift_N2 = torch.stack([_spread(next(numbers), config.shift_share) for _ in range(2)], dim=1) * size
    angle_N = _spread(next(numbers), config.rotation_degrees)
    scale_N2 = (1 + config.scale_share) ** _spread(next(numbers), 1.0)[:, None].repeat(1, 2)
    mirrored_N = (next(numbers) < 0.5) & config.flip
    scale_N2[:, 0] *= 1 - 2 * mirrored_N
    center_N2 = ((size - 1) / 2).expand(len(images), 2)
    matrix_N23 = get_affine_matrix2d(shift_N2, center_N2, scale_N2, angle_N)[:, :2]
    return warp_affine(images, matrix_N23, (images.shape[2], images.shape[3]), padding_mode="border")


def _restroke(images: "Tensor", config: Classical, numbers: "Iterator[Tensor]") -> None:
    import torch
    from kornia.morphology import dilation, erosion

    hit, darker = next(numbers) < config.stroke_probability, next(numbers) < 0.5
    share = _strength(next(numbers)) * _THINNEST
    side = 3 if max(images.shape[2:]) > _LARGE else 2
    window = torch.ones(side, side, device=images.device)
    for chosen, change in ((hit & darker, erosion), (hit & ~darker, dilation)):
        if chosen.any():
            some = images[chosen]
            images[chosen] = some.lerp(change(some, window), share[chosen][:, None, None, None])


def _blur(images: "Tensor", config: Classical, numbers: "Iterator[Tensor]") -> None:
    from kornia.filters import gaussian_blur2d

    chosen, strength = next(numbers) < config.blur_probability, _strength(next(numbers))
    most = config.blur_share * max(images.shape[2:])
    if most and chosen.any():
        sigma_N2 = (strength[chosen][:, None] * most).repeat(1, 2)
        kernel = 2 * math.ceil(2.5 * most) + 1
        images[chosen] = gaussian_blur2d(images[chosen], (kernel, kernel), sigma_N2, "replicate")


def _coarsen(images: "Tensor", config: Classical, numbers: "Iterator[Tensor]") -> None:
    from kornia.geometry.transform import resize

    hit, step = next(numbers) < config.coarse_probability, (next(numbers) * _COARSE_STEPS).long()
    height, width = images.shape[2:]
    for number in range(_COARSE_STEPS):
        chosen = hit & (step == number)
        if chosen.any():
            share = config.coarse_share + (1 - config.coarse_share) * number / _COARSE_STEPS
            coarse = max(1, round(height * share)), max(1, round(width * share))
            few = resize(images[chosen], coarse, interpolation="area", align_corners=None)
            images[chosen] = resize(few, (height, width), align_corners=False)


def _add_noise(images: "Tensor", config: Classical, numbers: "Iterator[Tensor]", uniform: "Tensor") -> None:
    chosen, strength = next(numbers) < config.noise_probability, _strength(next(numbers))
    # The inverse of the normal distribution function takes one number for one; never 0 or 1, where it is infinite.
    normal = (2 * uniform[chosen] - 1 + 2.0**-24).erfinv() * 2**0.5
    images[chosen] += normal * (strength[chosen] * config.noise_deviation)[:, None, None, None]


def _strength(numbers: "Tensor") -> "Tensor":
    """Uniform numbers in [0, 1) as numbers in [0.5, 1)."""
    return (1 + numbers) / 2


def _spread(numbers: "Tensor", most: float) -> "Tensor":
    """Uniform numbers in [0, 1) as numbers in [-most, most)."""
    return (2 * numbers - 1) * most
