"""Write docs/paper.md: the project's tables beside the paper's, cell by cell, and each of its claims.

python docs/paper/compare.py STUDY > docs/paper.md

STUDY is the folder of `mizumashi study mnist --target faxocr --seeds 6`.
"""

import csv
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mizumashi.report.tables import spread
from mizumashi.stats.inference import t_interval
from mizumashi.studies.record import PlanRecord
from mizumashi.studies.results import StudyResult
from mizumashi.utils.text import markdown_table

HERE = Path(__file__).parent

# How the paper calls the project's recipes and test sets.
PAPER_NAMES = {"real": "MNIST", "mnist": "MNIST"}


def paper_name(name: str) -> str:
    """`real+gan@300` is the paper's `DCGAN300+MNIST`."""
    if name.startswith("real+"):
        return paper_name(name.removeprefix("real+")) + "+MNIST"
    return PAPER_NAMES.get(name, name.replace("gan@", "DCGAN"))


def paper_table(name: str) -> dict[tuple[str, str], float]:
    """The paper's cells by model and test set."""
    with (HERE / f"{name}.csv").open(newline="") as file:
        return {
            (row["model"], test): float(value)
            for row in csv.DictReader(file)
            for test, value in row.items()
            if test != "model"
        }


def side_by_side(result: StudyResult, name: str) -> str:
    """The project's mean ± standard deviation over seeds, and the paper's cell in brackets."""
    numbers, paper = getattr(result, name)("softmax"), paper_table(name)
    rows = []
    for number, recipe in enumerate(result.recipes("softmax")):
        cells = [f"{number + 1} {recipe}"]
        for test, values in zip(result.tests, numbers[number], strict=True):
            told = paper.get((paper_name(recipe), paper_name(test)))
            cells.append(spread(values) + (f" ({told:.3f})" if told is not None else ""))
        rows.append(cells)
    return markdown_table(["model", *result.tests], rows)


def interval(differences: NDArray[np.float64]) -> str:
    """Mean and 95 % t interval over seeds, in points."""
    mean, low, high = t_interval(100 * differences)
    each = ", ".join(f"{value:+.1f}" for value in 100 * differences)
    return f"{mean:+.2f} points (95 % t interval {low:+.2f} to {high:+.2f}; seeds {each})"


def claims(result: StudyResult) -> list[tuple[str, bool, str]]:
    """Each claim, whether it held, and the numbers."""
    recipes, numbers = result.recipes("softmax"), result.accuracy("softmax")
    accuracy = {
        (recipe, test): numbers[row, column]
        for row, recipe in enumerate(recipes)
        for column, test in enumerate(result.tests)
    }
    last, source, target = result.stages[-1], "mnist", str(result.target)
    real, alone, mixed = (accuracy[recipe, source] for recipe in ("real", last, f"real+{last}"))
    told = {stage: np.array([by[stage].accuracy for by in result.distances.values()]) for stage in result.stages}
    best = {stage: recipes[int(numbers[:, result.tests.index(stage)].mean(axis=1).argmax())] for stage in result.stages}
    gains = {stage: accuracy[f"real+{last}", stage] - accuracy["real", stage] for stage in result.stages}
    gain = accuracy[last, target] - accuracy["real", target]
    late = {name: values[-len(values) // 4 :] for name, values in all_losses(result).items()}
    return [
        ("Model 1 on MNIST reaches 0.915 (within 0.01)", abs(real.mean() - 0.915) <= 0.01, spread(real)),
        ("Model 5 on MNIST reaches at least 0.884", alone.mean() >= 0.884, spread(alone)),
        (
            "Model 9 on MNIST is within 0.01 of model 1",
            abs(mixed.mean() - real.mean()) <= 0.01,
            f"{spread(mixed)} against {spread(real)}",
        ),
        (
            "Each GAN test set is read best by the model that was trained on that stage",
            all(recipe == stage for stage, recipe in best.items()),
            "; ".join(f"{stage}: {recipe}" for stage, recipe in best.items()),
        ),
        (
            "Model 9 reads every GAN test set better than model 1 does",
            all(values.mean() > 0 for values in gains.values()),
            "; ".join(f"{stage}: {100 * values.mean():+.1f} points" for stage, values in gains.items()),
        ),
        (
            "Later stages are nearer to MNIST than earlier ones: how often a classifier tells them from real images",
            all(told[one].mean() > told[next_].mean() for one, next_ in pairwise(result.stages)),
            "; ".join(f"{stage}: {spread(values)}" for stage, values in told.items()) + "; 0.5 would be never",
        ),
        (
            "Both losses end around 1.4 (figure 2; within 0.3)",
            all(abs(values.mean() - 1.4) < 0.3 for values in late.values()),
            "; ".join(f"{name}: {values.mean():.2f} over the last quarter" for name, values in late.items()),
        ),
        ("Model 5 stands above model 1 on FaxOCR (the paper: about 3 points)", gain.mean() > 0, interval(gain)),
    ]


def all_losses(result: StudyResult) -> dict[str, NDArray[np.float64]]:
    """The mean over seeds of both losses at every step."""
    from mizumashi.gan.run import GanRun

    runs = [GanRun(result.store.gan(seed)).losses() for seed in result.seeds]
    return {name: np.mean([losses[name] for losses in runs], axis=0) for name in ("generator", "discriminator")}


def main() -> None:
    """Print the page."""
    result = StudyResult.read(sys.argv[1])
    plan = result.plan
    rows = [[claim, "held" if held else "did not hold", numbers] for claim, held, numbers in claims(result)]
    print((HERE / "head.md").read_text(encoding="utf-8"))
    print(f"{len(result.seeds)} seeds; {plan.target.count} FaxOCR images; {versions(plan)}.\n")
    prose = markdown_table(["claim", "here", "numbers"], rows).replace("---:", ":---")
    print(f"## The claims\n\n{prose}\n")
    for number, name in enumerate(("accuracy", "loss"), start=1):
        print(f"## Table {number}: {name}\n\nHere, mean ± standard deviation over seeds (the paper).\n")
        print(side_by_side(result, name) + "\n")
    print((HERE / "tail.md").read_text(encoding="utf-8"), end="")


def versions(plan: PlanRecord) -> str:
    """The versions that made the numbers."""
    return "; ".join(", ".join(f"{name} {number}" for name, number in used.items()) for used in plan.versions)


if __name__ == "__main__":
    main()
