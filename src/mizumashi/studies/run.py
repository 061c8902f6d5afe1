"""The study: GANs and generated sets, cells, measures, one after another; what is there already is kept."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mizumashi.data.images import LabelledImages
from mizumashi.gan.config import CHECKPOINT_EVERY
from mizumashi.gan.training import resolved
from mizumashi.metrics.memorization import CopyNumbers
from mizumashi.studies.cell import Cell, Cells
from mizumashi.studies.gans import Gans
from mizumashi.studies.measures import (
    keep_examples,
    keep_labels,
    keep_map,
    keep_pictures,
    measure_copies,
    measure_distances,
)
from mizumashi.studies.plan import Plan, begin
from mizumashi.studies.recipe import Recipe
from mizumashi.studies.selection import VALIDATION, Choice, choose, survivors
from mizumashi.studies.store import Store
from mizumashi.studies.subsets import Training
from mizumashi.studies.training_sets import Material
from mizumashi.utils import files
from mizumashi.utils.progress import Progress, silent
from mizumashi.utils.schema import to_json


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
        folder: new, empty, or holding this study; held by the caller (see `mizumashi.utils.locks.lock_folder`).
        accelerator: Lightning Fabric's name for the device.
        checkpoint_every: steps between two checkpoints of a GAN.
        tensorboard: whether GANs write for TensorBoard, too.
        progress: called as the work goes on.

    Raises:
        InputError: the plan cannot be done, or the folder holds something else.
        KeyboardInterrupt: the user stopped it; the same call goes on.
    """
    plan = replace(plan, config=replace(plan.config, gan=resolved(plan.config.gan, accelerator)))
    record = begin(plan, folder)
    store, done = Store(folder), _Done(plan)
    keep_labels(plan.tested, store.labels)
    gans = Gans(plan, folder, accelerator, checkpoint_every, tensorboard, progress)
    for group in gans.groups:
        if not all((store.gan(seed) / "finished.json").exists() for seed in group):
            # Of seeds that are there already, no pace can be told.
            progress("study: seeds", plan.seeds.index(group[0]), len(plan.seeds), "")
        gans.make(group)
        for seed in group:
            _measure_seed(plan, gans.sets(seed), seed, store, done, progress)
    progress("study: seeds", len(plan.seeds), len(plan.seeds), "")
    assert done.copies
    results = {
        "plan": to_json(record),
        "cells": [to_json(cell) for cell in done.cells],
        "distances": done.distances,
        "copies": to_json(done.copies),
        "choices": {classifier.name: to_json(done.choice(classifier.name)) for classifier in plan.classifiers}
        if plan.config.choose
        else {},
    }
    files.write_json(store.results, results)


def _measure_seed(
    plan: Plan, sets: Mapping[int, LabelledImages], seed: int, store: Store, done: "_Done", progress: Progress
) -> None:
    """Train and score a seed's classifiers and measure its sets; of the first seed, the pictures, too."""
    material = material_of(plan, plan.training(seed), sets, seed)
    cells = Cells(material, plan.config.classifier_seeds, store.cells, list(plan.tested), progress)
    for classifier in plan.classifiers:
        done.add(classifier.name, cells.run(classifier, done.wanted(classifier.name)))
    done.distances[str(seed)] = measure_distances(material, store.distances(seed), progress)
    if seed == plan.seeds[0]:
        done.copies = measure_copies(material, plan.source.test, store.copies(seed), store.neighbours(seed), progress)
        keep_examples(material.tests, store.examples)
        keep_map(material, store.map, progress)
        keep_pictures(material, store.map_images)


class _Done:
    """The cells of the seeds so far, and what they say of the candidates."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.cells: list[Cell] = []
        self.distances: dict[str, dict[str, Any]] = {}
        self.copies: CopyNumbers | None = None
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
