"""The classifiers of a study: what each is called, how many train at a time, and how."""

import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mizumashi.classifiers.score import Model
from mizumashi.classifiers.softmax import SoftmaxConfig, train_softmax
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError, nearest
from mizumashi.utils.hardware import bfloat16_is_fast
from mizumashi.utils.progress import Progress
from mizumashi.utils.schema import to_json
from mizumashi.utils.side_by_side import at_once, side_by_side

if TYPE_CHECKING:
    from mizumashi.classifiers.classical import Classical

AUGMENTED = 20_000
"""So many augmented images softmax regression draws from, or each real one once, where there are more."""


@dataclass(frozen=True, eq=False)
class Job:
    """One classifier to train.

    Args:
        images: the training set.
        seed: decides everything random.
        classical: whether images are augmented classically.
    """

    images: LabelledImages
    seed: int
    classical: bool


@dataclass(frozen=True, eq=False)
class Classifier:
    """A kind of classifier.

    Args:
        name: what it is called.
        description: all that decides its results, as JSON takes it.
        recipes_at_once: how many recipes' sets are held and trained at a time: memory does not grow beyond it.
        train: gives the models of the jobs, one after the other, in their order.
    """

    name: str
    description: dict[str, Any]
    recipes_at_once: int
    train: Callable[[Sequence[Job], Progress], Generator[Model, None, None]]


def softmax(config: SoftmaxConfig, augmentation: "Classical") -> Classifier:
    """Softmax regression: all models of some recipes in one batched computation."""

    def train(jobs: Sequence[Job], progress: Progress) -> Generator[Model, None, None]:
        sets = {id(job.images): job.images for job in jobs}
        augmented = {
            (id(job.images), job.seed): _repeated(sets[id(job.images)], job.seed, augmentation)
            for job in jobs
            if job.classical
        }
        used = [augmented[id(job.images), job.seed] if job.classical else job.images for job in jobs]
        yield from train_softmax(used, [job.seed for job in jobs], config, progress=progress)

    return Classifier(
        "softmax", {"name": "softmax"} | to_json(config) | {"classical": to_json(augmentation)}, 12, train
    )


def cnn(augmentation: "Classical") -> Classifier:
    """The small convolutional network: as many side by side as there are cores."""
    import torch

    from mizumashi.classifiers.cnn import CnnConfig, CnnModel, train_cnn

    # Resolved here, because it decides the results and stands in their cells' keys.
    config = CnnConfig(precision="bf16-mixed" if bfloat16_is_fast(torch.device("cpu")) else "32-true")

    def train_one(job: Job, progress: Progress) -> CnnModel:
        used = augmentation if job.classical else None
        return train_cnn(job.images, job.seed, config, augmentation=used, progress=progress)

    def train(jobs: Sequence[Job], progress: Progress) -> Generator[Model, None, None]:
        for done, model in enumerate(side_by_side([partial(train_one, job) for job in jobs]), start=1):
            yield model
            progress("CNNs", done, len(jobs), "")

    description = {"name": "cnn"} | to_json(config) | {"classical": to_json(augmentation)}
    return Classifier("cnn", description, at_once(), train)


def own(spelling: str, augmentation: "Classical") -> Classifier:
    """The user's own, `package.module:name`; its module's source is part of its description.

    Raises:
        InputError: there is no such classifier.
    """
    from mizumashi.classifiers.custom import custom_classifier

    train_one = custom_classifier(spelling)
    source = getattr(sys.modules[spelling.partition(":")[0]], "__file__", None)
    code = "" if source is None else sha256(Path(source).read_bytes()).hexdigest()

    def train(jobs: Sequence[Job], progress: Progress) -> Generator[Model, None, None]:
        for done, job in enumerate(jobs, start=1):
            yield train_one(job.images, job.seed, augmentation=augmentation if job.classical else None)
            progress(spelling, done, len(jobs), "")

    return Classifier(spelling, {"name": spelling, "module sha256": code, "classical": to_json(augmentation)}, 1, train)


def by_name(name: str, config: SoftmaxConfig, augmentation: "Classical") -> Classifier:
    """The classifier of that name: softmax, cnn, or `package.module:name`.

    Args:
        name: one of these.
        config: softmax regression's.
        augmentation: what recipes with `+classical` mean.

    Raises:
        InputError: there is none.
    """
    if name == "softmax":
        return softmax(config, augmentation)
    if name == "cnn":
        return cnn(augmentation)
    if ":" not in name:
        known = ("softmax", "cnn")
        raise InputError(
            f"found classifier {name!r}{nearest(name, known)}; expected {', '.join(known)} or package.module:name"
        )
    return own(name, augmentation)


def _repeated(images: LabelledImages, seed: int, augmentation: "Classical") -> LabelledImages:
    """Several augmented copies of each image, as many as descent may look at."""
    from mizumashi.classifiers.classical import augmented

    copies = ceil(AUGMENTED / len(images))
    return augmented(images.take(np.tile(np.arange(len(images)), copies)), seed, augmentation)
