import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, norm
from sklearn.metrics import balanced_accuracy_score

from mizumashi.errors import InputError
from mizumashi.stats.inference import (
    Interval,
    bootstrap_interval,
    gain_estimates,
    holm,
    mcnemar_p,
    permutation_p,
    t_interval,
)

Right = NDArray[np.bool_]


def guesses(share: float, *shape: int, seed: int = 0) -> Right:
    return np.random.default_rng(seed).random(shape) < share


def half_width(interval: Interval) -> float:
    assert interval.mean - interval.low == pytest.approx(interval.high - interval.mean)
    return interval.high - interval.mean


# The bootstrap


def test_where_only_seeds_vary_the_interval_is_students() -> None:
    # All images of a seed are read alike: each seed gains 100 points or loses 100, or neither.
    first = np.repeat(np.array([[1], [1], [0], [1], [1], [0]], bool), 50, axis=1)
    second = np.repeat(np.array([[0], [1], [1], [0], [0], [0]], bool), 50, axis=1)
    expected = t_interval([100, 0, -100, 100, 100, 0])
    assert bootstrap_interval(first, second, seed=0) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("seeds", [1, 8])
def test_where_only_images_vary_the_interval_is_the_normal_one(seeds: int) -> None:
    # All seeds read alike: more of them tell nothing new.
    right = guesses(0.8, 2, 1, 3000)
    first, second = right.repeat(seeds, axis=1)
    differences = 100 * (right[0, 0].astype(float) - right[1, 0])
    half = norm.ppf(0.975) * differences.std() / np.sqrt(3000)
    assert bootstrap_interval(first, second, seed=0).mean == pytest.approx(differences.mean())
    assert half_width(bootstrap_interval(first, second, seed=0)) == pytest.approx(half, rel=0.02)


def test_an_accuracy_alone_has_the_binomial_error() -> None:
    right = guesses(0.8, 1, 1000)
    share = right.mean()
    half = norm.ppf(0.975) * 100 * np.sqrt(share * (1 - share) / 1000)
    assert half_width(bootstrap_interval(right, np.zeros_like(right), seed=0)) == pytest.approx(half, rel=0.02)
    assert half_width(bootstrap_interval(np.ones_like(right), right, seed=0)) == pytest.approx(half, rel=0.02)


def test_the_standard_error_is_the_closed_form_of_the_crossed_bootstrap() -> None:
    # Moments of multinomial weights: E[u_s u_t] = 1 - 1/S, and 1 more where s = t; the same of the images.
    # Many seeds, so that neither the seeds' missing share of 1/S nor the degrees of freedom count.
    first, second = guesses(0.7, 200, 40, seed=1), guesses(0.5, 200, 40, seed=2)
    difference = first.astype(float) - second
    seeds, images = difference.shape
    a, b, total = 1 - 1 / seeds, 1 - 1 / images, difference.sum()
    square = (
        a * b * total**2
        + a * (difference.sum(axis=0) ** 2).sum()
        + b * (difference.sum(axis=1) ** 2).sum()
        + (difference**2).sum()
    )
    error = 100 * np.sqrt(square - total**2) / (seeds * images)
    half = half_width(bootstrap_interval(first, second, seed=0))
    assert half == pytest.approx(norm.ppf(0.975) * error, rel=0.025)


def test_the_recipes_may_be_swapped() -> None:
    first, second = guesses(0.9, 6, 300, seed=1), guesses(0.8, 6, 300, seed=2)
    forth, back = bootstrap_interval(first, second, seed=0), bootstrap_interval(second, first, seed=0)
    assert forth == pytest.approx((-back.mean, -back.high, -back.low))
    assert forth.mean == pytest.approx(100 * (first.mean() - second.mean()))


def test_what_both_read_rightly_adds_nothing_but_its_number() -> None:
    # Twice the images, the new ones read rightly by all: half the difference, with about half the error.
    first, second = guesses(0.9, 6, 400, seed=1), guesses(0.85, 6, 400, seed=2)
    some = bootstrap_interval(first, second, seed=0)
    more = bootstrap_interval(
        *(np.pad(right, ((0, 0), (0, 400)), constant_values=True) for right in (first, second)), 0
    )
    assert more.mean == pytest.approx(some.mean / 2)
    assert half_width(more) == pytest.approx(half_width(some) / 2, rel=0.05)


def test_classifiers_of_a_seed_are_averaged() -> None:
    first, second = guesses(0.9, 6, 300, seed=1), guesses(0.8, 6, 300, seed=2)
    plain = bootstrap_interval(first, second, seed=0)
    copies = (np.stack([right] * 3, axis=1) for right in (first, second))
    assert bootstrap_interval(*copies, seed=0) == pytest.approx(plain)
    differing = guesses(0.9, 6, 3, 300, seed=1)
    mean = bootstrap_interval(differing, np.zeros_like(differing), seed=0).mean
    assert mean == pytest.approx(100 * differing.mean())


def test_the_seed_of_the_resamples_decides() -> None:
    first, second = guesses(0.9, 6, 300, seed=1), guesses(0.8, 6, 300, seed=2)
    once, again, other = (bootstrap_interval(first, second, seed) for seed in (0, 0, 1))
    assert once == again
    assert once != other
    assert once == pytest.approx(other, abs=0.1)


def test_recipes_that_read_all_alike_differ_by_nothing() -> None:
    right = guesses(0.9, 6, 50)
    assert bootstrap_interval(right, right, seed=0) == (0, 0, 0)


def test_where_classes_count_alike_the_mean_is_of_balanced_accuracies() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 4], [200, 20, 3]))
    reads = np.random.default_rng(1).choice([0, 1, 4], (2, 5, len(labels)))
    reads[0, :, labels != 0] = labels[labels != 0, None]
    first, second = reads == labels
    gains = [
        100 * (balanced_accuracy_score(labels, a) - balanced_accuracy_score(labels, b))
        for a, b in zip(*reads, strict=True)
    ]
    [estimate] = gain_estimates({"a": first, "b": second}, [("a", "b")], 0, 100, labels=labels)
    assert estimate.gains == pytest.approx(gains)


@pytest.mark.parametrize("sizes", [[900, 300, 60], [400, 400, 400]])
def test_where_classes_count_alike_the_error_is_that_of_a_stratified_mean(sizes: list[int]) -> None:
    # Cochran, 1977, section 5.3: the variance of a mean of means is the sum of their variances over the square of K.
    labels = np.repeat(np.arange(3), sizes)
    right = np.random.default_rng(0).random((2, 1, len(labels))) < np.array([0.95, 0.6, 0.3])[labels]
    first, second = right.repeat(7, axis=1)
    difference = 100 * (right[0, 0].astype(float) - right[1, 0])
    variance = sum(difference[labels == label].var() / size for label, size in enumerate(sizes)) / 9
    half = half_width(bootstrap_interval(first, second, seed=0, labels=labels))
    assert half == pytest.approx(norm.ppf(0.975) * np.sqrt(variance), rel=0.03)


def test_one_class_counts_as_all_images_do() -> None:
    first, second = guesses(0.9, 6, 300, seed=1), guesses(0.8, 6, 300, seed=2)
    assert bootstrap_interval(first, second, 0, labels=np.full(300, 5)) == bootstrap_interval(first, second, 0)


def test_labels_of_other_images_are_refused() -> None:
    right = guesses(0.9, 6, 300)
    with pytest.raises(InputError, match=r"found labels of shape \(299,\) for 300 images; expected one for each"):
        bootstrap_interval(right, right, 0, labels=np.zeros(299, np.int64))


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        (guesses(0.5, 6, 50), guesses(0.5, 6, 51), r"second: found bool of shape \(6, 51\)"),
        (guesses(0.5, 6, 50), guesses(0.5, 7, 50), r"second: found bool of shape \(7, 50\)"),
        (guesses(0.5, 50), guesses(0.5, 50), r"first: found bool of shape \(50,\)"),
        (guesses(0.5, 6, 1), guesses(0.5, 6, 1), r"first: found bool of shape \(6, 1\)"),
        (guesses(0.5, 0, 50), guesses(0.5, 0, 50), r"first: found bool of shape \(0, 50\)"),
        (np.ones((6, 50)), np.ones((6, 50)), r"first: found float64 of shape \(6, 50\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(first: Right, second: Right, found: str) -> None:
    with pytest.raises(InputError, match=found):
        bootstrap_interval(first, second, seed=0)


# The tests


@pytest.mark.parametrize("seeds", [2, 5, 6, 10])
def test_of_differences_of_one_sign_the_p_value_is_the_smallest(seeds: int) -> None:
    gains = np.random.default_rng(0).random(seeds) + 0.1
    assert permutation_p(gains) == permutation_p(-gains) == 2 / 2**seeds


@pytest.mark.parametrize("number", range(12))
def test_permutation_p_counts_all_sign_flips(number: int) -> None:
    # Many ties; counted in whole numbers, the test gets hundredths.
    gains = np.random.default_rng(number).integers(-2, 5, 8)
    sums = np.array([np.dot(signs, gains) for signs in itertools.product([1, -1], repeat=8)])
    expected = min(1, 2 * np.mean(sums >= abs(gains.sum())))
    assert permutation_p(gains / 100) == pytest.approx(expected)


def test_permutation_p_of_many_seeds_is_drawn_and_never_0() -> None:
    assert permutation_p(np.ones(30)) == pytest.approx(2 / (2**16 + 1))
    # The exact p-value of 24 differences: the distribution of their sum, one difference after another.
    gains = np.random.default_rng(0).integers(-3, 5, 24)
    ways = np.ones(1)
    for gain in np.abs(gains):
        ways = np.convolve(ways, np.bincount([0, 2 * gain], minlength=2 * gain + 1) / 2)
    exact = 2 * ways[(np.abs(gains).sum() + abs(gains.sum())) :].sum()
    assert 0.001 < exact < 0.5
    assert permutation_p(gains, seed=1) == pytest.approx(exact, rel=0.1)
    assert permutation_p(gains, seed=1) == permutation_p(gains, seed=1) != permutation_p(gains, seed=2)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (6, 0), (3, 3), (9, 2), (40, 61), (500, 420)])
def test_mcnemar_is_the_binomial_test_of_what_one_reads_alone(only_first: int, only_second: int) -> None:
    counts = [only_first, only_second, 900, 50]
    first, second = np.repeat([True, False, True, False], counts), np.repeat([False, True, True, False], counts)
    discordant = only_first + only_second
    expected = binomtest(only_first, discordant).pvalue if discordant else 1
    assert mcnemar_p(first, second) == pytest.approx(expected)
    assert mcnemar_p(second, first) == pytest.approx(expected)


def test_holm_by_hand() -> None:
    # Sorted: 4 * 0.01, 3 * 0.02, 2 * 0.03, 1 * 0.5; 3 * 0.02 may not fall behind, nor exceed 1.
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([]) == []
