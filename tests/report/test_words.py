from mizumashi.report.words import verdict_note
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
