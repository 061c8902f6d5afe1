import numpy as np
import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.data.resize import resize
from mizumashi.errors import InputError


@pytest.mark.parametrize("channels", [1, 3])
def test_shrinking_averages_instead_of_dropping_pixels(channels):
    stripes = np.zeros((2, 60, 40, channels), np.uint8)
    stripes[:, :, ::2] = 200
    images = LabelledImages(stripes, np.array([0, 1]), ("a", "b"), test_start=1)
    small = resize(images, 10)
    assert small.images.shape == (2, 10, 10, channels)
    assert np.abs(small.images.astype(int) - 100).max() <= 12  # every other pixel alone would be 0 or 200
    assert (small.labels.tolist(), small.class_names, small.test_start) == ([0, 1], ("a", "b"), 1)


def test_a_picture_keeps_its_place_and_colours():
    pixels = np.zeros((1, 8, 8, 3), np.uint8)
    pixels[0, :4, 4:] = [250, 20, 90]
    large = resize(LabelledImages(pixels, np.array([0]), ("a",)), 32).images[0]
    assert large[4, 27].tolist() == [250, 20, 90]
    assert not large[20:, :].any()
    assert not large[:, :10].any()


def test_the_same_size_changes_nothing():
    images = LabelledImages(np.zeros((1, 8, 8, 1), np.uint8), np.array([0]), ("a",))
    assert resize(images, 8) is images


def test_no_size_is_refused():
    with pytest.raises(InputError, match="found size 0; expected at least 1"):
        resize(LabelledImages(np.zeros((1, 8, 8, 1), np.uint8), np.array([0]), ("a",)), 0)
