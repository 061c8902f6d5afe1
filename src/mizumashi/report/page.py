"""A study's tables, figures and report, from its result files alone."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mizumashi import files
from mizumashi.data.npz import read_npz
from mizumashi.gan.presets import PRESETS
from mizumashi.measure.embedding import SharedMap
from mizumashi.progress import Progress, silent
from mizumashi.report import figures, tables
from mizumashi.studies.results import StudyResult

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
    """Write tables/, figures/ and report.md into a finished study's folder; nothing is trained.

    Args:
        folder: the study's folder.
        progress: called after each figure.

    Returns:
        The study's numbers.

    Raises:
        InputError: the folder holds no finished study.
    """
    result = StudyResult.read(folder)
    for name, numbers in (("accuracy", result.accuracy), ("loss", result.loss)):
        csv = tables.tidy_csv(result.recipes, result.tests, numbers)
        files.write_text(folder / "tables" / f"{name}.csv", csv)
        matrix = tables.matrix(result.recipes, result.tests, numbers)
        files.write_text(folder / "tables" / f"{name}.md", matrix + "\n")
    drawings = list(_drawings(result))
    for done, (name, _, make) in enumerate(drawings, start=1):
        figures.save(make(), folder / "figures" / name)
        progress("figures", done, len(drawings), "")
    files.write_text(folder / "report.md", _report(result, drawings))
    return result


def _drawings(result: StudyResult) -> Iterator[Drawing]:
    examples = _examples(result)
    classes = result.plan["source"]["class_names"]
    stages, source, target = result.stages, result.plan["source"]["name"], result.target

    def rows(names: Sequence[str], per_class: int) -> "Figure":
        shown = [(name, np.concatenate(examples[name][:, :per_class])) for name in names]
        return figures.image_rows(shown, classes, per_class)

    yield (
        "losses",
        "Loss of the generator and the discriminator against the training step (the paper's figure 2).",
        lambda: figures.loss_curves(_losses(result), EQUILIBRIUM[result.plan["gan"]["objective"]]),
    )
    yield (
        "stages",
        f"Generated images of each stage, and {source} in the last row (figure 3).",
        lambda: rows([*stages, source], EXAMPLES_PER_CLASS),
    )
    yield (
        "map",
        f"One t-SNE map of {source} and the images of every stage (figure 4).",
        lambda: figures.embedding_panels(_map(result)),
    )
    others = [source] if target is None else [source, target]
    yield (
        "sets",
        f"One image of each class from every stage and from {' and '.join(others)} (figure 5).",
        lambda: rows([*stages, *others], 1),
    )
    tested = target or source
    yield (
        "recipes",
        f"Accuracy of every recipe on {tested}; the red line is the model trained on real images (figure 6).",
        lambda: _recipe_accuracy(result, tested),
    )


def _recipe_accuracy(result: StudyResult, test: str) -> "Figure":
    column = result.tests.index(test)
    count = result.cells[0].scores[test].count
    return figures.recipe_accuracy(
        result.recipes, result.accuracy[:, column], "real", count, f"Accuracy on {count} images of {test}"
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


def _report(result: StudyResult, drawings: Sequence[Drawing]) -> str:
    plan = result.plan
    title = plan["source"]["name"] + (f" → {result.target}" if result.target else "")
    parts = [
        f"# Study: {title}",
        _what_was_done(plan),
        "## Accuracy",
        _spread_note(plan),
        tables.matrix(result.recipes, result.tests, result.accuracy),
        "## Loss",
        "Mean cross-entropy in nats.",
        tables.matrix(result.recipes, result.tests, result.loss),
        "## How far the generated images are from the real ones",
        "Accuracy, on images that it has not seen, of a classifier that tells generated from real: 0.5 where it "
        "cannot, 1 where it always can.",
        _distances(result),
        "## Figures",
        *(f"![{caption}](figures/{name}.png)\n\n{caption}" for name, caption, _ in drawings),
        "## Made with",
        ", ".join(f"{name} {number}" for name, number in plan["versions"].items()),
    ]
    return "\n\n".join(parts) + "\n"


def _what_was_done(plan: dict[str, Any]) -> str:
    source, target, gan = plan["source"], plan["target"], plan["gan"]
    lines = [
        f"- Source: {source['name']}, {source['train']} training and {source['count'] - source['train']} test "
        f"images of {source['size'][0]}x{source['size'][1]} pixels, {len(source['class_names'])} classes.",
        f"- GAN: {gan['steps']} steps of {gan['batch_size']} images, {gan['objective']} loss; {_unlike_paper(gan)}.",
        f"- Classifier: softmax regression, {plan['classifier']['steps']} steps of "
        f"{plan['classifier']['batch_size']} images.",
        f"- Repeated with {plan['seeds']} GAN seed(s), {plan['classifier_seeds']} classifier(s) each.",
    ]
    if target:
        lines.insert(1, f"- Target: {target['name']}, {target['count']} test images.")
    return "\n".join(lines)


def _unlike_paper(gan: dict[str, Any]) -> str:
    paper = PRESETS["paper"]()
    wanted = asdict(paper) | {"snapshots": list(paper.stages), "widths": list(paper.widths)}
    unlike = [
        f"{key} {gan[key]} (paper preset: {value})"
        for key, value in wanted.items()
        if key != "seed" and gan[key] != value
    ]
    return "not the paper's schedule: " + ", ".join(unlike) if unlike else "all as in the paper preset"


def _spread_note(plan: dict[str, Any]) -> str:
    if plan["seeds"] == 1:
        return "One seed: nothing here says how much chance has moved these numbers."
    return f"Mean ± standard deviation over {plan['seeds']} seeds, the GAN included."


def _distances(result: StudyResult) -> str:
    rows = [
        [
            stage,
            tables.spread(np.array([by_stage[stage]["accuracy"] for by_stage in result.distances.values()])),
        ]
        for stage in result.stages
    ]
    return tables.markdown(["stage", "told from real"], rows)
