"""What a classifier reaches on a test set."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError


class Model(Protocol):
    """A trained classifier."""

    def logits(self, images: LabelledImages) -> NDArray[np.float32]:
        """Logits of each image: N x K."""


@dataclass(frozen=True)
class Score:
    """What a classifier reached on a test set.

    Args:
        accuracy: share of images read rightly, 0 ... 1.
        class_accuracy: the same share in each class, and the mean of these: every class counts alike.
        loss: mean cross-entropy in nats (the paper, eq. 4).
        count: number of test images.
    """

    accuracy: float
    class_accuracy: float
    loss: float
    count: int


def judge(model: Model, images: LabelledImages) -> tuple[Score, NDArray[np.int64]]:
    """Accuracy and mean cross-entropy of a model on a test set, and the class that it reads in each image: N.

    Raises:
        InputError: the test set is empty.
    """
    if not len(images):
        raise InputError(f"{images.name}: found no test images; expected at least one")
    logits = model.logits(images)
    log_probabilities = log_softmax(logits.astype(np.float64), axis=1)
    read = logits.argmax(axis=1)
    loss = -log_probabilities[np.arange(len(images)), images.labels].mean()
    right, counts = read == images.labels, images.counts
    of_classes = np.bincount(images.labels, right, len(counts))[counts > 0] / counts[counts > 0]
    return Score(float(right.mean()), float(of_classes.mean()), float(loss), len(images)), read


def score(model: Model, images: LabelledImages) -> Score:
    """Accuracy and mean cross-entropy of a model on a test set.

    Raises:
        InputError: the test set is empty.
    """
    return judge(model, images)[0]
