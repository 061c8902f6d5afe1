"""The GAN among imbalanced-learn's samplers: its own checks, its Pipeline, and what becomes of the numbers."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from imblearn.utils.estimator_checks import estimator_checks_generator
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from mizumashi import sklearn as own
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig
from mizumashi.sklearn import GANSampler

TINY = GanConfig(steps=4, batch_size=16, latent_size=8, widths=(4, 8, 8), learning_rate=2e-2, precision="32-true")


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch):
    """Hundreds of small runs need not outlive a power failure."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("os.sync", lambda: None)


def sampler(**options) -> GANSampler:
    return GANSampler(**{"config": TINY, "random_state": 0, "accelerator": "cpu"} | options)


# What parametrize_with_checks does, with a list: pytest warns of generators.
CHECKS = [pytest.param(*pair, id=pair[1].func.__name__) for pair in estimator_checks_generator(sampler())]


def test_it_is_checked_as_smote_is():
    assert [case.id for case in CHECKS] == [check.func.__name__ for _, check in estimator_checks_generator(SMOTE())]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_imbalanced_learn_finds_nothing_wrong(estimator, check):
    check(estimator)


@pytest.fixture
def rows(blobs: LabelledImages):
    """Pixels in 0 ... 1, 40 rows of one class and 8 of each of the others."""
    X = blobs.images.reshape(len(blobs), -1) / 255
    keep = np.concatenate([np.flatnonzero(blobs.labels == label)[:count] for label, count in ((0, 40), (1, 8), (2, 8))])
    return X[keep], np.array(blobs.class_names)[blobs.labels[keep]]


def test_it_works_in_a_pipeline_beside_smote(rows):
    X, y = rows
    smote = SMOTE(sampling_strategy={"middle": 20}, k_neighbors=3, random_state=0)
    pipeline = make_pipeline(smote, sampler(), LogisticRegression())
    assert pipeline.fit(X, y).score(X, y) > 0.9
    search = GridSearchCV(pipeline, {"gansampler__stage": [1, 2]}, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_["gansampler__stage"] in (1, 2)


def test_what_was_there_comes_first_and_what_was_asked_for_after_it(rows):
    X, y = rows
    more, labels = sampler(sampling_strategy={"middle": 11, "right": 8}).fit_resample(X, y)
    np.testing.assert_array_equal(more[:56], X)
    assert labels.tolist() == [*y, *["middle"] * 3]
    assert X.min() <= more.min()
    assert more.max() <= X.max()


def test_a_trained_gan_draws_the_class_that_it_is_asked_for(rows, precision):
    X, y = rows
    config = replace(TINY, precision=precision, steps=100, widths=(8, 16, 16), learning_rate=2e-3)
    more, labels = sampler(config=config).fit_resample(X, y)
    drawn, wanted = more[56:], labels[56:]
    nearest = LogisticRegression().fit(X, y).predict(drawn)
    assert (nearest == wanted).mean() > 0.8


def test_the_random_state_decides(rows, precision):
    X, y = rows
    config = replace(TINY, precision=precision)
    first, again, other = (sampler(config=config, random_state=state).fit_resample(X, y)[0] for state in (0, 0, 1))
    assert first[56:].std() > 0.01
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    shared = np.random.RandomState(0)
    np.testing.assert_array_equal(sampler(config=config, random_state=shared).fit_resample(X, y)[0], first)
    assert not np.array_equal(sampler(config=config, random_state=shared).fit_resample(X, y)[0], first)
    seeded = sampler(config=replace(config, seed=5)).fit_resample(X, y)[0]
    np.testing.assert_array_equal(seeded, first)


def test_the_stage_is_where_a_longer_training_was_then(rows, precision):
    X, y = rows
    config = replace(TINY, precision=precision)
    short = sampler(config=replace(config, steps=1)).fit_resample(X, y)[0]
    np.testing.assert_array_equal(sampler(config=config, stage=1).fit_resample(X, y)[0], short)
    assert not np.array_equal(sampler(config=config).fit_resample(X, y)[0], short)
    with pytest.raises(ValueError, match="'stage' parameter of GANSampler must be an int"):
        sampler(stage=0).fit_resample(X, y)


def test_nothing_is_left_on_the_disk_even_after_an_error(rows, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    X, y = rows
    sampler().fit_resample(X, y)
    monkeypatch.setattr("mizumashi.gan.run.GanRun.snapshot", lambda *words: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sampler().fit_resample(X, y)
    assert list(Path(tmp_path).iterdir()) == []


def test_what_is_balanced_already_trains_nothing(rows, monkeypatch):
    X, y = rows
    monkeypatch.setattr(own, "train", lambda *words, **options: pytest.fail("trained"))
    more, _ = sampler().fit_resample(X[32:48], y[32:48])
    np.testing.assert_array_equal(more, X[32:48])


def test_pixels_become_themselves_and_come_back():
    X = np.arange(2 * 256).reshape(2, 256) % 256
    pictures = own._Pictures.of(X, None)
    images = pictures.paint(X)
    np.testing.assert_array_equal(images, X.reshape(2, 16, 16, 1))
    np.testing.assert_allclose(pictures.rows(images), X)


@pytest.mark.parametrize("features", [1, 2, 17, 255, 257, 783, 4095])
def test_features_of_a_table_come_back_within_a_step(features):
    X = np.random.default_rng(0).normal(size=(9, features)) * 10.0 ** np.arange(-3, 3)[np.arange(features) % 6]
    X[:, -1] = 7  # one does not vary
    pictures = own._Pictures.of(X, None)
    images = pictures.paint(X)
    assert images.shape[1] == images.shape[2] >= features**0.5
    assert set(images.min(axis=0).ravel()) == {0}
    error = np.abs(pictures.rows(images) - X) / np.where(np.ptp(X, axis=0), np.ptp(X, axis=0), 1)
    assert error.max() <= 0.5 / 255 + 1e-9


@pytest.mark.parametrize(("shape", "side"), [((8, 8), 16), ((20, 10, 3), 28), ((64, 64), 64)])
def test_images_of_other_sizes_are_enlarged_and_come_back(shape, side):
    smooth = np.add.outer(np.arange(shape[0]), np.arange(shape[1])).astype(float)
    X = np.stack(
        [np.broadcast_to(image[:, :, None], (*shape[:2], [*shape, 1][2])).ravel() for image in (smooth, -smooth)]
    )
    pictures = own._Pictures.of(X, shape)
    assert pictures.paint(X).shape == (2, side, side, [*shape, 1][2])
    assert np.abs(pictures.rows(pictures.paint(X)) - X).max() < 0.05 * np.ptp(X)


def test_sparse_whole_numbers_stay_so(rows):
    X, y = rows
    X = np.rint(X * 255).astype(np.int64)
    dense, _ = sampler().fit_resample(X, y)
    thin, _ = sampler().fit_resample(sparse.csc_matrix(X), y)
    assert (dense.dtype, thin.dtype, thin.format) == (np.int64, np.int64, "csc")
    np.testing.assert_array_equal(thin.toarray(), dense)


@pytest.mark.parametrize(
    ("columns", "shape", "line"),
    [
        (64, (8, 9), r"found image_shape \(8, 9\) for 64 features"),
        (64, (4, 8, 2), r"found image_shape \(4, 8, 2\) for 64 features"),
        (64, (64,), r"found image_shape \(64,\) for 64 features"),
        (65, (65, 1), "images of 65 x 1 pixels; expected at most 64 x 64"),
        (4097, None, "found 4097 features; expected at most 64 x 64"),
    ],
)
def test_rows_that_are_no_such_images_are_refused(columns, shape, line):
    with pytest.raises(InputError, match=line):
        sampler(image_shape=shape).fit_resample(np.zeros((20, columns)), [0] * 15 + [1] * 5)


def test_it_is_cloned_with_its_configuration():
    original = GANSampler(config=TINY, stage=1, image_shape=(8, 8))
    assert clone(original).get_params() == original.get_params()
