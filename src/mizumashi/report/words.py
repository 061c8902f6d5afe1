"""What a report says in words, for Markdown and HTML alike, which see to it that names stay text."""

from dataclasses import replace
from typing import Any

from mizumashi.gan.collapse import COLLAPSED
from mizumashi.gan.config import GanConfig
from mizumashi.gan.presets import PRESETS
from mizumashi.stats.power import FEWEST_SEEDS, LEVEL
from mizumashi.studies.record import PlanRecord
from mizumashi.studies.results import StudyResult
from mizumashi.studies.selection import Choice
from mizumashi.studies.verdict import Verdict
from mizumashi.utils.schema import to_json


def verdict_note(verdict: Verdict) -> str:
    """How the verdict was judged."""
    if verdict.seeds == 1:
        methods = sorted({one.method for case in verdict.cases for one in case.comparisons})
        by = f" ({', '.join(methods)})" if methods else ""
        return (
            f"One seed: intervals and p-values{by} are about these two classifiers and the choice of test images. "
            "What another GAN would do, they do not say."
        )
    if verdict.seeds < FEWEST_SEEDS:
        return (
            f"Intervals: hierarchical bootstrap over {verdict.seeds} seeds and the test images. So few seeds claim "
            f"nothing, however clear it looks: the permutation test over seeds takes {FEWEST_SEEDS}."
        )
    note = (
        f"Intervals: hierarchical bootstrap over {verdict.seeds} seeds and the test images. An effect is claimed from "
        f"{FEWEST_SEEDS} seeds on, where the interval leaves out 0 and the p-value of the paired permutation test over "
        f"seeds, corrected for {verdict.comparisons} comparisons (Holm), is below {LEVEL}."
    )
    known = [case for case in verdict.cases if case.power_at_one_point is not None]
    powers = ", ".join(f"{case.power_at_one_point:.2f} ({case.classifier} on {case.test})" for case in known)
    return f"{note} A true gain of one point would be claimed with a probability of {powers}." if known else note


def choices(result: StudyResult) -> list[str]:
    """What validation chose, for each classifier."""
    return [
        f"{classifier}: of {choice.tried} recipes, {choice.cells} classifiers in all, validation chose "
        f"{choice.recipe}: {_lead(choice)}."
        for classifier, choice in result.choices.items()
    ]


def _lead(choice: Choice) -> str:
    if choice.recipe == choice.baseline:
        return "no other was better there by more than a standard error"
    return f"{choice.gain:+.1f} points there (standard error {choice.error:.1f}) over {choice.baseline}"


def what_was_done(plan: PlanRecord) -> list[str]:
    """The study in a few lines."""
    source, target, gan = plan.source, plan.target, plan.gan
    lines = [
        f"Source: {source.name}, {source.train} training and {source.tested} test "
        f"images of {source.size[0]}x{source.size[1]} pixels, {len(plan.class_names)} classes.",
        f"GAN: {gan.steps} steps of {gan.batch_size} images, {gan.objective} loss, precision "
        f"{gan.precision}; {_unlike_paper(gan)}.",
        f"Generated sets have the source's labels, image by image, and its training and test part; {_mixed(plan)}.",
        *(f"Classifier: {_settings(each)}." for each in plan.classifiers),
        *_regime(plan),
        f"Repeated with {counted(plan.seeds, 'GAN')}, {counted(plan.classifier_seeds, 'classifier')} each.",
    ]
    if target:
        lines.insert(1, f"Target: {target.name}, {target.count} test images.")
    return lines


def _mixed(plan: PlanRecord) -> str:
    """What mixed sets are."""
    if plan.regime.balance:
        return (
            "mixed sets are the real images and what brings each class to the size of the largest. Every class counts "
            "alike: an accuracy is the mean over the classes"
        )
    if plan.grow:
        return "mixed sets add others to the real images, as many again unless the recipe has another share"
    return "mixed sets are as large as the real one, and half real unless the recipe has another share"


def _settings(description: dict[str, Any]) -> str:
    """A classifier's name and what sets it."""
    settings = ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in description.items()
        if key != "name" and not isinstance(value, dict) and value is not None
    )
    return f"{description['name']} ({settings})" if settings else str(description["name"])


def _regime(plan: PlanRecord) -> list[str]:
    """What training may see, where it is not all."""
    regime, few = plan.regime, plan.few
    wishes = [
        (regime.per_class, f"{regime.per_class} training images of each class, drawn anew for every seed"),
        (regime.imbalance, f"classes cut to a share: {', '.join(regime.imbalance)}"),
        (few, f"{few.count if few else 0} labelled target images join training and are not tested on"),
        (plan.choose, "a fifth of the training images is set aside for choosing a recipe"),
    ]
    return [f"{text[0].upper()}{text[1:]}." for wished, text in wishes if wished]


def counted(count: int, what: str) -> str:
    """A number and what it counts."""
    return f"{count} {what}" + ("s" if count != 1 else "")


def _unlike_paper(gan: GanConfig) -> str:
    paper = PRESETS["paper"]()
    there, wanted = to_json(gan), to_json(replace(paper, snapshots=paper.stages))
    unlike = [
        f"{key} {there[key]} (paper preset: {value})"
        for key, value in wanted.items()
        if key not in ("seed", "precision") and there[key] != value
    ]
    return "not the paper's schedule: " + ", ".join(unlike) if unlike else "all as in the paper preset"


def spread_note(plan: PlanRecord) -> str:
    """What stands after ±; recipes between backticks."""
    if plan.seeds == 1:
        return _alike(plan) + "One seed: nothing here says how much chance has moved these numbers."
    return _alike(plan) + (
        f"Mean ± standard deviation over {plan.seeds} seeds. Each seed has a GAN of its own, and its own order of "
        "images for every classifier, that of `real` too."
    )


def gain_note(plan: PlanRecord) -> str:
    """What the gains are; recipes between backticks."""
    note = (
        "Points of accuracy above `real`, in pairs: both classifiers of a seed see their images in the same order; "
        "with 95 % intervals"
    )
    if plan.seeds == 1:
        return f"{note} over the real test images; what another seed would bring, they do not say."
    return (
        f"{note}: on real test sets over the {plan.seeds} seeds and the test images (hierarchical bootstrap), on "
        f"generated ones over the seeds (Student's). With {len(plan.recipes) - 1} recipes some leave out zero by "
        "chance alone: the verdict corrects for that."
    )


def accuracy_note(plan: PlanRecord) -> str:
    """What the intervals of the accuracies are."""
    if plan.seeds == 1:
        return _alike(plan) + (
            "One seed: the intervals (95 %) are over the real test images; what another seed would bring, they do not "
            "say. On generated test sets there are none."
        )
    return _alike(plan) + (
        f"Mean over {plan.seeds} seeds, with 95 % intervals: on real test sets over the seeds and the test images "
        "(hierarchical bootstrap), on generated ones, of which each seed has its own, over the seeds (Student's). The "
        "recipes of a seed share what they can, so these intervals say little about a difference of two recipes: the "
        "gains do."
    )


def _alike(plan: PlanRecord) -> str:
    """What stands before accuracies that are means over the classes."""
    return "Every class counts alike. " if plan.regime.balance else ""


def distance_note(result: StudyResult) -> str:
    """What the distances are."""
    count = result.distances[str(result.seeds[0])][result.stages[0]].n_test
    interval = "95 % Wilson interval over them" if result.plan.seeds == 1 else "standard deviation over the seeds"
    return (
        "Accuracy of a classifier that tells generated images from the GAN's own training images: 0.5 where it cannot, "
        f"1 where it always can. It is scored on {count} images, half of them real, that it has not seen; in brackets "
        f"or after ± the {interval}."
    )


COLLAPSE_NOTE = (
    "The class whose generated images vary least, of all seeds, as a share of its real images' variation (the standard "
    f"deviation of a pixel). Below {COLLAPSED} all images of a class look alike."
)
"""What the table of collapses shows."""
