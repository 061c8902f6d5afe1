"""A GAN run on disk: its record, its log and its snapshots."""

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as serialise
from torch import nn

from mizumashi.data import limits
from mizumashi.data.card import Origin
from mizumashi.data.image_files import png_bytes
from mizumashi.data.record import ImagesRecord
from mizumashi.errors import InputError
from mizumashi.gan import checkpoint
from mizumashi.gan.config import SIZES, GanConfig
from mizumashi.gan.networks import Discriminator, Generator, Shape
from mizumashi.gan.sampling import Snapshot
from mizumashi.utils import files, locks
from mizumashi.utils.descriptions import differences
from mizumashi.utils.layout import RUN
from mizumashi.utils.schema import from_json, to_json
from mizumashi.utils.stored import stored

FORMAT = 1
"""The layout of a run's folder."""

_STATE = "checkpoint/state.safetensors"


Resume = bool | str | Path
"""Whether and from where to go on: False, True, "auto" or a run's folder (see `mizumashi.train`)."""


@dataclass(frozen=True)
class RunRecord:
    """What RUN/config.json holds: equal records mean equal runs.

    Args:
        format: the layout of the folder.
        config: the GAN's, its precision and its snapshots settled.
        images: the training images.
        versions: of the libraries that decide the bytes, by name.

    Raises:
        InputError: no run of this program can have it.
    """

    format: int
    config: GanConfig
    images: ImagesRecord
    versions: dict[str, str]

    def __post_init__(self) -> None:
        require_drawable(self.images)
        names = self.images.class_names
        limits.require_class_names("the run", names)
        if not 2 <= len(set(names)) == len(names):
            raise InputError(f"found {len(names)} class names, {len(set(names))} different; expected two at least")
        if self.config.precision == "auto":
            raise InputError("found the precision 'auto'; expected the one that was taken")


class GanRun:
    """One training of one conditional GAN on one set of labelled images: a folder.

    RUN/config.json describes it, RUN/log.jsonl holds the losses of every step, RUN/snapshots/ the generators,
    RUN/pictures/ what each draws for the same latents, and RUN/checkpoint/ what an unfinished run needs to go on.

    Args:
        path: an existing run's folder.

    Raises:
        InputError: the folder is no GAN run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        RUN.require_plain(self.path)
        if not (self.path / "config.json").is_file():
            raise InputError(
                f"found no GAN run in {self.path}; expected a folder with config.json; "
                "`mizumashi train IMAGES --out RUN` makes one"
            )
        _ = self.record  # else a damaged one would be found later

    @classmethod
    def begin(cls, path: Path, record: RunRecord, resume: Resume = "auto") -> "GanRun":
        """Start a run in a new folder, or take up the run of this record that is already there.

        Versions may differ, and so may the images' name: their hash says whether they are the same.

        Args:
            path: the run's folder.
            record: what config.json holds or shall hold.
            resume: see `mizumashi.train`.

        Raises:
            InputError: the folder holds something else, and the message names what differs; or it does not hold what
                `resume` says.
        """
        there = (path / "config.json").exists()
        if resume is True and not there:
            raise InputError(
                f"found no GAN run in {path} to resume; expected one; correct --out, or leave --resume out"
            )
        if resume is False and there:
            raise InputError(
                f"found a GAN run in {path}; expected a new or empty folder, since nothing may be resumed; "
                "choose another --out, or leave --resume out"
            )
        if not isinstance(resume, bool) and resume != "auto":
            other = cls(resume)
            other.require_same(record)
            if not there:
                files.require_new_folder(path)
            else:
                cls(path).require_same(record)
            if not any((path / name).exists() for name in (_STATE, "finished.json")):
                other.copy_to(path)  # again, where the first process was killed before it had all
        elif not there:
            files.require_new_folder(path)
            files.write_json(path / "config.json", to_json(record))
        run = cls(path)
        run.require_same(record)
        locks.remove_leftovers(path, RUN)
        return run

    def require_same(self, record: RunRecord) -> None:
        """Raise `InputError` that names what differs unless this run has that record."""
        ignore = ["versions"]
        if self.record.images.sha256 == record.images.sha256:
            ignore.append("images.name")
        if differing := differences(to_json(self.record), to_json(record), ignore):
            raise InputError(
                f"found another GAN run in {self.path}: {'; '.join(differing)}; expected the same configuration "
                "and images; choose another --out or repeat the first command"
            )

    def copy_to(self, path: Path) -> None:
        """Copy all that this run has so far into a folder; this one stays as it is.

        The checkpoint is read before the log, which may be ahead of it: this run may be going on meanwhile. What the
        next step needs is written last: where it is, the copy is whole.
        """
        planned = self.record.config.stages
        kept = [place(step) for step in planned for place in (self._snapshot_path, self._picture_path)]
        places = [self.path / _STATE, self.path / "finished.json", self.path / "log.jsonl", *kept]
        with torch.device("meta"):
            networks = Generator(self.shape), Discriminator(self.shape)
        most = max(checkpoint.MAX_LOG_BYTES, checkpoint.most_bytes(*networks))
        there = [place for place in places if place.exists()]
        contents = {place.relative_to(self.path): stored(place, most).read_bytes() for place in there}
        files.write_json(path / "config.json", to_json(self.record))
        for name, content in reversed(contents.items()):
            files.write_bytes(path / name, content)

    @cached_property
    def record(self) -> RunRecord:
        """What config.json holds: configuration, images and versions."""
        path = self.path / "config.json"
        found = files.read_json(stored(path))
        with files.expect_undamaged(path, "give another folder, or train again in a new one"):
            if found["format"] != FORMAT:
                raise InputError(
                    f"{self.path}: found a GAN run of format {found['format']}; expected {FORMAT}; use the version of "
                    "mizumashi that made it"
                )
            return from_json(RunRecord, found)

    @property
    def shape(self) -> Shape:
        """The networks' shape."""
        images, config = self.record.images, self.record.config
        return Shape(images.size[0], images.channels, len(images.class_names), config.latent_size, config.widths)

    @property
    def snapshots(self) -> list[int]:
        """The steps at which the generator was kept, so far."""
        return [step for step in self.record.config.stages if self._snapshot_path(step).exists()]

    @property
    def finished(self) -> bool:
        """Whether the last step is done, and the log and every planned snapshot are there."""
        files_there = all((self.path / name).exists() for name in ("finished.json", "log.jsonl"))
        return files_there and self.snapshots == [*self.record.config.stages]

    def snapshot(self, step: int | None = None) -> Snapshot:
        """The generator at one training step, by default the last that was kept.

        Raises:
            InputError: no snapshot was kept at that step.
        """
        kept = self.snapshots
        if not kept:
            raise InputError(
                f"found no snapshot in {self.path}; expected at least one; train into {self.path} again to make them"
            )
        step = kept[-1] if step is None else step
        if step not in kept:
            listed = ", ".join(map(str, kept))
            raise InputError(f"found no snapshot at step {step} in {self.path}; expected one of: {listed}")
        record = self.record
        path = self._snapshot_path(step)
        return Snapshot(path, step, self.shape, record.images.class_names, record.config.precision)

    def write_snapshot(self, step: int, generator: nn.Module) -> None:
        """Keep the generator as it is at `step`."""
        tensors = {key: value.contiguous() for key, value in generator.state_dict().items()}
        files.write_bytes(self._snapshot_path(step), serialise(tensors))

    def write_picture(self, step: int, pixels_HWC: NDArray[np.uint8]) -> None:
        """Keep a picture of images that the snapshot of `step` drew."""
        files.write_bytes(self._picture_path(step), png_bytes(pixels_HWC))

    def losses(self) -> dict[str, NDArray[np.float64]]:
        """The losses of every logged step: "generator" and "discriminator", one number a step each.

        Raises:
            InputError: log.jsonl is missing or damaged.
        """
        losses = np.array(checkpoint.read_log(self.path).losses).reshape(-1, 2)
        steps = self.record.config.steps
        if self.finished and len(losses) != steps:
            raise InputError(
                f"{self.path}/log.jsonl: found {len(losses)} steps; expected {steps}; the file is damaged: "
                f"remove it, and train into {self.path} again to remake it"
            )
        return {"generator": losses[:, 0], "discriminator": losses[:, 1]}

    def variation(self) -> dict[int, list[float]]:
        """For each snapshot's step, how much the images of each class vary: a share of the real ones' variation.

        Runs of older versions do not tell: then the mapping is empty.

        Raises:
            InputError: log.jsonl is missing or damaged.
        """
        variation, classes = checkpoint.read_log(self.path).variation, self.shape.classes
        if any(len(shares) != classes for shares in variation.values()):
            raise InputError(
                f"{self.path}/log.jsonl: found variations of other classes than the run's {classes}; expected one for "
                f"each; remove the file, and train into {self.path} again to remake it"
            )
        return variation

    def origin(self, step: int | None = None, *, seed: int = 0) -> Origin:
        """What the dataset card says of images drawn from a snapshot (see `mizumashi.write_images`).

        Args:
            step: the snapshot's, by default the last.
            seed: of the drawing.

        Raises:
            InputError: no snapshot was kept at that step.

        Example:
            `write_images(run.snapshot(600).sample(100), "set", "parquet", origin=run.origin(600))` writes a set that
            says where it comes from.
        """
        step = self.snapshot(step).step
        config, images, versions = self.record.config, self.record.images, self.record.versions
        return Origin(
            title=f"gan@{step} of {images.name}",
            made=f"Drawn from a label-conditional GAN after {step} of {config.steps} steps of training.",
            facts=(
                *source_facts(images),
                ("GAN trained with", ", ".join(f"{name} {number}" for name, number in versions.items())),
                ("seed of the GAN", str(config.seed)),
                ("stage", f"step {step} of {config.steps}"),
                ("precision", config.precision),
                ("drawn with", f"torch {version('torch')}, numpy {version('numpy')}"),
                ("seed of the drawing", str(seed)),
            ),
            scores=self._scores(step),
        )

    def _scores(self, step: int) -> tuple[str, ...]:
        try:
            shares = self.variation().get(step)
        except InputError:  # the log says nothing of the weights, which are what is drawn from
            return ()
        if not shares:
            return ()
        return (
            f"Variation within a class, as a share of the real images': {min(shares):.2f} to {max(shares):.2f} over "
            "the classes (0: all images of a class are alike).",
        )

    def reopen(self) -> None:
        """Make an unfinished run ready to go on: from its checkpoint, or from the start.

        From the start where the log is gone, or a snapshot that lies behind: only training again remakes them.
        """
        logged = len(checkpoint.read_log(self.path).losses) if (self.path / "log.jsonl").exists() else 0
        behind = [step for step in self.record.config.stages if step <= logged]
        (self.path / "finished.json").unlink(missing_ok=True)
        if not logged or not set(behind) <= set(self.snapshots):
            self.drop_checkpoint()

    def finish(self) -> None:
        """Say that the last step is done, and drop the checkpoint that nobody needs any more."""
        files.write_json(self.path / "finished.json", {"steps": self.record.config.steps})
        self.drop_checkpoint()

    def drop_checkpoint(self) -> None:
        """Remove what only an unfinished run needs."""
        with suppress(OSError):  # it is not there, or others have put something beside it
            (self.path / _STATE).unlink(missing_ok=True)
            (self.path / _STATE).parent.rmdir()

    def _snapshot_path(self, step: int) -> Path:
        return self.path / "snapshots" / f"step-{step:06d}.safetensors"

    def _picture_path(self, step: int) -> Path:
        return self.path / "pictures" / f"step-{step:06d}.png"


def source_facts(images: ImagesRecord, tested: str = "") -> tuple[tuple[str, str], ...]:
    """What a dataset card says of real images; `tested` is what it adds about their parts."""
    size = " x ".join(map(str, images.size))
    return (
        ("real images", f"{images.name}: {images.count} images of {size} pixels{tested}"),
        ("SHA-256 of the real images' contents", images.sha256),
    )


def require_drawable(images: ImagesRecord) -> None:
    """Raise `InputError` unless a GAN draws images of that size."""
    height, width = images.size
    if height != width or height not in SIZES or images.channels not in (1, 3):
        raise InputError(
            f"found images of {height}x{width} pixels and {images.channels} channels; expected a size that a GAN draws"
        )
