"""A study's GANs and the sets that they draw: those of several seeds side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import map_npz
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_stream
from mizumashi.gan.footprint import fitting
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import device_of, train
from mizumashi.progress import Progress
from mizumashi.side_by_side import at_once, side_by_side
from mizumashi.studies.plan import Plan


@dataclass(frozen=True)
class Gans:
    """How a study's GANs are trained.

    Args:
        plan: the study's, its precision resolved.
        folder: the study's; a seed's GAN goes to runs/SEED/gan, its sets to runs/SEED/sets.
        accelerator: Lightning Fabric's name for the device.
        checkpoint_every: steps between two checkpoints.
        tensorboard: whether they write for TensorBoard, too.
        progress: called as they train and draw.
    """

    plan: Plan
    folder: Path
    accelerator: str
    checkpoint_every: int
    tensorboard: bool
    progress: Progress

    @property
    def groups(self) -> list[list[int]]:
        """The seeds, in order, those together that train side by side: as many as there are cores, and memory.

        Beside each other, GANs of few threads get more out of a processor than one after the other on all cores. A
        GPU takes them one by one.
        """
        seeds, count = self.plan.seeds, 1
        if device_of(self.accelerator).type == "cpu":
            count = min(at_once(), fitting(self.plan.source.train, self.plan.config.gan) or at_once())
        return [seeds[start : start + count] for start in range(0, len(seeds), count)]

    def make(self, group: Sequence[int]) -> None:
        """Train the GANs of some seeds and draw their sets, or what of that is not there yet.

        A member of a group computes on its share of the cores whatever is there already, so that its bits do not
        depend on when a study was stopped.

        Raises:
            InputError: a folder holds something else, or a set is damaged.
            KeyboardInterrupt: the user stopped it; every GAN has its checkpoint.
        """
        if len(group) == 1:
            self._make(group[0], self.progress)
            return
        tasks = [partial(self._make, seed) for seed in group]
        for _ in side_by_side(tasks, threads=max(1, at_once() // len(group)), progress=self.progress):
            pass

    def sets(self, seed: int) -> dict[int, LabelledImages]:
        """The sets that a seed's GAN has drawn, by stage: see `kept_sets`."""
        return kept_sets(self.folder, seed, self.plan.config.gan.stages)

    def _make(self, seed: int, progress: Progress) -> None:
        plan, training = self.plan, self.plan.training(seed)
        run = train(
            training.real,
            self.folder / "runs" / str(seed) / "gan",
            replace(plan.config.gan, seed=seed),
            checkpoint_every=self.checkpoint_every,
            accelerator=self.accelerator,
            tensorboard=self.tensorboard,
            progress=progress,
        )

        def tell(task: str, done: int, total: int, note: str) -> None:
            progress(f"seed {seed}: drawing", done, total, task)

        for step in plan.config.gan.stages:
            if not set_path(self.folder, seed, step).exists():
                self._draw(run, training.real, step, seed, tell)

    def _draw(self, run: GanRun, real: LabelledImages, step: int, seed: int, progress: Progress) -> None:
        """Draw a set with the real images' labels, image by image, and a test part with the source's.

        With the real labels, a generated set has the real share of each class: what a classifier makes of it tells of
        the images, not of their proportions.
        """
        snapshot, trained = run.snapshot(step), self.plan.generated_labels(real)
        labels = np.concatenate([np.array(trained, np.int64), self.plan.source.test.labels])
        chunks = snapshot.draw(len(labels), labels=labels, seed=seed, progress=progress)
        path, origin = set_path(self.folder, seed, step), run.origin(step, seed=seed)
        write_stream(chunks, labels, snapshot.class_names, path, "npz", test_start=len(trained), origin=origin)


def set_path(study: Path, seed: int, step: int) -> Path:
    """Where a study keeps what a seed's GAN has drawn at a stage."""
    return study / "runs" / str(seed) / "sets" / f"gan@{step}.npz"


def kept_sets(study: Path, seed: int, steps: Iterable[int]) -> dict[int, LabelledImages]:
    """The sets of these stages, left on disk, so that memory does not grow with the number of stages.

    Raises:
        InputError: a file is missing or damaged: opening it whole checks it first.
    """
    paths = {step: set_path(study, seed, step) for step in steps}
    return {
        step: replace(open_images(path), images=map_npz(path, "images"), name=f"gan@{step}")
        for step, path in paths.items()
    }
