"""The command line: commands to functions, no logic."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Union

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from mizumashi.data.formats import Format, Preprocess
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig
from mizumashi.gan.presets import PRESETS
from mizumashi.memory import keep_freed_memory
from mizumashi.studies.config import StudyConfig

Images = Annotated[str, Positional, arg(metavar="IMAGES")]
Preset = Literal["paper", "small"]


@dataclass(frozen=True)
class Study:
    """The main job: GANs, generated sets, classifiers, tables, figures, report. Resumes by itself.

    Args:
        images: the images to inflate: digits, mnist, faxocr, or a path.
        target: another domain's images, to be tested on.
        out: the study's folder (default: studies/IMAGES or studies/IMAGES-to-TARGET).
        preset: the GAN's settings to start from: the paper's, or a short schedule for small sets.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
        accelerator: the device: auto, cpu, cuda, ...
        config: how much the study does.
    """

    images: Images = "digits"
    target: str | None = None
    out: Path | None = None
    preset: Preset = "paper"
    data_dir: Path | None = None
    accelerator: str = "auto"
    config: OmitArgPrefixes[StudyConfig] = field(default_factory=StudyConfig)

    def run(self) -> None:
        """Do the study; print the accuracy table."""
        from mizumashi.console import progress_on_stderr
        from mizumashi.jobs import study

        with progress_on_stderr() as progress:
            result = study(
                self.images,
                target=self.target,
                out=self.out,
                config=self.config,
                data_dir=self.data_dir,
                accelerator=self.accelerator,
                progress=progress,
            )
        print((result.path / "tables" / "accuracy.md").read_text(encoding="utf-8"), end="")
        print(f"\nThe whole report: {result.path / 'report.md'}")


@dataclass(frozen=True)
class Train:
    """Train a GAN on labelled images, keeping its generator at several steps. Resumes by itself.

    Args:
        images: digits, mnist, faxocr, or a path; of a set with parts, the training part is used.
        out: the run's folder.
        preset: the settings to start from: the paper's, or a short schedule for small sets.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
        accelerator: the device: auto, cpu, cuda, ...
        gan: the GAN's settings.
    """

    images: Images
    out: Path
    preset: Preset = "paper"
    data_dir: Path | None = None
    accelerator: str = "auto"
    gan: OmitArgPrefixes[GanConfig] = field(default_factory=GanConfig)

    def run(self) -> None:
        """Train, or go on training."""
        from mizumashi.console import progress_on_stderr
        from mizumashi.data.readers import open_images
        from mizumashi.gan.training import train

        images = open_images(self.images, data_dir=self.data_dir)
        with progress_on_stderr() as progress:
            run = train(images, self.out, self.gan, accelerator=self.accelerator, progress=progress)
        print(f"{run.path}: snapshots at {', '.join(map(str, run.snapshots))}")


@dataclass(frozen=True)
class Generate:
    """Draw labelled images from a snapshot of a GAN run.

    Args:
        run_folder: the GAN run's folder.
        out: the new set's folder, or file for npz.
        step: the snapshot (default: the last).
        count: how many images in all; or
        per_class: how many of each class.
        format: the set's format.
        seed: decides the latents; image i depends on the snapshot, the seed and i alone.
    """

    run_folder: Annotated[Path, Positional, arg(metavar="RUN")]
    out: Path
    step: int | None = None
    count: int | None = None
    per_class: int | None = None
    format: Format = "idx"
    seed: int = 0

    def run(self) -> None:
        """Draw and write the set."""
        from mizumashi.console import progress_on_stderr
        from mizumashi.data.writers import write_stream
        from mizumashi.gan.run import GanRun

        snapshot = GanRun(self.run_folder).snapshot(self.step)
        total = snapshot.total(self.count, self.per_class)
        with progress_on_stderr() as progress:
            chunks = snapshot.draw(total, seed=self.seed, progress=progress)
            path = write_stream(chunks, snapshot.labels(total), snapshot.class_names, self.out, self.format)
        print(f"{path}: {total} images of {len(snapshot.class_names)} classes from step {snapshot.step}")


@dataclass(frozen=True)
class Evaluate:
    """Train softmax regression on each set, and score it on each test set: accuracy and loss.

    Args:
        sets: the training sets; of a set with parts, the training part.
        on: the test sets; of a set with parts, the test part.
        seeds: classifiers for each training set.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
    """

    sets: Annotated[tuple[str, ...], Positional, arg(metavar="SET...")]
    on: tuple[str, ...]
    seeds: int = 1
    data_dir: Path | None = None

    def run(self) -> None:
        """Train, score and print both tables."""
        from mizumashi.console import progress_on_stderr
        from mizumashi.data.readers import open_images
        from mizumashi.jobs import evaluate
        from mizumashi.report.tables import matrix

        training, tests = (
            [open_images(name, data_dir=self.data_dir) for name in names] for names in (self.sets, self.on)
        )
        with progress_on_stderr() as progress:
            accuracy, loss = evaluate(training, tests, seeds=self.seeds, progress=progress)
        for title, numbers in (("Accuracy", accuracy), ("Loss", loss)):
            print(f"{title}\n\n{matrix(self.sets, self.on, numbers)}\n")


@dataclass(frozen=True)
class Data:
    """Look at, convert or preprocess labelled images.

    Args:
        images: digits, mnist, faxocr, or a path.
        out: where to write the set.
        format: the format to write.
        preprocess: mnist-style turns scans of any size into centred 28x28 characters, bright on black.
        resize: the new side in pixels; images become square.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
    """

    images: Images
    out: Path | None = None
    format: Format = "idx"
    preprocess: Preprocess | None = None
    resize: int | None = None
    data_dir: Path | None = None

    def run(self) -> None:
        """Describe the set; write it where asked to."""
        from mizumashi.data.readers import open_images
        from mizumashi.data.resize import resize
        from mizumashi.data.writers import write_images
        from mizumashi.report.tables import describe_images

        images = open_images(self.images, preprocess=self.preprocess, data_dir=self.data_dir)
        if self.resize is not None:
            images = resize(images, self.resize)
        written = None if self.out is None else write_images(images, self.out, self.format)
        print(describe_images(images))
        if written is not None:
            print(f"\nWritten to {written}")


@dataclass(frozen=True)
class Report:
    """Draw a study's tables, figures and report again.

    Args:
        study: the study's folder.
    """

    study: Annotated[Path, Positional, arg(metavar="STUDY")]

    def run(self) -> None:
        """Draw it."""
        from mizumashi.report.page import draw

        draw(self.study)
        print(self.study / "report.md")


Command = Study | Train | Generate | Evaluate | Data | Report


def parse(arguments: Sequence[str]) -> Command:
    """The command with its options; a preset's values take the place of the defaults."""
    command = _parse(arguments, GanConfig())
    if isinstance(command, Study | Train):
        # The preset is known only now: parse again, with its values as the defaults.
        return _parse(arguments, PRESETS[command.preset]())
    return command


def _parse(arguments: Sequence[str], gan: GanConfig) -> Command:
    missing = tyro.MISSING
    choices = (
        Annotated[Study, subcommand("study", default=Study(config=StudyConfig(gan=gan)))],
        Annotated[Train, subcommand("train", default=Train(images=missing, out=missing, gan=gan))],
        Annotated[Generate, subcommand("generate")],
        Annotated[Evaluate, subcommand("evaluate")],
        Annotated[Data, subcommand("data")],
        Annotated[Report, subcommand("report")],
    )
    any_of: Any = Union[choices]  # noqa: UP007 (made from a tuple)
    command: Command = tyro.cli(any_of, prog="mizumashi", args=arguments)
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 when done, 2 for wrong input, 130 when stopped, 1 for other failures."""
    keep_freed_memory()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        print(f"mizumashi {version('mizumashi')}")
        return 0
    try:
        parse(arguments).run()
    except InputError as error:
        return _say(error, 2)
    except KeyboardInterrupt as stop:
        return _say(stop if stop.args else "stopped; the same command goes on", 130)
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
        return _say(f"found no way to {error.filename} ({error.strerror}); expected a path that can be used", 2)
    except MemoryError as error:
        return _say(f"found too little memory: {error}; ask for less at a time", 1)
    except (FloatingPointError, OSError) as error:
        return _say(error, 1)
    return 0


def _say(message: object, code: int) -> int:
    line = " ".join(str(message).split())  # a path may hold a newline
    print(f"mizumashi: {line}", file=sys.stderr)
    return code
