"""Softmax regression, many models in one batched computation.

One dense layer, zero start, plain stochastic gradient descent on the mean cross-entropy (the paper, section 5
and eq. 4; the settings are those of TensorFlow's mnist_softmax tutorial).

The tutorial's learning rate suits images that are mostly black, as MNIST's; on photographs descent at that rate
diverges. `auto_learning_rate` gives the rate for a set.

Shapes: M models, B images in a mini-batch, D = H x W x C pixels, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.errors import InputError
from mizumashi.utils.progress import Progress, silent
from mizumashi.utils.schema import require_fields
from mizumashi.utils.seeding import numpy_generator

Products = Literal["32-true", "bf16-mixed"]

_STEPS_AT_ONCE = 20  # whose mini-batches are chosen together

TUTORIAL_RATE = 0.5
TUTORIAL_CURVATURE = 50.0
"""Up to here the tutorial's rate is used: MNIST's curvature is 36, that of small photographs some 700."""


@dataclass(frozen=True)
class SoftmaxConfig:
    """How softmax regression is trained.

    Args:
        steps: training steps.
        batch_size: images in a mini-batch.
        learning_rate: of plain SGD, for pixels in [0, 1].
        precision: of the products. "bf16-mixed" rounds their factors and results to bfloat16's 8 bits, which pixels
            survive unchanged; the weights that are kept stay float32. Twice as fast where the device multiplies
            bfloat16 in hardware, slower elsewhere.

    Raises:
        InputError: a value is none of its words or out of its range.
    """

    steps: int = 1000
    batch_size: int = 100
    learning_rate: float = TUTORIAL_RATE
    precision: Products = "32-true"

    def __post_init__(self) -> None:
        require_fields(self, {"steps": (1, 10**9), "batch_size": (1, 10**6), "learning_rate": (1e-12, 1e3)})


@dataclass(frozen=True, eq=False)
class SoftmaxModel:
    """A trained softmax regression.

    Args:
        weights: D x K, float32.
        bias: K, float32.
    """

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, images: LabelledImages) -> NDArray[np.float32]:
        """Logits of each image: N x K."""
        pixels = images.images.reshape(len(images), -1).astype(np.float32)
        logits: NDArray[np.float32] = pixels @ (self.weights / np.float32(255)) + self.bias
        return logits


def train_softmax(
    sets: Sequence[LabelledImages],
    seeds: Sequence[int],
    config: SoftmaxConfig = SoftmaxConfig(),
    *,
    progress: Progress = silent,
) -> list[SoftmaxModel]:
    """Train one model for each training set, all in one batched computation.

    Model m depends on `sets[m]`, `seeds[m]` and the configuration alone, not on its neighbours.

    Args:
        sets: M training sets; image shapes and class names agree, sizes may differ.
        seeds: M seeds for the order of the images.
        config: steps, mini-batch and learning rate.
        progress: called now and then.

    Returns:
        M models, in the order of the sets.

    Raises:
        InputError: the sets' shapes or classes differ, or one is empty.
    """
    _require_usable(sets)
    models, pixels, classes = len(sets), int(np.prod(sets[0].images.shape[1:])), len(sets[0].class_names)
    orders = [_Order(len(images), seed) for images, seed in zip(sets, seeds, strict=True)]
    groups = _groups(sets)
    # Pixels stay 0 ... 255 and the weights are kept divided by 255, which saves a pass over every mini-batch.
    weights_MKD, bias_MK1 = torch.zeros(models, classes, pixels), torch.zeros(models, classes, 1)
    drawn_MBD = torch.empty(models, config.batch_size, pixels, dtype=torch.uint8)
    batch_MBD = drawn_MBD.to(torch.bfloat16 if config.precision == "bf16-mixed" else torch.float32)
    for first in range(0, config.steps, _STEPS_AT_ONCE):
        steps = min(_STEPS_AT_ONCE, config.steps - first)
        chosen_SMB = np.stack([order.batches(first, steps, config.batch_size) for order in orders], axis=1)
        for chosen_MB in torch.from_numpy(chosen_SMB):
            labels_MB = _gather(groups, chosen_MB, drawn_MBD)
            batch_MBD.copy_(drawn_MBD)
            _descend(weights_MKD, bias_MK1, batch_MBD, labels_MB, config.learning_rate)
        progress(f"{models} softmax models", first + steps, config.steps, "")
    weights_MDK = weights_MKD.mul_(255).transpose(1, 2).contiguous()
    return [SoftmaxModel(weights_MDK[m].numpy(), bias_MK1[m, :, 0].numpy()) for m in range(models)]


def auto_learning_rate(images: LabelledImages) -> float:
    """The learning rate for training on such images: the tutorial's, or where that would diverge, one that cannot.

    The curvature is the largest eigenvalue of the mean of x x', where x is an image in [0, 1] with a 1 for the bias
    (over some thousand images, evenly spaced). Half of it bounds the second derivative of the loss, and descent at
    less than 2 / that bound converges; above `TUTORIAL_CURVATURE` the rate is 4 / curvature.

    Example:
        >>> white = LabelledImages.from_arrays(np.full((4, 3, 33), 255), [0, 1, 0, 1])
        >>> round(auto_learning_rate(white), 6)  # 99 pixels and the bias: a curvature of 100
        0.04
    """
    some_ND = images.images[:: max(1, len(images) // 1000)].reshape(-1, images.images[0].size) / 255
    some_ND = np.pad(some_ND, ((0, 0), (0, 1)), constant_values=1)
    curvature = float(np.linalg.eigvalsh(some_ND @ some_ND.T)[-1]) / len(some_ND)
    return TUTORIAL_RATE if curvature <= TUTORIAL_CURVATURE else 4 / curvature


class _Order:
    """The tutorial's order: one permutation after another, mini-batches running across their ends."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def batches(self, first: int, steps: int, size: int) -> NDArray[np.int64]:
        """The images of the mini-batches of `steps` steps from `first` on: steps x size."""
        positions = np.arange(first * size, (first + steps) * size)
        epochs = positions // self.count
        chosen = np.empty(steps * size, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            here = epochs == epoch
            chosen[here] = self._permutation(epoch)[positions[here] % self.count]
        return chosen.reshape(steps, size)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._epochs:
            kept = {epoch - 1: self._epochs[epoch - 1]} if epoch - 1 in self._epochs else {}
            permutation = numpy_generator(self.seed, "softmax epoch", epoch).permutation(self.count)
            self._epochs = kept | {epoch: permutation}
        return self._epochs[epoch]


@dataclass(frozen=True, eq=False)
class _Group:
    """Models next to each other that are trained on the same set: their images are drawn together."""

    table: Tensor  # N x D
    labels: Tensor  # N
    models: slice


def _groups(sets: Sequence[LabelledImages]) -> list[_Group]:
    found, start = [], 0
    for _, alike in groupby(sets, key=id):
        images, *others = alike
        table_ND = np.require(images.images.reshape(len(images), -1), requirements="W")  # PyTorch warns of others
        labels = torch.tensor(images.labels)
        found.append(_Group(torch.from_numpy(table_ND), labels, slice(start, start + 1 + len(others))))
        start += 1 + len(others)
    return found


def _gather(groups: Sequence[_Group], chosen_MB: Tensor, drawn_MBD: Tensor) -> Tensor:
    """Put each model's chosen images into `drawn_MBD` and give their labels: M x B."""
    labels_MB = torch.empty_like(chosen_MB)
    for group in groups:
        chosen = chosen_MB[group.models].flatten()
        torch.index_select(group.table, 0, chosen, out=drawn_MBD[group.models].flatten(0, 1))
        labels_MB[group.models] = group.labels[chosen].reshape(-1, chosen_MB.shape[1])
    return labels_MB


def _descend(weights_MKD: Tensor, bias_MK1: Tensor, batch_MBD: Tensor, labels_MB: Tensor, rate: float) -> None:
    """One step of gradient descent, in place; the gradient of the mean cross-entropy in closed form.

    Pixels are 255 times too large and weights as much too small: the logits are right, and so is every step. The
    products take the order of their factors that is fastest in the batch's precision.
    """
    if batch_MBD.dtype == torch.float32:
        logits_MKB = torch.baddbmm(bias_MK1, weights_MKD, batch_MBD.transpose(1, 2))
    else:
        product_MBK = torch.bmm(batch_MBD, weights_MKD.to(batch_MBD.dtype).transpose(1, 2))
        logits_MKB = product_MBK.transpose(1, 2) + bias_MK1
    error_MKB = logits_MKB.contiguous().softmax(dim=1)
    labels_M1B = labels_MB[:, None]
    error_MKB.scatter_add_(1, labels_M1B, torch.full_like(labels_M1B, -1, dtype=torch.float32))
    error_MKB *= rate / batch_MBD.shape[1]
    if batch_MBD.dtype == torch.float32:
        weights_MKD.baddbmm_(error_MKB, batch_MBD, alpha=-1 / 255**2)
    else:
        weights_MKD.sub_(torch.bmm(error_MKB.to(batch_MBD.dtype), batch_MBD), alpha=1 / 255**2)
    bias_MK1.sub_(error_MKB.sum(dim=2, keepdim=True))


def _require_usable(sets: Sequence[LabelledImages]) -> None:
    if not sets:
        raise InputError("found no training set; expected at least one")
    for images in sets:
        if not len(images):
            raise InputError(f"{images.name}: found no training images; expected at least one")
        require_alike(sets[0], images)
