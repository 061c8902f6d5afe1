import numpy as np
import pytest
from PIL import Image

from mizumashi.data import limits, readers
from mizumashi.data.readers import open_images
from mizumashi.data.resize import resize
from mizumashi.data.writers import write_images


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_files_of_differing_sizes_become_one_set(tmp_path, save, mode):
    random = np.random.default_rng(0)
    channels = () if mode == "L" else (3,)
    pictures = {
        "a": random.integers(0, 256, (40, 31, *channels), np.uint8),
        "b": random.integers(0, 256, (9, 12, *channels), np.uint8),
    }
    for name, pixels in pictures.items():
        save(tmp_path / name / "x.png", pixels)
    images = open_images(tmp_path, resize=16)
    assert images.class_names == ("a", "b")
    for found, pixels in zip(images.images, pictures.values(), strict=True):
        expected = Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(found, np.asarray(expected).reshape(16, 16, -1))


@pytest.mark.parametrize("format", ["folder", "idx", "npz"])
def test_reading_resized_is_resizing_what_was_read(tmp_path, blobs, format):
    path = write_images(blobs.take(np.arange(30)), tmp_path / "set", format)
    assert open_images(path, resize=11).equals(resize(open_images(path), 11))


def test_a_known_set_is_resized():
    assert open_images("digits", resize=9).equals(resize(open_images("digits"), 9))


def test_preprocessing_comes_before_the_size(tmp_path, save, monkeypatch):
    for name, size in (("a", (30, 20)), ("b", (50, 70))):
        save(tmp_path / name / "x.png", (9, 9, 9), size=size, mode="RGB")
    seen = []

    def styled(image):
        seen.append(image.shape)
        return np.full((28, 28), 200, np.uint8)

    monkeypatch.setattr(readers, "mnist_style", styled)
    images = open_images(tmp_path, preprocess="mnist-style", resize=10)
    assert seen == [(20, 30, 3), (70, 50, 3)]
    assert images.images.shape == (2, 10, 10, 1)
    assert (images.images == 200).all()


def test_grey_and_colour_stay_two_kinds(tmp_path, save, refusal):
    save(tmp_path / "a" / "x.png", size=(5, 5))
    save(tmp_path / "b" / "x.png", size=(7, 7), mode="RGB")
    assert "grey 6 x 6" in refusal(tmp_path, resize=6)


def test_unusable_sizes_are_refused_before_anything_is_read_or_allocated(tmp_path, save, refusal, monkeypatch):
    for name in "ab":
        save(tmp_path / name / "x.png", size=(8, 8), mode="RGB")
    for source in ("no-such-set", "digits", tmp_path):
        assert refusal(source, resize=0) == "found size 0; expected at least 1 pixel"
    with monkeypatch.context() as patch:
        patch.setattr(readers, "resize_image", lambda image, size: pytest.fail("resized"))
        assert "found 60,000,000,000 bytes of images; expected at most" in refusal(tmp_path, resize=100_000)
        assert "found 17,970,000,000,000 bytes of images" in refusal("digits", resize=100_000)
    monkeypatch.setattr(limits, "MAX_SET_BYTES", 600)
    assert open_images(tmp_path, resize=10).size == (10, 10)
    assert "found 726 bytes" in refusal(tmp_path, resize=11)
