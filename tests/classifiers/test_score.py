import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss

from mizumashi.classifiers.score import judge
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError


class Fixed:
    """A model that gives the same logits whatever it is shown."""

    def __init__(self, logits: np.ndarray) -> None:
        self.found = logits

    def logits(self, images: LabelledImages) -> np.ndarray:
        return self.found


def test_scores_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 3], [60, 30, 10])  # no image of class 2
    logits = random.normal(size=(100, 4)) + 2 * np.eye(4)[labels]
    images = LabelledImages(np.zeros((100, 2, 2, 1), np.uint8), labels, tuple("abcd"), "unequal")
    score, read = judge(Fixed(logits), images)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert read.tolist() == logits.argmax(axis=1).tolist()
    assert score.accuracy == pytest.approx(accuracy_score(labels, read))
    kept = np.isin(read, [0, 1, 3])
    assert not kept.all()  # a class without images is read now and then
    recalls = [np.mean(read[labels == label] == label) for label in (0, 1, 3)]
    assert score.class_accuracy == pytest.approx(np.mean(recalls))
    assert score.loss == pytest.approx(log_loss(labels, probabilities, labels=range(4)))
    assert score.count == 100
    only = LabelledImages(images.images, labels, tuple("abcd"), "seen")
    seen = np.where(kept, read, 0)
    assert judge(Fixed(np.eye(4)[seen]), only)[0].class_accuracy == pytest.approx(balanced_accuracy_score(labels, seen))


def test_no_images_are_no_test():
    empty = LabelledImages(np.zeros((0, 2, 2, 1), np.uint8), np.zeros(0, np.int64), ("a", "b"), "nothing")
    with pytest.raises(InputError, match="nothing: found no test images"):
        judge(Fixed(np.zeros((0, 2))), empty)
