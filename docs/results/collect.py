"""Write docs/results.md: what studies of real sets found, and whether the tool's picks did harm.

python docs/results/collect.py STUDIES > docs/results.md

STUDIES is the folder that holds the studies of docs/results/head.md, each under the name it has there; those that are
not finished are left out, and the page says which.
"""

import sys
from pathlib import Path

import numpy as np

from mizumashi.report.tables import points
from mizumashi.report.words import choices
from mizumashi.stats.claims import compare_all
from mizumashi.stats.inference import bootstrap_interval
from mizumashi.studies.recipe import CLASSICAL, REAL
from mizumashi.studies.results import StudyResult
from mizumashi.utils.text import for_markdown, markdown_table

HERE = Path(__file__).parent

STUDIES = {
    "faxes": "The paper's claim: MNIST to faxes",
    "faxes-few": "The paper's claim, with a convolutional network",
    "mnist-10": "MNIST, 10 images of each class",
    "mnist-20": "MNIST, 20 images of each class",
    "mnist-20-cnn": "MNIST, 20 images of each class, with a convolutional network",
    "mnist-20-grow": "MNIST, 20 images of each class, generated ones added",
    "mnist-20-grow-cnn": "MNIST, 20 images of each class, generated ones added, with a convolutional network",
    "mnist-50": "MNIST, 50 images of each class",
    "mnist-50-cnn": "MNIST, 50 images of each class, with a convolutional network",
    "mnist-100": "MNIST, 100 images of each class",
    "mnist-100-cnn": "MNIST, 100 images of each class, with a convolutional network",
    "mnist-two-rare": "MNIST with two classes cut to 1 %",
    "mnist-two-rare-cnn": "MNIST with two classes cut to 1 %, with a convolutional network",
    "cifar10-small": "Small photographs, 200 of each class",
    "cifar10-small-cnn": "Small photographs, 200 of each class, with a convolutional network",
    "digits": "The digits of scikit-learn",
}
BASELINES = (str(REAL), str(CLASSICAL))


def accuracy_table(result: StudyResult, classifier: str, test: str) -> str:
    """Each recipe's accuracy and gains, with 95 % intervals over seeds and test images."""
    right = result.right(classifier, test)
    chosen = result.choices[classifier].recipe if result.choices else None
    over_real, alike = result.gains(classifier, test), result.balanced_by(test)
    rows = []
    for recipe, images in right.items():
        none = np.zeros_like(images)
        reached = [number / 100 for number in bootstrap_interval(images, none, result.seeds[0], labels=alike)]
        name = f"{recipe} (chosen)" if recipe == chosen else recipe
        gain = points(over_real[recipe]) if recipe in over_real else ""
        over_classical = ""
        if BASELINES[1] in right and recipe not in BASELINES:
            gained = bootstrap_interval(images, right[BASELINES[1]], result.seeds[0], labels=alike)
            over_classical = points(gained)
        rows.append([name, "{:.3f} ({:.3f} to {:.3f})".format(*reached), gain, over_classical])
    head = ["recipe", f"accuracy on {test}", "points over real"]
    if BASELINES[1] not in right:
        return markdown_table(head, [row[:3] for row in rows])
    return markdown_table([*head, "points over real+classical"], rows)


def harm(result: StudyResult, name: str) -> list[list[str]]:
    """What the tool would use, against the better of the two baselines on the same test images."""
    rows = []
    for case in result.verdict.cases:
        right = result.right(case.classifier, case.test)
        column = result.accuracy(case.classifier)[:, result.tests.index(case.test)].mean(axis=1)
        reached = dict(zip(result.recipes(case.classifier), column.tolist(), strict=True))
        better = max([recipe for recipe in BASELINES if recipe in reached], key=lambda recipe: reached[recipe])
        picks = {"verdict": case.best}
        if result.choices:
            picks["validation"] = result.choices[case.classifier].recipe
        for by, pick in picks.items():
            line = [f"{name}: {case.classifier} on {case.test}", by, pick, better]
            if pick == better:
                rows.append([*line, "the same", "", "no"])
                continue
            asked = {recipe: right[recipe] for recipe in (better, pick)}
            labels = {case.test: result.balanced_by(case.test)}
            [one] = compare_all({case.test: asked}, [better], result.seeds[0], labels=labels)
            assert one.p is not None, "six seeds or more"
            worse = one.p < 0.05 and one.high < 0
            gain = points((one.gain, one.low, one.high))  # type: ignore[arg-type]
            rows.append([*line, gain, f"{one.p:.2g}", "YES" if worse else "no"])
    return rows


def section(name: str, result: StudyResult) -> str:
    """A study: what it did, its tables, and the verdict as the tool printed it."""
    plan = result.plan
    target = f"; {plan.target.count} of {plan.target.name}" if plan.target else ""
    test_count = result.cells[0].scores[result.tested[0]].count
    parts = [
        f"## {STUDIES[name]}",
        f"`{name}`: {len(result.seeds)} seeds with a GAN each, tested on {test_count} images of "
        f"{plan.source.name}{target}.",
    ]
    if result.choices:
        parts.append("\n".join(f"- {sentence}" for sentence in choices(result, str)))
    for classifier in result.classifiers:
        for test in result.tested[::-1]:
            parts += [f"{classifier} on {test}{result.counting}:", accuracy_table(result, classifier, test)]
    parts += ["The verdict:", "\n".join(f"> {line}  " for line in map(for_markdown, result.verdict.sentences))]
    power = [case for case in result.verdict.cases if case.power_at_one_point is not None]
    told = ", ".join(f"{case.power_at_one_point:.2f} ({case.classifier} on {case.test})" for case in power)
    parts.append(f"It would claim a true gain of one point with a probability of {told}.")
    return "\n\n".join(parts)


def main() -> None:
    """Print the page."""
    folder = Path(sys.argv[1])
    found = {name: StudyResult.read(folder / name) for name in STUDIES if (folder / name / "results.json").exists()}
    rows = [row for name, result in found.items() for row in harm(result, name)]
    head = ["case", "picked by", "pick", "better baseline", "points", "p", "worse"]
    print((HERE / "head.md").read_text(encoding="utf-8"))
    if missing := [name for name in STUDIES if name not in found]:
        print(f"Not finished when this page was written, and therefore not on it: {', '.join(missing)}.\n")
    print(f"## Do no harm\n\n{(HERE / 'harm.md').read_text(encoding='utf-8')}\n{markdown_table(head, rows)}\n")
    print("\n\n".join(section(name, result) for name, result in found.items()))


if __name__ == "__main__":
    main()
