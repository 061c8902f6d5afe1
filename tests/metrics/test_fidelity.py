import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from prdc import compute_prdc
from scipy import ndimage
from scipy.linalg import sqrtm
from sklearn.decomposition import PCA
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from mizumashi.data.idx import read_idx
from mizumashi.errors import InputError
from mizumashi.metrics import fidelity as module
from mizumashi.metrics.fidelity import fidelity, frechet_distance, kernel_distance, per_class_accuracy

Rows = NDArray[np.float64]


def rows(mean: float, sd: float, count: int, seed: int, width: int = 6) -> Rows:
    return np.random.default_rng(seed).normal(mean, sd, (count, width))


def classes(kept: range, count: int, seed: int) -> Rows:
    """Points around one centre for each class, far apart."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(0, 5, (10, 6))
    return centres[random.choice(kept, count)] + random.normal(0, 1, (count, 6))


def exactly(mean: Rows, covariance: Rows, count: int, seed: int) -> Rows:
    """Rows whose own mean and covariance are the given ones, without sampling error."""
    raw = rows(0, 1, count, seed, len(mean))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw.T))).T
    return mean + white @ np.linalg.cholesky(covariance).T


class Identity(torch.nn.Identity):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.num_features = width


def torchmetrics_fid(real: Rows, generated: Rows) -> float:
    metric = FrechetInceptionDistance(Identity(real.shape[1]))
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(generated), real=False)
    return float(metric.compute())


def torchmetrics_kid(real: Rows, generated: Rows) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it always warns of its memory
        metric = KernelInceptionDistance(Identity(real.shape[1]), subsets=1, subset_size=len(real))
    metric.update(torch.from_numpy(real), real=True)
    metric.update(torch.from_numpy(generated), real=False)
    return float(metric.compute()[0])


def test_frechet_distance_of_known_normal_distributions() -> None:
    # Of covariances that share their axes it is the distance of the means and of the standard deviations.
    apart = exactly(np.array([1.0, 2, 3]), np.diag([1.0, 4, 9]), 50, 1)
    other = exactly(np.array([1.0, 0, 3]), np.diag([16.0, 4, 25]), 70, 2)
    assert frechet_distance(apart, other) == pytest.approx(2**2 + 3**2 + 0 + 2**2)
    first, second = np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 2]]), np.array([[5.0, -2, 1], [-2, 3, 0], [1, 0, 1]])
    expected = 3 + np.trace(first + second - 2 * sqrtm(first @ second).real)
    assert frechet_distance(exactly(np.ones(3), first, 40, 1), exactly(np.zeros(3), second, 60, 2)) == pytest.approx(
        expected
    )


@pytest.mark.parametrize(("count", "width"), [(300, 20), (15, 40)])
def test_frechet_distance_is_that_of_torchmetrics(count: int, width: int) -> None:
    real, generated = rows(0, 1, count, 1, width), rows(0.2, 1.5, count, 2, width)
    # With fewer rows than columns the covariances are singular; torchmetrics then has some 7 digits right.
    assert frechet_distance(real, generated) == pytest.approx(torchmetrics_fid(real, generated), rel=1e-6)


def test_kernel_distance_is_that_of_torchmetrics_and_its_error_the_jackknifes() -> None:
    real, generated = rows(0, 1, 205, 1), rows(0.5, 1.5, 205, 2)
    ends = np.cumsum([21] * 5 + [20] * 5)
    without = [
        torchmetrics_kid(np.delete(real, part, axis=0), np.delete(generated, part, axis=0))
        for part in np.split(np.arange(205), ends[:-1])
    ]
    error = np.sqrt(9 / 10 * np.sum((without - np.mean(without)) ** 2))
    assert kernel_distance(real, generated) == pytest.approx((torchmetrics_kid(real, generated), error))


def test_kernel_distance_of_known_distributions_and_its_error() -> None:
    # For single numbers x and y, E(x y + 1)^3 = 1 + 3 E[x] E[y] + 3 E[x^2] E[y^2] + E[x^3] E[y^3].
    def expected(mean: float) -> float:
        moments = np.array([1, mean, mean**2 + 1, mean**3 + 3 * mean])
        standard = np.array([1, 0, 1, 0])
        return float(np.array([1, 3, 3, 1]) @ (moments - standard) ** 2)

    for mean, most in ((0.0, 1.7), (0.5, 1.2)):  # the jackknife is careful where there is no difference
        found = [kernel_distance(rows(0, 1, 100, 2 * i, 1), rows(mean, 1, 100, 2 * i + 1, 1)) for i in range(300)]
        values, errors = np.transpose(found)
        assert abs(values.mean() - expected(mean)) < 4 * values.std() / 300**0.5
        assert 0.85 < np.sqrt(np.mean(errors**2)) / values.std() < most


@pytest.mark.parametrize("chunk", [500, 7])
def test_precision_recall_density_and_coverage_are_those_of_prdc(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", chunk)
    real, generated = rows(0, 1, 200, 1, 3), rows(0.8, 0.7, 200, 2, 3)
    found, expected = fidelity(real, generated, seed=0), compute_prdc(real, generated, nearest_k=5)
    assert (found.precision, found.recall) == pytest.approx((expected["precision"], expected["recall"]))
    assert (found.density, found.coverage) == pytest.approx((expected["density"], expected["coverage"]))
    assert len({found.precision, found.recall, found.density, found.coverage}) == 4


def test_a_set_against_itself_and_against_its_like() -> None:
    real = rows(0, 1, 500, 1)
    itself = fidelity(real, real, seed=0)
    assert itself.fid == pytest.approx(0, abs=1e-9)
    assert (itself.precision, itself.recall, itself.density, itself.coverage) == (1, 1, 1, 1)
    like, shifted = fidelity(real, rows(0, 1, 500, 2), seed=0), fidelity(real, rows(1, 1, 500, 2), seed=0)
    assert abs(like.kid) < 4 * like.kid_error
    assert shifted.kid > 4 * shifted.kid_error
    assert like.fid < 0.2 < 5 < shifted.fid
    assert min(like.precision, like.recall, like.coverage) > 0.8
    assert 0.8 < like.density < 1.2


def test_one_mode_is_precise_but_not_varied_and_not_the_other_way_round() -> None:
    everything, one_mode = classes(range(10), 500, 1), classes(range(3, 4), 500, 2)
    forth, back = fidelity(everything, one_mode, seed=0), fidelity(one_mode, everything, seed=0)
    assert forth.precision > 0.9
    assert max(forth.recall, forth.coverage) < 0.2
    assert (back.precision, back.recall) == (forth.recall, forth.precision)
    assert back.density < 0.3
    assert back.fid == pytest.approx(forth.fid)


def test_a_missing_class_costs_recall_and_coverage() -> None:
    real, all_ten, nine = classes(range(10), 1000, 1), classes(range(10), 1000, 2), classes(range(9), 1000, 3)
    whole, lacking = fidelity(real, all_ten, seed=0), fidelity(real, nine, seed=0)
    assert lacking.recall == pytest.approx(whole.recall - 0.1, abs=0.03)
    assert lacking.coverage == pytest.approx(whole.coverage - 0.1, abs=0.03)
    assert lacking.precision == pytest.approx(whole.precision, abs=0.03)
    assert lacking.fid > 5 * whole.fid


def test_images_that_are_all_alike_have_finite_numbers() -> None:
    real = rows(5, 1, 200, 1)
    collapsed = np.tile(real[:1] + 0.01, (200, 1))
    found = fidelity(real, collapsed, seed=0)
    assert found.fid == pytest.approx(np.sum((real.mean(0) - collapsed[0]) ** 2) + np.trace(np.cov(real.T)))
    assert (found.precision, found.recall) == (1, 0)
    assert found.coverage < 0.1
    assert found.kid > 0
    for one, other in ((collapsed, real), (collapsed, collapsed), (np.zeros((30, 4)), np.zeros((30, 4)))):
        numbers = fidelity(one, other, seed=0)
        assert all(np.isfinite(value) for value in vars(numbers).values())
    assert fidelity(collapsed, collapsed, seed=0).fid == 0


def test_as_many_images_of_either_set_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    real, generated = rows(0, 1, 300, 1), rows(0, 1, 61, 2)
    assert fidelity(real, generated, seed=0).count == fidelity(generated, real, seed=0).count == 61
    monkeypatch.setattr(module, "MOST_IMAGES", 40)
    assert fidelity(real, generated, seed=0).count == 40
    # Images are drawn at random: in a sorted file the first ones are of one class.
    sorted_rows = np.concatenate([rows(0, 1, 300, 1), rows(9, 1, 300, 2)])
    assert fidelity(sorted_rows, sorted_rows[::-1], seed=0).coverage > 0.5


def test_the_seed_decides_and_single_precision_is_enough() -> None:
    real, generated = rows(0, 1, 300, 1), rows(0.5, 1, 200, 2)
    once, again, other = (fidelity(real, generated, seed=seed) for seed in (0, 0, 1))
    assert once == again
    assert once != other
    single = fidelity(real.astype(np.float32), generated.astype(np.float32), seed=0)
    assert single.fid == pytest.approx(once.fid, rel=1e-5)


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (
            np.ones((30, 4)),
            np.ones((30, 5)),
            r"generated features of shape \(30, 5\) beside real ones of shape \(30, 4",
        ),
        (np.ones((30, 4, 4)), np.ones((30, 4, 4)), r"real features of shape \(30, 4, 4\)"),
        (np.ones((30, 4)), np.ones((19, 4)), "found 30 real and 19 generated images; expected at least 20"),
        (np.ones((30, 4)), np.full((30, 4), np.nan), "generated features that are not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(real: Rows, generated: Rows, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fidelity(real, generated, seed=0)


def test_accuracy_of_each_class() -> None:
    labels, predictions = np.array([0, 0, 0, 0, 1, 1, 3]), np.array([0, 0, 0, 1, 1, 3, 2])
    np.testing.assert_array_equal(per_class_accuracy(labels, predictions, 5), [0.75, 0.5, np.nan, 0, np.nan])


@pytest.mark.realdata
def test_real_digits_are_graded(data_folder: Path) -> None:
    digits = read_idx(data_folder / "mnist" / "train-images-idx3-ubyte.gz")
    labels = read_idx(data_folder / "mnist" / "train-labels-idx1-ubyte.gz").ravel()
    order = np.random.default_rng(0).permutation(len(digits))
    real, rest = order[:1000], order[1000:3000]
    no_ones = rest[labels[rest] != 1][:1000]
    components = PCA(64, random_state=0).fit(digits[real].reshape(1000, -1) / 255)
    sets = {
        "real": digits[real],
        "the same": digits[rest[:1000]],
        "no ones": digits[no_ones],
        "blurred": ndimage.gaussian_filter(digits[rest[:1000]], (0, 1, 1)),
    }
    features = {name: components.transform(images.reshape(1000, -1) / 255) for name, images in sets.items()}
    found = {name: fidelity(features["real"], rows, seed=0) for name, rows in features.items()}
    assert abs(found["the same"].kid) < 4 * found["the same"].kid_error
    assert found["the same"].fid < min(found["no ones"].fid, found["blurred"].fid)
    assert found["no ones"].kid > 3 * found["no ones"].kid_error
    assert found["no ones"].coverage < found["the same"].coverage - 0.05
    assert found["no ones"].precision == pytest.approx(found["the same"].precision, abs=0.05)
    assert found["blurred"].recall < found["the same"].recall - 0.1
