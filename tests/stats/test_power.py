import numpy as np
import pytest
from scipy.stats import norm, t
from statsmodels.stats.power import TTestPower

from mizumashi.errors import InputError
from mizumashi.stats.inference import holm, permutation_p
from mizumashi.stats.power import fewest_seeds, power, seeds_needed


@pytest.mark.parametrize("comparisons", [1, 2, 3, 4, 24, 25, 26, 45])
def test_fewest_seeds_is_where_the_clearest_result_passes(comparisons: int) -> None:
    seeds = fewest_seeds(comparisons)
    clearest = {count: permutation_p(np.ones(count)) for count in (seeds - 1, seeds)}
    assert holm([clearest[seeds]] * comparisons)[0] < 0.05 <= holm([clearest[seeds - 1]] * comparisons)[0]


@pytest.mark.parametrize("comparisons", [1, 24])
@pytest.mark.parametrize("gain", [-0.8, 0.3])
def test_power_is_that_of_the_paired_t_test(comparisons: int, gain: float) -> None:
    level = 0.05 / comparisons / 2  # of the gain's own sign: a claim of the other one is no success
    for seeds in (12, 20, 40):
        expected = TTestPower().power(abs(gain) / 0.7, seeds, level, alternative="larger")
        assert power(gain, 0.7, seeds, comparisons) == pytest.approx(expected)
    assert power(gain, 0.7, fewest_seeds(comparisons) - 1, comparisons) == 0


def test_power_where_every_difference_must_have_one_sign() -> None:
    signs = np.random.default_rng(0).normal(0.6, 0.5, (20000, 6)) > 0
    assert power(0.6, 0.5, 6, comparisons=1) == pytest.approx(signs.all(axis=1).mean(), abs=0.01)


def test_power_is_limited_by_the_test_images() -> None:
    expected = norm.cdf(1 / 0.4 - norm.isf(0.025))
    assert power(1, 0.7, 10**6, comparisons=1, image_error=0.4) == pytest.approx(expected, abs=1e-3)
    assert power(1, 0, 10, comparisons=1, image_error=0.4) == pytest.approx(expected, abs=1e-3)
    assert power(1, 0, 10, comparisons=1) == 1
    assert np.isfinite([power(5, 1, seeds, 1) for seeds in range(6, 40)]).all()


def test_seeds_needed_reach_the_power_that_a_seed_less_does_not() -> None:
    gains = [0.9, -0.3, 0.6, 0.1, 0.8, 0.3]
    solved = TTestPower().solve_power(np.mean(gains) / np.std(gains, ddof=1), alpha=0.05 / 8, power=0.8)
    assert seeds_needed(gains, comparisons=8) == np.ceil(solved)
    assert solved > 20


@pytest.mark.parametrize(("image_error", "comparisons"), [(0.05, 8), (0.1, 8), (0.15, 2)])
def test_with_the_seeds_needed_four_of_five_studies_of_the_same_images_claim_it(
    image_error: float, comparisons: int
) -> None:
    gains = [0.9, -0.3, 0.6, 0.1, 0.8, 0.3]
    needed = seeds_needed(gains, comparisons, image_error)
    assert needed is not None

    def claimed(seeds: int) -> float:
        """Seeds are drawn; the images are those that gave these gains, and a claim allows for their choice."""
        drawn = np.random.default_rng(seeds).normal(np.mean(gains), np.std(gains, ddof=1), (20000, seeds))
        seed_part = drawn.var(axis=1, ddof=1) / seeds
        variance = seed_part + image_error**2
        limit = t.isf(0.05 / comparisons / 2, (seeds - 1) * (variance / seed_part) ** 2)
        return float((drawn.mean(axis=1) > limit * np.sqrt(variance)).mean())

    assert claimed(needed - 2) < 0.8 < claimed(needed + 2)


def test_seeds_settle_what_the_test_images_can_show_and_nothing_else() -> None:
    """Eight seeds, a corrected p-value of ten comparisons: too few for any claim, though all point one way."""
    clear = [2.2, 2.4, 3.1, 2.9, 2.0, 3.2, 2.6, 3.0]
    assert seeds_needed(clear, comparisons=10, image_error=0.75) == 9
    assert seeds_needed(clear, comparisons=10, image_error=1.0) is None  # 2.7 +- 1.0: not at 0.05 / 10
    assert seeds_needed([1.0, 1.0], comparisons=1, image_error=0.5) == 6
    assert seeds_needed([1.0, 1.0], comparisons=1, image_error=0.52) is None


def test_seeds_needed_where_seeds_do_not_settle_it_or_few_do() -> None:
    assert seeds_needed([1, -1, 2, -2], comparisons=1) is None
    assert seeds_needed([0.01, -0.01, 1, -0.99], comparisons=1) is None  # 0.0025 +- 0.8: beyond 10,000 seeds
    assert seeds_needed([0.9, -0.3, 0.6, 0.1], comparisons=1, image_error=0.2) is None
    assert seeds_needed([5.0, 5.1, 4.9], comparisons=24) == fewest_seeds(24) == 10
    assert seeds_needed([5.0, 5.0], comparisons=1) == 6
    assert seeds_needed([5.0, 5.1] * 4, comparisons=1) == 9
    with pytest.raises(InputError, match="found 1 seeds"):
        seeds_needed([1.0], comparisons=1)
    with pytest.raises(InputError, match="found 0 comparisons"):
        fewest_seeds(0)
