from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages
from mizumashi.data.split import stratified_split
from mizumashi.report.words import _mixed, _settings, accuracy_note, spread_note, verdict_note
from mizumashi.stats.claims import compare_all
from mizumashi.studies.config import Regime, StudyConfig
from mizumashi.studies.plan import Plan
from mizumashi.studies.record import PlanRecord
from mizumashi.studies.verdict import Case, Verdict


@pytest.fixture(scope="module")
def record(blobs: LabelledImages) -> PlanRecord:
    return Plan(stratified_split(blobs, 0.5, seed=0), None, None, StudyConfig()).record()


def note(seeds: int, comparisons: int, labels: NDArray[np.int64] | None = None) -> str:
    right = {name: np.random.default_rng(seed).random((seeds, 9)) < 0.5 for seed, name in enumerate(("real", "gan@4"))}
    compared = compare_all({"scans": right}, ["real"], 0, labels={"scans": labels})
    case = Case("softmax", "scans", "real", "", tuple(compared), None, 0.25)
    return verdict_note(Verdict((case,), comparisons, seeds, ""))


def test_the_note_says_what_so_many_seeds_can_claim():
    assert "p-values (McNemar's test) are" in note(1, 2)
    assert "p-values (bootstrap of test images) are" in note(1, 2, np.arange(9) % 2)
    assert "claim nothing" in note(5, 0)
    assert "probability" not in note(5, 0)
    assert "corrected for 4 comparisons" in note(6, 4)
    assert "with a probability of 0.25 (softmax on scans)" in note(6, 4)


def test_a_setting_that_is_left_open_is_not_shown():
    assert _settings({"name": "cnn", "steps": None, "batch_size": 32, "rate": 0.02}) == "cnn (batch_size 32, rate 0.02)"


@pytest.mark.parametrize(
    ("balance", "grow", "expected"),
    [
        (False, False, "half real unless"),
        (False, True, "as many again unless"),
        (True, False, "the size of the largest"),
    ],
)
def test_the_report_says_what_mixed_sets_are(record: PlanRecord, balance: bool, grow: bool, expected: str):
    assert expected in _mixed(replace(record, regime=Regime(balance=balance), grow=grow))


@pytest.mark.parametrize("seeds", [1, 6])
@pytest.mark.parametrize("balance", [False, True])
def test_notes_say_where_every_class_counts_alike(record: PlanRecord, balance: bool, seeds: int):
    plan = replace(record, regime=Regime(balance=balance), seeds=seeds)
    for note_of in (spread_note, accuracy_note):
        assert note_of(plan).startswith("Every class counts alike. ") is balance
