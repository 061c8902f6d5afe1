"""A study's tables, figures and report, from its result files alone."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mizumashi import files
from mizumashi.data.npz import read_npz
from mizumashi.gan.collapse import COLLAPSED
from mizumashi.gan.presets import PRESETS
from mizumashi.markdown import legible, markdown
from mizumashi.measure.embedding import SharedMap
from mizumashi.measure.power import FEWEST_SEEDS, LEVEL
from mizumashi.progress import Progress, silent
from mizumashi.report import figures, tables
from mizumashi.studies.choice import Choice
from mizumashi.studies.results import StudyResult
from mizumashi.studies.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXAMPLES_PER_CLASS = 3
"""Images of each class and stage in figure 3."""

EQUILIBRIUM = {
    "non-saturating": {"generator": math.log(2), "discriminator": 2 * math.log(2)},
    "minimax": {"generator": -math.log(2), "discriminator": 2 * math.log(2)},
}
"""The losses where the discriminator cannot tell: D = 1/2 everywhere."""

Drawing = tuple[str, str, "Callable[[], Figure]"]
"""A figure's file name, its caption, and what draws it."""


def draw(folder: Path, *, progress: Progress = silent) -> StudyResult:
    """Write verdict.json, tables/, figures/ and report.md into a finished study's folder; nothing is trained.

    Args:
        folder: the study's folder.
        progress: called after each figure.

    Returns:
        The study's numbers.

    Raises:
        InputError: the folder holds no finished study.
    """
    result = StudyResult.read(folder)
    with files.expect_undamaged(folder / "results.json", "the study's command writes it again"):
        _draw(result, folder, progress)
    return result


def _draw(result: StudyResult, folder: Path, progress: Progress) -> None:
    files.write_json(folder / "verdict.json", result.verdict.as_json())
    for name, numbers in (("accuracy", result.accuracy), ("loss", result.loss)):
        by_classifier = {
            classifier: (result.recipes(classifier), numbers(classifier)) for classifier in result.classifiers
        }
        files.write_text(folder / "tables" / f"{name}.csv", tables.tidy_csv(by_classifier, result.tests))
        files.write_text(folder / "tables" / f"{name}.md", _matrices(result, numbers) + "\n")
    gains = _gains(result)
    files.write_text(folder / "tables" / "gains.md", gains + "\n")
    drawings = list(_drawings(result))
    report = _report(result, drawings, gains)
    for done, (name, _, make) in enumerate(drawings, start=1):
        figures.save(make(), folder / "figures" / name)
        progress("figures", done, len(drawings), "")
    files.write_text(folder / "report.md", report)


def _drawings(result: StudyResult) -> Iterator[Drawing]:
    examples, positions = _examples(result), _map(result)
    classes = result.plan["source"]["class_names"]
    stages, source, target = result.stages, result.plan["source"]["name"], result.target
    real, generated = len(positions.reference), len(positions.others[stages[0]])

    def rows(names: Sequence[str], per_class: int) -> "Figure":
        shown = [(name, np.concatenate(examples[name][:, :per_class])) for name in names]
        return figures.image_rows(shown, classes, per_class)

    yield (
        "losses",
        f"Loss of the generator and the discriminator against the training step, {_counted(len(result.seeds), 'run')} "
        "(the paper's figure 2).",
        lambda: figures.loss_curves(_losses(result), EQUILIBRIUM[result.plan["gan"]["objective"]]),
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


def _recipe_accuracy(result: StudyResult, classifier: str, test: str) -> "Figure":
    column = result.tests.index(test)
    count = result.cells[0].scores[test].count
    return figures.recipe_accuracy(
        result.recipes(classifier),
        result.accuracy(classifier)[:, column],
        "real",
        count,
        f"Accuracy on {count} images of {test}",
    )


def _losses(result: StudyResult) -> dict[str, dict[str, NDArray[np.float64]]]:
    from mizumashi.gan.run import GanRun

    runs = {str(seed): GanRun(result.path / "runs" / str(seed) / "gan").losses() for seed in result.seeds}
    return {
        network: {f"seed {seed}": losses[network] for seed, losses in runs.items()}
        for network in ("generator", "discriminator")
    }


def _examples(result: StudyResult) -> dict[str, NDArray[np.uint8]]:
    images, names = read_npz(result.path / "examples.npz", ("images", "sets"))
    return dict(zip(names.tolist(), images, strict=True))


def _map(result: StudyResult) -> SharedMap:
    reference, *others = read_npz(result.path / "map.npz", ("real", *result.stages))
    return SharedMap(reference, dict(zip(result.stages, others, strict=True)))


def _report(result: StudyResult, drawings: Sequence[Drawing], gains: str) -> str:
    plan, verdict = result.plan, result.verdict
    title = plan["source"]["name"] + (f" → {result.target}" if result.target else "")
    parts = [
        f"# Study: {legible(title)}",
        "## Verdict",
        "\n".join(f"- {legible(line)}" for line in str(verdict).splitlines()),
        _verdict_note(verdict),
        _choices(result),
        "## What was done",
        _what_was_done(plan),
        "## Accuracy",
        _spread_note(plan),
        _matrices(result, result.accuracy),
        "## What it gains",
        _gain_note(plan),
        gains,
        "## Loss",
        "Mean cross-entropy in nats.",
        _matrices(result, result.loss),
        "## How far the generated images are from the real ones",
        _distance_note(result),
        _distances(result),
        "## Whether a GAN has collapsed",
        f"The class whose generated images vary least, of all seeds, as a share of its real images' variation (the "
        f"standard deviation of a pixel). Below {COLLAPSED} all images of a class look alike.",
        _collapse(result),
        "## Figures",
        *(f"![{legible(caption)}](figures/{name}.png)\n\n{legible(caption)}" for name, caption, _ in drawings),
        "## Made with",
        "; before that ".join(
            ", ".join(f"{name} {number}" for name, number in versions.items()) for versions in plan["versions"][::-1]
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _matrices(result: StudyResult, numbers: Callable[[str], NDArray[np.float64]]) -> str:
    """A table for each classifier, headed by its name where there are several."""
    return _headed(result, lambda name: tables.matrix(result.recipes(name), result.tests, numbers(name)))


def _headed(result: StudyResult, table: Callable[[str], str]) -> str:
    if len(result.classifiers) == 1:
        return table(result.classifiers[0])
    return "\n\n".join(f"### {legible(name)}\n\n{table(name)}" for name in result.classifiers)


def _verdict_note(verdict: Verdict) -> str:
    if verdict.seeds == 1:
        return (
            "One seed: intervals and p-values (McNemar) are about these two classifiers and the choice of test images. "
            "What another GAN would do, they do not say."
        )
    note = (
        f"Intervals: hierarchical bootstrap over {verdict.seeds} seeds and the test images. An effect is claimed from "
        f"{FEWEST_SEEDS} seeds on, where the interval leaves out 0 and the p-value of the paired permutation test over "
        f"seeds, corrected for {verdict.comparisons} comparisons (Holm), is below {LEVEL}."
    )
    known = [case for case in verdict.cases if case.power_at_one_point is not None]
    powers = ", ".join(f"{case.power_at_one_point:.2f} ({case.classifier} on {case.test})" for case in known)
    return (
        f"{note} A true gain of one point would be claimed with a probability of {legible(powers)}." if known else note
    )


def _choices(result: StudyResult) -> str:
    """What validation chose, for each classifier."""
    return "\n".join(
        f"- {legible(classifier)}: of {choice.tried} recipes, {choice.cells} classifiers in all, validation chose "
        f"{legible(choice.recipe)}: {_lead(choice)}."
        for classifier, choice in result.choices.items()
    )


def _lead(choice: Choice) -> str:
    if choice.recipe == choice.baseline:
        return "no other was better there by more than a standard error"
    return f"{choice.gain:+.1f} points there (standard error {choice.error:.1f}) over {legible(choice.baseline)}"


def _what_was_done(plan: dict[str, Any]) -> str:
    source, target, gan = plan["source"], plan["target"], plan["gan"]
    lines = [
        f"- Source: {legible(source['name'])}, {source['train']} training and {source['count'] - source['train']} test "
        f"images of {source['size'][0]}x{source['size'][1]} pixels, {len(source['class_names'])} classes.",
        f"- GAN: {gan['steps']} steps of {gan['batch_size']} images, {gan['objective']} loss, precision "
        f"{gan['precision']}; {_unlike_paper(gan)}.",
        "- Generated sets have the source's labels, image by image, and its training and test part; mixed sets are "
        "half real and half generated and as large as the real one.",
        *(f"- Classifier: {legible(_settings(each))}." for each in plan["classifiers"]),
        *_regime(plan),
        f"- Repeated with {_counted(plan['seeds'], 'GAN')}, {_counted(plan['classifier_seeds'], 'classifier')} each.",
    ]
    if target:
        lines.insert(1, f"- Target: {legible(target['name'])}, {target['count']} test images.")
    return "\n".join(lines)


def _settings(description: dict[str, Any]) -> str:
    """A classifier's name and what sets it."""
    settings = ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in description.items()
        if key != "name" and not isinstance(value, dict)
    )
    return f"{description['name']} ({settings})" if settings else str(description["name"])


def _regime(plan: dict[str, Any]) -> list[str]:
    """What training may see, where it is not all."""
    regime, few = plan["regime"], plan["few"]
    wishes = [
        (regime["per_class"], f"{regime['per_class']} training images of each class, drawn anew for every seed"),
        (regime["imbalance"], f"classes cut to a share: {', '.join(regime['imbalance'])}"),
        (regime["balance"], "generated and synthetic images only bring each class to the size of the largest"),
        (few, f"{few['count'] if few else 0} labelled target images join training and are not tested on"),
        (plan["grow"], "generated images are added to the real ones"),
        (plan["choose"], "a fifth of the training images is set aside for choosing a recipe"),
    ]
    return [f"- {legible(text)[0].upper()}{legible(text)[1:]}." for wished, text in wishes if wished]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" + ("s" if count != 1 else "")


def _unlike_paper(gan: dict[str, Any]) -> str:
    paper = PRESETS["paper"]()
    wanted = asdict(paper) | {"snapshots": list(paper.stages), "widths": list(paper.widths)}
    unlike = [
        f"{key} {gan[key]} (paper preset: {value})"
        for key, value in wanted.items()
        if key not in ("seed", "precision") and gan.get(key, value) != value
    ]
    return "not the paper's schedule: " + ", ".join(unlike) if unlike else "all as in the paper preset"


def _spread_note(plan: dict[str, Any]) -> str:
    if plan["seeds"] == 1:
        return "One seed: nothing here says how much chance has moved these numbers."
    return (
        f"Mean ± standard deviation over {plan['seeds']} seeds. Each seed has a GAN of its own, and its own order of "
        "images for every classifier, that of `real` too."
    )


def _gain_note(plan: dict[str, Any]) -> str:
    note = (
        "Points of accuracy above `real`, in pairs: both classifiers of a seed see their images in the same order. In "
        "brackets 95 % intervals"
    )
    if plan["seeds"] == 1:
        return f"{note} over the real test images; what another seed would bring, they do not say."
    return (
        f"{note}: on real test sets over the {plan['seeds']} seeds and the test images (hierarchical bootstrap), on "
        f"generated ones over the seeds (Student's). With {len(plan['recipes']) - 1} recipes some leave out zero by "
        "chance alone: the verdict corrects for that."
    )


def _gains(result: StudyResult) -> str:
    def table(classifier: str) -> str:
        gains = [result.gains(classifier, test) for test in result.tests]
        rows = [[recipe, *(tables.points(of_test[recipe]) for of_test in gains)] for recipe in gains[0]]
        return markdown(["recipe", *result.tests], rows)

    return _headed(result, table)


def _distance_note(result: StudyResult) -> str:
    count = result.distances[str(result.seeds[0])][result.stages[0]].n_test
    interval = "95 % Wilson interval over them" if result.plan["seeds"] == 1 else "standard deviation over the seeds"
    return (
        "Accuracy of a classifier that tells generated images from the GAN's own training images: 0.5 where it cannot, "
        f"1 where it always can. It is scored on {count} images, half of them real, that it has not seen; in brackets "
        f"or after ± the {interval}."
    )


def _distances(result: StudyResult) -> str:
    def told(stage: str) -> str:
        found = [by_stage[stage] for by_stage in result.distances.values()]
        if len(found) == 1:
            return f"{found[0].accuracy:.3f} ({found[0].low:.3f} to {found[0].high:.3f})"
        return tables.spread(np.array([each.accuracy for each in found]))

    return markdown(["stage", "told from real"], [[stage, told(stage)] for stage in result.stages])


def _collapse(result: StudyResult) -> str:
    """For each stage the class that varies least, and whether it has collapsed."""
    from mizumashi.gan.run import GanRun

    names = result.plan["source"]["class_names"]
    by_seed = {seed: GanRun(result.path / "runs" / str(seed) / "gan").variation() for seed in result.seeds}
    rows = []
    for stage, step in zip(result.stages, result.plan["gan"]["snapshots"], strict=True):
        found = [
            (share, names[label], seed)
            for seed, variation in by_seed.items()
            for label, share in enumerate(variation.get(step, []))
        ]
        if found:  # runs of older versions do not tell
            share, name, seed = min(found)
            rows.append([stage, f"{share:.2f} (class {name}, seed {seed})", "yes" if share < COLLAPSED else "no"])
    return markdown(["stage", "varies least", "collapsed"], rows)
