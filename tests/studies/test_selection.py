import numpy as np
import pytest

from mizumashi.studies.recipe import CLASSICAL, REAL, Recipe, candidates
from mizumashi.studies.selection import choose, survivors

EIGHT = [REAL, CLASSICAL, *(Recipe(real=True, stages=(step, step)) for step in range(1, 9))]


def test_the_best_third_goes_on_after_one_two_four_seeds():
    """Recipe `real+gan@k` reads k percent in every seed."""
    tried = {recipe: [recipe.stages[0] / 100 if recipe.stages else 0.0] * 9 for recipe in EIGHT}
    alive = {seeds: survivors(tried, EIGHT, seeds) for seeds in range(9)}
    for seeds, steps in {0: range(1, 9), 1: [6, 7, 8], 2: [8], 3: [8], 4: [8], 8: [8]}.items():
        assert alive[seeds] == [REAL, CLASSICAL, *(Recipe(real=True, stages=(step, step)) for step in steps)]


def test_who_went_out_needs_no_more_seeds():
    tried = {recipe: [0.5] for recipe in EIGHT}
    tried[EIGHT[-1]] = [0.9]
    on = survivors(tried, EIGHT, 1)
    later = {recipe: [*accuracies, 0.5] if recipe in on else accuracies for recipe, accuracies in tried.items()}
    assert set(survivors(later, EIGHT, 2)) <= set(on)
    assert EIGHT[-1] in survivors(later, EIGHT, 2)


def test_the_budget_is_far_below_the_full_grid():
    grid = candidates((300, 600, 1200, 2400))
    random = np.random.default_rng(0)
    tried: dict[Recipe, list[float]] = {recipe: [] for recipe in grid}
    for seed in range(8):
        for recipe in survivors(tried, grid, seed):
            tried[recipe].append(random.random())
    # Of 24 candidates 8 go on after one seed, 3 after two, 1 after four; full: 26 * 8 = 208.
    assert sum(map(len, tried.values())) == 2 * 8 + 24 + 8 + 2 * 3 + 4 * 1
    assert len(tried[REAL]) == 8


def test_a_lead_within_a_standard_error_is_no_lead():
    """Gains of 1 and 3 points: mean 2, standard error 1; of -1 and 3: mean 1, standard error 2."""
    real, gan = [0.90, 0.90], EIGHT[2]
    clear = choose({REAL: real, gan: [0.91, 0.93]}, [REAL, gan], 1000)
    assert (clear.recipe, clear.baseline) == (str(gan), "real")
    assert (clear.gain, clear.error) == (pytest.approx(2), pytest.approx(1))
    unclear = choose({REAL: real, gan: [0.89, 0.93]}, [REAL, gan], 1000)
    assert (unclear.recipe, unclear.gain, unclear.error) == ("real", 0, pytest.approx(2))


def test_the_better_of_the_two_baselines_must_be_beaten():
    gan = EIGHT[2]
    tried = {REAL: [0.90, 0.90], CLASSICAL: [0.93, 0.93], gan: [0.92, 0.92]}
    assert choose(tried, [REAL, CLASSICAL, gan], 1000).recipe == "real+classical"


def test_one_seed_is_judged_by_its_images():
    """0.90 against 0.93 of 100 images: a standard error of 3.9 points; of 10,000: 0.39."""
    gan = EIGHT[2]
    assert choose({REAL: [0.90], gan: [0.93]}, [REAL, gan], 100).recipe == "real"
    assert choose({REAL: [0.90], gan: [0.93]}, [REAL, gan], 10_000).recipe == str(gan)


def test_what_did_not_go_on_cannot_be_chosen():
    first, second = EIGHT[2:4]
    tried = {REAL: [0.5, 0.5], first: [0.99], second: [0.9, 0.9]}
    assert choose(tried, [REAL, first, second], 1000).recipe == str(second)
