"""Check what `make study` left: python tests/first_command.py studies/digits."""

import csv
import json
import sys
from html import unescape
from pathlib import Path

SEEDS = 3


def check(study: Path) -> None:
    """Raise `AssertionError` unless the tables, the verdict and the page of a study of the digits are there."""
    with (study / "tables" / "accuracy.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    recipes = {row["recipe"] for row in rows if row["test set"] == "digits"}
    stages = {row["test set"] for row in rows} - {"digits"}
    expected = {"real", *stages, *(f"real+{stage}" for stage in stages)}
    assert len(stages) == 4, f"found the stages {stages}"
    assert recipes == expected, f"found the recipes {recipes}"
    assert {row["seeds"] for row in rows} == {str(SEEDS)}, rows
    real = float(next(row["mean"] for row in rows if (row["recipe"], row["test set"]) == ("real", "digits")))
    assert 0.85 < real < 1, f"real images alone: found an accuracy of {real}"  # softmax on these digits: 0.91

    verdict = json.loads((study / "verdict.json").read_text(encoding="utf-8"))
    sentences = [case["sentence"] for case in verdict["cases"]]
    assert len(sentences) == 1, sentences
    for page in ("report.md", "report.html"):
        text = unescape((study / page).read_text(encoding="utf-8"))
        assert sentences[0] in text, f"{page} lacks the verdict: {sentences[0]}"
    assert text.rstrip().endswith("</html>"), "report.html is not whole"
    assert len(list((study / "figures").glob("*.png"))) >= 6, "figures are missing"
    print(f"{study}: {len(recipes)} recipes on {len(stages) + 1} test sets, {SEEDS} seeds; {sentences[0]}")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
