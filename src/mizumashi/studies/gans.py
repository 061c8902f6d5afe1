"""A study's GANs and the sets that they draw: those of several seeds side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import map_npz
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError
from mizumashi.gan.footprint import fitting, training_seconds
from mizumashi.gan.training import device_of
from mizumashi.studies.executors.processes import perform_side_by_side
from mizumashi.studies.plan import Plan
from mizumashi.studies.store import Store
from mizumashi.studies.tasks import GanTask
from mizumashi.utils.progress import Progress
from mizumashi.utils.side_by_side import at_once
from mizumashi.utils.stored import stored

SHORT = 7.0
"""Seconds: trainings that take less together are done here, one after another; processes take seconds to start."""


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

        A member of a group computes on its share of the cores whatever is there already, and wherever it is done, so
        that its bits do not depend on when a study was stopped.

        Raises:
            InputError: a folder holds something else, or a set is damaged.
            FloatingPointError: training diverged.
            TaskError: a GAN's process died.
            KeyboardInterrupt: the user stopped it; every GAN has its checkpoint.
        """
        threads = torch.get_num_threads() if len(group) == 1 else max(1, at_once() // len(group))
        tasks = [self.task(seed, threads) for seed in group]
        missing, seconds = [task for task in tasks if not task.done], 0.0
        for task in missing:
            real = self.plan.training(task.config.seed).real
            task.prepare(real, self.plan.generated_labels(real), self.plan.source.test.labels)
            seconds += training_seconds(real, task.config)
        if len(missing) > 1 and seconds > SHORT:
            perform_side_by_side(missing, self.progress)
        else:
            for task in missing:
                task.perform(self.progress)
        for task in tasks:
            task.forget_inputs()

    def task(self, seed: int, threads: int) -> GanTask:
        """What makes a seed's GAN and sets."""
        config = replace(self.plan.config.gan, seed=seed)
        folder, name = str(self.folder.resolve()), self.plan.training(seed).real.name
        return GanTask(folder, name, config, self.accelerator, threads, self.checkpoint_every, self.tensorboard)

    def sets(self, seed: int) -> dict[int, LabelledImages]:
        """The sets that a seed's GAN has drawn, by stage: see `kept_sets`."""
        return kept_sets(self.plan, self.folder, seed, self.plan.config.gan.stages)


def kept_sets(plan: Plan, study: Path, seed: int, steps: Iterable[int]) -> dict[int, LabelledImages]:
    """The sets of these stages, left on disk, so that memory does not grow with the number of stages.

    Raises:
        InputError: a file is missing, damaged or of other images than the plan's: opening it whole checks it first.
    """
    return {step: _kept_set(plan, Store(study).set(seed, step), seed, step) for step in steps}


def _kept_set(plan: Plan, path: Path, seed: int, step: int) -> LabelledImages:
    found, labels = open_images(stored(path)), plan.generated_labels(plan.training(seed).real)
    expected = [*labels, *plan.source.test.labels.tolist()]
    alike = all(getattr(found, what) == getattr(plan.source, what) for what in ("size", "channels", "class_names"))
    if not alike or found.test_start != len(labels) or found.labels.tolist() != expected:
        raise InputError(
            f"{path}: found images of other sizes, labels or parts than this study draws; expected {len(expected)} as "
            f"in {plan.source.name}; remove it, and the study's command draws it again"
        )
    return replace(found, images=map_npz(path, "images"), name=f"gan@{step}")
