import gzip
import json
import logging
import struct
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mizumashi.data import limits, readers
from mizumashi.data.image_files import read_image
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError


def idx_bytes(array):
    """The IDX format written down by hand: 0, 0, 8 (unsigned byte), dimensions, sizes, elements."""
    return struct.pack(f">BBBB{array.ndim}i", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx_pair(folder, prefix="", count=4, size=(3, 5), labels=None, compress=False):
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, *size), dtype=np.uint8)
    labels = np.array(labels if labels is not None else [0, 1] * (count // 2), np.uint8)
    folder.mkdir(exist_ok=True)
    for kind, array in ((f"images-idx{images.ndim}", images), ("labels-idx1", labels)):
        content = idx_bytes(array)
        name = f"{prefix}{kind}-ubyte" + (".gz" if compress else "")
        (folder / name).write_bytes(gzip.compress(content) if compress else content)
    return images, labels


def save(path, pixels=0, size=(6, 4), mode="L", **options):
    """Write an image file; `pixels` is an array or one colour; `size` is width x height as Pillow has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else Image.new(mode, size, pixels)
    image.save(path, **options)
    return path


def refusal(source, **options):
    """The one line with which a source is refused."""
    with pytest.raises(InputError) as caught:
        open_images(source, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


# IDX


@pytest.mark.parametrize("compress", [False, True])
def test_a_hand_made_idx_folder_is_read_with_its_parts(tmp_path, compress):
    train, train_labels = write_idx_pair(tmp_path / "set", "train-", 6, compress=compress)
    test, test_labels = write_idx_pair(tmp_path / "set", "t10k-", 4, compress=compress)
    images = open_images(tmp_path / "set")
    assert images.name == "set"
    assert images.class_names == ("0", "1")
    np.testing.assert_array_equal(images.train.images, train[..., np.newaxis])
    np.testing.assert_array_equal(images.test.images, test[..., np.newaxis])
    np.testing.assert_array_equal(images.labels, np.concatenate([train_labels, test_labels]))
    assert images.images.flags.writeable


def test_an_idx_images_file_finds_its_labels_and_rgb_has_four_dimensions(tmp_path):
    pixels, labels = write_idx_pair(tmp_path, "train-", 4, size=(3, 5, 3))
    images = open_images(str(tmp_path / "train-images-idx4-ubyte"))
    np.testing.assert_array_equal(images.images, pixels)
    np.testing.assert_array_equal(images.labels, labels)


def test_idx_is_told_by_content_not_by_name(tmp_path):
    write_idx_pair(tmp_path, compress=True)
    (tmp_path / "images-idx3-ubyte.gz").rename(tmp_path / "my-images.bin")
    (tmp_path / "labels-idx1-ubyte.gz").rename(tmp_path / "my-labels.bin")
    assert len(open_images(tmp_path)) == 4
    assert len(open_images(tmp_path / "my-images.bin")) == 4


def test_plain_and_gzipped_twins_are_one_set(tmp_path):
    write_idx_pair(tmp_path, "train-", 6)
    write_idx_pair(tmp_path, "train-", 6, compress=True)
    assert len(open_images(tmp_path)) == 6


def test_idx_classes_are_the_numbers_that_occur_unless_listed(tmp_path):
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
def test_idx_headers_that_lie_are_refused_before_allocation(tmp_path, monkeypatch, compress, damage, expected):
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


def test_a_cut_gzip_file_is_refused(tmp_path):
    write_idx_pair(tmp_path, compress=True, count=40)
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    assert "truncated or damaged" in refusal(tmp_path)


def test_idx_files_that_do_not_fit_together_are_refused(tmp_path):
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


# Folders of images


def test_class_folders_give_classes_in_natural_order(tmp_path):
    for name in ("10", "9", "b", "A"):
        save(tmp_path / name / "x.png", 7)
    images = open_images(tmp_path)
    assert images.class_names == ("9", "10", "A", "b")
    assert images.images.shape == (4, 4, 6, 1)
    assert (images.images == 7).all()


def test_train_and_test_folders_become_parts_and_a_class_may_be_missing_in_the_test_part(tmp_path):
    for index, name in enumerate(["train/a", "train/b", "train/c", "test/a", "test/c"]):
        save(tmp_path / name / "x.png", index)
    images = open_images(tmp_path)
    assert images.train.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert images.test.images[:, 0, 0, 0].tolist() == [3, 4]
    assert images.test.labels.tolist() == [0, 2]
    save(tmp_path / "test" / "d" / "x.png")
    assert "found class 'd', in the test part only" in refusal(tmp_path)


def test_train_may_be_the_name_of_a_class(tmp_path):
    for name in ("car", "plane", "train"):
        save(tmp_path / name / "x.png")
    assert open_images(tmp_path).class_names == ("car", "plane", "train")


def test_images_come_by_class_and_name_whatever_the_file_system_says(tmp_path, monkeypatch):
    listed = Path.iterdir
    for name in ("b/2x.png", "a/9x.png", "a/10x.png"):
        save(tmp_path / name, int(name[2:-5]))
    for order in (sorted, lambda entries: sorted(entries, reverse=True)):
        monkeypatch.setattr(Path, "iterdir", lambda folder, order=order: order(listed(folder)))
        assert open_images(tmp_path).images[:, 0, 0, 0].tolist() == [10, 9, 2]


def test_a_flat_folder_is_labelled_by_first_characters(tmp_path):
    for name in ("0-x.png", "1-y.png", "あ-z.png", "が-z.png"):
        save(tmp_path / unicodedata.normalize("NFD", name))
    assert open_images(tmp_path).class_names == ("0", "1", "あ", "が")


def test_flat_folders_of_numbered_files_are_read_with_a_warning(tmp_path, caplog):
    for number in range(12):
        save(tmp_path / f"{number}.png")
    assert len(open_images(tmp_path).class_names) == 10
    assert "mere numbers" in caplog.text


def test_hidden_files_and_other_files_are_skipped(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name / "x.png")
        for other in (".DS_Store", "README.md", "Thumbs.db", ".hidden.png"):
            (tmp_path / name / other).write_bytes(b"no image")
    (tmp_path / "list-num.lst").write_text("a\nb\n")
    (tmp_path / ".git").mkdir()
    assert len(open_images(tmp_path)) == 2


def test_classes_json_decides_the_order_of_class_folders(tmp_path):
    for name in ("b", "a"):
        save(tmp_path / name / "x.png", ord(name))
    (tmp_path / "classes.json").write_text(json.dumps(["b", "a"]))
    images = open_images(tmp_path)
    assert images.class_names == ("b", "a")
    assert images.images[:, 0, 0, 0].tolist() == [ord("b"), ord("a")]


def test_symbolic_links_are_followed(tmp_path):
    save(tmp_path / "store" / "x.png", 5)
    (tmp_path / "set" / "a").mkdir(parents=True)
    (tmp_path / "set" / "a" / "x.png").symlink_to(tmp_path / "store" / "x.png")
    (tmp_path / "set" / "b").symlink_to(tmp_path / "store")
    assert open_images(tmp_path / "set").images[:, 0, 0, 0].tolist() == [5, 5]


def test_folders_that_are_no_set_are_refused_in_one_line(tmp_path):
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


def test_differing_sizes_and_modes_are_refused_with_a_way_out(tmp_path):
    save(tmp_path / "sizes" / "a" / "x.png", size=(6, 4))
    save(tmp_path / "sizes" / "b" / "y.png", size=(5, 4))
    line = refusal(tmp_path / "sizes")
    assert "grey 6 x 4 in" in line
    assert "grey 5 x 4 in" in line
    assert f"mizumashi data {tmp_path / 'sizes'} --preprocess mnist-style --out NEW" in line
    first = save(tmp_path / "modes" / "a" / "x.png", mode="L")
    second = save(tmp_path / "modes" / "b" / "y.png", mode="RGB")
    line = refusal(tmp_path / "modes")
    assert f"grey 6 x 4 in {first} and RGB 6 x 4 in {second}" in line


def test_unreadable_images_are_refused_by_name(tmp_path):
    good = save(tmp_path / "a" / "x.png", np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8))
    broken = tmp_path / "b" / "y.png"
    broken.parent.mkdir()
    for content in (good.read_bytes()[:-200], b"", b"not an image", good.read_bytes()[:20]):
        broken.write_bytes(content)
        assert f"{broken}: cannot read the image" in refusal(tmp_path)
    broken.unlink()
    broken.symlink_to(tmp_path / "nowhere.png")
    assert f"{broken}: cannot read the image" in refusal(tmp_path)


def test_images_of_too_many_pixels_are_refused_without_decoding(tmp_path, monkeypatch):
    save(tmp_path / "a" / "x.png", size=(40, 40))
    save(tmp_path / "b" / "x.png", size=(40, 40))
    for limit in (1000, 500):  # Pillow warns above the limit and raises above twice the limit
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert f"too many pixels; expected at most {limit:,}" in refusal(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert len(open_images(tmp_path)) == 2
    monkeypatch.setattr(limits, "MAX_SET_BYTES", 2 * 1600 - 1)
    assert "found 3,200 bytes of images; expected at most 3,199" in refusal(tmp_path)


GREY_RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def grey_palette(tmp_path):
    image = Image.new("P", (6, 4))
    image.putpalette([value for grey in range(0, 240, 10) for value in (grey,) * 3])
    image.putdata(list(range(24)))
    image.save(tmp_path / "x.png")
    return GREY_RAMP[..., np.newaxis]


def colour_palette(tmp_path):
    image = Image.new("P", (6, 4), 1)
    image.putpalette([0, 0, 0, 200, 10, 20])
    image.save(tmp_path / "x.png")
    return np.full((4, 6, 3), [200, 10, 20], np.uint8)


def one_bit(tmp_path):
    Image.fromarray(GREY_RAMP > 100).save(tmp_path / "x.png")
    return np.where(GREY_RAMP > 100, 255, 0)[..., np.newaxis]


def transparent_colour(tmp_path):
    save(tmp_path / "x.png", (0, 100, 200, 0), mode="RGBA")
    return np.full((4, 6, 3), 255, np.uint8)


def half_transparent_grey(tmp_path):
    save(tmp_path / "x.png", (0, 51), mode="LA")
    return np.full((4, 6, 1), 204, np.uint8)


def colour_key(tmp_path):
    save(tmp_path / "x.png", (9, 9, 9), mode="RGB", transparency=(9, 9, 9))
    return np.full((4, 6, 3), 255, np.uint8)


def turned_by_camera(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture is shown turned by 90 degrees clockwise
    save(tmp_path / "x.png", GREY_RAMP, exif=exif)
    return np.rot90(GREY_RAMP, -1)[..., np.newaxis]


@pytest.mark.parametrize(
    "made",
    [
        grey_palette,
        colour_palette,
        one_bit,
        transparent_colour,
        half_transparent_grey,
        colour_key,
        turned_by_camera,
    ],
)
def test_images_are_read_as_a_viewer_shows_them(tmp_path, made):
    expected = made(tmp_path)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), expected)


def test_a_jpeg_is_read(tmp_path):
    save(tmp_path / "x.jpg", (200, 30, 90), mode="RGB", quality=95)
    assert np.abs(read_image(tmp_path / "x.jpg").astype(int) - [200, 30, 90]).max() < 4


def test_deep_grey_and_animations_are_refused(tmp_path):
    deep = save(tmp_path / "deep.png", np.full((4, 6), 300, np.uint16))
    with pytest.raises(InputError, match="more than 8 bits of grey"):
        read_image(deep)
    frames = [Image.new("L", (6, 4), grey) for grey in (0, 255)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="several frames or pages"):
        read_image(tmp_path / "film.gif")


# Preprocessing


def test_mnist_style_joins_images_of_all_sizes_and_names_the_blank_ones(tmp_path, monkeypatch, caplog):
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


def test_mnist_style_works_on_arrays_and_keeps_parts(tmp_path, monkeypatch):
    write_idx_pair(tmp_path, "train-", 6)
    write_idx_pair(tmp_path, "t10k-", 4)
    monkeypatch.setattr(readers, "mnist_style", lambda image: np.full((28, 28), image[0, 0, 0], np.uint8))
    raw, images = open_images(tmp_path), open_images(tmp_path, preprocess="mnist-style")
    assert (images.size, images.test_start) == ((28, 28), 6)
    np.testing.assert_array_equal(images.images[:, 5, 5], raw.images[:, 0, 0])


# NPZ


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
        ({"pictures": [1]}, "found the arrays pictures; expected images and labels, or x_train"),
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
def test_npz_files_that_are_no_set_are_refused(tmp_path, arrays, expected):
    np.savez(tmp_path / "x.npz", **arrays)
    assert expected in refusal(tmp_path / "x.npz")


def test_npz_objects_are_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "x.npz", images=np.array([Trap(), None]), labels=[0, 1])
    assert "found Python objects in images.npy" in refusal(tmp_path / "x.npz")
    assert not (tmp_path / "sprung").exists()


def test_npz_headers_that_lie_are_refused_before_allocation(tmp_path):
    def lie(shape):
        with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive, archive.open("images.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            file.write(b"\0" * 10)
        with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive, archive.open("labels.npy", "w") as file:
            np.lib.format.write_array(file, np.array([0, 1]))
        return refusal(tmp_path / "x.npz")

    assert "expected at most" in lie((2**20, 2**10, 2**10))
    assert "where the header announces 1,048,576" in lie((1024, 32, 32))
    assert "cannot read the NPZ file" in lie((11, 1, 1))


def test_damaged_npz_files_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", images=np.random.default_rng(0).integers(0, 256, (9, 9, 9)), labels=[0] * 9)
    content = bytearray((tmp_path / "x.npz").read_bytes())
    content[200:300] = bytes(100)
    (tmp_path / "x.npz").write_bytes(content)
    assert "cannot read the NPZ file" in refusal(tmp_path / "x.npz")


# Names and files of other kinds


def test_an_unknown_name_gets_the_nearest_one(tmp_path):
    assert "known set 'minst' (did you mean 'mnist'?); expected a path or one of digits" in refusal("minst")
    assert "did you mean" not in refusal(tmp_path / "no-such-file")


def test_a_catalogue_name_means_the_catalogue_and_a_path_means_the_path(tmp_path, monkeypatch, caplog):
    save(tmp_path / "digits" / "a" / "x.png")
    save(tmp_path / "digits" / "b" / "x.png")
    monkeypatch.chdir(tmp_path)
    assert len(open_images("digits")) == 1797
    assert "write ./digits" in caplog.text
    assert len(open_images("./digits")) == len(open_images(Path("digits"))) == 2


@pytest.mark.parametrize("content", [b"", b"hello", b"\0\0\0\0", b"PK\3\4rubbish", b"\x1f\x8brubbish"])
def test_files_of_no_known_format_are_refused(tmp_path, content):
    (tmp_path / "x").write_bytes(content)
    assert f"{tmp_path / 'x'}: found a file of no known format; expected IDX" in refusal(tmp_path / "x")


def test_one_image_is_no_set(tmp_path):
    assert "no known format" in refusal(save(tmp_path / "x.png"))


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
