"""What plan.json holds: a study's plan, with records in place of images."""

from dataclasses import dataclass, fields
from typing import Any

from mizumashi.data import limits
from mizumashi.data.record import ImagesRecord
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig
from mizumashi.gan.run import require_drawable
from mizumashi.studies.config import Regime, StudyConfig
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.subsets import parse_imbalance


@dataclass(frozen=True)
class SourceRecord(ImagesRecord):
    """A study's source.

    Args:
        train: how many of its images, the first, are for training.
    """

    train: int

    @property
    def tested(self) -> int:
        """How many are for testing."""
        return self.count - self.train


@dataclass(frozen=True)
class PlanRecord:
    """A study's plan as it is kept.

    Args:
        format: the layout of the folder.
        origins: the names or paths that source and target were opened by; None where they were given as arrays.
        source: the labelled images to inflate.
        target: the other domain's test images.
        few: the target images that join training.
        regime: which images training may see.
        gan: the GANs' configuration, its precision and its snapshots settled.
        classifiers: for each its "name", and all else that decides its results.
        recipes: those that every seed tries, real images first.
        choose: as `StudyConfig` has it; so are the four after it.
        versions: of the libraries, by name: of whoever took the study up before, and last of who did now.

    Raises:
        InputError: it is the plan of no study.
    """

    format: int
    origins: tuple[str | None, str | None]
    source: SourceRecord
    target: ImagesRecord | None
    few: ImagesRecord | None
    regime: Regime
    gan: GanConfig
    classifiers: tuple[dict[str, Any], ...]
    recipes: tuple[str, ...]
    choose: bool
    grow: bool
    flip: bool
    seeds: int
    classifier_seeds: int
    versions: tuple[dict[str, str], ...]

    def __post_init__(self) -> None:
        sets = [images for images in self.images if images is not None]
        if len({images.class_names for images in sets}) > 1 or not self.class_names:
            raise InputError("found sets of different classes, or of none; expected those of the source")
        for images in sets:
            require_drawable(images)
            limits.require_class_names("the study", [images.name, *images.class_names])
        for recipe in self.recipes:
            Recipe.parse(recipe)
        for profile in self.regime.imbalance:
            parse_imbalance(profile, self.class_names)
        if not self.versions:
            raise InputError("found no versions; expected those that made the study")
        _ = self.config  # its numbers are in range

    @property
    def config(self) -> StudyConfig:
        """The configuration that the plan was made for."""
        same = {field.name: getattr(self, field.name) for field in fields(StudyConfig) if field.name != "classifiers"}
        return StudyConfig(**same, classifiers=tuple(self.classifier_names))

    @property
    def images(self) -> tuple[SourceRecord, ImagesRecord | None, ImagesRecord | None]:
        """Source, target and the few target images."""
        return self.source, self.target, self.few

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each label."""
        return self.source.class_names

    @property
    def classifier_names(self) -> list[str]:
        """The names of the classifiers, in order."""
        return [classifier["name"] for classifier in self.classifiers]

    @property
    def title(self) -> str:
        """The source's name, and the target's."""
        return self.source.name + (f" → {self.target.name}" if self.target else "")
