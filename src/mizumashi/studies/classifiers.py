"""The classifiers of a study: what each is called, how many train at a time, and how."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from mizumashi.classify.score import Model
from mizumashi.classify.softmax import SoftmaxConfig, train_softmax
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError, nearest
from mizumashi.progress import Progress, silent

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
    train: Callable[[Sequence[Job], Progress], Iterator[Model]]


def softmax(config: SoftmaxConfig) -> Classifier:
    """Softmax regression: all models of some recipes in one batched computation."""

    def train(jobs: Sequence[Job], progress: Progress) -> Iterator[Model]:
        sets = {id(job.images): job.images for job in jobs}
        augmented = {
            (id(job.images), job.seed): _repeated(sets[id(job.images)], job.seed) for job in jobs if job.classical
        }
        used = [augmented[id(job.images), job.seed] if job.classical else job.images for job in jobs]
        yield from train_softmax(used, [job.seed for job in jobs], config, progress=progress)

    return Classifier("softmax", {"name": "softmax"} | asdict(config), 12, train)


def cnn() -> Classifier:
    """The small convolutional network."""
    from mizumashi.classify.classical import Classical
    from mizumashi.classify.cnn import CnnConfig, train_cnn

    config, augmentation = CnnConfig(), Classical()

    def train(jobs: Sequence[Job], progress: Progress) -> Iterator[Model]:
        for done, job in enumerate(jobs, start=1):
            yield train_cnn(
                job.images, job.seed, config, augmentation=augmentation if job.classical else None, progress=silent
            )
            progress("CNNs", done, len(jobs), "")

    return Classifier("cnn", {"name": "cnn"} | asdict(config) | {"classical": asdict(augmentation)}, 1, train)


def own(spelling: str) -> Classifier:
    """The user's own, `package.module:name`; its module's source is part of its description.

    Raises:
        InputError: there is no such classifier.
    """
    from mizumashi.classify.classical import Classical
    from mizumashi.classify.own import own_classifier

    train_one, augmentation = own_classifier(spelling), Classical()
    source = getattr(sys.modules[spelling.partition(":")[0]], "__file__", None)
    code = "" if source is None else sha256(Path(source).read_bytes()).hexdigest()

    def train(jobs: Sequence[Job], progress: Progress) -> Iterator[Model]:
        for done, job in enumerate(jobs, start=1):
            yield train_one(job.images, job.seed, augmentation=augmentation if job.classical else None)
            progress(spelling, done, len(jobs), "")

    return Classifier(spelling, {"name": spelling, "module sha256": code, "classical": asdict(augmentation)}, 1, train)


def by_name(name: str, config: SoftmaxConfig) -> Classifier:
    """The classifier of that name: softmax, cnn, or `package.module:name`.

    Raises:
        InputError: there is none.
    """
    if name == "softmax":
        return softmax(config)
    if name == "cnn":
        return cnn()
    if ":" not in name:
        known = ("softmax", "cnn")
        raise InputError(
            f"found classifier {name!r}{nearest(name, known)}; expected {', '.join(known)} or package.module:name"
        )
    return own(name)


def _repeated(images: LabelledImages, seed: int) -> LabelledImages:
    """Several augmented copies of each image, as many as descent may look at."""
    from mizumashi.classify.classical import augmented

    copies = ceil(AUGMENTED / len(images))
    return augmented(images.take(np.tile(np.arange(len(images)), copies)), seed)
