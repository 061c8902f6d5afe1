"""A small convolutional network, and the loop that trains it or any other PyTorch module.

The whole set lies on the device as bytes and every mini-batch is indexed out of it: there is no loader.

Shapes: N images, C channels, H x W pixels, K classes, D features.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mizumashi.classifiers.classical import Classical, augment
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.utils.hardware import bfloat16_is_fast
from mizumashi.utils.progress import Progress, silent
from mizumashi.utils.schema import Ranges, require_fields
from mizumashi.utils.seeding import numpy_generator, torch_generator

Precision = Literal["auto", "32-true", "bf16-mixed"]

SMALLEST = 8
"""Pixels a side that an image must have at least: below it the network sees next to nothing."""

_CHUNK = 500  # images that a model reads at a time
_RISE = 0.2  # of the steps until the learning rate is at its height
_COARSE = 20  # pixels a side from which on images are halved before the first whole convolution


@dataclass(frozen=True)
class CnnConfig:
    """How a network is trained: AdamW on the cross-entropy, with one cycle of the learning rate (Smith 2018).

    Args:
        steps: training steps; None for as many as suit the number of images (`suited_steps`).
        batch_size: images in a mini-batch.
        learning_rate: at its height, after a fifth of the steps.
        weight_decay: of the weights; biases and normalisations have none.
        label_smoothing: the share of each label that is spread over all classes (Szegedy et al. 2016).
        widths: channels of the convolutions on the three sizes that images go through.
        precision: Lightning Fabric's name for the arithmetic, or "auto": "bf16-mixed" where the device multiplies
            bfloat16 in hardware, "32-true" elsewhere.

    Raises:
        InputError: a value is out of range.
    """

    steps: int | None = None
    batch_size: int = 32
    learning_rate: float = 2e-2
    weight_decay: float = 0.05
    label_smoothing: float = 0.05
    widths: tuple[int, int, int] = (24, 48, 96)
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        ranges: Ranges = {
            "steps": (1, 10**9),
            "batch_size": (2, 10**6),
            "learning_rate": (1e-12, 1e3),
            "weight_decay": (0, 1e3),
            "label_smoothing": (0, 0.999),
            "widths": (1, 4096),
        }
        require_fields(self, ranges)


@dataclass(frozen=True, eq=False)
class NetworkModel:
    """A trained network.

    Args:
        network: gives logits, N x K, for images, N x C x H x W in [0, 1]; in evaluation mode.
        device: where it is.
        half: whether it computes in bfloat16.
    """

    network: nn.Module
    device: torch.device
    half: bool

    def logits(self, images: LabelledImages) -> NDArray[np.float32]:
        """Logits of each image: N x K."""
        return self._read(images, self.network)

    @torch.inference_mode()
    def _read(self, images: LabelledImages, function: Callable[[Tensor], Tensor]) -> NDArray[np.float32]:
        found = []
        for first in range(0, len(images), _CHUNK):
            chunk_NHWC = _on(self.device, images.images[first : first + _CHUNK])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                found.append(function(_scaled(chunk_NHWC)).float().cpu().numpy())
        result: NDArray[np.float32] = np.concatenate(found)
        return result


class CnnModel(NetworkModel):
    """A trained `Cnn`."""

    network: "Cnn"

    def features(self, images: LabelledImages) -> NDArray[np.float32]:
        """What the last layer reads of each image, for distances: N x D."""
        return self._read(images, self.network.features)


class Cnn(nn.Module):
    """A small residual network (He et al. 2016): six layers of 3x3 convolutions and one of weights.

    Images above 20 pixels a side are halved by the first convolution, those above 40 by two. Two convolutions read
    the result and two its half, one of each two beside an identity; the average over all places goes to the logits.

    Args:
        channels: of the images, C.
        classes: K.
        size: height and width of the images, in pixels.
        widths: channels of the convolutions on the three sizes; the last is D.

    Example:
        >>> cnn = Cnn(3, 10, (32, 32))
        >>> images = torch.rand(2, 3, 32, 32)
        >>> cnn(images).shape, cnn.features(images).shape
        (torch.Size([2, 10]), torch.Size([2, 96]))
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, channels: int, classes: int, size: tuple[int, int], widths: tuple[int, int, int] = (24, 48, 96)
    ) -> None:
        super().__init__()
        narrow, middle, wide = widths
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))
        side, stem = min(size), nn.Sequential()
        while not stem or side > _COARSE:
            stem.append(_layer(narrow if stem else channels, narrow, stride=2 if side > _COARSE else 1))
            side = (side + 1) // 2 if side > _COARSE else side
        self.stem = stem
        self.look1, self.look2 = _layer(narrow, middle), _layer(middle, middle)
        self.pool = nn.MaxPool2d(2)
        self.look3, self.look4 = _layer(middle, wide), _layer(wide, wide)
        self.judge = nn.Linear(wide, classes)

    def features(self, images: Tensor) -> Tensor:
        """N x C x H x W in [0, 1] to N x D."""
        images = images.contiguous(memory_format=torch.channels_last)
        hidden = self.look1(self.stem((images - self.mean) / self.deviation))
        hidden = self.look3(self.pool(hidden + self.look2(hidden)))
        features: Tensor = (hidden + self.look4(hidden)).float().mean(dim=(2, 3))
        return features

    def forward(self, images: Tensor) -> Tensor:
        """N x C x H x W in [0, 1] to N x K logits."""
        features = self.features(images)
        with torch.autocast(images.device.type, enabled=False):  # bfloat16's 8 bits would make classes draw
            logits: Tensor = self.judge(features)
        return logits


def train_cnn(
    images: LabelledImages,
    seed: int,
    config: CnnConfig = CnnConfig(),
    *,
    augmentation: Classical | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> CnnModel:
    """Train the small network on a set.

    On a CPU, with the same number of threads and the same versions of the libraries, equal arguments give equal
    weights.

    Args:
        images: the training set.
        seed: decides the weights, the order of the images and the augmentation.
        config: the network's widths and how it is trained.
        augmentation: how every image is transformed each time it is seen; None for not at all.
        device: PyTorch's name for it: "cpu", "cuda", ...
        progress: called after every step.

    Raises:
        InputError: the set is empty, or its images have sides of less than 8 pixels.
        FloatingPointError: the loss is not finite.
    """
    require_some(images)
    if min(images.size) < SMALLEST:
        height, width = images.size
        raise InputError(f"{images.name}: found images of {height}x{width} pixels; expected {SMALLEST} or more a side")
    with torch.device("meta"):
        network = Cnn(images.channels, len(images.class_names), images.size, config.widths)
    network.to_empty(device="cpu")
    _initialise(network, images, torch_generator(seed, "cnn"))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = train_network(network, images, seed, config, augmentation=augmentation, device=device, progress=progress)
    return CnnModel(trained.network, trained.device, trained.half)


def train_network(
    network: nn.Module,
    images: LabelledImages,
    seed: int,
    config: CnnConfig = CnnConfig(),
    *,
    augmentation: Classical | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> NetworkModel:
    """Train any network that reads images, in place.

    Args:
        network: gives logits, N x K, for images, N x C x H x W in [0, 1]. Its weights are where training starts.
        images: the training set.
        seed: decides the order of the images and the augmentation.
        config: how it is trained; `widths` is not used.
        augmentation: how every image is transformed each time it is seen; None for not at all.
        device: PyTorch's name for it.
        progress: called after every step.

    Raises:
        InputError: the set is empty.
        FloatingPointError: the loss is not finite.
    """
    require_some(images)
    where, steps = torch.device(device), config.steps or suited_steps(len(images), config.batch_size)
    half = config.precision == "bf16-mixed" or (config.precision == "auto" and bfloat16_is_fast(where))
    network.to(where).train()
    table_NHWC, labels = _on(where, images.images), _on(where, images.labels)
    order = _Order(len(images), config.batch_size, seed)
    optimizer = _optimizer(network, config)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _cycle((step + 0.5) / steps)
        chosen = order[step].to(where)
        batch_NCHW = _scaled(table_NHWC.index_select(0, chosen))
        if augmentation:
            batch_NCHW = augment(batch_NCHW, augmentation, torch_generator(seed, "cnn augmentation", step))
        with torch.autocast(where.type, torch.bfloat16, enabled=half):
            logits = network(batch_NCHW)
        loss = nn.functional.cross_entropy(logits.float(), labels[chosen], label_smoothing=config.label_smoothing)
        value = loss.item()
        if not np.isfinite(value):
            raise FloatingPointError(
                f"{images.name}: the network's loss is {value} at step {step + 1}; expected a finite one; "
                "train with a lower learning rate"
            )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        progress("network", step + 1, steps, f"loss {value:.2f}")
    return NetworkModel(network.eval(), where, half)


def suited_steps(count: int, batch_size: int = CnnConfig.batch_size) -> int:
    """How many steps suit a number of training images.

    They grow with the cube root of the number, and beyond some 60,000 images in proportion to it: nobody waits long
    for a small set, which is seen a hundred times, and a large one is seen twice.

    Example:
        >>> [suited_steps(count) for count in (20, 100, 1000, 10_000, 60_000, 120_000)]
        [261, 446, 960, 2068, 3758, 7500]
    """
    return max(round(96 * float(np.cbrt(count))), 2 * count // batch_size)


class _Order:
    """One permutation of the images after another, mini-batches running across their ends.

    The mini-batch of a step depends on the seed and the step alone.
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._epoch = -1
        self._kept = np.empty(0, np.int64)

    def __getitem__(self, step: int) -> Tensor:
        """Indices of the mini-batch of `step` (from 0): batch_size, int64."""
        positions = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs, places = np.divmod(positions, self.count)
        chosen = [self._permutation(epoch)[places[epochs == epoch]] for epoch in np.unique(epochs)]
        return torch.from_numpy(np.concatenate(chosen))

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            generator = numpy_generator(self.seed, "cnn epoch", epoch)
            self._epoch, self._kept = epoch, generator.permutation(self.count)
        return self._kept


def require_some(images: LabelledImages) -> None:
    """Raise `InputError` if there is nothing to train on."""
    if not len(images):
        raise InputError(f"{images.name}: found no training images; expected at least one")


def _cycle(share: float) -> float:
    """The learning rate after a share of the steps: up in a straight line to 1, down half a cosine wave to 0."""
    if share < _RISE:
        return share / _RISE
    return (1 + math.cos(math.pi * (share - _RISE) / (1 - _RISE))) / 2


def _optimizer(network: nn.Module, config: CnnConfig) -> torch.optim.Optimizer:
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in network.parameters() if parameter.ndim <= 1]
    groups = [{"params": weights, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    # Not the fused one: its last bits depend on where in memory the weights happen to lie.
    return torch.optim.AdamW(groups, config.learning_rate, betas=(0.9, 0.99))


def _initialise(network: Cnn, images: LabelledImages, generator: torch.Generator) -> None:
    """Draw the weights as suits ReLU (He et al. 2015), and take the images' mean and deviation as unit."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
    network.mean.fill_(float(images.images.mean()) / 255)
    network.deviation.fill_(max(float(images.images.std()), 1) / 255)


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _on(device: torch.device, array: NDArray[Any]) -> Tensor:
    return torch.tensor(np.ascontiguousarray(array), device=device)  # PyTorch takes no negative strides


def _scaled(images_NHWC: Tensor) -> Tensor:
    """Bytes as numbers in [0, 1]: N x C x H x W."""
    return images_NHWC.permute(0, 3, 1, 2).contiguous().float() / 255
