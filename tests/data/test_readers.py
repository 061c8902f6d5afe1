import logging
from pathlib import Path

import numpy as np
import pytest

from mizumashi.data import readers
from mizumashi.data.readers import open_images


def test_mnist_style_joins_images_of_all_sizes_and_names_the_blank_ones(tmp_path, monkeypatch, caplog, save):
    save(tmp_path / "a" / "x.png", 255, size=(6, 4))
    for name in "tuvw":
        save(tmp_path / "b" / f"{name}.png", (0, 0, 0), size=(9, 30), mode="RGB")
    seen = []

    def corner(image, size=28):
        seen.append(image.shape)
        return np.full((size, size), image.flat[0], np.uint8)

    monkeypatch.setattr(readers, "mnist_style", corner)
    with caplog.at_level(logging.WARNING, "mizumashi"):
        images = open_images(tmp_path, preprocess="mnist-style")
    assert seen == [(4, 6, 1), *[(30, 9, 3)] * 4]
    assert images.images.shape == (5, 28, 28, 1)
    assert images.images[:, 3, 3, 0].tolist() == [255, 0, 0, 0, 0]
    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith("4 images are blank")
    assert f"{tmp_path / 'b' / 'v.png'}, ..." in line
    assert "w.png" not in line


def test_mnist_style_works_on_arrays_and_keeps_parts(tmp_path, monkeypatch, write_idx_pair):
    write_idx_pair(tmp_path, "train-", 6)
    write_idx_pair(tmp_path, "t10k-", 4)
    monkeypatch.setattr(readers, "mnist_style", lambda image: np.full((28, 28), image[0, 0, 0], np.uint8))
    raw, images = open_images(tmp_path), open_images(tmp_path, preprocess="mnist-style")
    assert (images.size, images.test_start) == ((28, 28), 6)
    np.testing.assert_array_equal(images.images[:, 5, 5], raw.images[:, 0, 0])


def test_a_data_folder_that_is_not_there_is_refused_for_every_source(tmp_path, save, refusal):
    for name in "ab":
        save(tmp_path / "set" / name / "x.png")
    for source in ("digits", "mnist", tmp_path / "set"):
        assert refusal(source, data_dir=str(tmp_path / "no")).startswith(f"found no data folder at {tmp_path / 'no'};")
    assert len(open_images("digits", data_dir=str(tmp_path))) == 1797


def test_an_unknown_name_gets_the_nearest_one(tmp_path, refusal):
    assert "known set 'minst' (did you mean 'mnist'?); expected a path or one of digits" in refusal("minst")
    assert "did you mean" not in refusal(tmp_path / "no-such-file")


def test_a_catalogue_name_means_the_catalogue_and_a_path_means_the_path(tmp_path, monkeypatch, caplog, save):
    save(tmp_path / "digits" / "a" / "x.png")
    save(tmp_path / "digits" / "b" / "x.png")
    monkeypatch.chdir(tmp_path)
    assert len(open_images("digits")) == 1797
    assert "write ./digits" in caplog.text
    assert len(open_images("./digits")) == len(open_images(Path("digits"))) == 2


@pytest.mark.parametrize("content", [b"", b"hello", b"\0\0\0\0", b"PK\3\4rubbish", b"\x1f\x8brubbish"])
def test_files_of_no_known_format_are_refused(tmp_path, content, refusal):
    (tmp_path / "x").write_bytes(content)
    assert f"{tmp_path / 'x'}: found a file of no known format; expected IDX" in refusal(tmp_path / "x")


def test_one_image_is_no_set(tmp_path, save, refusal):
    assert "no known format" in refusal(save(tmp_path / "x.png"))
