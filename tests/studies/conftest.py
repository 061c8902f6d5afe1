"""A small finished study, as somebody else may send it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mizumashi.api import study
from mizumashi.data.images import LabelledImages
from mizumashi.data.split import stratified_split
from mizumashi.data.writers import write_images
from mizumashi.gan.config import GanConfig
from mizumashi.studies.config import Regime, StudyConfig

GAN = GanConfig(steps=4, snapshots=(2, 4), widths=(8, 8, 8), batch_size=16, latent_size=8, precision="32-true")


@pytest.fixture(scope="session")
def sent(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with source.npz, target.npz and the study of both; two target images of each class join training."""
    folder = tmp_path_factory.mktemp("sent")
    split = stratified_split(blobs, 0.25, seed=0)
    write_images(LabelledImages.from_parts(split.train, split.test, name="source"), folder / "source.npz", "npz")
    turned = LabelledImages.from_arrays(255 - blobs.images, blobs.labels, blobs.class_names, name="target")
    write_images(turned.take(np.arange(90)), folder / "target.npz", "npz")
    config = StudyConfig(GAN, regime=Regime(target_per_class=2), recipes=("gan@4", "real+gan@4"))
    study(folder / "source.npz", target=folder / "target.npz", out=folder / "study", config=config)
    return folder


@pytest.fixture
def received(sent: Path, tmp_path: Path) -> Path:
    """A copy of `sent` that a test may damage."""
    home = tmp_path / "received"
    shutil.copytree(sent, home)
    results = home / "study" / "results.json"
    results.write_text(results.read_text().replace(str(sent), str(home)))
    return home
