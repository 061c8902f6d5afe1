from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from mizumashi.errors import InputError
from mizumashi.stats.claims import compare_all
from mizumashi.stats.inference import bootstrap_interval, holm, mcnemar_p, permutation_p

Right = NDArray[np.bool_]


def guesses(share: float, *shape: int, seed: int = 0) -> Right:
    return np.random.default_rng(seed).random(shape) < share


def clear(seeds: int, *names: str, images: int = 400) -> dict[str, Right]:
    """Every recipe reads far more images than the one before it, in every seed."""
    shares = np.linspace(0.3, 0.9, len(names))
    return {name: guesses(shares[place], seeds, images, seed=place) for place, name in enumerate(names)}


def test_each_recipe_meets_each_baseline_on_each_test_set() -> None:
    right = {"mnist": clear(6, "real", "more", "most"), "faxocr": clear(6, "real", "more", "most", images=300)}
    found = compare_all(right, ["real", "more"], seed=0, resamples=100)
    pairs = [("more", "real"), ("most", "real"), ("most", "more")]
    assert [(one.test, one.recipe, one.baseline) for one in found] == [
        (test, *pair) for test in right for pair in pairs
    ]
    assert [one.images for one in found] == [400] * 3 + [300] * 3


def test_where_classes_count_alike_a_rare_one_decides() -> None:
    # Of 20 rare images the recipe reads all, the baseline none; of 380 common ones it reads a few less.
    labels = np.repeat([0, 1], [380, 20])
    shares = {"real": np.where(labels, 0.0, 0.95), "more": np.where(labels, 1.0, 0.88)}
    for seeds, method in ((8, "permutation test over seeds"), (1, "bootstrap of test images")):
        right = {name: np.random.default_rng(0).random((seeds, 400)) < share for name, share in shares.items()}
        [plain] = compare_all({"mnist": right}, ["real"], seed=0)
        [found] = compare_all({"mnist": right}, ["real"], seed=0, labels={"mnist": labels})
        gains = [
            right["more"][:, labels == label].mean(axis=1) - right["real"][:, labels == label].mean(axis=1)
            for label in (0, 1)
        ]
        assert found.differences == pytest.approx(100 * np.mean(gains, axis=0))
        assert (found.claims, found.method) == (True, method)
        assert abs(plain.gain) < 3 < 40 < found.gain


def test_a_baseline_alone_meets_nothing() -> None:
    assert compare_all({"mnist": clear(6, "real")}, ["real"], seed=0) == []


def test_recipes_that_read_all_alike_differ_by_nothing() -> None:
    right = guesses(0.9, 6, 50)
    [found] = compare_all({"mnist": {"real": right, "copy": right}}, ["real"], seed=0)
    assert (found.gain, found.low, found.high, found.p, found.claims) == (0, 0, 0, 1, False)


def test_numbers_are_those_of_the_single_tests() -> None:
    right = {"mnist": clear(8, "real", "more", "most") | {"alike": guesses(0.31, 8, 400, seed=9)}}
    found = compare_all(right, ["real"], seed=3)
    assert [one.corrected_p for one in found] == pytest.approx(holm([one.p for one in found if one.p is not None]))
    for one in found:
        first, second = right["mnist"][one.recipe], right["mnist"]["real"]
        gains = 100 * (first.mean(axis=1) - second.mean(axis=1))
        assert one.differences == pytest.approx(gains)
        assert one.gain == pytest.approx(gains.mean())
        interval = bootstrap_interval(first, second, seed=3)
        assert (one.low, one.high) == pytest.approx((interval.low, interval.high), rel=0.05, abs=0.05)
        assert one.p is not None
        assert one.p >= permutation_p(gains)
        assert (one.p < 0.05) <= (not one.low <= 0 <= one.high)
    assert [one.p for one in found[:2]] == [2 / 2**8] * 2
    assert [one.claims for one in found] == [True, True, False]


def test_six_seeds_claim_one_comparison_but_never_two() -> None:
    [alone] = compare_all({"mnist": clear(6, "real", "most")}, ["real"], seed=0)
    assert (alone.corrected_p, alone.claims, alone.method) == (2 / 2**6, True, "permutation test over seeds")
    two_sets = {"mnist": clear(6, "real", "most"), "faxocr": clear(6, "real", "most")}
    for right in ({"mnist": clear(6, "real", "more", "most")}, two_sets):
        for one in compare_all(right, ["real"], seed=0):
            assert one.low > 0
            assert (one.p, one.corrected_p, one.claims) == (2 / 2**6, 4 / 2**6, False)


@pytest.mark.parametrize("seeds", [2, 5])
def test_few_seeds_claim_nothing(seeds: int) -> None:
    [found] = compare_all({"mnist": clear(seeds, "real", "most")}, ["real"], seed=0)
    assert found.low > 0
    assert (found.p, found.corrected_p, found.claims, found.method) == (None, None, False, "interval only")


def test_one_run_is_mcnemars() -> None:
    right = clear(1, "real", "most")
    [found] = compare_all({"mnist": right}, ["real"], seed=0)
    assert (found.method, found.claims, found.seeds) == ("McNemar's test", True, 1)
    close = {"real": guesses(0.6, 1, 400, seed=1), "near": guesses(0.66, 1, 400, seed=2)}
    [found] = compare_all({"mnist": close}, ["real"], seed=0)
    assert found.p == pytest.approx(mcnemar_p(close["near"][0], close["real"][0]), rel=0.3)
    assert found.p >= mcnemar_p(close["near"][0], close["real"][0])


def test_one_run_with_several_classifiers_goes_by_its_interval() -> None:
    right = {name: np.stack([array] * 2, axis=1) for name, array in clear(1, "real", "most").items()}
    [found] = compare_all({"mnist": right}, ["real"], seed=0)
    assert (found.method, found.claims) == ("bootstrap of test images", True)
    [alike] = compare_all(
        {"mnist": {"real": right["real"], "other": guesses(0.3, 1, 2, 400, seed=7)}}, ["real"], seed=0
    )
    assert alike.p is not None
    assert (alike.p < 0.05) == (not alike.low <= 0 <= alike.high)


def test_what_these_images_alone_show_is_not_claimed() -> None:
    # All 10 seeds gain the same, so sign flips are sure; but the gain is 35 images lost and 45 won.
    base = np.ones(1000, bool)
    base[:45] = False
    other = np.roll(base, 500)
    other[500:510] = True
    right = {"real": np.tile(base, (10, 1)), "other": np.tile(other, (10, 1))}
    [found] = compare_all({"mnist": right}, ["real"], seed=0)
    assert permutation_p(found.differences) == 2 / 2**10
    assert found.gain == pytest.approx(1)
    assert found.p == pytest.approx(mcnemar_p(other, base), rel=0.2)
    assert not found.claims


@pytest.mark.parametrize(
    ("right", "baseline", "message"),
    [
        (
            {"real": guesses(0.5, 6, 9), "gan@4": guesses(0.5, 6, 9)},
            "gan@3",
            "mnist: found the baseline 'gan@3'.*gan@4'",
        ),
        ({"real": guesses(0.5, 6, 9), "gan@4": guesses(0.5, 5, 9)}, "real", r"gan@4: found bool of shape \(5, 9\)"),
    ],
)
def test_wrong_comparisons_are_refused(right: Mapping[str, Right], baseline: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare_all({"mnist": right}, [baseline], seed=0)
