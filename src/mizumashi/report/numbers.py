"""The numbers behind a report's tables and figures, as CSV."""

from collections.abc import Iterator

import numpy as np

from mizumashi.report.data import ReportData
from mizumashi.report.tables import csv_text
from mizumashi.stats.inference import Interval


def csv_tables(facts: ReportData) -> dict[str, str]:
    """Every table by its file's name; those of which a study keeps nothing are left out."""
    found = {
        "accuracy-intervals": _intervals(facts.accuracies, "accuracy", 6),
        "gains": _intervals(facts.gains, "gain in points", 4),
        "distances": _distances(facts),
        "losses": csv_text(["seed", "step", "generator", "discriminator"], _losses(facts)),
        "map": csv_text(["set", "x", "y"], _map(facts)),
        "confusion": csv_text(["classifier", "test set", "recipe", "label", "read as", "images"], _confusions(facts)),
    }
    if facts.collapse:
        rows = [[one.stage, f"{one.share:.4f}", one.class_name, one.seed, one.collapsed] for one in facts.collapse]
        found["collapse"] = csv_text(["stage", "least variation", "class", "seed", "collapsed"], rows)
    if facts.neighbours is not None:
        pairs = zip(facts.neighbours.nearness, facts.neighbours.distance, strict=True)
        half = len(facts.neighbours.nearness) // 2
        found["neighbours"] = csv_text(
            ["place", "drawn", "nearness", "distance"],
            [
                [place, "at random" if place >= half else "most like a copy", f"{nearness:.6f}", f"{distance:.4f}"]
                for place, (nearness, distance) in enumerate(pairs)
            ],
        )
    return found


def _intervals(numbers: dict[tuple[str, str], dict[str, Interval]], what: str, digits: int) -> str:
    rows = [
        [classifier, recipe, test, *("" if np.isnan(number) else f"{number:.{digits}f}" for number in interval)]
        for (classifier, test), recipes in numbers.items()
        for recipe, interval in recipes.items()
    ]
    return csv_text(["classifier", "recipe", "test set", what, "low", "high"], rows)


def _distances(facts: ReportData) -> str:
    rows = [
        [seed, stage, *(f"{number:.6f}" for number in (told.accuracy, told.low, told.high)), told.n_test]
        for seed, stages in facts.result.distances.items()
        for stage, told in stages.items()
    ]
    return csv_text(["seed", "stage", "told from real", "low", "high", "images"], rows)


def _losses(facts: ReportData) -> Iterator[list[str | int]]:
    for name, generator in facts.losses["generator"].items():
        pairs = zip(generator, facts.losses["discriminator"][name], strict=True)
        for step, (of_generator, of_discriminator) in enumerate(pairs, start=1):
            yield [name.removeprefix("seed "), step, f"{of_generator:.6g}", f"{of_discriminator:.6g}"]


def _map(facts: ReportData) -> Iterator[list[str]]:
    for name, points in facts.points.items():
        for x, y in points:
            yield [name, f"{x:.4f}", f"{y:.4f}"]


def _confusions(facts: ReportData) -> Iterator[list[str | int]]:
    names = facts.class_names
    for found in facts.confusions:
        for label, read in np.argwhere(found.counts):
            where = [found.classifier, found.test, found.recipe, names[label], names[read]]
            yield [*where, int(found.counts[label, read])]
