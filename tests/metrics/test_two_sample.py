from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import norm

from mizumashi.data.idx import read_idx
from mizumashi.errors import InputError
from mizumashi.metrics import two_sample
from mizumashi.metrics.two_sample import two_sample_accuracy


def noise(low: int, high: int, count: int, seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(low, high, (count, 6, 6)).astype(np.uint8)


def grey(mean: float, count: int, seed: int) -> NDArray[np.uint8]:
    """Images of one grey level each, normally distributed with a standard deviation of 20."""
    levels = np.random.default_rng(seed).normal(mean, 20, count)
    return np.tile(np.rint(levels).astype(np.uint8)[:, None, None], (1, 2, 2))


def test_one_distribution_is_told_apart_by_chance_only() -> None:
    found = two_sample_accuracy(noise(0, 256, 1000, 1), noise(0, 256, 1000, 2), seed=0)
    assert found.low < 0.5 < found.high
    assert found.n_test == 1000


def test_disjoint_sets_are_always_told_apart() -> None:
    found = two_sample_accuracy(noise(0, 100, 100, 1), noise(150, 256, 100, 2), seed=0)
    assert (found.accuracy, found.high) == (1, 1)
    assert found.low < 1


def test_accuracy_is_that_of_the_best_rule_for_two_normal_distributions() -> None:
    # Means one standard deviation apart: the best rule is right in Phi(1/2) of the cases.
    found = two_sample_accuracy(grey(118, 3000, 1), grey(138, 3000, 2), seed=0)
    assert found.accuracy == pytest.approx(norm.cdf(0.5), abs=0.03)


def test_sees_differences_that_no_straight_line_separates() -> None:
    # Equal means and variances in every pixel; only the sign with which two halves go together differs.
    random = np.random.default_rng(0)
    top, sign = random.normal(0, 40, (2, 400)), np.array([1, -1])[:, None]
    halves = np.stack([top, sign * top + random.normal(0, 5, (2, 400))], axis=-1)
    images = np.rint(np.clip(128 + halves, 0, 255)).astype(np.uint8).repeat(8, axis=2).reshape(2, 400, 4, 4)
    assert two_sample_accuracy(images[0], images[1], seed=0).accuracy > 0.85


def test_interval_is_wilsons() -> None:
    found = two_sample_accuracy(grey(118, 100, 1), grey(138, 100, 2), seed=0)
    z, n, p = norm.ppf(0.975), found.n_test, found.accuracy
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    scale = 1 + z**2 / n
    assert (found.low, found.high) == pytest.approx(((centre - half) / scale, (centre + half) / scale))


def test_the_sides_may_be_swapped() -> None:
    real, generated = grey(118, 300, 1), grey(138, 400, 2)
    forth, back = two_sample_accuracy(real, generated, seed=0), two_sample_accuracy(generated, real, seed=0)
    assert forth.accuracy == pytest.approx(back.accuracy, abs=0.01)


def test_the_seed_decides() -> None:
    real, generated = grey(118, 300, 1), grey(138, 300, 2)
    once, again, other = (two_sample_accuracy(real, generated, seed=seed) for seed in (0, 0, 1))
    assert once == again
    assert once != other


def test_as_many_images_of_either_set_are_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    # Were all 300 used, saying "the large set" each time would be right in most cases.
    found = two_sample_accuracy(noise(0, 256, 300, 1), noise(0, 256, 61, 2), seed=0)
    assert found.n_test == 62
    assert found.low < 0.5 < found.high
    monkeypatch.setattr(two_sample, "MOST_IMAGES", 40)
    assert two_sample_accuracy(noise(0, 256, 300, 1), noise(0, 256, 61, 2), seed=0).n_test == 40


def test_a_set_against_itself_is_chance() -> None:
    images = noise(0, 256, 100, 1)
    assert two_sample_accuracy(images, images, seed=0).accuracy == 0.5
    black = np.zeros((30, 4, 4, 3), np.uint8)
    assert two_sample_accuracy(black, black, seed=0).accuracy == 0.5


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(InputError, match="found 30 real and 19 generated images; expected at least 20"):
        two_sample_accuracy(noise(0, 9, 30, 1), noise(0, 9, 19, 2), seed=0)
    with pytest.raises(InputError, match=r"shape \(6, 6\) and generated ones of shape \(6, 5\)"):
        two_sample_accuracy(noise(0, 9, 30, 1), noise(0, 9, 30, 2)[..., :5], seed=0)


@pytest.mark.realdata
def test_real_digits_are_graded(data_folder: Path) -> None:
    digits = read_idx(data_folder / "mnist" / "train-images-idx3-ubyte.gz")
    digits = digits[np.random.default_rng(0).permutation(len(digits))[:2000]]
    real, rest = digits[:1000], digits[1000:]
    faint = np.random.default_rng(0).integers(0, 3, rest.shape).astype(np.uint8)
    others = {
        "the same": rest,
        "faint noise": np.maximum(rest, faint),
        "blurred": ndimage.gaussian_filter(rest, (0, 0.5, 0.5)),
        "thickened": ndimage.grey_dilation(rest, (1, 3, 3)),
    }
    found = {name: two_sample_accuracy(real, images, seed=0) for name, images in others.items()}
    assert all(found[name].low < 0.5 < found[name].high for name in ("the same", "faint noise"))
    assert 0.55 < found["blurred"].accuracy < 0.9 < found["thickened"].accuracy
