"""The verdict over planted truths: accuracies are known, readings are drawn."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mizumashi.metrics.memorization import CopyNumbers
from mizumashi.studies.selection import Choice
from mizumashi.studies.verdict import conclude

IMAGES, SEEDS = 2000, 10


def result(
    accuracy: dict[str, float], seeds: int = SEEDS, chosen: str | None = None, tests: tuple[str, ...] = ("faxes",)
) -> Any:
    """A study whose recipes read a known share of the images, in every seed: each image its own difficulty."""
    difficulty = np.random.default_rng(0).random(IMAGES)

    def right(classifier: str, test: str) -> dict[str, np.ndarray]:
        found = {}
        for recipe, share in accuracy.items():
            random = np.random.default_rng([*recipe.encode(), *test.encode()])
            noise = random.normal(0, 0.03, (seeds, 1, IMAGES))
            found[recipe] = difficulty + noise < share
        return found

    choices = {} if chosen is None else {"softmax": Choice(chosen, "real", 1.0, 0.1, 26, 40)}
    return SimpleNamespace(
        classifiers=["softmax"],
        tested=list(tests),
        seeds=list(range(seeds)),
        recipes=lambda classifier: list(accuracy),
        right=right,
        balanced_by=lambda test: None,
        counting="",
        choices=choices,
        copies=CopyNumbers(1000, 0.01, 0.0, 0.02, 0.01, 0.5, 0),
    )


def test_a_recipe_that_helps_is_recommended_with_its_gain():
    verdict = conclude(result({"real": 0.80, "gan@4": 0.70, "real+gan@4": 0.85}))
    (case,) = verdict.cases
    assert case.best == "real+gan@4"
    assert case.sentence.startswith("For softmax on faxes: use real+gan@4: +")
    assert case.comparisons[1].low < 5 < case.comparisons[1].high
    assert f"{case.comparisons[1].gain:+.1f} points (95 %" in case.sentence
    assert verdict.comparisons == 2
    assert case.more_seeds is None


def test_none_of_it_where_nothing_helps():
    (case,) = conclude(result({"real": 0.80, "gan@4": 0.70, "real+gan@4": 0.78})).cases
    assert case.best == "real"
    assert case.sentence.startswith("For softmax on faxes: use none of it. real+gan@4 comes closest: -")
    assert case.sentence.endswith("which is worse.")


def test_what_classical_augmentation_does_as_well_needs_no_gan():
    accuracy = {"real": 0.80, "real+classical": 0.85, "real+gan@4": 0.85}
    (case,) = conclude(result(accuracy, chosen="real+gan@4")).cases
    assert case.best == "real+classical"
    assert "real+gan@4 is not claimed to beat it" in case.sentence
    (case,) = conclude(result(accuracy | {"real+gan@4": 0.90}, chosen="real+gan@4")).cases
    assert case.best == "real+gan@4"
    assert "over real+classical" in case.sentence


def test_only_what_was_chosen_is_compared():
    accuracy = {"real": 0.80, "real+classical": 0.80, "real+gan@2": 0.9, "real+gan@4": 0.85}
    verdict = conclude(result(accuracy, chosen="real+gan@4", tests=("scans", "faxes")))
    assert {(one.recipe, one.baseline) for case in verdict.cases for one in case.comparisons} == {
        ("real+classical", "real"),
        ("real+gan@4", "real"),
        ("real+gan@4", "real+classical"),
    }
    assert verdict.comparisons == 6
    assert [case.test for case in verdict.cases] == ["faxes", "scans"]  # the target first
    (case,) = conclude(result(accuracy, chosen="real")).cases
    assert case.sentence == "For softmax on faxes: use none of it: validation prefers real images as they are."
    assert case.power_at_one_point is not None  # real+classical against real tells it


def test_five_seeds_claim_nothing_however_clear():
    (case,) = conclude(result({"real": 0.80, "gan@4": 0.99}, seeds=5)).cases
    assert case.best == "real"
    assert "5 seeds claim nothing" in case.sentence


def test_an_open_case_says_how_many_seeds_more():
    (case,) = conclude(result({"real": 0.80, "gan@4": 0.99}, seeds=5)).cases
    assert case.more_seeds == 1  # six flips can show it
    assert "about 1 more seed would settle it" in case.sentence


def test_one_seed_is_about_this_run_alone():
    (case,) = conclude(result({"real": 0.80, "gan@4": 0.90}, seeds=1)).cases
    assert case.best == "gan@4"
    assert case.comparisons[0].method == "McNemar's test"
    assert case.sentence.endswith("in this one run; another GAN may do otherwise.")
    assert case.power_at_one_point is None


def test_the_verdict_is_json_and_prints_its_power():
    verdict = conclude(result({"real": 0.80, "real+gan@4": 0.85}))
    again = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
    assert again["cases"][0]["best"] == "real+gan@4"
    assert 0 <= again["cases"][0]["power_at_one_point"] <= 1
    sentence, copying = str(verdict).splitlines()
    assert sentence == verdict.cases[0].sentence
    assert copying.startswith("No sign that the GAN copies")


def test_readings_of_the_wrong_shape_are_refused():
    broken = result({"real": 0.80, "gan@4": 0.90})
    broken.right = lambda classifier, test: {"real": np.ones((2, 1, 9), bool), "gan@4": np.ones((2, 1, 8), bool)}
    with pytest.raises(ValueError, match="expected booleans"):
        conclude(broken)


def test_a_gain_that_rounds_to_nothing_has_no_minus():
    """One image of 10,000 fewer in one of ten seeds: -0.001 points."""
    right = {"real": np.ones((10, 1, 1000), bool), "gan@4": np.ones((10, 1, 1000), bool)}
    right["gan@4"][0, 0, 0] = False
    study = result({"real": 0.80, "gan@4": 0.80}, seeds=10)
    study.right = lambda classifier, test: right
    (case,) = conclude(study).cases
    assert "+0.0 points" in case.sentence
    assert "-0.0 points" not in case.sentence
