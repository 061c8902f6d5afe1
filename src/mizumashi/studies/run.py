"""The study: GANs, generated sets, cells, measures, one after another; what is there already is kept."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from mizumashi import files
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import map_npz
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_stream
from mizumashi.gan.config import CHECKPOINT_EVERY
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import resolved, train
from mizumashi.progress import Progress, silent
from mizumashi.studies.cell import Cell, Cells
from mizumashi.studies.choice import VALIDATION, Choice, choose, survivors
from mizumashi.studies.material import Material
from mizumashi.studies.measures import (
    measure_copies,
    measure_distances,
    write_examples,
    write_labels,
    write_map,
    write_map_images,
)
from mizumashi.studies.plan import Plan, begin
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.regime import Training


def run_study(
    plan: Plan,
    folder: Path,
    *,
    accelerator: str = "auto",
    checkpoint_every: int = CHECKPOINT_EVERY,
    tensorboard: bool = False,
    progress: Progress = silent,
) -> None:
    """Do a study, or the rest of it.

    Leaves in `folder`: plan.json, labels.npz, runs/SEED/ (the GAN run, the generated sets, distances.json, the first
    seed's copies.json and neighbours.npz), cells/, map.npz, map-images.npz, examples.npz, and last results.json with
    every number.

    Args:
        plan: what to do, checked.
        folder: new, empty, or holding this study; held by the caller (see `mizumashi.files.sole_user`).
        accelerator: Lightning Fabric's name for the device.
        checkpoint_every: steps between two checkpoints of a GAN.
        tensorboard: whether GANs write for TensorBoard, too.
        progress: called as the work goes on.

    Raises:
        InputError: the plan cannot be done, or the folder holds something else.
        KeyboardInterrupt: the user stopped it; the same call goes on.
    """
    plan = replace(plan, config=replace(plan.config, gan=resolved(plan.config.gan, accelerator)))
    description = begin(plan, folder)
    write_labels(plan.tested, folder / "labels.npz")
    done = _Done(plan)
    for number, seed in enumerate(plan.seeds):
        home = folder / "runs" / str(seed)
        if not (home / "gan" / "finished.json").exists():  # of seeds that are there already, no pace can be told
            progress("study: seeds", number, len(plan.seeds), "")
        training = plan.training(seed)
        run = train(
            training.real,
            home / "gan",
            replace(plan.config.gan, seed=seed),
            checkpoint_every=checkpoint_every,
            accelerator=accelerator,
            tensorboard=tensorboard,
            progress=progress,
        )
        sets = {
            step: _generated_set(plan, training.real, run, step, seed, home / "sets", progress)
            for step in plan.config.gan.stages
        }
        material = material_of(plan, training, sets, seed)
        cells = Cells(material, plan.config.classifier_seeds, folder / "cells", list(plan.tested), progress)
        for classifier in plan.classifiers:
            done.add(classifier.name, cells.run(classifier, done.wanted(classifier.name)))
        done.distances[str(seed)] = measure_distances(material, home / "distances.json", progress)
        if seed == plan.seeds[0]:
            copied = measure_copies(material, plan.source.test, home / "copies.json", progress)
            write_examples(material.tests, folder / "examples.npz")
            write_map(material, folder / "map.npz", progress)
            write_map_images(material, folder / "map-images.npz")
    progress("study: seeds", len(plan.seeds), len(plan.seeds), "")
    results = {
        "plan": description,
        "cells": [asdict(cell) for cell in done.cells],
        "distances": done.distances,
        "copies": copied,
        "choices": {classifier.name: asdict(done.choice(classifier.name)) for classifier in plan.classifiers}
        if plan.config.choose
        else {},
    }
    files.write_json(folder / "results.json", results)


class _Done:
    """The cells of the seeds so far, and what they say of the candidates."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cells: list[Cell] = []
        self.distances: dict[str, dict[str, Any]] = {}
        self.seeds_of = dict.fromkeys((classifier.name for classifier in plan.classifiers), 0)

    def wanted(self, classifier: str) -> list[Recipe]:
        """The recipes that the next seed tries: those of every seed, and the candidates that went on."""
        tried = self._accuracies(classifier)
        going_on = survivors(tried, self.plan.candidates, self.seeds_of[classifier])
        return list(dict.fromkeys([*self.plan.recipes, *going_on]))

    def add(self, classifier: str, cells: list[Cell]) -> None:
        """Note the cells of one more seed."""
        self.cells += cells
        self.seeds_of[classifier] += 1

    def choice(self, classifier: str) -> Choice:
        """The recipe that validation speaks for."""
        validation = next(cell.scores[VALIDATION].count for cell in self.cells)
        return choose(self._accuracies(classifier), self.plan.candidates, validation)

    def _accuracies(self, classifier: str) -> dict[Recipe, list[float]]:
        """The validation accuracy of each candidate in each seed that tried it: a mean over the seed's classifiers.

        Where a study balances, every class counts alike: of a rare class, the validation part has few images, too.
        """
        what = "class_accuracy" if self.plan.config.regime.balance else "accuracy"
        found: dict[Recipe, dict[int, list[float]]] = {}
        for cell in self.cells:
            recipe = Recipe.parse(cell.recipe)
            if cell.classifier == classifier and recipe in self.plan.candidates:
                found.setdefault(recipe, {}).setdefault(cell.seed, []).append(getattr(cell.scores[VALIDATION], what))
        return {recipe: [float(np.mean(values)) for values in seeds.values()] for recipe, seeds in found.items()}


def material_of(plan: Plan, training: Training, sets: Mapping[int, LabelledImages], seed: int) -> Material:
    """What the cells of a seed are made from.

    Args:
        plan: the study's.
        training: the real images of the seed.
        sets: the generated set of each stage, with its parts.
        seed: the GAN's.
    """
    tests = {plan.source.name: plan.source.test}
    tests |= {f"gan@{step}": images.test for step, images in sets.items()}
    if plan.target is not None:
        tests[plan.target.name] = plan.target
    if training.validation is not None:
        tests[VALIDATION] = training.validation
    generated = {step: images.train for step, images in sets.items()}
    return Material(seed, training.real, generated, tests, plan.config.grow, plan.config.regime.balance)


def kept_set(path: Path, step: int) -> LabelledImages:
    """A generated set that a study keeps, left on disk, so that memory does not grow with the number of stages.

    Raises:
        InputError: the file is missing or damaged: opening it whole checks it first.
    """
    return replace(open_images(path), images=map_npz(path, "images"), name=f"gan@{step}")


def _generated_set(
    plan: Plan, real: LabelledImages, run: GanRun, step: int, seed: int, folder: Path, progress: Progress
) -> LabelledImages:
    """A set with the real images' labels, image by image, and a test part with the source's, drawn once and kept.

    With the real labels, a generated set has the real share of each class: what a classifier makes of it tells of the
    images, not of their proportions.
    """
    path = folder / f"gan@{step}.npz"
    if not path.exists():
        snapshot, trained = run.snapshot(step), plan.generated_labels(real)
        labels = np.concatenate([np.array(trained, np.int64), plan.source.test.labels])
        chunks = snapshot.draw(len(labels), labels=labels, seed=seed, progress=progress)
        origin = run.origin(step, seed=seed)
        write_stream(chunks, labels, snapshot.class_names, path, "npz", test_start=len(trained), origin=origin)
    return kept_set(path, step)
