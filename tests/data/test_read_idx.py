import gzip
import struct

import numpy as np
import pytest

from mizumashi.data.readers import open_images


@pytest.mark.parametrize("compress", [False, True])
def test_a_hand_made_idx_folder_is_read_with_its_parts(tmp_path, compress, write_idx_pair):
    train, train_labels = write_idx_pair(tmp_path / "set", "train-", 6, compress=compress)
    test, test_labels = write_idx_pair(tmp_path / "set", "t10k-", 4, compress=compress)
    images = open_images(tmp_path / "set")
    assert images.name == "set"
    assert images.class_names == ("0", "1")
    np.testing.assert_array_equal(images.train.images, train[..., np.newaxis])
    np.testing.assert_array_equal(images.test.images, test[..., np.newaxis])
    np.testing.assert_array_equal(images.labels, np.concatenate([train_labels, test_labels]))
    assert images.images.flags.writeable


def test_an_idx_images_file_finds_its_labels_and_rgb_has_four_dimensions(tmp_path, write_idx_pair):
    pixels, labels = write_idx_pair(tmp_path, "train-", 4, size=(3, 5, 3))
    images = open_images(str(tmp_path / "train-images-idx4-ubyte"))
    np.testing.assert_array_equal(images.images, pixels)
    np.testing.assert_array_equal(images.labels, labels)


def test_idx_is_told_by_content_not_by_name(tmp_path, write_idx_pair):
    write_idx_pair(tmp_path, compress=True)
    (tmp_path / "images-idx3-ubyte.gz").rename(tmp_path / "my-images.bin")
    (tmp_path / "labels-idx1-ubyte.gz").rename(tmp_path / "my-labels.bin")
    assert len(open_images(tmp_path)) == 4
    assert len(open_images(tmp_path / "my-images.bin")) == 4


def test_plain_and_gzipped_twins_are_one_set(tmp_path, write_idx_pair):
    write_idx_pair(tmp_path, "train-", 6)
    write_idx_pair(tmp_path, "train-", 6, compress=True)
    assert len(open_images(tmp_path)) == 6


def test_idx_classes_are_the_numbers_that_occur_unless_listed(tmp_path, write_idx_pair):
    write_idx_pair(tmp_path, labels=[1, 10, 9, 1])
    images = open_images(tmp_path)
    assert images.class_names == ("1", "9", "10")
    assert images.labels.tolist() == [0, 2, 1, 0]
    (tmp_path / "classes.json").write_text('["cat", "dog"]')
    write_idx_pair(tmp_path, labels=[1, 0, 1, 1])
    assert open_images(tmp_path).class_names == ("cat", "dog")


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda content: content[:-1], "truncated or damaged"),
        (lambda content: content + b"\0", "after the IDX header"),
        (lambda content: content[:10], "header that is cut off"),
        (lambda content: content[:4] + b"\xff\xff\xff\xff" * 3 + content[16:], "expected at most"),
        (lambda content: content[:4] + struct.pack(">i", 10**6) + content[8:], "announces 15,000,000"),
        (lambda content: content[:2] + b"\x0d" + content[3:], "type 0x0d"),
    ],
)
def test_idx_headers_that_lie_are_refused_before_allocation(
    tmp_path, monkeypatch, compress, damage, expected, write_idx_pair, refusal
):
    write_idx_pair(tmp_path, compress=compress)
    path = tmp_path / ("images-idx3-ubyte" + (".gz" if compress else ""))
    content = damage(gzip.decompress(path.read_bytes()) if compress else path.read_bytes())
    path.write_bytes(gzip.compress(content) if compress else content)
    allocate = np.empty

    def small(shape, *arguments):
        assert np.prod(shape) < 10**6
        return allocate(shape, *arguments)

    monkeypatch.setattr(np, "empty", small)
    line = refusal(tmp_path)
    assert expected in line
    assert str(path) in line


def test_a_cut_gzip_file_is_refused(tmp_path, write_idx_pair, refusal):
    write_idx_pair(tmp_path, compress=True, count=40)
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert "truncated or damaged" in refusal(tmp_path)


def test_idx_files_that_do_not_fit_together_are_refused(tmp_path, write_idx_pair, refusal):
    write_idx_pair(tmp_path / "counts", labels=[0, 1, 0])
    line = refusal(tmp_path / "counts")
    assert "found 3 labels" in line
    assert "for 4 images" in line
    write_idx_pair(tmp_path / "sizes", "train-", size=(3, 5))
    write_idx_pair(tmp_path / "sizes", "t10k-", size=(5, 3))
    assert "found grey 5 x 3 in train-images-idx3-ubyte and grey 3 x 5 in t10k" in refusal(tmp_path / "sizes")
    write_idx_pair(tmp_path / "classes", "train-", labels=[0, 1, 0, 1])
    write_idx_pair(tmp_path / "classes", "t10k-", labels=[0, 1, 7, 1])
    assert "class '7' in the test part only" in refusal(tmp_path / "classes")
    write_idx_pair(tmp_path / "lonely", "train-")
    (tmp_path / "lonely" / "train-labels-idx1-ubyte").unlink()
    assert "found no labels file beside" in refusal(tmp_path / "lonely")
    write_idx_pair(tmp_path / "many", "letters-")
    write_idx_pair(tmp_path / "many", "digits-")
    assert "found 2 IDX images files, digits-images-idx3-ubyte, letters" in refusal(tmp_path / "many")
    write_idx_pair(tmp_path / "channels", size=(3, 5, 2))
    assert "found an array of 4 x 3 x 5 x 2; expected images" in refusal(tmp_path / "channels")
    write_idx_pair(tmp_path / "names", labels=[0, 1, 2, 3])
    (tmp_path / "names" / "classes.json").write_text('["cat", "dog"]')
    assert "labels from 0 to 3 for 2 class names" in refusal(tmp_path / "names")
    (tmp_path / "names" / "classes.json").write_text('{"cat": 0}')
    assert "expected a list of different class names" in refusal(tmp_path / "names")
    write_idx_pair(tmp_path / "flat", size=(5,))
    assert "found no labels file" in refusal(tmp_path / "flat")


@pytest.mark.parametrize("content", [b"", b"\0\0\b", b"\x1f\x8b", gzip.compress(b""), gzip.compress(bytes(99))[:12]])
@pytest.mark.parametrize("kind", ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"])
def test_an_idx_file_without_a_header_is_refused_by_name(tmp_path, write_idx_pair, refusal, kind, content):
    for prefix in ("train-", "t10k-"):
        write_idx_pair(tmp_path, prefix, compress=True)
    damaged = tmp_path / f"{kind}-ubyte.gz"
    damaged.write_bytes(content)
    line = refusal(tmp_path)
    assert line.startswith(f"{damaged}: ")
    assert "expected the bytes 0, 0, type, dimensions" in line
    assert "get it again" in line


def test_a_folder_of_nothing_but_damaged_idx_files_is_refused_by_name(tmp_path, refusal):
    for name in ("images.idx3", "labels.idx1"):
        (tmp_path / name).touch()
    assert refusal(tmp_path).startswith(f"{tmp_path / 'images.idx3'}: found no IDX header, though the name says IDX")
    assert refusal(tmp_path / "labels.idx1").startswith(f"{tmp_path / 'labels.idx1'}: found no IDX header")


def test_a_test_part_alone_is_refused(tmp_path, write_idx_pair, refusal):
    write_idx_pair(tmp_path, "t10k-")
    line = refusal(tmp_path)
    assert line.startswith(f"{tmp_path}: found t10k-images-idx3-ubyte alone, a test part's images; expected training")
    assert "give the path" in line
    assert len(open_images(tmp_path / "t10k-images-idx3-ubyte")) == 4


def test_a_set_whose_name_only_contains_the_letters_of_test_is_no_test_part(tmp_path, write_idx_pair):
    write_idx_pair(tmp_path, "latest-")
    assert open_images(tmp_path).test_start is None


def test_labels_alone_are_refused(tmp_path, write_idx_pair, refusal):
    write_idx_pair(tmp_path)
    (tmp_path / "images-idx3-ubyte").unlink()
    assert refusal(tmp_path).startswith(f"{tmp_path}: found IDX files, but none of images; expected ...images-idx3")
