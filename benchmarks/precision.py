"""Does bfloat16 change what a study finds? Paired differences between two studies, seed by seed.

Training, drawing and the classifiers' products are in bfloat16 in one, in float32 in the other.

mizumashi study mnist --target faxocr --seeds 6 --precision 32-true --out studies/float32
mizumashi study mnist --target faxocr --seeds 6 --precision bf16-mixed --out studies/bf16
python benchmarks/precision.py studies/float32 studies/bf16
"""

import sys

import numpy as np
from alternate import record

from mizumashi.report.tables import spread
from mizumashi.stats.inference import t_interval
from mizumashi.studies.results import StudyResult
from mizumashi.utils.text import markdown_table


def main() -> None:
    """Print and record accuracy in both precisions, and the paired difference with its 95 % t interval in points."""
    exact, quick = (StudyResult.read(path) for path in sys.argv[1:3])
    assert exact.seeds == quick.seeds
    assert exact.plan.gan.precision == "32-true"
    assert quick.plan.gan.precision == "bf16-mixed"
    rows, found = [], []
    accuracies = [result.accuracy("softmax") for result in (exact, quick)]
    for test in (exact.plan.source.name, str(exact.target)):
        column = exact.tests.index(test)
        for row, recipe in enumerate(exact.recipes("softmax")):
            before, after = (accuracy[row, column] for accuracy in accuracies)
            points = 100 * (after - before)
            mean, low, high = t_interval(points)
            shown = f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
            rows.append([recipe, test, spread(before), spread(after), shown])
            found.append({"recipe": recipe, "test": test, "points": points.round(3).tolist(), "low": low, "high": high})
    record("precision", {"seeds": exact.seeds, "unit": "points of accuracy, bf16 - float32", "differences": found})
    print(markdown_table(["recipe", "test set", "float32", "bf16", "difference in points"], rows))
    outside = np.mean([not row["low"] <= 0 <= row["high"] for row in found])
    print(f"\n{100 * outside:.0f} % of the 95 % intervals leave out zero.")


if __name__ == "__main__":
    main()
