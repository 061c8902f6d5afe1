"""Fixtures that several test files share."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.data.writers import write_images
from mizumashi.gan.config import Precision


@pytest.fixture(params=["32-true", "bf16-mixed"])
def precision(request: pytest.FixtureRequest) -> Precision:
    """Each precision in which a processor trains, whatever this one is fast in: a test that takes it runs in both."""
    found: Precision = request.param
    return found


@pytest.fixture(scope="session", autouse=True)
def no_test_asks_this_machine() -> Iterator[None]:
    """What "auto" means here would decide such a test: it would pass on one machine, and fail on another."""

    def ask() -> None:
        pytest.fail("this test asks what the machine is fast in; name a precision, or take bfloat16_is_fast")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.cpu.get_capabilities", ask)
        yield


@pytest.fixture(params=[True, False], ids=["bfloat16 is fast", "bfloat16 is slow"])
def bfloat16_is_fast(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Stands for the hardware's answer, which decides what "auto" means: a test that takes it runs with both."""
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"avx2": True, "avx512_bf16": request.param})
    fast: bool = request.param
    return fast


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real image sets: skipped without one, a failure where CI=true promises it."""
    folder = os.environ.get("MIZUMASHI_DATA")
    if folder and Path(folder).is_dir():
        return Path(folder)
    if os.environ.get("CI") == "true":
        pytest.fail("MIZUMASHI_DATA names no folder, and CI=true promises the real data")
    pytest.skip("MIZUMASHI_DATA names no folder with the real image sets")


@pytest.fixture(scope="session")
def blobs() -> LabelledImages:
    """Three easy classes, 16x16 grey: a bright square at the left, in the middle or at the right, with noise."""
    random = np.random.default_rng(0)
    labels = np.arange(240) % 3
    images = random.integers(0, 60, (240, 16, 16))
    for image, label in zip(images, labels, strict=True):
        image[5:11, 1 + 5 * label : 5 + 5 * label] += 180
    return LabelledImages.from_arrays(images, labels, ["left", "middle", "right"], name="blobs")


@pytest.fixture(scope="session")
def pictures(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The blobs as a folder of PNG files, to be read only."""
    return write_images(blobs, tmp_path_factory.mktemp("sets") / "pictures", "folder")
