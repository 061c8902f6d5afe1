from mizumashi.report.words import _settings, verdict_note
from mizumashi.studies.verdict import Case, Verdict


def note(seeds: int, comparisons: int) -> str:
    case = Case("softmax", "scans", "real", "", (), None, 0.25)
    return verdict_note(Verdict((case,), comparisons, seeds, ""), str)


def test_the_note_says_what_so_many_seeds_can_claim():
    assert "McNemar" in note(1, 2)
    assert "claim nothing" in note(5, 0)
    assert "probability" not in note(5, 0)
    assert "corrected for 4 comparisons" in note(6, 4)
    assert "with a probability of 0.25 (softmax on scans)" in note(6, 4)


def test_a_setting_that_is_left_open_is_not_shown():
    assert _settings({"name": "cnn", "steps": None, "batch_size": 32, "rate": 0.02}) == "cnn (batch_size 32, rate 0.02)"
