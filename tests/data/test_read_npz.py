import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import map_npz
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_images
from mizumashi.errors import InputError


def test_keras_npz_is_read_with_its_parts(tmp_path):
    random = np.random.default_rng(0)
    arrays = {
        "x_train": random.integers(0, 256, (4, 5, 5), np.uint8),
        "y_train": np.array([3, 7, 3, 7], np.uint8),
        "x_test": random.integers(0, 256, (2, 5, 5), np.uint8),
        "y_test": np.array([7, 3], np.uint8),
    }
    np.savez(tmp_path / "mnist.npz", **arrays)
    images = open_images(tmp_path / "mnist.npz")
    np.testing.assert_array_equal(images.test.images[..., 0], arrays["x_test"])
    assert images.class_names == ("3", "7")
    assert images.test.labels.tolist() == [1, 0]


def test_npz_is_told_by_content(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((2, 3, 3), int), labels=[0, 1])
    (tmp_path / "x.npz").rename(tmp_path / "set.bin")
    assert len(open_images(tmp_path / "set.bin")) == 2


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"pictures": [1]}, "found the arrays 'pictures'; expected images and labels, or x_train"),
        ({"images": np.zeros((2, 3, 3)), "labels": [0, 1]}, "pixels of type float64"),
        ({"images": np.full((2, 3, 3), 256), "labels": [0, 1]}, "whole numbers in 0 ... 255"),
        ({"images": np.zeros((2, 3, 3), int), "labels": [0, 1, 1]}, "3 labels"),
        ({"images": np.zeros((2, 3, 3), int), "labels": [0.0, 1.0]}, "labels of shape (2,) and type float64"),
        ({"images": np.zeros((2, 3, 3), int), "labels": [[0], [10**15]]}, "labels of shape (2, 1)"),
        ({"images": 7, "labels": [0, 1]}, "expected N x H x W x C"),
        ({"images": np.zeros((2, 3, 3), int), "labels": 7}, "labels of shape ()"),
        ({"x_train": 7, "y_train": [0, 1], "x_test": 7, "y_test": [0, 1]}, "expected one label for each image"),
        ({"images": np.zeros((0, 3, 3), int), "labels": np.zeros(0, int)}, "expected two at least"),
        ({"images": np.zeros((2, 3, 3), int), "labels": [0, 1], "class_names": [1, 2]}, "class_names"),
        ({"images": np.zeros((2, 3, 3), int), "labels": [0, 1], "test_start": 2}, "without images"),
        ({"images": np.zeros((2, 3, 3), int), "labels": [0, 1], "test_start": [1]}, "test_start"),
        (
            {"x_train": np.zeros((2, 3, 3), int), "y_train": [0], "x_test": np.zeros((1, 3, 3), int), "y_test": [0]},
            "expected one label for each image",
        ),
    ],
)
def test_npz_files_that_are_no_set_are_refused(tmp_path, arrays, expected, refusal):
    np.savez(tmp_path / "x.npz", **arrays)
    assert expected in refusal(tmp_path / "x.npz")


def test_npz_objects_are_never_unpickled(tmp_path, refusal):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "x.npz", images=np.array([Trap(), None]), labels=[0, 1])
    assert "found Python objects in images.npy" in refusal(tmp_path / "x.npz")
    assert not (tmp_path / "sprung").exists()


def test_npz_headers_that_lie_are_refused_before_allocation(tmp_path, refusal):
    def lie(shape, kind=zipfile.ZIP_STORED):
        with zipfile.ZipFile(tmp_path / "x.npz", "w", kind) as archive, archive.open("images.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.write(b"\0" * 10)
        with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive, archive.open("labels.npy", "w") as file:
            np.lib.format.write_array(file, np.array([0, 1]))
        return refusal(tmp_path / "x.npz")

    assert "expected at most" in lie((2**20, 2**10, 2**10))
    assert "where the header announces 1,048,576" in lie((1024, 32, 32), zipfile.ZIP_DEFLATED)
    assert "cannot read the NPZ file" in lie((11, 1, 1), zipfile.ZIP_DEFLATED)
    assert "found 10 bytes where the header announces 11" in lie((11, 1, 1))
    assert "found 10 bytes where the header announces 9" in lie((9, 1, 1))


def test_damaged_npz_files_are_refused(tmp_path, refusal):
    np.savez_compressed(tmp_path / "x.npz", images=np.random.default_rng(0).integers(0, 256, (9, 9, 9)), labels=[0] * 9)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[200:300] = bytes(100)
    (tmp_path / "x.npz").write_bytes(content)
    assert "cannot read the NPZ file" in refusal(tmp_path / "x.npz")


@pytest.mark.parametrize("save_npz", [np.savez, np.savez_compressed])
def test_compressed_and_stored_npz_files_are_read(tmp_path, save_npz):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 6), np.uint8)
    save_npz(tmp_path / "x.npz", images=pixels, labels=[0, 1, 0, 1])
    np.testing.assert_array_equal(open_images(tmp_path / "x.npz").images[..., 0], pixels)


def test_a_zip_directory_that_lies_is_refused_before_allocation(tmp_path, refusal):
    np.savez(tmp_path / "x.npz", images=np.zeros((10, 1, 1), np.uint8), labels=[0, 1] * 5)
    content = (tmp_path / "x.npz").read_bytes()
    header = f"'shape': ({10**9}, 1, 1)".encode()
    content = content.replace(b"'shape': (10, 1, 1), }        ", header + b", }")
    with zipfile.ZipFile(tmp_path / "x.npz") as archive:
        size = archive.getinfo("images.npy").compress_size
    start = content.index(b"PK\1\2")  # the directory at the end; both sizes follow after 20 bytes
    claimed = struct.pack("<II", size - 10 + 10**9, size - 10 + 10**9)
    content = content[: start + 20] + claimed + content[start + 28 :]
    (tmp_path / "x.npz").write_bytes(content)
    assert "where the header announces 1,000,000,000" in refusal(tmp_path / "x.npz")


def test_a_mapped_array_is_the_one_that_was_written_and_stays_on_disk(tmp_path):
    random = np.random.default_rng(0)
    images = LabelledImages.from_arrays(random.integers(0, 256, (50, 16, 16, 3)), np.arange(50) % 2, ["ö", "b"])
    path = write_images(images, tmp_path / "set.npz", "npz")
    mapped = map_npz(path, "images")
    np.testing.assert_array_equal(mapped, images.images)
    content = path.read_bytes()
    assert content.count(images.images.tobytes()) == 1
    place = content.index(images.images.tobytes())
    with path.open("r+b") as file:  # another writer's change shows: nothing was copied
        file.seek(place)
        file.write(bytes([255 - content[place]]))
    assert mapped[0, 0, 0, 0] == 255 - content[place]
    mapped[:] = 7
    assert path.read_bytes()[place + 1 :] == content[place + 1 :]


def test_what_cannot_be_mapped_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "packed.npz", images=np.zeros(1000))
    (tmp_path / "torn.npz").write_bytes((tmp_path / "packed.npz").read_bytes()[:50])
    for name, key in (("packed", "images"), ("packed", "labels"), ("torn", "images")):
        with pytest.raises(InputError, match=rf"{name}\.npz: cannot map the NPZ file"):
            map_npz(tmp_path / f"{name}.npz", key)
