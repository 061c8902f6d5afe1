"""Softmax regression, many models in one batched computation.

One dense layer, zero start, plain stochastic gradient descent on the mean cross-entropy (the paper, section 5
and eq. 4; the settings are those of TensorFlow's mnist_softmax tutorial).

Shapes: M models, B images in a mini-batch, D = H x W x C pixels, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.errors import InputError
from mizumashi.progress import Progress, silent
from mizumashi.randomness import numpy_generator


@dataclass(frozen=True)
class SoftmaxConfig:
    """How softmax regression is trained.

    Args:
        steps: training steps.
        batch_size: images in a mini-batch.
        learning_rate: of plain SGD, for pixels in [0, 1].

    Raises:
        InputError: a value is not above 0.
    """

    steps: int = 1000
    batch_size: int = 100
    learning_rate: float = 0.5

    def __post_init__(self) -> None:
        for what in ("steps", "batch_size", "learning_rate"):
            if getattr(self, what) <= 0:
                raise InputError(f"found {what} {getattr(self, what)}; expected more than 0")


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


@dataclass(frozen=True)
class Score:
    """What a classifier reached on a test set.

    Args:
        accuracy: share of images read rightly, 0 ... 1.
        loss: mean cross-entropy in nats (the paper, eq. 4).
        count: number of test images.
    """

    accuracy: float
    loss: float
    count: int


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
    tables = [images.images.reshape(len(images), pixels) for images in sets]
    # Pixels stay 0 ... 255 and the weights are kept divided by 255, which saves a pass over every mini-batch.
    weights_MDK, bias_MK = torch.zeros(models, pixels, classes), torch.zeros(models, 1, classes)
    drawn_MBD = np.empty((models, config.batch_size, pixels), np.uint8)
    labels_MB = np.empty((models, config.batch_size), np.int64)
    batch_MBD = torch.empty(models, config.batch_size, pixels)
    for step in range(config.steps):
        for model, (table, order) in enumerate(zip(tables, orders, strict=True)):
            chosen = order.batch(step, config.batch_size)
            table.take(chosen, axis=0, out=drawn_MBD[model], mode="clip")
            labels_MB[model] = sets[model].labels[chosen]
        batch_MBD.copy_(torch.from_numpy(drawn_MBD))
        _descend(weights_MDK, bias_MK, batch_MBD, torch.from_numpy(labels_MB), config.learning_rate)
        if (step + 1) % 20 == 0 or step + 1 == config.steps:
            progress(f"{models} softmax models", step + 1, config.steps, "")
    weights_MDK *= 255
    return [SoftmaxModel(weights_MDK[m].numpy(), bias_MK[m, 0].numpy()) for m in range(models)]


def score(model: SoftmaxModel, images: LabelledImages) -> Score:
    """Accuracy and mean cross-entropy of a model on a test set.

    Raises:
        InputError: the test set is empty.
    """
    if not len(images):
        raise InputError(f"{images.name}: found no test images; expected at least one")
    logits = model.logits(images)
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    right = logits.argmax(axis=1) == images.labels
    loss = -log_probabilities[np.arange(len(images)), images.labels].mean()
    return Score(float(right.mean()), float(loss), len(images))


class _Order:
    """The tutorial's order: one permutation after another, mini-batches running across their ends."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def batch(self, step: int, size: int) -> NDArray[np.int64]:
        positions = np.arange(step * size, (step + 1) * size)
        epochs = positions // self.count
        chosen = np.empty(size, np.int64)
        for epoch in range(epochs[0], epochs[-1] + 1):
            here = epochs == epoch
            chosen[here] = self._permutation(epoch)[positions[here] % self.count]
        return chosen

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._epochs:
            kept = {epoch - 1: self._epochs[epoch - 1]} if epoch - 1 in self._epochs else {}
            permutation = numpy_generator(self.seed, "softmax epoch", epoch).permutation(self.count)
            self._epochs = kept | {epoch: permutation}
        return self._epochs[epoch]


def _descend(weights_MDK: Tensor, bias_MK: Tensor, batch_MBD: Tensor, labels_MB: Tensor, rate: float) -> None:
    """One step of gradient descent, in place; the gradient of the mean cross-entropy in closed form.

    Pixels are 255 times too large and weights as much too small: the logits are right, and so is every step.
    """
    logits_MBK = torch.baddbmm(bias_MK, batch_MBD, weights_MDK)
    error_MBK = logits_MBK.softmax(dim=2)
    error_MBK.scatter_add_(2, labels_MB[..., None], torch.full_like(labels_MB[..., None], -1, dtype=torch.float32))
    error_MBK /= batch_MBD.shape[1]
    weights_MDK.baddbmm_(batch_MBD.transpose(1, 2), error_MBK, alpha=-rate / 255**2)
    bias_MK.sub_(error_MBK.sum(dim=1, keepdim=True), alpha=rate)


def _require_usable(sets: Sequence[LabelledImages]) -> None:
    if not sets:
        raise InputError("found no training set; expected at least one")
    for images in sets:
        if not len(images):
            raise InputError(f"{images.name}: found no training images; expected at least one")
        require_alike(sets[0], images)
