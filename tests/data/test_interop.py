"""Other libraries take the images and give them back."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mizumashi.data.images import LabelledImages
from mizumashi.data.interop import from_hugging_face, from_pil, to_hugging_face, to_pil
from mizumashi.data.writers import write_images
from mizumashi.errors import InputError

HOSTILE = ("<script>alert(1)</script>", "../../x", "cat")


@pytest.fixture(params=[1, 3])
def images(request: pytest.FixtureRequest) -> LabelledImages:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 6, request.param), dtype=np.uint8)
    return LabelledImages(pixels, np.arange(12) % 3, HOSTILE)


def test_a_data_loader_gives_batches_of_tensors(images: LabelledImages):
    from torch.utils.data import DataLoader

    batches = list(DataLoader(images, batch_size=5, shuffle=False))
    assert [tuple(pixels.shape) for pixels, _ in batches] == [(n, images.channels, 8, 6) for n in (5, 5, 2)]
    pixels = np.concatenate([batch.numpy() for batch, _ in batches])
    np.testing.assert_allclose(pixels.transpose(0, 2, 3, 1) * 255, images.images, atol=1e-4)
    assert [int(label) for _, labels in batches for label in labels] == images.labels.tolist()


def test_pillow_images_there_and_back(images: LabelledImages):
    pictures = to_pil(images)
    assert {picture.mode for picture in pictures} == {"L" if images.channels == 1 else "RGB"}
    assert {picture.size for picture in pictures} == {(6, 8)}
    assert from_pil(pictures, images.labels, HOSTILE).equals(images)


@pytest.mark.parametrize(
    ("pictures", "line"),
    [
        ([], "found 0 sizes"),
        ([Image.new("L", (2, 2)), Image.new("L", (2, 3))], "found 2 sizes or colour modes"),
        ([Image.new("L", (2, 2)), Image.new("RGB", (2, 2))], "found 2 sizes or colour modes"),
        ([Image.new("I;16", (2, 2))] * 2, "found image 0 of mode I;16"),
        ([Image.new("L", (2, 2))] * 3, "labels of shape"),
    ],
)
def test_pillow_images_that_do_not_fit_are_refused(pictures, line):
    with pytest.raises(InputError, match=line):
        from_pil(pictures, [0, 1])


def test_hugging_face_datasets_there_and_back(images, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    pytest.importorskip("datasets")
    dataset = to_hugging_face(images)
    assert dataset.features["label"].names == list(HOSTILE)
    assert dataset[3]["label"] == images.labels[3]
    np.testing.assert_array_equal(np.asarray(dataset[3]["image"]).reshape(8, 6, -1), images.images[3])
    assert from_hugging_face(dataset).equals(images)
    with pytest.raises(InputError, match="found the columns image, label; expected 'img', of images, and 'label'"):
        from_hugging_face(dataset, image="img")


def image_folder(root: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """The rule of torchvision.datasets.ImageFolder, written down from its documentation.

    torchvision itself is not installed here: it is built for one build of PyTorch each. Classes are the names of the
    folders in the root, sorted as text; samples are the files with an image's ending, folder by folder, sorted.
    """
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    samples = []
    for label, name in enumerate(classes):
        for folder, _, files in sorted(os.walk(root / name, followlinks=True)):
            samples += [(f"{folder}/{file}", label) for file in sorted(files) if file.lower().endswith(".png")]
    if not classes or {label for _, label in samples} != set(range(len(classes))):
        raise FileNotFoundError("a class without images, or none")
    return classes, samples


def test_class_folders_are_what_image_folder_and_load_dataset_read(images, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    from mizumashi.data.card import Origin

    path = write_images(replace(images, test_start=9), tmp_path / "set", "folder", origin=Origin("a", "b", ()))
    folders = ["cat", "class-0", "class-1"]  # names that a file system cannot hold are in classes.json
    names = {"cat": 2, "class-0": 0, "class-1": 1}
    found = datasets.load_dataset("imagefolder", data_dir=str(path), cache_dir=str(tmp_path / "cache"))
    for part, whole in (("train", images.take(np.arange(9))), ("test", images.take(np.arange(9, 12)))):
        classes, samples = image_folder(path / part)
        assert classes == found[part].features["label"].names == folders
        for pixels, labels in (
            ([np.asarray(Image.open(file)) for file, _ in samples], [label for _, label in samples]),
            ([np.asarray(row["image"]) for row in found[part]], found[part]["label"][:]),
        ):
            order = np.lexsort((np.arange(len(whole)), [folders.index(_folder(label)) for label in whole.labels]))
            assert [names[folders[label]] for label in labels] == whole.labels[order].tolist()
            np.testing.assert_array_equal(np.reshape(pixels, whole.images.shape), whole.images[order])


def _folder(label: int) -> str:
    return {0: "class-0", 1: "class-1", 2: "cat"}[int(label)]
