"""What a study will do: sources, GANs, recipes, classifiers, seeds."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

from mizumashi.classifiers.softmax import Products, SoftmaxConfig, auto_learning_rate
from mizumashi.data.duplicates import require_unseen
from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.data.record import ImagesRecord
from mizumashi.errors import InputError
from mizumashi.gan.config import require_trainable
from mizumashi.metrics.two_sample import FEWEST_IMAGES
from mizumashi.studies.classifiers import Classifier, by_name
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.recipe import CLASSICAL, REAL, Recipe, balancing_recipes, candidates, paper_recipes
from mizumashi.studies.record import PlanRecord, SourceRecord
from mizumashi.studies.selection import VALIDATION
from mizumashi.studies.store import Store
from mizumashi.studies.subsets import Training, deficit, training_images
from mizumashi.utils import files, locks
from mizumashi.utils.descriptions import differences
from mizumashi.utils.layout import STUDY
from mizumashi.utils.schema import from_json, to_json
from mizumashi.utils.stored import stored

FORMAT = 3
"""The layout of a study's folder."""


@dataclass(frozen=True)
class Plan:
    """A study before its first step.

    Args:
        source: the labelled images to inflate, with a training and a test part.
        target: the other domain's test images, or None.
        few: target images that join training, or None; none of them is in `target`.
        config: how much to do.
        origins: the names or paths that source and target were opened by; None where they were given as arrays.
    """

    source: LabelledImages
    target: LabelledImages | None
    few: LabelledImages | None
    config: StudyConfig
    origins: tuple[str | None, str | None] = (None, None)

    @cached_property
    def recipes(self) -> list[Recipe]:
        """Those that every seed tries."""
        return recipes_of(self.config)

    @cached_property
    def candidates(self) -> list[Recipe]:
        """Those that the study chooses from, if it does."""
        if not self.config.choose:
            return []
        stages = self.config.gan.stages
        if self.config.regime.balance:
            mixed = balancing_recipes(stages)
            return [REAL, CLASSICAL, *mixed, *(replace(each, classical=True) for each in mixed)]
        return candidates(stages, (0.25, 0.5)) if self.config.grow else candidates(stages)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the GANs."""
        first = self.config.gan.seed
        return list(range(first, first + self.config.seeds))

    @cached_property
    def softmax(self) -> SoftmaxConfig:
        """Softmax regression, one for all recipes: a rate that suits the source, the GAN's precision."""
        precision: Products = "bf16-mixed" if self.config.gan.precision == "bf16-mixed" else "32-true"
        return SoftmaxConfig(learning_rate=auto_learning_rate(self.source.train), precision=precision)

    @property
    def classifiers(self) -> list[Classifier]:
        """The kinds of classifiers, in the order asked for."""
        from mizumashi.classifiers.classical import Classical

        augmentation = Classical(flip=self.config.flip)
        return [by_name(name, self.softmax, augmentation) for name in self.config.classifiers]

    @property
    def tested(self) -> dict[str, LabelledImages]:
        """The real test sets by name: the source's and the target's."""
        target = {} if self.target is None else {self.target.name: self.target}
        return {self.source.name: self.source.test} | target

    def training(self, seed: int) -> Training:
        """What a seed's GAN and classifiers may learn from."""
        config = self.config
        return training_images(self.source.train, self.few, config.regime, choose=config.choose, seed=seed)

    def generated_labels(self, real: LabelledImages) -> list[int]:
        """The labels of a generated set's training part: those of the real one, and in a balance what it lacks."""
        labels = [int(label) for label in real.labels]
        if self.config.regime.balance:
            labels += [label for label, count in enumerate(deficit(real)) for _ in range(count)]
        return labels

    def check(self) -> None:
        """Raise `InputError` unless the study can be done."""
        self._check_wishes()
        self._check_names()
        real = self.training(self.seeds[0]).real
        for part in (real, self.source.test):
            if len(part) < FEWEST_IMAGES:
                raise InputError(
                    f"{part.name}: found {len(part)} images; expected at least {FEWEST_IMAGES} for a study; add "
                    "images; a set without a test part gives a fifth of its images to testing"
                )
        require_trainable(real, self.config.gan)
        if self.config.regime.balance and not any(deficit(real)):
            raise InputError(
                f"{real.name}: found as many images of each class; expected some that lack; drop --balance"
            )
        if self.target is None:
            return
        require_alike(self.source, self.target)
        require_unseen(self.source, self.target)

    def _check_wishes(self) -> None:
        """Recipes and classifiers, and what does not go together."""
        if self.config.grow and self.config.regime.balance:
            raise InputError("found --grow and --balance; expected one of them: balancing adds what lacks, and no more")
        for recipe in self.recipes:
            recipe.steps(self.config.gan.stages)
            if self.config.regime.balance and not recipe.real:
                raise InputError(f"found recipe {recipe} with --balance; expected real images in every recipe")
            if self.config.grow and recipe.mixed and recipe.share > 0.5:
                raise InputError(f"found recipe {recipe} with --grow; expected a share of 0.5 at most")
        if len(set(self.config.classifiers)) < max(1, len(self.config.classifiers)):
            raise InputError(f"found classifiers {', '.join(self.config.classifiers)}; expected different ones")
        _ = self.classifiers

    def _check_names(self) -> None:
        for images in (self.source, self.target):
            if images is not None and re.fullmatch(rf"real|gan@\d+|{VALIDATION}", images.name):
                raise InputError(f"found a set called {images.name!r}; a study gives that name itself; rename the set")
        if self.target is not None and self.target.name == self.source.name:
            raise InputError(f"found {self.source.name!r} as source and target; expected two names; rename one set")

    def record(self) -> PlanRecord:
        """What STUDY/plan.json holds. Own classifiers are imported, for the hash of their source."""
        config, gan = self.config, self.config.gan
        source, target, few = self.image_records()
        return PlanRecord(
            format=FORMAT,
            origins=self.origins,
            source=source,
            target=target,
            few=few,
            regime=config.regime,
            gan=replace(gan, snapshots=gan.stages),
            classifiers=tuple(classifier.description for classifier in self.classifiers),
            recipes=tuple(map(str, self.recipes)),
            choose=config.choose,
            grow=config.grow,
            flip=config.flip,
            seeds=config.seeds,
            classifier_seeds=config.classifier_seeds,
            versions=({name: version(name) for name in ("mizumashi", "torch", "numpy")},),
        )

    def image_records(self) -> tuple[SourceRecord, ImagesRecord | None, ImagesRecord | None]:
        """What plan.json says of source, target and the few target images that join training."""
        source = from_json(SourceRecord, self.source.describe() | {"train": len(self.source.train)})
        target, few = (None if images is None else ImagesRecord.of(images) for images in (self.target, self.few))
        return source, target, few


def recipes_of(config: StudyConfig) -> list[Recipe]:
    """The recipes that every seed tries: those asked for, or the paper's nine; real images first."""
    if config.recipes:
        asked = [REAL, *map(Recipe.parse, config.recipes)]
    elif config.regime.balance:
        asked = [REAL, *balancing_recipes(config.gan.stages)]
    else:
        asked = paper_recipes(config.gan.stages)
    if config.choose:
        asked.insert(1, CLASSICAL)  # the choice must beat it
    return list(dict.fromkeys(asked))


def begin(plan: Plan, folder: Path) -> PlanRecord:
    """Write plan.json into a new study folder, or check that the study there is this one.

    A study may be taken up again with more seeds, recipes and classifiers and by other versions, which are noted;
    everything else must be as it was.

    Returns:
        What plan.json now holds.

    Raises:
        InputError: the folder holds something else; the message names what differs.
    """
    path, record = Store(folder).plan, plan.record()
    if not path.exists():
        files.require_new_folder(folder)
    else:
        found = files.read_json(stored(path))
        with files.expect_undamaged(path, "choose another --out"):
            _require_format(found["format"], folder)
            there = from_json(PlanRecord, found)
        may_differ = ("origins", "seeds", "classifier_seeds", "recipes", "classifiers", "versions")
        if differing := differences(to_json(there), to_json(record), ignore=may_differ):
            raise InputError(
                f"found another study in {folder}: {'; '.join(differing)}; expected the same source, target and "
                "configuration; choose another --out"
            )
        before = tuple(versions for versions in there.versions if versions not in record.versions)
        record = replace(record, versions=before + record.versions)
    files.write_json(path, to_json(record))
    locks.remove_leftovers(folder, STUDY)
    return record


def _require_format(found: int, folder: Path) -> None:
    if found != FORMAT:
        raise InputError(
            f"{folder}: found a study of format {found}; expected {FORMAT}; use the version of mizumashi that made "
            "it, or choose another --out"
        )
