"""The tasks of a study that an executor hands out: small, addressed by paths, done where their result files are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import map_npz, new_npz, read_npz
from mizumashi.data.writers import write_stream
from mizumashi.gan.config import GanConfig
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import train
from mizumashi.studies.store import Store
from mizumashi.utils import files, locks
from mizumashi.utils.layout import SEED
from mizumashi.utils.progress import Progress
from mizumashi.utils.stored import stored

ORPHAN_ENDS = 20.0
"""Seconds in which a process whose study was killed has surely ended."""


@dataclass(frozen=True)
class GanTask:
    """One seed's GAN, and the sets that it draws at each stage.

    Args:
        folder: the study's; the GAN goes to runs/SEED/gan, its sets to runs/SEED/sets.
        name: of the training images, which lie in runs/SEED/training.npz while the task is not done.
        config: the GAN's, its seed and its precision settled.
        accelerator: Lightning Fabric's name for the device.
        threads: of the computation; they decide the last bits.
        checkpoint_every: steps between two checkpoints.
        tensorboard: whether the GAN writes for TensorBoard, too.
    """

    folder: str
    name: str
    config: GanConfig
    accelerator: str
    threads: int
    checkpoint_every: int
    tensorboard: bool

    def __str__(self) -> str:
        return f"the GAN of seed {self.config.seed}"

    @property
    def home(self) -> Path:
        """The folder of the seed."""
        return self._store.seed(self.config.seed)

    @property
    def done(self) -> bool:
        """Whether every result file is there."""
        return (self._store.gan(self.config.seed) / "finished.json").exists() and not self._missing()

    def prepare(self, real: LabelledImages, drawn: Sequence[int], tested: NDArray[np.int64]) -> None:
        """Lay down what the task works on.

        Args:
            real: the training images.
            drawn: the labels of the generated training part.
            tested: the labels of the generated test part.
        """
        with files.atomic_file(self._inputs) as temporary, new_npz(temporary) as archive:
            archive.write("images", real.images)
            archive.write("labels", real.labels)
            archive.write("class_names", np.array(real.class_names))
            archive.write("drawn", np.array(drawn, np.int64))
            archive.write("tested", tested)

    def forget_inputs(self) -> None:
        """Remove what `prepare` laid down."""
        self._inputs.unlink(missing_ok=True)

    def perform(self, progress: Progress) -> None:
        """Train the GAN and draw its sets, or what of that is not there yet.

        One task at a time works in a process: Lightning Fabric keeps state of the whole process.

        Raises:
            InputError: a folder holds something else, or another process works there.
            FloatingPointError: training diverged.
            KeyboardInterrupt: the user stopped it; the GAN has its checkpoint.
        """
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with locks.lock_folder(self.home, SEED, wait=ORPHAN_ENDS):
                locks.remove_leftovers(self.home, SEED)
                self._perform(progress)
        finally:
            torch.set_num_threads(before)

    def _perform(self, progress: Progress) -> None:
        labels, class_names, drawn, tested = read_npz(
            stored(self._inputs), ("labels", "class_names", "drawn", "tested")
        )
        names = [str(name) for name in class_names]
        real = LabelledImages.from_arrays(map_npz(self._inputs, "images"), labels, names, self.name)
        run = train(
            real,
            self._store.gan(self.config.seed),
            self.config,
            checkpoint_every=self.checkpoint_every,
            accelerator=self.accelerator,
            tensorboard=self.tensorboard,
            progress=progress,
        )

        def tell(task: str, done: int, total: int, note: str) -> None:
            progress(f"seed {self.config.seed}: drawing", done, total, task)

        for step in self._missing():
            self._draw(run, step, drawn, tested, tell)

    def _draw(
        self, run: GanRun, step: int, drawn: NDArray[np.int64], tested: NDArray[np.int64], progress: Progress
    ) -> None:
        """Draw a set with the real images' labels, image by image, and a test part with the source's.

        With the real labels, a generated set has the real share of each class: what a classifier makes of it tells of
        the images, not of their proportions.
        """
        seed, snapshot, labels = self.config.seed, run.snapshot(step), np.concatenate([drawn, tested])
        chunks = snapshot.draw(len(labels), labels=labels, seed=seed, progress=progress)
        path, origin = self._store.set(seed, step), run.origin(step, seed=seed)
        write_stream(chunks, labels, snapshot.class_names, path, "npz", test_start=len(drawn), origin=origin)

    @property
    def _store(self) -> Store:
        return Store(Path(self.folder))

    @property
    def _inputs(self) -> Path:
        return self._store.training(self.config.seed)

    def _missing(self) -> list[int]:
        """The stages whose sets are not there."""
        return [step for step in self.config.stages if not self._store.set(self.config.seed, step).exists()]
