"""The commands: a dataclass each, which says what it takes and does it through the functions of the package."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tyro.conf import OmitArgPrefixes, Positional, arg

from mizumashi.data.formats import Format, Preprocess
from mizumashi.gan.config import CHECKPOINT_EVERY, GanConfig
from mizumashi.studies.config import StudyConfig

if TYPE_CHECKING:
    from mizumashi.studies.results import StudyResult

Images = Annotated[str, Positional, arg(metavar="IMAGES")]
Preset = Literal["paper", "fast", "small"]

GOES_ON = "stopped; the same command goes on"
STARTS_OVER = "stopped; nothing was written"


@dataclass(frozen=True)
class Outcome:
    """What a command has to say on standard output.

    Args:
        lines: for people; each stays one line on a terminal, whatever a name in it holds.
        facts: gives the same for machines, as JSON takes it.
    """

    lines: Sequence[str]
    facts: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class BaseCommand:
    """What every command takes.

    Args:
        json: print the results as one JSON object, for machines.
    """

    json: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Study(BaseCommand):
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

    def run(self) -> Outcome:
        """Do the study; tell the accuracy table and the verdict."""
        from mizumashi.api import study
        from mizumashi.cli.progress_display import progress_on_stderr

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
        lines = [
            *(result.path / "tables" / "accuracy.md").read_text(encoding="utf-8").split("\n"),
            *result.verdict.sentences,
            "",
            f"The whole report: {result.path / 'report.html'}, or report.md beside it",
        ]
        return Outcome(lines, lambda: study_facts(result))


@dataclass(frozen=True)
class Train(BaseCommand):
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

    def run(self) -> Outcome:
        """Train, or go on training."""
        from mizumashi.cli.progress_display import progress_on_stderr
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
        return Outcome(
            [f"{run.path}: snapshots at {', '.join(map(str, run.snapshots))}"],
            lambda: {"run": str(run.path), "snapshots": run.snapshots},
        )


@dataclass(frozen=True)
class Generate(BaseCommand):
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

    def run(self) -> Outcome:
        """Draw or mix the set, and write it."""
        return self._draw() if self.recipe is None else self._mix(self.recipe)

    def _mix(self, recipe: str) -> Outcome:
        from mizumashi.api import recipe_origin, training_set
        from mizumashi.data.writers import require_writable, write_images

        require_writable(self.out, self.format)
        images = training_set(self.run_folder, recipe, images=self.images, target=self.target, data_dir=self.data_dir)
        path = write_images(images, self.out, self.format, origin=recipe_origin(self.run_folder, recipe))
        return Outcome(
            [f"{path}: {len(images)} images of {len(images.class_names)} classes: {images.name}"],
            lambda: _set_facts(path, len(images), images.class_names) | {"recipe": images.name},
        )

    def _draw(self) -> Outcome:
        from mizumashi.cli.progress_display import progress_on_stderr
        from mizumashi.data.writers import write_stream
        from mizumashi.gan.run import GanRun

        run = GanRun(self.run_folder)
        snapshot = run.snapshot(self.step)
        total = snapshot.total(self.count, self.per_class)
        with progress_on_stderr() as progress:
            chunks = snapshot.draw(total, seed=self.seed, progress=progress)
            labels, origin = snapshot.labels(total), run.origin(snapshot.step, seed=self.seed)
            path = write_stream(chunks, labels, snapshot.class_names, self.out, self.format, origin=origin)
        return Outcome(
            [f"{path}: {total} images of {len(snapshot.class_names)} classes from step {snapshot.step}"],
            lambda: _set_facts(path, total, snapshot.class_names) | {"step": snapshot.step, "seed": self.seed},
        )


@dataclass(frozen=True)
class Export(BaseCommand):
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

    def run(self) -> Outcome:
        """Write it."""
        from mizumashi.gan.run import GanRun

        snapshot = GanRun(self.run_folder).snapshot(self.step)
        path = snapshot.export_onnx(self.out)
        return Outcome(
            [f"{path}: step {snapshot.step}; inputs latents and labels, output images"],
            lambda: {"file": str(path), "step": snapshot.step},
        )


@dataclass(frozen=True)
class Evaluate(BaseCommand):
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

    def run(self) -> Outcome:
        """Train, score and tell both tables."""
        from mizumashi.api import evaluate
        from mizumashi.cli.progress_display import progress_on_stderr
        from mizumashi.data.readers import open_images
        from mizumashi.report.tables import matrix

        training, tests = (
            [open_images(name, data_dir=self.data_dir) for name in names] for names in (self.sets, self.on)
        )
        with progress_on_stderr() as progress:
            accuracy, loss = evaluate(training, tests, seeds=self.seeds, progress=progress)
        tables = [
            f"{title}\n\n{matrix(self.sets, self.on, numbers)}\n"
            for title, numbers in (("Accuracy", accuracy), ("Loss", loss))
        ]
        facts = {"sets": list(self.sets), "on": list(self.on)}  # numbers: sets x test sets x seeds
        lines = "\n".join(tables).split("\n")
        return Outcome(lines, lambda: facts | {"accuracy": accuracy.tolist(), "loss": loss.tolist()})


@dataclass(frozen=True)
class Compare(BaseCommand):
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

    def run(self) -> Outcome:
        """Compare, and tell the tables."""
        from mizumashi.api import compare
        from mizumashi.cli.progress_display import progress_on_stderr
        from mizumashi.report.tables import describe_comparison

        with progress_on_stderr() as progress:
            found = compare(self.real, self.generated, seed=self.seed, data_dir=self.data_dir, progress=progress)
        return Outcome(describe_comparison(found).split("\n"), lambda: asdict(found))


@dataclass(frozen=True)
class Data(BaseCommand):
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

    def run(self) -> Outcome:
        """Describe the set; write it where asked to."""
        from mizumashi.data.readers import open_images
        from mizumashi.data.writers import require_writable, write_images
        from mizumashi.report.tables import describe_images

        if self.out is not None:
            require_writable(self.out, self.format)  # before the images are read
        images = open_images(self.images, preprocess=self.preprocess, resize=self.resize, data_dir=self.data_dir)
        lines = describe_images(images).split("\n")
        written = None if self.out is None else write_images(images, self.out, self.format)
        if written is not None:
            lines += ["", f"Written to {written}"]
        return Outcome(lines, lambda: images.describe() | {"counts": images.counts.tolist()} | _written(written))


@dataclass(frozen=True)
class Report(BaseCommand):
    """Draw a study's tables, figures and report again.

    Args:
        study: the study's folder.
    """

    stopped: ClassVar[str] = "stopped; the same command draws it all again"

    study: Annotated[Path, Positional, arg(metavar="STUDY")]

    def run(self) -> Outcome:
        """Draw it."""
        from mizumashi.api import report

        report(self.study)
        path = str(self.study / "report.html")
        return Outcome([path], lambda: {"report": path})


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


def study_facts(result: "StudyResult") -> dict[str, Any]:
    """A study's folder, verdict, and the accuracy of each classifier, recipe, test set and seed."""
    accuracy = {
        classifier: {
            recipe: dict(zip(result.tests, by_test.tolist(), strict=True))
            for recipe, by_test in zip(result.recipes(classifier), result.accuracy(classifier), strict=True)
        }
        for classifier in result.classifiers
    }
    return {
        "study": str(result.path),
        "verdict": result.verdict.as_json(),
        "seeds": result.seeds,
        "accuracy": accuracy,
    }


def _set_facts(path: Path, count: int, class_names: tuple[str, ...]) -> dict[str, Any]:
    return {"set": str(path), "count": count, "class_names": list(class_names)}


def _written(path: Path | None) -> dict[str, Any]:
    return {} if path is None else {"written": str(path)}
