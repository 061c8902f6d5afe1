import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mizumashi.data import limits
from mizumashi.data.readers import open_images


def test_class_folders_give_classes_in_natural_order(tmp_path, save):
    for name in ("10", "9", "b", "A"):
        save(tmp_path / name / "x.png", 7)
    images = open_images(tmp_path)
    assert images.class_names == ("9", "10", "A", "b")
    assert images.images.shape == (4, 4, 6, 1)
    assert (images.images == 7).all()


def test_train_and_test_folders_become_parts_and_a_class_may_be_missing_in_the_test_part(tmp_path, save, refusal):
    for index, name in enumerate(["train/a", "train/b", "train/c", "test/a", "test/c"]):
        save(tmp_path / name / "x.png", index)
    images = open_images(tmp_path)
    assert images.train.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert images.test.images[:, 0, 0, 0].tolist() == [3, 4]
    assert images.test.labels.tolist() == [0, 2]
    save(tmp_path / "test" / "d" / "x.png")
    assert "found class 'd', in the test part only" in refusal(tmp_path)


def test_train_may_be_the_name_of_a_class(tmp_path, save):
    for name in ("car", "plane", "train"):
        save(tmp_path / name / "x.png")
    assert open_images(tmp_path).class_names == ("car", "plane", "train")


def test_images_come_by_class_and_name_whatever_the_file_system_says(tmp_path, monkeypatch, save):
    listed = Path.iterdir
    for name in ("b/2x.png", "a/9x.png", "a/10x.png"):
        save(tmp_path / name, int(name[2:-5]))
    for order in (sorted, lambda entries: sorted(entries, reverse=True)):
        monkeypatch.setattr(Path, "iterdir", lambda folder, order=order: order(listed(folder)))
        assert open_images(tmp_path).images[:, 0, 0, 0].tolist() == [10, 9, 2]


def test_a_flat_folder_is_labelled_by_first_characters(tmp_path, save):
    for name in ("0-x.png", "1-y.png", "あ-z.png", "が-z.png"):
        save(tmp_path / unicodedata.normalize("NFD", name))
    assert open_images(tmp_path).class_names == ("0", "1", "あ", "が")


def test_flat_folders_of_numbered_files_are_read_with_a_warning(tmp_path, caplog, save):
    for number in range(12):
        save(tmp_path / f"{number}.png")
    assert len(open_images(tmp_path).class_names) == 10
    assert "mere numbers" in caplog.text


def test_hidden_files_and_other_files_are_skipped(tmp_path, save):
    for name in ("a", "b"):
        save(tmp_path / name / "x.png")
        for other in (".DS_Store", "README.md", "Thumbs.db", ".hidden.png"):
            (tmp_path / name / other).write_bytes(b"no image")
    (tmp_path / "list-num.lst").write_text("a\nb\n")
    (tmp_path / ".git").mkdir()
    assert len(open_images(tmp_path)) == 2


def test_classes_json_decides_the_order_of_class_folders(tmp_path, save):
    for name in ("b", "a"):
        save(tmp_path / name / "x.png", ord(name))
    (tmp_path / "classes.json").write_text(json.dumps(["b", "a"]))
    images = open_images(tmp_path)
    assert images.class_names == ("b", "a")
    assert images.images[:, 0, 0, 0].tolist() == [ord("b"), ord("a")]


def test_symbolic_links_are_followed(tmp_path, save):
    save(tmp_path / "store" / "x.png", 5)
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "x.png").symlink_to(tmp_path / "store" / "x.png")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store")
    assert open_images(tmp_path / "set").images[:, 0, 0, 0].tolist() == [5, 5]


def test_folders_that_are_no_set_are_refused_in_one_line(tmp_path, save, refusal):
    (tmp_path / "empty").mkdir()
    assert "found no labelled images" in refusal(tmp_path / "empty")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "notes.txt").write_text("hello")
    assert "found no labelled images" in refusal(tmp_path / "text")
    save(tmp_path / "hole" / "a" / "x.png")
    (tmp_path / "hole" / "b").mkdir()
    assert "found no image of class 'b'" in refusal(tmp_path / "hole")
    save(tmp_path / "single" / "a" / "x.png")
    assert "found the classes ['a']; expected two at least" in refusal(tmp_path / "single")
    save(tmp_path / "deep" / "a" / "inner" / "x.png")
    assert "found folder 'inner' inside a class folder" in refusal(tmp_path / "deep")
    for part in ("train", "test", "validation"):
        save(tmp_path / "three" / part / "a" / "x.png")
    assert "inside a class folder" in refusal(tmp_path / "three")
    save(tmp_path / "stray" / "a" / "x.png")
    save(tmp_path / "stray" / "b" / "x.png")
    save(tmp_path / "stray" / "sample.png")
    assert "sample.png: found an image beside folders" in refusal(tmp_path / "stray")
    save(tmp_path / "listed" / "a" / "x.png")
    save(tmp_path / "listed" / "b" / "x.png")
    (tmp_path / "listed" / "classes.json").write_text('["a", "c"]')
    assert "found class 'b', which classes.json does not list" in refusal(tmp_path / "listed")
    (tmp_path / "listed" / "classes.json").write_text('["a", "b", "c"]')
    assert "found no image of class 'c'" in refusal(tmp_path / "listed")


def test_class_names_are_escaped_where_they_are_refused(tmp_path, save, refusal):
    hostile = "b\x1b[31m\nc"
    save(tmp_path / "empty" / "a" / "x.png")
    (tmp_path / "empty" / hostile).mkdir()
    save(tmp_path / "deep" / hostile / "inner" / "x.png")
    save(tmp_path / "listed" / hostile / "x.png")
    (tmp_path / "listed" / "classes.json").write_text('["a"]')
    for name in ("empty", "deep", "listed"):
        line = refusal(tmp_path / name)
        assert line.isprintable()
        assert repr(hostile) in line


def test_differing_sizes_and_modes_are_refused_with_a_way_out(tmp_path, save, refusal):
    save(tmp_path / "sizes" / "a" / "x.png", size=(6, 4))
    save(tmp_path / "sizes" / "b" / "y.png", size=(5, 4))
    line = refusal(tmp_path / "sizes")
    assert "grey 6 x 4 in" in line
    assert "grey 5 x 4 in" in line
    assert f"mizumashi data {tmp_path / 'sizes'} --resize SIZE --out NEW, or with --preprocess mnist-style" in line
    first = save(tmp_path / "modes" / "a" / "x.png", mode="L")
    second = save(tmp_path / "modes" / "b" / "y.png", mode="RGB")
    line = refusal(tmp_path / "modes")
    assert f"grey 6 x 4 in {first} and RGB 6 x 4 in {second}" in line
    assert f"mizumashi data {tmp_path / 'modes'} --preprocess mnist-style --out NEW, or convert" in line
    assert "--resize" not in line  # it would not help


def test_unreadable_images_are_refused_by_name(tmp_path, save, refusal):
    good = save(tmp_path / "a" / "x.png", np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))
    broken = tmp_path / "b" / "y.png"
    broken.parent.mkdir()
    for content in (good.read_bytes()[:-200], b"", b"not an image", good.read_bytes()[:20]):
        broken.write_bytes(content)
        assert f"{broken}: cannot read the image" in refusal(tmp_path)
    broken.unlink()
    broken.symlink_to(tmp_path / "nowhere.png")
    assert f"{broken}: cannot read the image" in refusal(tmp_path)


def test_images_of_too_many_pixels_are_refused_without_decoding(tmp_path, monkeypatch, save, refusal):
    save(tmp_path / "a" / "x.png", size=(40, 40))
    save(tmp_path / "b" / "x.png", size=(40, 40))
    for limit in (1000, 500):  # Pillow warns above the limit and raises above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert f"too many pixels; expected at most {limit:,}" in refusal(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(open_images(tmp_path)) == 2
    monkeypatch.setattr(limits, "MAX_SET_BYTES", 2 * 1600 - 1)
    assert "found 3,200 bytes of images; expected at most 3,199" in refusal(tmp_path)


@pytest.mark.realdata
def test_cifar10_is_read_as_ten_classes_of_rgb_in_two_parts(data_folder):
    images = open_images(data_folder / "cifar10-small")
    assert " ".join(images.class_names) == "airplane automobile bird cat deer dog frog horse ship truck"
    assert images.images.shape == (4000, 32, 32, 3)
    for part in (images.train, images.test):
        assert part.counts.tolist() == [200] * 10
    first = sorted((data_folder / "cifar10-small" / "test" / "ship").iterdir())[0]
    with Image.open(first) as image:
        assert any((np.asarray(image) == found).all() for found in images.test.images[images.test.labels == 8])
