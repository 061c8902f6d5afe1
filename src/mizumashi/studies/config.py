"""The configuration of a study."""

from dataclasses import dataclass, field

from mizumashi.gan.config import GanConfig


@dataclass(frozen=True)
class StudyConfig:
    """How much a study does.

    Args:
        gan: the GANs' configuration; its seed is the first one's, the others count on from it.
        seeds: how often the whole study is repeated, GAN included.
        classifier_seeds: how many classifiers each recipe trains on each GAN's images.
    """

    gan: GanConfig = field(default_factory=GanConfig)
    seeds: int = 1
    classifier_seeds: int = 1
