"""What a study will do: sources, GANs, recipes, classifiers, seeds."""

import re
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mizumashi import files, locks
from mizumashi.classify.softmax import Products, SoftmaxConfig, suited_rate
from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.data.overlap import require_unseen
from mizumashi.descriptions import differences
from mizumashi.errors import InputError
from mizumashi.gan.config import require_trainable
from mizumashi.layout import STUDY
from mizumashi.measure.distances import FEWEST_IMAGES
from mizumashi.schema import from_json
from mizumashi.stored import stored
from mizumashi.studies.choice import VALIDATION
from mizumashi.studies.classifiers import Classifier, by_name
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.recipe import CLASSICAL, REAL, Recipe, balancing_recipes, candidates, paper_recipes
from mizumashi.studies.regime import Training, lacking, training_images

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
        return SoftmaxConfig(learning_rate=suited_rate(self.source.train), precision=precision)

    @property
    def classifiers(self) -> list[Classifier]:
        """The kinds of classifiers, in the order asked for."""
        from mizumashi.classify.classical import Classical

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
            labels += [label for label, count in enumerate(lacking(real)) for _ in range(count)]
        return labels

    def check(self) -> None:
        """Raise `InputError` unless the study can be done."""
        self._check_wishes()
        self._check_names()
        real = self.training(self.seeds[0]).real
        for part in (real, self.source.test):
            if len(part) < FEWEST_IMAGES:
                raise InputError(
                    f"{part.name}: found {len(part)} images; expected at least {FEWEST_IMAGES} for a study"
                )
        require_trainable(real, self.config.gan)
        if self.config.regime.balance and not any(lacking(real)):
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

    def describe(self) -> dict[str, Any]:
        """What STUDY/plan.json holds. Own classifiers are imported, for the hash of their source."""
        gan = asdict(self.config.gan)
        return {
            "format": FORMAT,
            "origins": list(self.origins),
            **self.describe_images(),
            "regime": asdict(self.config.regime) | {"imbalance": list(self.config.regime.imbalance)},
            "gan": gan | {"snapshots": list(self.config.gan.stages), "widths": list(self.config.gan.widths)},
            "classifiers": [classifier.description for classifier in self.classifiers],
            "recipes": [str(recipe) for recipe in self.recipes],
            "choose": self.config.choose,
            "grow": self.config.grow,
            "flip": self.config.flip,
            "seeds": self.config.seeds,
            "classifier_seeds": self.config.classifier_seeds,
            "versions": [{name: version(name) for name in ("mizumashi", "torch", "numpy")}],
        }

    def describe_images(self) -> dict[str, Any]:
        """What plan.json says of source, target and the few target images that join training: hashes among others."""
        return {
            "source": self.source.describe() | {"train": len(self.source.train)},
            "target": None if self.target is None else self.target.describe(),
            "few": None if self.few is None else self.few.describe(),
        }


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


def begin(plan: Plan, folder: Path) -> dict[str, Any]:
    """Write plan.json into a new study folder, or check that the study there is this one.

    A study may be taken up again with more seeds, recipes and classifiers and by other versions, which are noted;
    everything else must be as it was.

    Returns:
        What plan.json now holds.

    Raises:
        InputError: the folder holds something else; the message names what differs.
    """
    path, description = folder / "plan.json", plan.describe()
    if not path.exists():
        files.require_new_folder(folder)
    else:
        there = files.read_json(stored(path))
        with files.expect_undamaged(path, "choose another --out"):
            _require_format(there["format"], folder)
            may_differ = ("origins", "seeds", "classifier_seeds", "recipes", "classifiers", "versions")
            differing = differences(there, description, ignore=may_differ)
            before = [versions for versions in there["versions"] if versions not in description["versions"]]
            if not all(isinstance(word, str) for versions in before for word in [*versions, *versions.values()]):
                raise ValueError("a version is no text")
        if differing:
            raise InputError(
                f"found another study in {folder}: {'; '.join(differing)}; expected the same source, target and "
                "configuration; choose another --out"
            )
        description["versions"] = before + description["versions"]
    files.write_json(path, description)
    locks.remove_leftovers(folder, STUDY)
    return description


def planned_config(description: dict[str, Any]) -> StudyConfig:
    """The configuration that a plan.json was written for.

    Raises:
        ValueError: it is the plan of no study.

    Example:
        >>> from mizumashi.gan.config import GanConfig
        >>> from mizumashi.studies.config import Regime
        >>> config = StudyConfig(GanConfig(steps=8), seeds=3, regime=Regime(imbalance=("b:0.1",)))
        >>> images = LabelledImages.from_parts(*[LabelledImages.from_arrays([[[0]]] * 4, [0, 1] * 2)] * 2, name="pets")
        >>> planned = planned_config(Plan(images, None, None, config).describe())
        >>> planned.gan.stages, planned.seeds, planned.regime == config.regime
        ((1, 2, 4, 8), 3, True)
    """
    same = {field.name: description[field.name] for field in fields(StudyConfig) if field.name != "classifiers"}
    return from_json(StudyConfig, same | {"classifiers": [each["name"] for each in description["classifiers"]]})


def _require_format(found: int, folder: Path) -> None:
    if found != FORMAT:
        raise InputError(
            f"{folder}: found a study of format {found}; expected {FORMAT}; use the version of mizumashi that made "
            "it, or choose another --out"
        )
