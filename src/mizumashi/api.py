"""What the command line and the Python API do, from names and paths to results."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mizumashi.data.catalog import NAMES
from mizumashi.data.duplicates import require_unseen
from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.data.readers import open_images
from mizumashi.data.split import stratified_split
from mizumashi.errors import InputError
from mizumashi.gan.config import CHECKPOINT_EVERY
from mizumashi.studies.config import MOST_SEEDS, StudyConfig
from mizumashi.studies.plan import Plan
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.results import StudyResult
from mizumashi.studies.subsets import split_target
from mizumashi.utils import locks
from mizumashi.utils.descriptions import differences
from mizumashi.utils.layout import STUDY
from mizumashi.utils.progress import Progress, silent
from mizumashi.utils.schema import to_json

if TYPE_CHECKING:
    from mizumashi.data.card import Origin
    from mizumashi.studies.compare_sets import SetComparison

_log = logging.getLogger("mizumashi")

TEST_SHARE = 0.2
"""What a study keeps for testing where the source has no test part of its own."""

ROLES = ("source", "target", "few")
"""The sets of a plan, as its record has them."""

SAME_NAME = " (target)"
"""What is added to a target's name where it is the source's."""


def study(
    source: LabelledImages | str | Path,
    *,
    target: LabelledImages | str | Path | None = None,
    out: str | Path | None = None,
    config: StudyConfig | None = None,
    data_dir: str | Path | None = None,
    accelerator: str = "auto",
    checkpoint_every: int = CHECKPOINT_EVERY,
    tensorboard: bool = False,
    progress: Progress = silent,
) -> StudyResult:
    """The main job: GANs, generated sets, classifiers, tables and figures in one folder; resumes by itself.

    Args:
        source: the images to inflate: a set, a catalogue name or a path. Without a test part of its own, a
            fifth of each class is set aside for testing.
        target: another domain's images, only ever tested on but for those that `config.regime` lets join training; of
            a set with parts, its test part. Where it is called as the source is, it is shown as "NAME (target)".
        out: the study's folder, by default studies/SOURCE or studies/SOURCE-to-TARGET.
        config: GAN and seeds; by default the paper's GAN, once.
        data_dir: where the catalogue's sets are, before MIZUMASHI_DATA.
        accelerator: Lightning Fabric's name for the device.
        checkpoint_every: steps between two checkpoints of a GAN; it does not change the results.
        tensorboard: whether GANs write losses and pictures for TensorBoard, too (see `mizumashi.gan.tensorboard`).
        progress: called as the work goes on.

    Returns:
        The study's numbers; its folder holds tables/, figures/, report.html and report.md.

    Raises:
        InputError: the images, the configuration or the folder cannot be used, or another process uses the folder.
        KeyboardInterrupt: the user stopped it; the same call goes on.
    """
    from mizumashi.report.page import draw
    from mizumashi.studies.run import run_study

    plan = _plan(source, target, config or StudyConfig(), data_dir)
    for part in plan.tested.values():
        absent = [name for name, count in zip(part.class_names, part.counts, strict=True) if not count]
        if absent:
            names = ", ".join(absent[:10]) + (f" and {len(absent) - 10} more classes" if len(absent) > 10 else "")
            _log.warning("%s has no image of %s: no accuracy here speaks of them", part.name, names)
    plan.check()
    target_name = "" if plan.target is None else f"-to-{plan.target.name.removesuffix(SAME_NAME)}"
    folder = Path(out) if out else _default_folder(f"{plan.source.name}{target_name}")
    with locks.lock_folder(folder, STUDY):
        run_study(
            plan,
            folder,
            accelerator=accelerator,
            checkpoint_every=checkpoint_every,
            tensorboard=tensorboard,
            progress=progress,
        )
        return draw(folder, progress=progress)


def _default_folder(name: str) -> Path:
    """A study's folder that has the sets' names; it lies in studies/, whatever they are called."""
    if name in ("", ".", "..") or {os.sep, os.altsep, "\0"} & set(name):
        raise InputError(
            f"found images called {name!r}; expected a name that a folder can have; choose a folder (--out)"
        )
    return Path("studies") / name


def training_set(
    study: str | Path,
    recipe: str = "best",
    *,
    images: LabelledImages | str | Path | None = None,
    target: LabelledImages | str | Path | None = None,
    data_dir: str | Path | None = None,
) -> LabelledImages:
    """The training set of a recipe, as the first seed of a finished study had it.

    Args:
        study: the study's folder.
        recipe: its spelling, or "best" for what the verdict says of the target, or of the source where there is none.
        images: the study's source, where it cannot be opened again by the name or path it was opened by.
        target: likewise, where some of its images join training.
        data_dir: where the catalogue's sets are, before MIZUMASHI_DATA.

    Returns:
        The set. Classical augmentation is not applied: it is drawn anew each time that a classifier sees an image.

    Raises:
        InputError: the folder holds no finished study, the source is not the study's, or the recipe does not fit.
    """
    from mizumashi.studies.gans import kept_sets
    from mizumashi.studies.run import material_of

    result, chosen = _chosen(study, recipe)
    config = result.plan.config
    origins = [Path(name) if name and Path(name).is_absolute() else name for name in result.plan.origins]
    given = [mine if mine is not None else theirs for mine, theirs in zip((images, target), origins, strict=True)]
    roles = ROLES if result.plan.few else ROLES[:1]  # else no target image is in any recipe
    for role, option, found in zip(("source", "target"), ("--images", "--target"), given, strict=True):
        if role in roles and found is None:
            raise InputError(f"{result.path}: found a {role} that has no path; expected its images again ({option})")
    assert given[0] is not None
    plan = _plan(given[0], given[1] if "target" in roles else None, config, data_dir)
    # Of classifiers, a file's words are never imported.
    there, here = (
        {role: record and to_json(record) for role, record in zip(roles, records, strict=False)}
        for records in (result.plan.images, plan.image_records())
    )
    if differing := differences(there, here, ignore=[f"{role}.name" for role in roles]):
        raise InputError(
            f"found other images than the study's: {'; '.join(differing)}; expected its {' and '.join(roles[:2])} as "
            "then; restore the files, or name others with --images and --target"
        )
    seed = plan.seeds[0]
    sets = kept_sets(plan, result.path, seed, chosen.steps(config.gan.stages))
    return material_of(plan, plan.training(seed), sets, seed).training_set(chosen).renamed(str(chosen))


def recipe_origin(study: str | Path, recipe: str = "best") -> "Origin":
    """What the dataset card of a recipe's training set says (see `mizumashi.write_images`).

    Args:
        study: the study's folder.
        recipe: as for `training_set`.

    Raises:
        InputError: the folder holds no finished study, or the recipe does not fit.
    """
    from mizumashi.studies.origin import origin

    return origin(*_chosen(study, recipe))


def _chosen(study: str | Path, recipe: str) -> tuple[StudyResult, Recipe]:
    """A finished study, and the recipe of that spelling, or the best."""
    result = StudyResult.read(study)
    return result, Recipe.parse(result.verdict.cases[0].best if recipe == "best" else recipe)


def report(folder: str | Path, *, progress: Progress = silent) -> StudyResult:
    """Draw a study's tables, figures and report again; nothing is trained.

    Args:
        folder: a finished study's folder.
        progress: called after each figure.

    Raises:
        InputError: the folder holds no finished study, or another process uses it.
    """
    from mizumashi.report.page import draw

    StudyResult.read(folder)  # before the folder is held: one that is no study stays untouched
    with locks.lock_folder(Path(folder), STUDY):
        locks.remove_leftovers(Path(folder), STUDY)
        return draw(Path(folder), progress=progress)


def evaluate(
    training: Sequence[LabelledImages],
    tests: Sequence[LabelledImages],
    *,
    seeds: int = 1,
    progress: Progress = silent,
) -> "tuple[np.ndarray, np.ndarray]":
    """Train the paper's softmax regression on each training set and score it on each test set.

    All models learn at one rate, the lowest that suits a training set: the tutorial's, unless images are bright.

    Args:
        training: R sets; of a set with parts, its training part.
        tests: T sets; of a set with parts, its test part.
        seeds: classifiers for each training set.
        progress: called as training goes on.

    Returns:
        Accuracy and loss: R x T x seeds each.

    Raises:
        InputError: the sets do not fit together, or a test set is a training set's images again.
    """
    from mizumashi.classifiers.score import score
    from mizumashi.classifiers.softmax import SoftmaxConfig, auto_learning_rate, train_softmax

    sets = [images if images.test_start is None else images.train for images in training]
    scored = [_test_part(images) for images in tests]
    if not sets or not scored or not 1 <= seeds <= MOST_SEEDS:
        raise InputError(
            f"found {len(sets)} training sets, {len(scored)} test sets and {seeds} seeds; "
            f"expected one of each at least, and at most {MOST_SEEDS} seeds"
        )
    for given, images in zip(tests, scored, strict=True):
        require_alike(sets[0], images)
        for trained in sets if given.test_start is None else ():  # a set's own parts are its own affair
            require_unseen(trained, images)
    numbers = [seed for _ in sets for seed in range(seeds)]
    config = SoftmaxConfig(learning_rate=min(map(auto_learning_rate, sets)))
    models = train_softmax([images for images in sets for _ in range(seeds)], numbers, config, progress=progress)
    scores = [[score(model, images) for images in scored] for model in models]
    found = np.array([[(cell.accuracy, cell.loss) for cell in row] for row in scores])
    found = found.reshape(len(sets), seeds, len(scored), 2).transpose(3, 0, 2, 1)
    return found[0], found[1]


def compare(
    real: LabelledImages | str | Path,
    generated: LabelledImages | str | Path,
    *,
    seed: int = 0,
    data_dir: str | Path | None = None,
    progress: Progress = silent,
) -> "SetComparison":
    """Compare generated images with real ones: fidelity, copies, what they teach a classifier.

    Args:
        real: a set, a catalogue name or a path; with a training part, that the generator was trained on, and a test
            part. Without parts, a fifth of each class is held out.
        generated: likewise; of a set with parts, the test part.
        seed: of the networks and of whatever is drawn.
        data_dir: where the catalogue's sets are, before MIZUMASHI_DATA.
        progress: called as networks train.

    Raises:
        InputError: the sets do not fit together.
    """
    from mizumashi.studies.compare_sets import compare_sets

    return compare_sets(_opened(real, data_dir), _test_part(_opened(generated, data_dir)), seed, progress=progress)


def _plan(
    source: LabelledImages | str | Path,
    target: LabelledImages | str | Path | None,
    config: StudyConfig,
    data_dir: str | Path | None,
) -> Plan:
    """Open source and target, and set apart what is tested on."""
    opened = _opened(source, data_dir)
    if opened.test_start is None:
        opened = stratified_split(opened, TEST_SHARE, seed=0)
    few, tested = None, None if target is None else _test_part(_opened(target, data_dir))
    if tested is not None:
        if tested.name == opened.name:
            tested = tested.renamed(f"{tested.name}{SAME_NAME}")
        few, tested = split_target(tested, config.regime.target_per_class)
    return Plan(opened, tested, few, config, (_origin(source), _origin(target)))


def _origin(images: LabelledImages | str | Path | None) -> str | None:
    """What opens the same images again: a name of the catalogue, or a whole path."""
    if images is None or isinstance(images, LabelledImages):
        return None
    if isinstance(images, str) and images in NAMES:
        return images
    path = str(Path(images).resolve())
    return path if path.encode("utf-8", "replace").decode() == path else None  # JSON holds text alone


def _opened(images: LabelledImages | str | Path, data_dir: str | Path | None) -> LabelledImages:
    return images if isinstance(images, LabelledImages) else open_images(images, data_dir=data_dir)


def _test_part(images: LabelledImages) -> LabelledImages:
    return images if images.test_start is None else images.test.renamed(images.name)
