"""Where the files of a study lie, but for its report's; `mizumashi.utils.layout` lists the names of all."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Store:
    """The paths of a study's files.

    Args:
        folder: the study's.

    Example:
        >>> Store(Path("pets")).set(seed=0, step=300).as_posix()
        'pets/runs/0/sets/gan@300.npz'
    """

    folder: Path

    @property
    def plan(self) -> Path:
        """What is to be done: see `mizumashi.studies.record`."""
        return self.folder / "plan.json"

    @property
    def results(self) -> Path:
        """Every number: see `mizumashi.studies.results`."""
        return self.folder / "results.json"

    @property
    def labels(self) -> Path:
        """The labels of the real test sets."""
        return self.folder / "labels.npz"

    @property
    def examples(self) -> Path:
        """Some images of each class and test set."""
        return self.folder / "examples.npz"

    @property
    def map(self) -> Path:
        """The positions on the t-SNE map."""
        return self.folder / "map.npz"

    @property
    def map_images(self) -> Path:
        """The images behind the positions."""
        return self.folder / "map-images.npz"

    @property
    def cells(self) -> Path:
        """The folder of the cells."""
        return self.folder / "cells"

    def seed(self, seed: int) -> Path:
        """The folder of a seed."""
        return self.folder / "runs" / str(seed)

    def gan(self, seed: int) -> Path:
        """The folder of a seed's GAN run."""
        return self.seed(seed) / "gan"

    def training(self, seed: int) -> Path:
        """What a seed's GAN is trained on, while it is not done."""
        return self.seed(seed) / "training.npz"

    def set(self, seed: int, step: int) -> Path:
        """What a seed's GAN has drawn at a stage."""
        return self.seed(seed) / "sets" / f"gan@{step}.npz"

    def distances(self, seed: int) -> Path:
        """How well a seed's sets are told from real images."""
        return self.seed(seed) / "distances.json"

    def copies(self, seed: int) -> Path:
        """Whether a seed's last set holds copies of training images."""
        return self.seed(seed) / "copies.json"

    def neighbours(self, seed: int) -> Path:
        """Some images of that set, and the training images nearest to them."""
        return self.seed(seed) / "neighbours.npz"
