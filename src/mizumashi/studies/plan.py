"""What a study will do: sources, GANs, recipes, seeds."""

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mizumashi import files
from mizumashi.classify.softmax import Products, SoftmaxConfig, suited_rate
from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.data.overlap import require_unseen
from mizumashi.descriptions import differences
from mizumashi.errors import InputError
from mizumashi.gan.config import require_trainable
from mizumashi.measure.distances import FEWEST_IMAGES
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.recipe import Recipe, paper_recipes

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Plan:
    """A study before its first step.

    Args:
        source: the labelled images to inflate, with a training and a test part.
        target: the other domain's test images, or None.
        config: how much to do.
    """

    source: LabelledImages
    target: LabelledImages | None
    config: StudyConfig

    @property
    def recipes(self) -> list[Recipe]:
        """The paper's nine, for the GAN's snapshots."""
        return paper_recipes(self.config.gan.stages)

    @property
    def seeds(self) -> list[int]:
        """The seeds of the GANs."""
        first = self.config.gan.seed
        return list(range(first, first + self.config.seeds))

    @cached_property
    def classifier(self) -> SoftmaxConfig:
        """The classifiers' configuration, one for all recipes: a rate that suits the source, the GAN's precision."""
        precision: Products = "bf16-mixed" if self.config.gan.precision == "bf16-mixed" else "32-true"
        return SoftmaxConfig(learning_rate=suited_rate(self.source.train), precision=precision)

    def check(self) -> None:
        """Raise `InputError` unless the study can be done."""
        for what in ("seeds", "classifier_seeds"):
            if not 1 <= getattr(self.config, what) <= MOST_SEEDS:
                raise InputError(f"found {what} {getattr(self.config, what)}; expected 1 to {MOST_SEEDS}")
        for part in (self.source.train, self.source.test):
            if len(part) < FEWEST_IMAGES:
                raise InputError(
                    f"{part.name}: found {len(part)} images; expected at least {FEWEST_IMAGES} for a study"
                )
        for images in (self.source, self.target):
            if images is not None and re.fullmatch(r"real|gan@\d+", images.name):
                raise InputError(f"found a set called {images.name!r}; a study gives that name itself; rename the set")
        require_trainable(self.source.train, self.config.gan)
        if self.target is None:
            return
        require_alike(self.source, self.target)
        require_unseen(self.source, self.target)
        if self.target.name == self.source.name:
            raise InputError(f"found {self.source.name!r} as source and target; expected two names; rename one set")

    def describe(self) -> dict[str, Any]:
        """What STUDY/plan.json holds."""
        gan = asdict(self.config.gan)
        return {
            "format": 1,
            "source": self.source.describe() | {"train": len(self.source.train)},
            "target": None if self.target is None else self.target.describe(),
            "gan": gan | {"snapshots": list(self.config.gan.stages), "widths": list(self.config.gan.widths)},
            "classifier": {"name": "softmax"} | asdict(self.classifier),
            "recipes": [str(recipe) for recipe in self.recipes],
            "seeds": self.config.seeds,
            "classifier_seeds": self.config.classifier_seeds,
            "versions": [{name: version(name) for name in ("mizumashi", "torch", "numpy")}],
        }


def begin(plan: Plan, folder: Path) -> dict[str, Any]:
    """Write plan.json into a new study folder, or check that the study there is this one.

    A study may be taken up again with more seeds and by other versions, which are noted; everything else must be as
    it was.

    Returns:
        What plan.json now holds.

    Raises:
        InputError: the folder holds something else; the message names what differs.
    """
    path, description = folder / "plan.json", plan.describe()
    if not path.exists():
        files.require_new_folder(folder)
    else:
        there = files.read_json(path)
        with files.expect_undamaged(path, "choose another --out"):
            differing = differences(there, description, ignore=("seeds", "classifier_seeds", "versions"))
            before = [versions for versions in there["versions"] if versions not in description["versions"]]
        if differing:
            raise InputError(
                f"found another study in {folder}: {'; '.join(differing)}; expected the same source, target and "
                "configuration; choose another --out"
            )
        description["versions"] = before + description["versions"]
    files.write_json(path, description)
    return description
