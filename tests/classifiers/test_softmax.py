from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss

from mizumashi.classifiers.score import score
from mizumashi.classifiers.softmax import SoftmaxConfig, SoftmaxModel, auto_learning_rate, train_softmax
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError


@pytest.fixture(scope="module")
def digits() -> LabelledImages:
    data = load_digits()
    return LabelledImages.from_arrays((data.images * 15).astype(np.uint8), data.target, name="digits")


def one_by_one(images: LabelledImages, batches: list[np.ndarray], rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The tutorial's loop in float64, with scikit-learn's loss and its numerical gradient."""
    pixels, classes = images.images.reshape(len(images), -1) / 255.0, len(images.class_names)
    parameters = np.zeros((pixels.shape[1] + 1) * classes)

    def loss(flat: np.ndarray, chosen: np.ndarray) -> float:
        weights, bias = flat[:-classes].reshape(-1, classes), flat[-classes:]
        logits = pixels[chosen] @ weights + bias
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return float(log_loss(images.labels[chosen], probabilities, labels=range(classes)))

    for chosen in batches:
        parameters -= rate * approx_fprime(parameters, loss, 1e-7, chosen)
    return parameters[:-classes].reshape(-1, classes), parameters[-classes:]


def test_steps_follow_the_gradient_of_scikit_learns_loss(blobs: LabelledImages):
    small = LabelledImages.from_arrays(blobs.images[:, ::4, ::4, 0], blobs.labels)
    everything = np.arange(len(small))
    config = SoftmaxConfig(steps=4, batch_size=len(small), learning_rate=0.5)
    (model,) = train_softmax([small], [0], config)
    weights, bias = one_by_one(small, [everything] * 4, rate=0.5)
    np.testing.assert_allclose(model.weights, weights, atol=2e-5)
    np.testing.assert_allclose(model.bias, bias, atol=2e-5)


def test_many_models_in_one_batch_equal_models_trained_one_by_one(digits: LabelledImages):
    sets = [digits, digits.take(np.arange(500)), digits.take(np.arange(1000, 1797)), digits]
    config = SoftmaxConfig(steps=60)
    together = train_softmax(sets, [0, 1, 2, 3], config)
    for images, seed, model in zip(sets, [0, 1, 2, 3], together, strict=True):
        (alone,) = train_softmax([images], [seed], config)
        np.testing.assert_allclose(model.weights, alone.weights, rtol=1e-5, atol=1e-6)
    assert not np.array_equal(together[0].weights, together[3].weights)


def test_long_training_reaches_scikit_learns_solution_of_the_same_problem(blobs: LabelledImages):
    fitted = LogisticRegression(C=1e6, max_iter=2000).fit(blobs.images.reshape(len(blobs), -1) / 255.0, blobs.labels)
    (model,) = train_softmax([blobs], [0], SoftmaxConfig(steps=500))
    agree = model.logits(blobs).argmax(axis=1) == fitted.predict(blobs.images.reshape(len(blobs), -1) / 255.0)
    assert agree.mean() > 0.99


def test_scores_equal_scikit_learns(digits: LabelledImages):
    (model,) = train_softmax([digits.take(np.arange(1000))], [0], SoftmaxConfig(steps=100))
    test = digits.take(np.arange(1000, 1797))
    logits = model.logits(test).astype(float)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = score(model, test)
    assert found.accuracy == pytest.approx(accuracy_score(test.labels, logits.argmax(axis=1)))
    assert found.loss == pytest.approx(log_loss(test.labels, probabilities, labels=range(10)), rel=1e-6)
    assert found.count == 797


def test_an_untrained_model_guesses():
    model = SoftmaxModel(np.zeros((4, 2), np.float32), np.zeros(2, np.float32))
    images = LabelledImages.from_arrays(np.zeros((10, 2, 2), np.uint8), np.arange(10) % 2)
    assert score(model, images).loss == pytest.approx(np.log(2))
    assert score(model, images).accuracy == 0.5


def test_every_image_is_seen_once_an_epoch():
    from mizumashi.classifiers.softmax import _Order

    order = _Order(count=7, seed=0)
    seen = order.batches(0, 7, 5).ravel()
    assert seen.tolist() == np.concatenate([order.batches(step, 1, 5)[0] for step in range(7)]).tolist()
    for epoch in range(5):
        assert sorted(seen[7 * epoch : 7 * epoch + 7]) == list(range(7))


def test_sets_that_do_not_fit_together_are_refused(blobs: LabelledImages, digits: LabelledImages):
    with pytest.raises(InputError, match="found size"):
        train_softmax([blobs, digits], [0, 0])
    with pytest.raises(InputError, match="no training images"):
        train_softmax([blobs.take([])], [0])
    with pytest.raises(InputError, match="no test images"):
        score(SoftmaxModel(np.zeros((256, 3), np.float32), np.zeros(3, np.float32)), blobs.take([]))
    with pytest.raises(InputError, match="found steps 0"):
        SoftmaxConfig(steps=0)


def test_the_rate_is_lowered_where_the_tutorials_would_diverge():
    """Photographs are bright all over, each in its own light; numpy's largest singular value is the reference."""
    random = np.random.default_rng(0)
    labels = np.arange(300) % 3
    photographs = random.integers(40, 180, (300, 1, 1, 1)) + random.integers(0, 40, (300, 32, 32, 3))
    told = np.where(random.random(300) < 0.7, labels, random.permutation(labels))
    photographs[np.arange(300), 10 * told] += 35  # a brighter row tells most classes
    images = LabelledImages.from_arrays(photographs, labels)
    rows = np.c_[photographs.reshape(300, -1) / 255, np.ones(300)]
    largest = np.linalg.norm(rows, 2) ** 2 / 300
    assert auto_learning_rate(images) == pytest.approx(4 / largest)
    tutorial, lowered = SoftmaxConfig(), SoftmaxConfig(learning_rate=auto_learning_rate(images))
    diverged, steady = (score(train_softmax([images], [0], config)[0], images).loss for config in (tutorial, lowered))
    assert diverged > 3 * np.log(3)
    assert steady < np.log(3)


def test_the_rate_is_the_tutorials_on_digits(digits: LabelledImages):
    assert auto_learning_rate(digits) == 0.5


def test_bfloat16_products_change_the_model_a_little_and_leave_no_trace(digits: LabelledImages):
    def products() -> torch.Tensor:
        return torch.full((64, 300), 1.001) @ torch.full((300, 64), 1.001)

    before = products()
    train, test = digits.take(np.arange(1200)), digits.take(np.arange(1200, 1797))
    exact, rounded = (
        train_softmax([train, train], [0, 1], SoftmaxConfig(steps=400, precision=precision))
        for precision in ("32-true", "bf16-mixed")
    )
    assert torch.equal(products(), before)
    for one, other in zip(exact, rounded, strict=True):
        scores = score(one, test), score(other, test)
        assert scores[0].accuracy == pytest.approx(scores[1].accuracy, abs=0.02)
        assert scores[0].loss == pytest.approx(scores[1].loss, rel=0.05)
    assert not np.array_equal(exact[0].weights, rounded[0].weights)


@pytest.mark.realdata
def test_the_papers_model_1_on_mnist(data_folder: Path):
    mnist = open_images("mnist", data_dir=data_folder)
    (model,) = train_softmax([mnist.train], [0])
    found = score(model, mnist.test)
    assert auto_learning_rate(mnist.train) == 0.5
    assert found.accuracy == pytest.approx(0.915, abs=0.01)  # the paper, table 1
    assert found.loss == pytest.approx(0.294, abs=0.02)  # the paper, table 2
