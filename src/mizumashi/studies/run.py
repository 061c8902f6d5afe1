"""The study: GANs, generated sets, cells, measures, one after another; what is there already is kept."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mizumashi import files
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import map_npz
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_stream
from mizumashi.errors import InputError
from mizumashi.gan.config import CHECKPOINT_EVERY
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import resolved, train
from mizumashi.measure.distances import two_sample_accuracy
from mizumashi.measure.embedding import shared_map
from mizumashi.progress import Progress, silent
from mizumashi.randomness import numpy_generator
from mizumashi.studies.cell import Cell, Material, run_softmax_cells
from mizumashi.studies.plan import Plan, begin

MAP_IMAGES = 1000
"""Images of each set in the t-SNE map (the paper, section 4)."""

EXAMPLES = 10
"""Images of each class and set that a study keeps for its figures."""


def run_study(
    plan: Plan,
    folder: Path,
    *,
    accelerator: str = "auto",
    checkpoint_every: int = CHECKPOINT_EVERY,
    progress: Progress = silent,
) -> None:
    """Do a study, or the rest of it.

    Leaves in `folder`: plan.json, runs/SEED/ (the GAN run, the generated sets, distances.json), cells/,
    map.npz, examples.npz, and last results.json with every number.

    Args:
        plan: what to do, checked.
        folder: new, empty, or holding this study; held by the caller (see `mizumashi.files.sole_user`).
        accelerator: Lightning Fabric's name for the device.
        checkpoint_every: steps between two checkpoints of a GAN.
        progress: called as the work goes on.

    Raises:
        InputError: the plan cannot be done, or the folder holds something else.
        KeyboardInterrupt: the user stopped it; the same call goes on.
    """
    plan = replace(plan, config=replace(plan.config, gan=resolved(plan.config.gan, accelerator)))
    description = begin(plan, folder)
    cells: list[Cell] = []
    distances: dict[str, dict[str, object]] = {}
    for seed in plan.seeds:
        home = folder / "runs" / str(seed)
        run = train(
            plan.source,
            home / "gan",
            replace(plan.config.gan, seed=seed),
            checkpoint_every=checkpoint_every,
            accelerator=accelerator,
            progress=progress,
        )
        sets = {step: _generated_set(plan, run, step, seed, home / "sets", progress) for step in plan.config.gan.stages}
        tests = _test_sets(plan, sets)
        material = Material(seed, plan.source.train, {step: images.train for step, images in sets.items()}, tests)
        cells += run_softmax_cells(
            material, plan.recipes, plan.config.classifier_seeds, plan.classifier, folder / "cells", progress
        )
        distances[str(seed)] = _distances(plan, tests, seed, home / "distances.json", progress)
        if seed == plan.seeds[0]:
            _write_examples(tests, folder / "examples.npz")
            _write_map(plan, tests, seed, folder / "map.npz", progress)
    results = {"plan": description, "cells": [asdict(cell) for cell in cells], "distances": distances}
    files.write_json(folder / "results.json", results)


def _generated_set(plan: Plan, run: GanRun, step: int, seed: int, folder: Path, progress: Progress) -> LabelledImages:
    """A set with the source's labels, image by image, and its training and test part, drawn once and kept.

    With the source's labels, a generated set has the source's share of each class: what a classifier makes of it
    tells of the images, not of their proportions.
    """
    path = folder / f"gan@{step}.npz"
    if not path.exists():
        snapshot, labels = run.snapshot(step), plan.source.labels
        chunks = snapshot.draw(len(labels), labels=labels, seed=seed, progress=progress)
        write_stream(chunks, labels, snapshot.class_names, path, "npz", test_start=plan.source.test_start)
    # Left on disk, so that memory does not grow with the number of stages; opening it whole checks it first.
    return replace(open_images(path), images=map_npz(path, "images"), name=f"gan@{step}")


def _test_sets(plan: Plan, sets: dict[int, LabelledImages]) -> dict[str, LabelledImages]:
    tests = {plan.source.name: plan.source.test}
    tests |= {f"gan@{step}": images.test for step, images in sets.items()}
    if plan.target is not None:
        tests[plan.target.name] = plan.target
    return tests


def _distances(
    plan: Plan, tests: dict[str, LabelledImages], seed: int, path: Path, progress: Progress
) -> dict[str, object]:
    if not path.exists():
        found = {}
        for done, step in enumerate(plan.config.gan.stages, start=1):
            # Against training images: test images may come from other writers.
            told = two_sample_accuracy(plan.source.train.images, tests[f"gan@{step}"].images, seed)
            found[f"gan@{step}"] = asdict(told)
            progress("telling generated from real", done, len(plan.config.gan.stages), "")
        files.write_json(path, found)
    distances: dict[str, object] = files.read_json(path)
    if set(distances) != {f"gan@{step}" for step in plan.config.gan.stages}:
        raise InputError(f"{path}: found {sorted(distances)}; expected every stage; remove it to measure again")
    return distances


def _write_examples(tests: dict[str, LabelledImages], path: Path) -> None:
    """The first images of each class in each test set: sets x K x EXAMPLES x H x W x C; zeros where too few."""
    if path.exists():
        return
    first = next(iter(tests.values()))
    shape = (len(tests), len(first.class_names), EXAMPLES, *first.images.shape[1:])
    examples = np.zeros(shape, np.uint8)
    for row, images in enumerate(tests.values()):
        for label in range(len(images.class_names)):
            chosen = images.images[images.labels == label][:EXAMPLES]
            examples[row, label, : len(chosen)] = chosen
    _write_npz(path, {"images": examples, "sets": np.array(list(tests))})


def _write_map(plan: Plan, tests: dict[str, LabelledImages], seed: int, path: Path, progress: Progress) -> None:
    """One t-SNE map of real images and of each stage's: a matrix n x 2 for each set."""
    if path.exists():
        return
    progress("t-SNE map", 0, 1, "")
    stages = {f"gan@{step}": tests[f"gan@{step}"] for step in plan.config.gan.stages}
    real, *others = (_rows(images, seed) for images in (plan.source.train, *stages.values()))
    found = shared_map(real, dict(zip(stages, others, strict=True)), seed)
    _write_npz(path, {"real": found.reference, **found.others})
    progress("t-SNE map", 1, 1, "")


def _rows(images: LabelledImages, seed: int) -> NDArray[np.uint8]:
    """MAP_IMAGES random images, or all where there are fewer, each as one row of pixels."""
    chosen = numpy_generator(seed, "subset").permutation(len(images))[:MAP_IMAGES]
    return images.images[chosen].reshape(len(chosen), -1)


def _write_npz(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    with files.whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
