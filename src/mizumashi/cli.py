"""The command line: commands to functions, no logic."""

import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from io import StringIO, TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Union

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from mizumashi.data.formats import Format, Preprocess
from mizumashi.errors import InputError
from mizumashi.gan.config import CHECKPOINT_EVERY, GanConfig
from mizumashi.gan.presets import PRESETS
from mizumashi.markdown import visible
from mizumashi.memory import keep_freed_memory
from mizumashi.studies.config import StudyConfig
from mizumashi.usage import explain

Images = Annotated[str, Positional, arg(metavar="IMAGES")]
Preset = Literal["paper", "fast", "small"]

GOES_ON = "stopped; the same command goes on"
STARTS_OVER = "stopped; nothing was written"

UNUSABLE = {
    errno.ENOENT,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ELOOP,
    errno.ENAMETOOLONG,
}
"""What the operating system says of a path that the user must change."""


@dataclass(frozen=True)
class Study:
    """The main job: GANs, generated sets, classifiers, verdict, tables, figures, report. Resumes by itself.

    Args:
        images: the images to inflate: digits, mnist, faxocr, or a path.
        target: another domain's images, to be tested on.
        out: the study's folder (default: studies/IMAGES or studies/IMAGES-to-TARGET).
        preset: the GAN's settings to start from: the paper's, fast ones, or a short schedule for small sets.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
        accelerator: the device: auto, cpu, cuda, ...
        checkpoint_every: steps between two checkpoints of a GAN.
        tensorboard: write losses and pictures of the GANs for TensorBoard, too (needs the extra tensorboard).
        config: how much the study does.
    """

    stopped: ClassVar[str] = GOES_ON

    images: Images = "digits"
    target: str | None = None
    out: Path | None = None
    preset: Preset = "paper"
    data_dir: Path | None = None
    accelerator: str = "auto"
    checkpoint_every: int = CHECKPOINT_EVERY
    tensorboard: bool = False
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
                checkpoint_every=self.checkpoint_every,
                tensorboard=self.tensorboard,
                progress=progress,
            )
        print((result.path / "tables" / "accuracy.md").read_text(encoding="utf-8"))
        for line in str(result.verdict).splitlines():
            print(visible(line))
        print(f"\nThe whole report: {visible(str(result.path / 'report.html'))}, or report.md beside it")


@dataclass(frozen=True)
class Train:
    """Train a GAN on labelled images, keeping its generator at several steps. Resumes by itself.

    Args:
        images: digits, mnist, faxocr, or a path; of a set with parts, the training part is used.
        out: the run's folder.
        preset: the settings to start from: the paper's, fast ones, or a short schedule for small sets.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
        accelerator: the device: auto, cpu, cuda, ...
        resume: auto goes on with the run in --out or starts one; true goes on and never starts; false starts and never
            goes on; a path starts from the checkpoint of the same run in that other folder.
        checkpoint_every: steps between two checkpoints.
        tensorboard: write losses and pictures for TensorBoard, too (needs the extra tensorboard).
        gan: the GAN's settings.
    """

    stopped: ClassVar[str] = GOES_ON

    images: Images
    out: Path
    preset: Preset = "paper"
    data_dir: Path | None = None
    accelerator: str = "auto"
    resume: Annotated[str, arg(metavar="auto|true|false|PATH")] = "auto"
    checkpoint_every: int = CHECKPOINT_EVERY
    tensorboard: bool = False
    gan: OmitArgPrefixes[GanConfig] = field(default_factory=GanConfig)

    def run(self) -> None:
        """Train, or go on training."""
        from mizumashi.console import progress_on_stderr
        from mizumashi.data.readers import open_images
        from mizumashi.gan.training import train

        images = open_images(self.images, data_dir=self.data_dir)
        with progress_on_stderr() as progress:
            run = train(
                images,
                self.out,
                self.gan,
                resume={"true": True, "false": False}.get(self.resume, self.resume),
                checkpoint_every=self.checkpoint_every,
                accelerator=self.accelerator,
                tensorboard=self.tensorboard,
                progress=progress,
            )
        print(f"{visible(str(run.path))}: snapshots at {', '.join(map(str, run.snapshots))}")


@dataclass(frozen=True)
class Generate:
    """Draw labelled images from a snapshot of a GAN run, or write the training set of a study's recipe.

    The set carries a dataset card: README.md, in the folder or in the npz file.

    Args:
        run_folder: the GAN run's folder; with --recipe a finished study's.
        out: the new set's folder, or file for npz.
        step: the snapshot (default: the last).
        count: how many images in all; or
        per_class: how many of each class.
        format: the set's format.
        seed: decides the latents; image i depends on the snapshot, the seed and i alone.
        recipe: best for what the study's verdict says, or any recipe of its stages, such as real+gan@300:0.25.
        images: with --recipe, the study's source (default: what it was opened by).
        target: with --recipe, the study's target, where some of it joins training (default: likewise).
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
    """

    stopped: ClassVar[str] = STARTS_OVER

    run_folder: Annotated[Path, Positional, arg(metavar="RUN")]
    out: Path
    step: int | None = None
    count: int | None = None
    per_class: int | None = None
    format: Format = "idx"
    seed: int = 0
    recipe: str | None = None
    images: str | None = None
    target: str | None = None
    data_dir: Path | None = None

    def run(self) -> None:
        """Draw or mix the set, and write it."""
        if self.recipe is None:
            self._draw()
        else:
            self._mix(self.recipe)

    def _mix(self, recipe: str) -> None:
        from mizumashi.data.writers import require_writable, write_images
        from mizumashi.jobs import training_set_and_origin

        require_writable(self.out, self.format)
        images, origin = training_set_and_origin(
            self.run_folder, recipe, images=self.images, target=self.target, data_dir=self.data_dir
        )
        path = write_images(images, self.out, self.format, origin=origin)
        print(f"{visible(str(path))}: {len(images)} images of {len(images.class_names)} classes: {images.name}")

    def _draw(self) -> None:
        from mizumashi.console import progress_on_stderr
        from mizumashi.data.writers import write_stream
        from mizumashi.gan.run import GanRun

        run = GanRun(self.run_folder)
        snapshot = run.snapshot(self.step)
        total = snapshot.total(self.count, self.per_class)
        with progress_on_stderr() as progress:
            chunks = snapshot.draw(total, seed=self.seed, progress=progress)
            labels, origin = snapshot.labels(total), run.origin(snapshot.step, seed=self.seed)
            path = write_stream(chunks, labels, snapshot.class_names, self.out, self.format, origin=origin)
        print(f"{visible(str(path))}: {total} images of {len(snapshot.class_names)} classes from step {snapshot.step}")


@dataclass(frozen=True)
class Export:
    """Write a snapshot of a GAN run as an ONNX file, which draws images without mizumashi.

    Args:
        run_folder: the GAN run's folder.
        out: the new file.
        step: the snapshot (default: the last).
    """

    stopped: ClassVar[str] = STARTS_OVER

    run_folder: Annotated[Path, Positional, arg(metavar="RUN")]
    out: Path
    step: int | None = None

    def run(self) -> None:
        """Write it."""
        from mizumashi.gan.run import GanRun

        snapshot = GanRun(self.run_folder).snapshot(self.step)
        path = snapshot.export_onnx(self.out)
        print(f"{visible(str(path))}: step {snapshot.step}; inputs latents and labels, output images")


@dataclass(frozen=True)
class Evaluate:
    """Train softmax regression on each set, and score it on each test set: accuracy and loss.

    Args:
        sets: the training sets; of a set with parts, the training part.
        on: the test sets; of a set with parts, the test part.
        seeds: classifiers for each training set.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
    """

    stopped: ClassVar[str] = STARTS_OVER

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
class Compare:
    """Say how good generated images are beside real ones, and whether they are copies.

    Args:
        real: the real images, with a training and a test part.
        generated: the generated ones; of a set with parts, the test part.
        seed: of the networks and of whatever is drawn.
        data_dir: the folder of the known sets (default: MIZUMASHI_DATA, then a download).
    """

    stopped: ClassVar[str] = STARTS_OVER

    real: Annotated[str, Positional, arg(metavar="REAL")]
    generated: Annotated[str, Positional, arg(metavar="GENERATED")]
    seed: int = 0
    data_dir: Path | None = None

    def run(self) -> None:
        """Compare, and print the tables."""
        from mizumashi.console import progress_on_stderr
        from mizumashi.jobs import compare
        from mizumashi.report.tables import describe_comparison

        with progress_on_stderr() as progress:
            found = compare(self.real, self.generated, seed=self.seed, data_dir=self.data_dir, progress=progress)
        print(describe_comparison(found))


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

    stopped: ClassVar[str] = STARTS_OVER

    images: Images
    out: Path | None = None
    format: Format = "idx"
    preprocess: Preprocess | None = None
    resize: int | None = None
    data_dir: Path | None = None

    def run(self) -> None:
        """Describe the set; write it where asked to."""
        from mizumashi.data.readers import open_images
        from mizumashi.data.writers import require_writable, write_images
        from mizumashi.report.tables import describe_images

        if self.out is not None:
            require_writable(self.out, self.format)  # before the images are read
        images = open_images(self.images, preprocess=self.preprocess, resize=self.resize, data_dir=self.data_dir)
        description = describe_images(images)
        written = None if self.out is None else write_images(images, self.out, self.format)
        print(description)
        if written is not None:
            print(f"\nWritten to {visible(str(written))}")


@dataclass(frozen=True)
class Report:
    """Draw a study's tables, figures and report again.

    Args:
        study: the study's folder.
    """

    stopped: ClassVar[str] = "stopped; the same command draws it all again"

    study: Annotated[Path, Positional, arg(metavar="STUDY")]

    def run(self) -> None:
        """Draw it."""
        from mizumashi.jobs import report

        report(self.study)
        print(visible(str(self.study / "report.html")))


Command = Study | Train | Generate | Export | Evaluate | Compare | Data | Report
COMMANDS: dict[str, type[Command]] = {
    "study": Study,
    "train": Train,
    "generate": Generate,
    "export": Export,
    "evaluate": Evaluate,
    "compare": Compare,
    "data": Data,
    "report": Report,
}


def parse(arguments: Sequence[str]) -> Command:
    """The command with its options; a preset's values take the place of the defaults.

    Raises:
        InputError: a word is unknown or out of place, or something is missing.
        SystemExit: help was asked for, and printed.
    """
    command = _parse(arguments, GanConfig())
    if isinstance(command, Study | Train):
        # The preset is known only now: parse again, with its values as the defaults.
        return _parse(arguments, PRESETS[command.preset]())
    return command


def _parse(arguments: Sequence[str], gan: GanConfig) -> Command:
    missing = tyro.MISSING
    defaults = {"study": Study(config=StudyConfig(gan=gan)), "train": Train(images=missing, out=missing, gan=gan)}
    choices = tuple(
        Annotated[command, subcommand(name, default=defaults.get(name, tyro.MISSING_NONPROP))]
        for name, command in COMMANDS.items()
    )
    any_of: Any = Union[choices]  # noqa: UP007 (made from a tuple)
    refusal = StringIO()
    try:
        with redirect_stderr(refusal):
            command: Command = tyro.cli(any_of, prog="mizumashi", args=arguments)
    except SystemExit as end:
        if not end.code:
            raise
        raise InputError(explain(arguments, COMMANDS, refusal.getvalue())) from None
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit code is 0 when done, 2 for wrong input, 130 when stopped, 1 for other failures."""
    keep_freed_memory()
    _stop_on_signals()
    _print_anything()
    # Fabric would announce the precision of every GAN.
    logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments) == ["--version"]:
        print(f"mizumashi {version('mizumashi')}")
        return 0
    command: Command | None = None
    try:
        command = parse(arguments)
        command.run()
    except SystemExit:  # help, printed
        return 0
    except InputError as error:
        return _say(error, 2)
    except KeyboardInterrupt as stop:
        return _say(stop if stop.args else _left(command), 130)
    except BrokenPipeError:  # whoever read our output has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except MemoryError as error:
        return _say(f"found too little memory: {error}; ask for less at a time", 1)
    except OSError as error:
        if error.errno in UNUSABLE and error.filename is not None:
            return _say(f"found no way to {error.filename} ({error.strerror}); expected a path that can be used", 2)
        return _say(error, 1)
    except FloatingPointError as error:
        return _say(error, 1)
    return 0


def _left(command: Command | None) -> str:
    """What a stopped command leaves."""
    if isinstance(command, Generate | Data) and command.out is not None:
        from mizumashi.data.writers import is_written

        if is_written(command.out, command.format):  # it was new: the stop came when all was done
            return f"stopped; {command.out} was written before"
    return STARTS_OVER if command is None else command.stopped


def _stop_on_signals() -> None:
    """Let a closed terminal and `kill` stop the work as Ctrl-C does; `nohup` stays in force."""
    for number in (signal.SIGTERM, getattr(signal, "SIGHUP", None)):  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def _print_anything() -> None:
    """Print what the terminal's encoding lacks as an escape rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _say(message: object, code: int) -> int:
    line = visible(" ".join(str(message).split()))  # a path may hold anything
    with suppress(OSError):  # the terminal may be closed
        print(f"mizumashi: {line}", file=sys.stderr)
    return code
