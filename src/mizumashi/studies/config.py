"""The configuration of a study."""

from dataclasses import dataclass, field

from mizumashi.gan.config import GanConfig
from mizumashi.utils.schema import require_fields

MOST_SEEDS = 10_000


@dataclass(frozen=True)
class Regime:
    """Which labelled images training may see.

    Args:
        per_class: real images of each class that the GAN and the classifiers see, drawn anew for every seed; None for
            all.
        imbalance: classes to cut, each as CLASS:SHARE, such as 3:0.01 to keep 1 % of class 3.
        balance: add to the real images only what each class lacks to be as large as the largest; every class then
            counts alike, however many test images it has.
        target_per_class: target images of each class that join training, their labels known; the rest is the test set.
    """

    per_class: int | None = None
    imbalance: tuple[str, ...] = ()
    balance: bool = False
    target_per_class: int | None = None

    def __post_init__(self) -> None:
        most = 10**9
        require_fields(self, {"per_class": (1, most), "target_per_class": (1, most)}, options=True)


@dataclass(frozen=True)
class StudyConfig:
    """How much a study does.

    Args:
        gan: the GANs' configuration; its seed is the first one's, the others count on from it.
        seeds: how often the whole study is repeated, GAN included.
        classifier_seeds: how many classifiers each recipe trains on each GAN's images.
        recipes: how training sets are made, such as real+gan@300:0.25 or real+classical; by default the paper's nine.
        classifiers: softmax, cnn, or your own as package.module:name.
        choose: set a part of the training images aside, and choose stage, share and classical or not by it.
        grow: add generated images to the real ones instead of replacing some.
        flip: let classical augmentation exchange left and right, where no class tells them apart: photographs, not
            characters.
        regime: which images training may see.
    """

    gan: GanConfig = field(default_factory=GanConfig)
    seeds: int = 1
    classifier_seeds: int = 1
    recipes: tuple[str, ...] = ()
    classifiers: tuple[str, ...] = ("softmax",)
    choose: bool = False
    grow: bool = False
    flip: bool = False
    regime: Regime = field(default_factory=Regime)

    def __post_init__(self) -> None:
        require_fields(self, {"seeds": (1, MOST_SEEDS), "classifier_seeds": (1, MOST_SEEDS)}, options=True)
