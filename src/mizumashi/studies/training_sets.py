"""What the cells of one seed are made from, and the training set of each recipe."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mizumashi.data.images import LabelledImages
from mizumashi.data.smote import smote
from mizumashi.data.split import mix, stratified_subset
from mizumashi.errors import InputError
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.subsets import deficit
from mizumashi.utils.seeding import numpy_generator


@dataclass(frozen=True)
class Material:
    """What all cells of one seed are made from.

    Args:
        seed: the GAN's seed; it decides the sampling and the mixing too.
        real: the real training images.
        generated: the generated training images of each stage: with the labels of `real`, image by image, and where a
            study balances, after them those that `real` lacks.
        tests: the test sets by name; the validation part among them, where there is one.
        grow: whether others join the real images instead of replacing some.
        balance: whether others bring each class to the size of the largest.
    """

    seed: int
    real: LabelledImages
    generated: Mapping[int, LabelledImages]
    tests: Mapping[str, LabelledImages]
    grow: bool = False
    balance: bool = False

    def training_set(self, recipe: Recipe) -> LabelledImages:
        """A recipe's training set; classical augmentation is the classifier's affair.

        It is as large as the real set, unless the study lets it grow or balances. In a mixture every class keeps its
        share (the paper, section 5).

        Raises:
            InputError: the recipe does not go with growing or balancing.
        """
        if not recipe.mixed:
            if self.balance and recipe.stages is not None:
                raise InputError(
                    f"found recipe {recipe} in a study that balances; expected real images in every recipe"
                )
            return self.real if recipe.real else self._blend(recipe)
        count, total = self._counts(recipe)
        others = self._synthetic(count) if recipe.smote else self._blend(recipe)
        if self.balance and not recipe.smote:
            others = others.take(np.arange(len(self.real), len(others)))
        return mix(self.real, others, share=count / total, total=total, seed=self.seed)

    def _counts(self, recipe: Recipe) -> tuple[int, int]:
        """How many images of a mixture are not real, and how many there are in all."""
        size = len(self.real)
        if self.balance:
            count = sum(deficit(self.real))
            return count, size + count
        if not self.grow:
            return round(recipe.share * size), size
        count = round(recipe.share / (1 - recipe.share) * size)
        if count > size:
            raise InputError(
                f"found recipe {recipe} in a study whose sets grow; expected a share of 0.5 at most: as many others as "
                "there are real images"
            )
        return count, size + count

    def _synthetic(self, count: int) -> LabelledImages:
        if self.balance:
            return smote(self.real, deficit(self.real), self.seed)
        wanted = stratified_subset(self.real, count=count, seed=self.seed).counts
        return smote(self.real, wanted.tolist(), self.seed)

    def _blend(self, recipe: Recipe) -> LabelledImages:
        """Images of one stage, or of several in equal parts: each image comes from a stage drawn at random."""
        steps = recipe.steps(list(self.generated))
        first = self.generated[steps[0]]
        if len(steps) == 1:
            return first
        drawn = numpy_generator(self.seed, "blend", *steps).permutation(len(first)) % len(steps)
        images = np.empty_like(first.images)
        for place, step in enumerate(steps):
            images[drawn == place] = self.generated[step].images[drawn == place]
        return LabelledImages(images, first.labels, first.class_names, str(Recipe(stages=recipe.stages)))
