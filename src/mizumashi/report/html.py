"""report.html: a study as one page that needs no network, from its facts."""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mizumashi.report import numbers, tables, words
from mizumashi.report.command import UNNAMED, repeating_command
from mizumashi.report.curves import Chart, chart
from mizumashi.report.data import Confusion, ReportData
from mizumashi.report.sprites import sheet, shrunk
from mizumashi.stats.inference import Interval
from mizumashi.utils.schema import to_json
from mizumashi.utils.text import for_terminal

TEMPLATES = Path(__file__).parent / "templates"

MOST_CLASSES = 50
"""Of more classes, the page shows the examples of the first ones."""

MOST_READ = 30
"""Of more classes, the page lists the readings that are wrong most often instead of a matrix."""

EXAMPLE_BYTES = 3 * 2**20
MAP_BYTES = 5 * 2**20
"""Pixels that a page carries at most; larger images are shown smaller."""

MAP_COLUMNS = 40
MAP_WIDTH = 1000


@dataclass(frozen=True)
class AccuracyCell:
    """One number of the accuracy table, and where its interval lies between the lowest and the highest end: 0 ... 100.

    Args:
        mean: accuracy.
        interval: its ends in words; empty where there are none.
        place: of the mean.
        low: of the interval.
        width: of the interval.
        baseline: the place of real images' mean.
    """

    mean: str
    interval: str
    place: float
    low: float
    width: float
    baseline: float


@dataclass(frozen=True)
class Strips:
    """The examples of all classes, as pictures that styles cut into strips.

    Args:
        columns: images of a class.
        classes: names of the classes shown.
        left_out: how many are not.
        ratio: width over height of one image.
        stages: a sheet for each stage, one row for each class.
        others: likewise for the real test sets.
    """

    columns: int
    classes: list[str]
    left_out: int
    ratio: float
    stages: dict[str, str]
    others: dict[str, str]


@dataclass(frozen=True)
class MapSet:
    """A set on the t-SNE map.

    Args:
        name: the set's.
        path: its points as an SVG path of dots.
        count: of points.
        sheet: the pictures behind them; empty where there are none.
        rows: of that sheet.
        labels: of the pictures.
    """

    name: str
    path: str
    count: int
    sheet: str
    rows: int
    labels: list[int]


@dataclass(frozen=True)
class Readings:
    """A confusion matrix as the page shows it.

    Args:
        recipe: what trained the classifiers.
        head: the name of each column.
        rows: the name of a label, how many images, and for each column the share in words and as a number.
        worst: instead of rows, where there are too many classes: label, what was read, share of the label's images.
    """

    recipe: str
    head: list[str]
    rows: list[tuple[str, int, list[tuple[str, float]]]]
    worst: list[tuple[str, str, str]]


def render(facts: ReportData, figures: Mapping[str, str]) -> str:
    """The page.

    Args:
        facts: what it shows.
        figures: the name and caption of each figure that lies beside it.

    Raises:
        InputError: a file of the study is missing or damaged.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
    )
    environment.filters |= {"code": _code, "breakable": _breakable}
    script, style = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.js", "report.css"))
    result, plan = facts.result, facts.result.plan
    few, command = len(result.seeds) == 1, repeating_command(plan)
    return environment.get_template("report.html").render(
        script=_trusted(script),
        style=_trusted(style),
        # With its hash allowed and nothing else, a name that found its way into the page could not run as a script.
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        plan=plan,
        result=result,
        tests=_tests(facts),
        title=plan.title,
        verdict=result.verdict,
        verdict_note=words.verdict_note(result.verdict),
        choices=words.choices(result),
        done=words.what_was_done(plan),
        accuracy_note=words.accuracy_note(plan),
        accuracy={name: _accuracy(facts, name) for name in result.classifiers},
        gain_note=words.gain_note(plan),
        gains={name: _gains(facts, name) for name in result.classifiers},
        strips=_strips(facts),
        map=_map(facts),
        map_size=(MAP_WIDTH, _map_height(facts)),
        map_image=_map_image(facts),
        class_names=[for_terminal(name) for name in facts.class_names],
        losses=_losses(facts),
        counted=words.counted,
        collapse=facts.collapse,
        collapse_note=words.COLLAPSE_NOTE,
        confusions=_confusions(facts),
        neighbours=_neighbours(facts),
        distance_note=words.distance_note(result),
        distances=[(stage, _told(facts, stage), _told_mean(facts, stage)) for stage in result.stages],
        spread="95 % interval" if few else "± standard deviation",
        configuration=list(_flat(to_json(plan))),
        command=command,
        unnamed=[name for name in UNNAMED if name in command.split()],
        figures=figures,
        csv_tables=["accuracy", "loss", *numbers.csv_tables(facts)],
    )


def _finalize(value: object) -> object:
    """Show control characters of names as escapes; autoescaping does the rest."""
    return for_terminal(value) if type(value) is str else value


def _trusted(text: str) -> str:
    """Text of our own that goes into the page as it is."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 (a file of this package)


def _code(text: str) -> str:
    """What stands between backticks as code; for sentences of our own."""
    from markupsafe import Markup, escape

    parts = for_terminal(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def _breakable(recipe: str) -> str:
    """A recipe that may break before each plus sign."""
    from markupsafe import Markup

    return Markup("<wbr>+").join(for_terminal(recipe).split("+"))


def _accuracy(facts: ReportData, classifier: str) -> list[tuple[str, list[AccuracyCell]]]:
    """For each recipe a cell for each test set."""
    columns = [_cells(facts.accuracies[classifier, test]) for test in _tests(facts)]
    return [(recipe, [column[recipe] for column in columns]) for recipe in facts.result.recipes(classifier)]


def _cells(accuracies: Mapping[str, Interval]) -> dict[str, AccuracyCell]:
    known = np.array([[each.mean, each.mean if np.isnan(each.low) else each.low] for each in accuracies.values()])
    highest = np.nanmax([[each.mean, each.high] for each in accuracies.values()])
    lowest = known.min()
    scale = 100 / max(highest - lowest, 1e-9)
    baseline = next(iter(accuracies.values())).mean

    def cell(found: Interval) -> AccuracyCell:
        mean, low, high = found
        none = bool(np.isnan(low))
        ends = (mean, mean) if none else (low, high)
        return AccuracyCell(
            mean=f"{mean:.3f}",
            interval="" if none else f"{low:.3f} to {high:.3f}",
            place=round((mean - lowest) * scale, 1),
            low=round((ends[0] - lowest) * scale, 1),
            width=round((ends[1] - ends[0]) * scale, 1),
            baseline=round((baseline - lowest) * scale, 1),
        )

    return {recipe: cell(found) for recipe, found in accuracies.items()}


def _tests(facts: ReportData) -> list[str]:
    """The test sets, real ones first: a narrow screen shows the first columns."""
    return [*facts.result.tested, *(name for name in facts.result.tests if name not in facts.result.tested)]


def _gains(facts: ReportData, classifier: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each recipe and test set a gain, and the ends of its interval, if there is one."""
    columns = [facts.gains[classifier, test] for test in _tests(facts)]
    texts = [{recipe: tables.points(gain) for recipe, gain in column.items()} for column in columns]
    return [(recipe, [_parted(column[recipe]) for column in texts]) for recipe in columns[0]]


def _parted(text: str) -> tuple[str, str]:
    number, _, rest = text.partition(" (")
    return number, rest.removesuffix(")")


def _strips(facts: ReportData) -> Strips:
    examples, stages, tested = facts.examples, facts.result.stages, facts.result.tested
    first = examples[stages[0]]
    classes, columns = min(first.shape[0], MOST_CLASSES), first.shape[1]
    shown = {name: examples[name][:classes].reshape(-1, *first.shape[2:]) for name in [*stages, *tested]}
    count = classes * columns * len(shown)
    sheets = {name: sheet(shrunk(images, count, EXAMPLE_BYTES), columns) for name, images in shown.items()}
    return Strips(
        columns=columns,
        classes=facts.class_names[:classes],
        left_out=len(facts.class_names) - classes,
        ratio=first.shape[3] / first.shape[2],
        stages={name: sheets[name] for name in stages},
        others={name: sheets[name] for name in tested},
    )


def _ends(facts: ReportData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    everything = np.concatenate([*facts.points.values()])
    low, high = everything.min(axis=0), everything.max(axis=0)
    return low, np.maximum(high - low, 1e-9)


def _map_height(facts: ReportData) -> int:
    _, (width, height) = _ends(facts)
    return int(np.clip(MAP_WIDTH * height / width, MAP_WIDTH // 2, MAP_WIDTH))


def _map_image(facts: ReportData) -> tuple[int, int]:
    """Width and height of a picture in the map's sheets."""
    if facts.pictures is None:
        return 1, 1
    _, height, width, _ = facts.pictures["real"].images.shape
    return width, height


def _map(facts: ReportData) -> list[MapSet]:
    low, size = _ends(facts)
    margin = 12
    extent = np.array([MAP_WIDTH, _map_height(facts)]) - 2 * margin
    found = []
    total = sum(map(len, facts.points.values()))
    for name, points in facts.points.items():
        x, y = ((points - low) / size * extent + margin).round().astype(int).T
        top = _map_height(facts) - y  # the page's y grows downwards
        path = "".join(f"M{left} {down}h0" for left, down in zip(x, top, strict=True))
        behind, labels = "", []
        if facts.pictures is not None:
            pictures = facts.pictures[name]
            behind = sheet(shrunk(pictures.images, total, MAP_BYTES), MAP_COLUMNS)
            labels = pictures.labels.tolist()
        found.append(MapSet(name, path, len(points), behind, -(-len(points) // MAP_COLUMNS), labels))
    return found


def _losses(facts: ReportData) -> Chart:
    return chart({network: list(runs.values()) for network, runs in facts.losses.items()}, facts.equilibrium)


def _confusions(facts: ReportData) -> list[tuple[str, str, list[Readings]]]:
    grouped = groupby(facts.confusions, lambda found: (found.classifier, found.test))
    return [(*which, [_readings(each, facts.class_names) for each in found]) for which, found in grouped]


def _readings(found: Confusion, names: Sequence[str]) -> Readings:
    totals = found.counts.sum(axis=1)
    shares = found.counts / np.maximum(totals, 1)[:, None]
    if len(names) <= MOST_READ:
        rows = [
            (name, int(total), [(_percent(share), round(float(share), 3)) for share in row])
            for name, total, row in zip(names, totals, shares, strict=True)
        ]
        return Readings(found.recipe, list(names), rows, [])
    wrong = shares.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_READ]
    pairs = [divmod(int(place), len(names)) for place in order]
    worst = [(names[label], names[read], _percent(wrong[label, read])) for label, read in pairs if wrong[label, read]]
    return Readings(found.recipe, [], [], worst)


def _percent(share: float) -> str:
    if share == 0:
        return "·"
    return "<1" if share < 0.005 else f"{100 * share:.0f}"


def _neighbours(facts: ReportData) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """In two groups: a generated picture, its neighbour, nearness and distance."""
    found = facts.neighbours
    if found is None:
        return []
    pairs = [
        (sheet(drawn[None], 1), sheet(real[None], 1), f"{nearness:.2f}", f"{distance:.0f}")
        for drawn, real, nearness, distance in zip(
            shrunk(found.generated, 2 * len(found.generated), EXAMPLE_BYTES),
            shrunk(found.nearest, 2 * len(found.generated), EXAMPLE_BYTES),
            found.nearness,
            found.distance,
            strict=True,
        )
    ]
    half = len(pairs) // 2
    return [("Most like a copy", pairs[:half]), ("Drawn at random", pairs[half:])]


def _told(facts: ReportData, stage: str) -> str:
    found = [by_stage[stage] for by_stage in facts.result.distances.values()]
    if len(found) == 1:
        return f"{found[0].accuracy:.3f} ({found[0].low:.3f} to {found[0].high:.3f})"
    return tables.spread(np.array([each.accuracy for each in found]))


def _told_mean(facts: ReportData, stage: str) -> float:
    return float(np.mean([by_stage[stage].accuracy for by_stage in facts.result.distances.values()]))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every setting of a plan with its dotted name; long lists are cut."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for place, inner in enumerate(value, start=1):
            yield from _flat(inner, f"{name} {place}")
    elif isinstance(value, list):
        more = f" … and {len(value) - MOST_CLASSES} more" if len(value) > MOST_CLASSES else ""
        yield name, (", ".join(map(_word, value[:MOST_CLASSES])) or "none") + more
    else:
        yield name, _word(value)


def _word(value: object) -> str:
    names = {None: "none", True: "yes", False: "no"}
    return names[value] if value is None or isinstance(value, bool) else str(value)
