"""What a study's training may see: fewer images, fewer of some classes, a few of the target's, a part for choosing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mizumashi.data.duplicates import unseen
from mizumashi.data.images import LabelledImages
from mizumashi.data.split import stratified_split, stratified_subset
from mizumashi.errors import InputError
from mizumashi.studies.config import Regime
from mizumashi.utils.seeding import numpy_generator

VALIDATION_SHARE = 0.2
"""What choosing sets aside of the training images."""


def split_target(images: LabelledImages, per_class: int | None) -> tuple[LabelledImages | None, LabelledImages]:
    """Take a few images of each class out of a target, the same ones for every seed of a study.

    Returns:
        The few that join training, or None; and the rest, for testing: none of the few is in it, nor a copy of one.

    Raises:
        InputError: a class has too few images.

    Example:
        >>> pixels = np.arange(6 * 64).reshape(6, 8, 8) % 256
        >>> few, rest = split_target(LabelledImages.from_arrays(pixels, [0, 1] * 3, name="faxes"), per_class=1)
        >>> len(few), len(rest), rest.name
        (2, 4, 'faxes')
    """
    if per_class is None:
        return None, images
    if (images.counts <= per_class).any():
        label = int(images.counts.argmin())
        raise InputError(
            f"{images.name}: found {images.counts[label]} images of class {images.class_names[label]!r}; expected more "
            f"than the {per_class} that shall join training; lower --target-per-class"
        )
    few = stratified_subset(images, per_class=per_class, seed=0)
    return few, images.take(unseen(few, images))


@dataclass(frozen=True)
class Training:
    """What one seed's GAN and classifiers are trained on.

    Args:
        real: the real images.
        validation: those that recipes are chosen by, or None.
    """

    real: LabelledImages
    validation: LabelledImages | None


def training_images(
    source: LabelledImages, few: LabelledImages | None, regime: Regime, *, choose: bool, seed: int
) -> Training:
    """The images that one seed may learn from.

    Args:
        source: the source's training part.
        few: the target's images that join, or None.
        regime: how many of which.
        choose: whether to set a part aside.
        seed: draws the images; without a regime and without choosing it changes nothing.

    Raises:
        InputError: there are too few images, or a class of `regime.imbalance` is unknown.
    """
    real = source
    if regime.per_class is not None:
        real = stratified_subset(real, per_class=regime.per_class, seed=seed)
    real = _cut(real, regime.imbalance, seed)
    parts = [_set_aside(images, choose=choose, seed=seed) for images in (real, few) if images is not None]
    trained = _joined([part.real for part in parts], source.name)
    if not choose:
        return Training(trained, None)
    return Training(trained, _joined([part.validation for part in parts if part.validation is not None], "validation"))


def deficit(images: LabelledImages) -> list[int]:
    """How many images each class lacks to be as large as the largest.

    Example:
        >>> deficit(LabelledImages.from_arrays(np.zeros((3, 8, 8), int), [0, 1, 1]))
        [1, 0]
    """
    return [int(images.counts.max() - count) for count in images.counts]


def _set_aside(images: LabelledImages, *, choose: bool, seed: int) -> Training:
    if not choose:
        return Training(images, None)
    split = stratified_split(images, VALIDATION_SHARE, seed)
    return Training(split.train, split.test)


def _joined(parts: list[LabelledImages], name: str) -> LabelledImages:
    images = np.concatenate([part.images for part in parts]) if len(parts) > 1 else parts[0].images
    labels = np.concatenate([part.labels for part in parts])
    return LabelledImages(images, labels, parts[0].class_names, name)


def parse_imbalance(profile: str, class_names: Sequence[str]) -> tuple[int, float]:
    """The label and the share of CLASS:SHARE.

    Raises:
        InputError: there is no such class, or the share is not between 0 and 1.

    Example:
        >>> parse_imbalance("b:0.1", ["a", "b"])
        (1, 0.1)
    """
    name, _, text = profile.rpartition(":")
    try:
        share = float(text)
    except ValueError:
        share = np.nan
    if name not in class_names or not 0 < share < 1:
        raise InputError(
            f"found imbalance {profile!r}; expected CLASS:SHARE, with one of the classes {', '.join(class_names)} and "
            "a share between 0 and 1 (--imbalance)"
        )
    return class_names.index(name), share


def _cut(images: LabelledImages, imbalance: tuple[str, ...], seed: int) -> LabelledImages:
    kept = np.ones(len(images), bool)
    for profile in imbalance:
        label, share = parse_imbalance(profile, images.class_names)
        places = np.flatnonzero(images.labels == label)
        count = max(2, round(share * len(places)))  # two, so that one can be set aside
        kept[numpy_generator(seed, "imbalance", label).permutation(places)[count:]] = False
    return images.take(np.flatnonzero(kept)) if imbalance else images
