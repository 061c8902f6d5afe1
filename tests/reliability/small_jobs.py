"""Small jobs for every command that writes, and what an undisturbed process leaves of each."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from processes import Moments, Server, contents_of

from mizumashi.data.images import LabelledImages
from mizumashi.data.writers import write_images

SMALL = ("--batch-size", "16", "--latent-size", "8", "--widths", "4", "8", "8", "--accelerator", "cpu")
TINY = (*SMALL, "--precision", "32-true")
CHECKPOINTS = ("--checkpoint-every", "7")


@dataclass(frozen=True)
class Inputs:
    """What the small jobs read."""

    images: Path
    run: Path


@dataclass(frozen=True)
class Job:
    """A command, and what it makes in its working directory.

    Args:
        arguments: the command's.
        makes: the file or folder that it makes.
        once: files that are made once and never again, as patterns.
        whole: whether what it makes is there in one moment.
        apart: whether its GANs train in processes of their own, however short.
    """

    arguments: tuple[str, ...]
    makes: str
    once: tuple[str, ...] = ()
    whole: bool = False
    apart: bool = False


@dataclass(frozen=True)
class Reference:
    """What an undisturbed process leaves.

    Args:
        tree: the contents of its working directory.
        seconds: how long it took.
        moments: what each file's contents were, and when.
    """

    tree: dict[str, bytes]
    seconds: float
    moments: Moments


def write_inputs(folder: Path, server: Server) -> Inputs:
    """Write a set of three easy classes, 16x16 grey, and train a GAN on it."""
    random = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = random.integers(0, 60, (240, 16, 16))
    for image, label in zip(images, labels, strict=True):
        image[5:11, 1 + 5 * label : 5 + 5 * label] += 180
    blobs = LabelledImages.from_arrays(images, labels, ["left", "middle", "right"], name="blobs")
    inputs = Inputs(write_images(blobs, folder / "blobs", "idx"), folder / "run")
    assert server.run(["train", str(inputs.images), "--out", "run", *TINY, "--steps", "8"], folder) == 0
    return inputs


def small_jobs(inputs: Inputs) -> dict[str, Job]:
    """A job of a second or two for each command."""
    images = str(inputs.images)
    train = ("train", images, "--out", "run", *TINY, *CHECKPOINTS, "--steps", "300", "--snapshots", "100", "200", "300")
    generate = ("generate", str(inputs.run), "--out", "set")
    study = ("study", images, "--out", "study", *TINY, *CHECKPOINTS, "--steps", "60", "--snapshots", "30", "60")
    recipes = ("--recipes", "real", "gan@30", "real+gan@60", "real+classical", "real+smote")
    kept = ("config.json", "cells/*.json", "sets/*.npz", "copies.json", "distances.json")
    kept += ("examples.npz", "labels.npz", "map.npz")
    return {
        "train": Job(train, "run", ("config.json",)),
        "generate idx": Job((*generate, "--count", "40000"), "set", whole=True),
        "generate folder": Job((*generate, "--count", "2000", "--format", "folder"), "set", whole=True),
        "generate npz": Job((*generate, "--count", "40000", "--format", "npz"), "set.npz", whole=True),
        "generate parquet": Job((*generate, "--count", "2000", "--format", "parquet"), "set", whole=True),
        "generate webdataset": Job((*generate, "--count", "2000", "--format", "webdataset"), "set", whole=True),
        "study": Job((*study, *recipes, "--seeds", "2"), "study", kept),
        "study apart": Job((*study, *recipes, "--seeds", "2"), "study", kept, apart=True),
    }


def undisturbed(job: Job, folder: Path, server: Server) -> Reference:
    """Run a job to its end in `folder`, which is made; in one process, which is to leave the same bytes."""
    folder.mkdir(parents=True)
    record = folder.with_name(f"{folder.name}.moments")
    assert server.run(job.arguments, folder, record) == 0, folder
    return Reference(contents_of(folder), **json.loads(record.read_text()))
