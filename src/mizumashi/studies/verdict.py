"""The verdict: which recipe to use, with what certainty, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mizumashi.metrics.memorization import CopyNumbers
from mizumashi.stats.claims import Comparison, compare_all
from mizumashi.stats.power import FEWEST_SEEDS, LEVEL, power, seeds_needed
from mizumashi.studies.recipe import CLASSICAL, REAL
from mizumashi.studies.results import StudyResult
from mizumashi.utils.schema import to_json
from mizumashi.utils.text import for_terminal

REAL_NAME, CLASSICAL_NAME = str(REAL), str(CLASSICAL)


@dataclass(frozen=True)
class Case:
    """What a study concludes for one classifier and one real test set.

    Args:
        classifier: its name.
        test: the test set's name.
        best: the recipe to use; `real` for none of the others.
        sentence: the conclusion in words.
        comparisons: what it stems from: the recipes in question against real images, and against real images with
            classical augmentation.
        more_seeds: seeds that would probably settle what is open, on top of those there are; None where nothing is
            open, or where seeds would not settle it.
        power_at_one_point: the probability that a study like this one claims a true gain of one point over real images;
            None for one seed.
    """

    classifier: str
    test: str
    best: str
    sentence: str
    comparisons: tuple[Comparison, ...]
    more_seeds: int | None
    power_at_one_point: float | None


@dataclass(frozen=True)
class Verdict:
    """What a study concludes.

    Args:
        cases: one for each classifier and real test set; the target's before the source's.
        comparisons: how many p-values were corrected together (Holm).
        seeds: of GANs.
        copying: whether the GAN copies its training images, in words.
    """

    cases: tuple[Case, ...]
    comparisons: int
    seeds: int
    copying: str

    @property
    def sentences(self) -> list[str]:
        """What there is to say, one line each; names are in them as they are."""
        return [*(case.sentence for case in self.cases), self.copying]

    def __str__(self) -> str:
        return "\n".join(map(for_terminal, self.sentences))

    def as_json(self) -> dict[str, Any]:
        """The verdict as verdict.json holds it."""
        return to_json(self)


def conclude(result: StudyResult) -> Verdict:
    """Compare what a study compares, correct for all of it together, and say what to use.

    Where the study chose a recipe by validation, only that one is compared with real images, alone and with classical
    augmentation: the fewer comparisons, the more can be claimed. Otherwise every recipe is.

    Raises:
        InputError: the readings of a cell are missing or damaged.
    """
    right, labels = {}, {}
    for classifier in result.classifiers:
        asked = _in_question(result, classifier)
        for test in result.tested[::-1]:
            found, case = result.right(classifier, test), f"{classifier} on {test}"
            right[case] = {recipe: found[recipe] for recipe in asked}
            labels[case] = result.balanced_by(test)
    baselines = [name for name in (REAL_NAME, CLASSICAL_NAME) if all(name in recipes for recipes in right.values())]
    compared = compare_all(right, baselines, seed=result.seeds[0], labels=labels)
    corrected = sum(one.p is not None for one in compared)
    cases = [
        _case(classifier, test, [one for one in compared if one.test == f"{classifier} on {test}"], result, corrected)
        for classifier in result.classifiers
        for test in result.tested[::-1]
    ]
    return Verdict(tuple(cases), corrected, len(result.seeds), _copying(result.copies))


def _copying(found: CopyNumbers) -> str:
    numbers = (
        f"{100 * found.share:.1f} % of {found.count} images are flagged, "
        f"{100 * found.expected_share:.1f} % would be by chance"
    )
    if found.p_value < LEVEL and found.share > found.expected_share:
        return f"The GAN copies training images: {numbers} (p {found.p_value:.2g})."
    return f"No sign that the GAN copies its training images: {numbers}."


def _in_question(result: StudyResult, classifier: str) -> list[str]:
    recipes = result.recipes(classifier)
    if classifier not in result.choices:
        return recipes
    chosen = result.choices[classifier].recipe
    return [recipe for recipe in recipes if recipe in (REAL_NAME, CLASSICAL_NAME, chosen)]


def _case(classifier: str, test: str, comparisons: Sequence[Comparison], result: StudyResult, corrected: int) -> Case:
    over_real = {one.recipe: one for one in comparisons if one.baseline == REAL_NAME}
    over_classical = {one.recipe: one for one in comparisons if one.baseline == CLASSICAL_NAME}
    best = _best(over_real, over_classical)
    chosen = result.choices[classifier].recipe if classifier in result.choices else None
    leader = chosen or max(over_real, key=lambda recipe: over_real[recipe].gain, default=REAL_NAME)
    open_case = over_real.get(leader)
    more = None
    if open_case is not None and not open_case.claims and len(open_case.differences) > 1:
        needed = seeds_needed(open_case.differences, corrected or len(comparisons), open_case.image_error)
        more = None if needed is None else needed - len(result.seeds)
    where = f"For {classifier} on {test}" + result.counting
    sentence = _sentence(where, best, leader, over_real, over_classical, more)
    typical = open_case or next(iter(over_real.values()), None)  # where real images lead, any other against them
    return Case(classifier, test, best, sentence, tuple(comparisons), more, _power(typical, corrected))


def _best(over_real: dict[str, Comparison], over_classical: dict[str, Comparison]) -> str:
    """The recipe with the largest gain over real images that is claimed, unless classical augmentation does as well.

    A generated set is worth its trouble only where the plainer means do not do: it must be claimed to beat those, too.
    """
    helping = {recipe: one for recipe, one in over_real.items() if one.claims and one.gain > 0}
    if CLASSICAL_NAME in helping:
        beating = [
            recipe
            for recipe in helping
            if recipe in over_classical and over_classical[recipe].claims and over_classical[recipe].gain > 0
        ]
        return max(beating, key=lambda recipe: helping[recipe].gain, default=CLASSICAL_NAME)
    return max(helping, key=lambda recipe: helping[recipe].gain, default=REAL_NAME)


def _sentence(
    where: str,
    best: str,
    leader: str,
    over_real: dict[str, Comparison],
    over_classical: dict[str, Comparison],
    more: int | None,
) -> str:
    if best != REAL_NAME:
        text = f"{where}: use {best}: {_gain(over_real[best])} over {REAL_NAME}"
        if best in over_classical:
            text += f", {_gain(over_classical[best])} over {CLASSICAL_NAME}"
        if best == CLASSICAL_NAME and leader not in (best, REAL_NAME):
            text += f"; {leader} is not claimed to beat it: {_gain(over_classical[leader])}"
        return f"{text}, in this one run; another GAN may do otherwise." if over_real[best].seeds == 1 else f"{text}."
    if leader == REAL_NAME:
        return f"{where}: use none of it: validation prefers real images as they are."
    one = over_real[leader]
    text = f"{where}: use none of it. {leader} comes closest: {_gain(one)} over {REAL_NAME}"
    if one.claims:
        return f"{text}, which is worse."
    if one.p is None or one.seeds < FEWEST_SEEDS:
        text += f"; {one.seeds} {'seed claims' if one.seeds == 1 else 'seeds claim'} nothing about other seeds"
    return text + (f"; about {more} more seed{'s' * (more > 1)} would settle it." if more else ".")


def _gain(one: Comparison) -> str:
    p = "" if one.corrected_p is None else f", corrected p {one.corrected_p:.2g}"
    gain, low, high = (round(number, 1) + 0 for number in (one.gain, one.low, one.high))  # + 0: no minus before zero
    return f"{gain:+.1f} points (95 % {low:+.1f} to {high:+.1f}{p})"


def _power(one: Comparison | None, corrected: int) -> float | None:
    if one is None or one.seeds < 2:
        return None
    deviation = float(np.std(one.differences, ddof=1))
    return power(1.0, deviation, one.seeds, max(1, corrected), one.image_error)
