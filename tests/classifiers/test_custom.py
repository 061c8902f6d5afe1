import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neighbors import KNeighborsClassifier

from mizumashi.classifiers import custom
from mizumashi.classifiers.classical import Classical, augmented
from mizumashi.classifiers.cnn import CnnConfig, Precision
from mizumashi.classifiers.custom import custom_classifier
from mizumashi.classifiers.score import score
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError

MODULE = '''
import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

neighbours = KNeighborsClassifier(3)
forest = make_pipeline(StandardScaler(), RandomForestClassifier(5))
straight = LinearRegression()
number = 3
ready = torch.nn.Linear(3, 3)


def scaled():
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


class Backwards(ClassifierMixin, BaseEstimator):
    """A classifier whose columns are in falling order of the labels."""

    def fit(self, X, y):
        self.inner_ = KNeighborsClassifier(1).fit(X, y)
        self.classes_ = self.inner_.classes_[::-1]
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)[:, ::-1]

    def predict(self, X):
        return self.inner_.predict(X)


class Stateful(DummyClassifier):
    """Has a parameter that only looks like a random state."""

    def __init__(self, initial_state="as it is", random_state=None):
        super().__init__(random_state=random_state)
        self.initial_state = initial_state


class Failing(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        raise KeyError("no such column")


def failing(classes, channels, size):
    raise ZeroDivisionError("half of nothing")


class Needy(KNeighborsClassifier):
    def __init__(self, n_neighbors):
        super().__init__(n_neighbors)


class Weigher(DummyClassifier):
    """Keeps what it was fitted to."""

    def fit(self, X, y):
        self.shown_ = X, y
        return super().fit(X, y)


def network(classes, channels, size):
    height, width = size
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(channels * height * width, classes)
    )


class Network(torch.nn.Module):
    def __init__(self, classes, channels, size):
        super().__init__()
        self.layers = network(classes, channels, size)

    def forward(self, images):
        return self.layers(images.view(len(images), -1))


def wrong_width(classes, channels, size):
    return network(classes + 1, channels, size)


def no_network(classes, channels, size):
    return "no network"
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with the user's module in it, and in a package; what is imported is forgotten afterwards."""
    (tmp_path / "mine_alone.py").write_text(MODULE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "inside.py").write_text("from mine_alone import neighbours")
    (tmp_path / "mine_needs.py").write_text("import a_module_that_nobody_has")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    for name in ("mine", "mine.inside", "mine_alone", "mine_needs"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.fixture(scope="module")
def digits() -> LabelledImages:
    data = load_digits()
    return LabelledImages.from_arrays((data.images * 15).astype(np.uint8), data.target, name="digits")


def rows(images: LabelledImages) -> np.ndarray:
    return (images.images.reshape(len(images), -1) / 255).astype(np.float32)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("spelling", "reference"),
    [
        ("sklearn.neighbors:KNeighborsClassifier", KNeighborsClassifier()),
        ("mine_alone:neighbours", KNeighborsClassifier(3)),
        ("mine.inside:neighbours", KNeighborsClassifier(3)),
        ("mine_alone:Backwards", KNeighborsClassifier(1)),
    ],
)
def test_an_estimator_scores_as_scikit_learn_says(digits: LabelledImages, spelling: str, reference: object):
    train, test = digits.take(np.arange(500)), digits.take(np.arange(1000, 1300))
    found = score(custom_classifier(spelling)(train, 0), test)
    reference.fit(rows(train), train.labels)
    probabilities = reference.predict_proba(rows(test)).astype(np.float32)  # log_loss clips at their precision
    assert found.accuracy == pytest.approx(accuracy_score(test.labels, probabilities.argmax(axis=1)))
    assert found.loss == pytest.approx(log_loss(test.labels, probabilities, labels=range(10)), rel=1e-5)


@pytest.mark.usefixtures("here")
def test_an_estimator_without_probabilities_is_sure_of_what_it_predicts(digits: LabelledImages):
    train, test = digits.take(np.arange(300)), digits.take(np.arange(1000, 1300))
    model = custom_classifier("sklearn.svm:SVC")(train, 0)
    from sklearn.svm import SVC

    predicted = SVC().fit(rows(train), train.labels).predict(rows(test))
    assert (model.logits(test).argmax(axis=1) == predicted).all()
    certain = np.eye(10, dtype=np.float32)[predicted]
    assert score(model, test).loss == pytest.approx(log_loss(test.labels, certain, labels=range(10)), rel=1e-5)


def test_classes_that_the_training_set_lacks_are_improbable_and_not_mixed_up(digits: LabelledImages):
    train = digits.take(np.flatnonzero(np.isin(digits.labels, [1, 4, 9]))[:150])
    test = digits.take(np.flatnonzero(np.isin(digits.labels, [1, 4, 9]))[150:300])
    for spelling in ("sklearn.neighbors:KNeighborsClassifier", "sklearn.svm:SVC"):
        model = custom_classifier(spelling)(train, 0)
        logits = model.logits(digits.take(np.arange(20)))
        assert logits.shape == (20, 10)
        np.testing.assert_allclose(np.delete(logits, [1, 4, 9], axis=1), np.log(2.0**-23), rtol=1e-6)
        assert score(model, test).accuracy > 0.85
        assert np.isfinite(score(model, digits).loss)


@pytest.mark.usefixtures("here")
def test_the_seed_reaches_every_random_state_and_the_named_estimator_is_left_alone(digits: LabelledImages):
    train, test = digits.take(np.arange(200)), digits.take(np.arange(1000, 1200))
    classifier = custom_classifier("mine_alone:forest")
    one, again, other = (classifier(train, seed).logits(test) for seed in (0, 0, 1))
    assert (one == again).all()
    assert (one != other).any()
    import mine_alone

    assert mine_alone.forest.get_params()["randomforestclassifier__random_state"] is None
    assert not hasattr(mine_alone.forest[-1], "classes_")


@pytest.mark.usefixtures("here")
def test_a_function_that_makes_an_estimator_is_called(digits: LabelledImages):
    model = custom_classifier("mine_alone:scaled")(digits.take(np.arange(500)), 0)
    fitted = LogisticRegression(max_iter=500)
    assert score(model, digits.take(np.arange(1000, 1300))).accuracy > 0.9
    assert type(model.estimator[-1]) is type(fitted)


@pytest.mark.usefixtures("here")
def test_an_estimator_is_shown_pixels_in_0_to_1_or_in_their_places_augmented_ones(digits: LabelledImages):
    train = digits.take(np.arange(100))
    classifier = custom_classifier("mine_alone:Weigher")
    pixels, labels = classifier(train, 3).estimator.shown_
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, train.images.reshape(100, 64) / 255, rtol=1e-6)
    assert (labels == train.labels).all()
    moved, labels = classifier(train, 3, augmentation=Classical()).estimator.shown_
    np.testing.assert_allclose(moved, augmented(train, 3, Classical()).images.reshape(100, 64) / 255, rtol=1e-6)
    assert (labels == train.labels).all()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["network", "Network"])
def test_a_network_is_trained_and_its_randomness_is_the_seeds(
    blobs: LabelledImages, monkeypatch: pytest.MonkeyPatch, name: str, precision: Precision
):
    monkeypatch.setattr(custom, "NETWORK", CnnConfig(steps=60, learning_rate=1e-2, precision=precision))
    classifier = custom_classifier(f"mine_alone:{name}")
    train, test = blobs.take(np.arange(150)), blobs.take(np.arange(150, 240))
    model, other = classifier(train, 0), classifier(train, 1)
    torch.rand(1)  # the global generator is elsewhere now
    before = torch.get_rng_state()
    again = classifier(train, 0)
    assert score(model, test).accuracy > 0.95
    assert (model.logits(test) == again.logits(test)).all()  # in evaluation: no dropout
    assert (model.logits(test) != other.logits(test)).any()
    assert torch.equal(torch.get_rng_state(), before)
    moved = classifier(train, 0, augmentation=Classical())
    assert (moved.logits(test) != model.logits(test)).any()


@pytest.mark.usefixtures("here")
def test_colour_images_reach_a_network_as_pytorch_lays_them_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(custom, "NETWORK", CnnConfig(steps=2, batch_size=4, precision="32-true"))
    images = LabelledImages.from_arrays(np.zeros((8, 16, 20, 3), np.uint8), np.arange(8) % 2)
    assert custom_classifier("mine_alone:Network")(images, 0).logits(images).shape == (8, 2)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("sklearn.svm", r"found classifier 'sklearn.svm'; expected package.module:name"),
        ("sklearn.svm:", r"expected package.module:name"),
        (":SVC", r"expected package.module:name"),
        ("./mine.py:SVC", r"expected package.module:name"),
        ("sklearnn.svm:SVC", r"found no module 'sklearnn' .*; expected one that is installed or lies in the current"),
        ("mine.outside:SVC", r"found no module 'mine.outside'"),
        ("mine_needs:SVC", r"found that 'mine_needs' needs the module 'a_module_that_nobody_has'; .*; install it"),
        ("mine_alone:neighbors", r"found no 'neighbors' in module 'mine_alone' \(did you mean 'neighbours'\?\)"),
        ("sklearn.svm:SVR", r"an object of type SVR as classifier 'sklearn.svm:SVR'; expected a scikit-learn classif"),
        ("sklearn.preprocessing:StandardScaler", r"found an object of type StandardScaler"),
        ("mine_alone:straight", r"found an object of type LinearRegression"),
        ("mine_alone:number", r"found an object of type int"),
        ("mine_alone:ready", r"found an object of type Linear"),
        ("mine_alone:Needy", r"found the class Needy"),
        ("builtins:dict", r"found the class dict"),
        ("builtins:int", r"found the class int"),
    ],
)
def test_what_is_no_classifier_is_refused_in_one_line(spelling: str, message: str):
    with pytest.raises(InputError, match=message) as refused:
        custom_classifier(spelling)
    assert "\n" not in str(refused.value)


@pytest.mark.usefixtures("here")
def test_what_a_function_returns_is_checked_before_training(blobs: LabelledImages):
    with pytest.raises(InputError, match=r"gives logits of shape \(2, 4\) for 2 images; expected \(2, 3\)"):
        custom_classifier("mine_alone:wrong_width")(blobs, 0)
    with pytest.raises(InputError, match=r"'mine_alone:no_network' returned an object of type str"):
        custom_classifier("mine_alone:no_network")(blobs, 0)
    for name in ("network", "neighbours"):
        with pytest.raises(InputError, match="found no training images"):
            custom_classifier(f"mine_alone:{name}")(blobs.take([]), 0)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("name", "kind"), [("Failing", "KeyError"), ("failing", "ZeroDivisionError")])
def test_an_own_classifier_that_fails_is_named_in_one_line(blobs: LabelledImages, name: str, kind: str):
    with pytest.raises(InputError, match=f"mine_alone:{name}' fails with {kind}: .*; mend it or leave it out") as told:
        custom_classifier(f"mine_alone:{name}")(blobs, 0)
    assert "\n" not in str(told.value)


@pytest.mark.usefixtures("here")
def test_only_random_states_are_set(blobs: LabelledImages):
    parameters = custom_classifier("mine_alone:Stateful")(blobs, 0).estimator.get_params()  # type: ignore[attr-defined]
    assert parameters["initial_state"] == "as it is"
    assert isinstance(parameters["random_state"], int)
