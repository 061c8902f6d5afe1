"""A study's tables, figures and report, from its result files alone."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mizumashi.report import figures, html, numbers, tables, words
from mizumashi.report.data import Confusion, ReportData
from mizumashi.studies.arrays import Neighbours
from mizumashi.studies.results import StudyResult
from mizumashi.studies.store import Store
from mizumashi.utils import files
from mizumashi.utils.progress import Progress, silent
from mizumashi.utils.text import for_markdown, markdown_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES_PER_CLASS = 3
"""Images of each class and stage in figure 3."""

Drawing = tuple[str, str, "Callable[[], Figure]"]
"""A figure's file name, its caption, and what draws it."""


def draw(folder: Path, *, progress: Progress = silent) -> StudyResult:
    """Write verdict.json, tables/, figures/, report.md and report.html into a finished study's folder.

    Nothing is trained. The same files give the same bytes.

    Args:
        folder: the study's folder.
        progress: called after each figure.

    Returns:
        The study's numbers.

    Raises:
        InputError: the folder holds no finished study.
    """
    result = StudyResult.read(folder)
    with files.expect_undamaged(Store(folder).results, "the study's command writes it again"):
        _draw(result, folder, progress)
    return result


def _draw(result: StudyResult, folder: Path, progress: Progress) -> None:
    for path, content in _files(result, progress).items():  # all are made before the first is written
        files.write_bytes(folder / path, content)


def _files(result: StudyResult, progress: Progress) -> dict[str, bytes]:
    """What a report's files hold, by their path in the study's folder."""
    facts = ReportData(result)
    texts = {f"tables/{name}.csv": text for name, text in numbers.csv_tables(facts).items()}
    for name, of_study in (("accuracy", result.accuracy), ("loss", result.loss)):
        by_classifier = {
            classifier: (result.recipes(classifier), of_study(classifier)) for classifier in result.classifiers
        }
        texts[f"tables/{name}.csv"] = tables.tidy_csv(by_classifier, result.tests)
        texts[f"tables/{name}.md"] = _matrices(result, of_study) + "\n"
    gains = _gains(facts)
    texts["tables/gains.md"] = gains + "\n"
    drawings = list(_drawings(facts))
    texts["report.md"] = _report(facts, drawings, gains)
    texts["report.html"] = html.render(facts, {name: caption for name, caption, _ in drawings})
    made = {"verdict.json": files.json_bytes(result.verdict.as_json())}
    for done, (name, _, make) in enumerate(drawings, start=1):
        made |= {f"figures/{name}.{suffix}": content for suffix, content in figures.drawn(make()).items()}
        progress("figures", done, len(drawings), "")
    return made | {path: text.encode() for path, text in texts.items()}


def _drawings(facts: ReportData) -> Iterator[Drawing]:
    result, examples, positions, classes = facts.result, facts.examples, facts.positions, facts.class_names
    stages, source, target = result.stages, result.plan.source.name, result.target
    real, generated = len(positions.reference), len(positions.others[stages[0]])

    def rows(names: Sequence[str], per_class: int) -> "Figure":
        shown = [(name, np.concatenate(examples[name][:, :per_class])) for name in names]
        return figures.image_rows(shown, classes, per_class)

    yield (
        "losses",
        "Loss of the generator and the discriminator against the training step, "
        f"{words.counted(len(result.seeds), 'run')} (the paper's figure 2).",
        lambda: figures.loss_curves(facts.losses, facts.equilibrium),
    )
    yield (
        "stages",
        f"{EXAMPLES_PER_CLASS} images of each class from each stage of the first seed's GAN, and from {source} in the "
        "last row (figure 3).",
        lambda: rows([*stages, source], EXAMPLES_PER_CLASS),
    )
    yield (
        "map",
        f"One t-SNE map of {real} training images of {source} and {generated} images of every stage of the first "
        "seed's GAN (figure 4).",
        lambda: figures.embedding_panels(positions),
    )
    others = [source] if target is None else [source, target]
    yield (
        "sets",
        f"One image of each class from every stage of the first seed's GAN and from {' and '.join(others)} (figure 5).",
        lambda: rows([*stages, *others], 1),
    )
    tested = target or source
    for place, classifier in enumerate(result.classifiers):
        yield (
            "recipes" if place == 0 else f"recipes-{place + 1}",
            f"Accuracy of every recipe on {tested}, read by {classifier}; the red line is the mean of the models "
            "trained on real images (figure 6).",
            partial(_recipe_accuracy, result, classifier, tested),
        )
    for place, (_, panels) in enumerate(groupby(facts.confusions, lambda found: (found.classifier, found.test))):
        found = list(panels)
        yield (
            "confusion" if place == 0 else f"confusion-{place + 1}",
            f"How {found[0].classifier} reads each class of {found[0].test}: real images, the verdict's pick and the "
            "last stage's images.",
            partial(_confusion, found, classes),
        )
    if facts.neighbours is not None:
        yield (
            "neighbours",
            f"Images of {stages[-1]} and the training images of {source} that they are nearest to, those most like a "
            "copy first, then as many drawn at random; above each pair its nearness: 0 for a copy, near 1 for none.",
            partial(_neighbours, facts.neighbours),
        )


def _confusion(found: Sequence[Confusion], class_names: Sequence[str]) -> "Figure":
    return figures.confusion_panels({each.recipe: each.counts for each in found}, class_names)


def _neighbours(found: Neighbours) -> "Figure":
    heads = [f"{nearness:.2f}" for nearness in found.nearness]
    return figures.image_rows([("generated", found.generated), ("nearest real", found.nearest)], heads, 1)


def _recipe_accuracy(result: StudyResult, classifier: str, test: str) -> "Figure":
    column = result.tests.index(test)
    count = result.cells[0].scores[test].count
    return figures.recipe_accuracy(
        result.recipes(classifier),
        result.accuracy(classifier)[:, column],
        "real",
        None if result.balances else count,
        f"Accuracy on {count} images of {test}" + result.counting,
    )


def _report(facts: ReportData, drawings: Sequence[Drawing], gains: str) -> str:
    result = facts.result
    plan, verdict = result.plan, result.verdict
    parts = [
        f"# Study: {for_markdown(plan.title)}",
        "## Verdict",
        _listed(verdict.sentences),
        for_markdown(words.verdict_note(verdict)),
        _listed(words.choices(result)),
        "## What was done",
        _listed(words.what_was_done(plan)),
        "## Accuracy",
        words.spread_note(plan),
        _matrices(result, result.accuracy),
        "## What it gains",
        words.gain_note(plan),
        gains,
        "## Loss",
        "Mean cross-entropy in nats.",
        _matrices(result, result.loss),
        "## How far the generated images are from the real ones",
        words.distance_note(result),
        _distances(result),
        "## Whether a GAN has collapsed",
        words.COLLAPSE_NOTE,
        _collapse(facts),
        "## Figures",
        *(
            f"![{for_markdown(caption)}](figures/{name}.png)\n\n{for_markdown(caption)}"
            for name, caption, _ in drawings
        ),
        "## Made with",
        "; before that ".join(
            ", ".join(for_markdown(f"{name} {number}") for name, number in versions.items())
            for versions in plan.versions[::-1]
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {for_markdown(line)}" for line in lines)


def _matrices(result: StudyResult, numbers: Callable[[str], NDArray[np.float64]]) -> str:
    """A table for each classifier, headed by its name where there are several."""
    return _headed(result, lambda name: tables.matrix(result.recipes(name), result.tests, numbers(name)))


def _headed(result: StudyResult, table: Callable[[str], str]) -> str:
    if len(result.classifiers) == 1:
        return table(result.classifiers[0])
    return "\n\n".join(f"### {for_markdown(name)}\n\n{table(name)}" for name in result.classifiers)


def _gains(facts: ReportData) -> str:
    def table(classifier: str) -> str:
        gains = [facts.gains[classifier, test] for test in facts.result.tests]
        rows = [[recipe, *(tables.points(of_test[recipe]) for of_test in gains)] for recipe in gains[0]]
        return markdown_table(["recipe", *facts.result.tests], rows)

    return _headed(facts.result, table)


def _distances(result: StudyResult) -> str:
    def told(stage: str) -> str:
        found = [by_stage[stage] for by_stage in result.distances.values()]
        if len(found) == 1:
            return f"{found[0].accuracy:.3f} ({found[0].low:.3f} to {found[0].high:.3f})"
        return tables.spread(np.array([each.accuracy for each in found]))

    return markdown_table(["stage", "told from real"], [[stage, told(stage)] for stage in result.stages])


def _collapse(facts: ReportData) -> str:
    """For each stage the class that varies least, and whether it has collapsed."""
    rows = [
        [one.stage, f"{one.share:.2f} (class {one.class_name}, seed {one.seed})", "yes" if one.collapsed else "no"]
        for one in facts.collapse
    ]
    return markdown_table(["stage", "varies least", "collapsed"], rows)
