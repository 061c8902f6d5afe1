import numpy as np
import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.gan.collapse import collapsed, relative_variation, variation


def noise(deviation: float, classes: int = 2, count: int = 400) -> LabelledImages:
    pixels = np.random.default_rng(0).normal(128, deviation, (count * classes, 8, 8)).clip(0, 255).astype(np.uint8)
    return LabelledImages.from_arrays(pixels, np.repeat(np.arange(classes), count))


def test_the_variation_of_noise_is_its_standard_deviation():
    assert variation(noise(20.0)) == pytest.approx([20, 20], rel=0.02)


def test_one_image_again_and_again_has_collapsed_whatever_it_shows():
    picture = np.random.default_rng(1).integers(0, 256, (8, 8))
    pixels = np.concatenate([np.broadcast_to(picture, (400, 8, 8)), noise(20.0).images[400:, ..., 0]])
    generated = LabelledImages.from_arrays(pixels, noise(20.0).labels)
    shares = relative_variation(generated, variation(noise(20.0)))
    assert shares == pytest.approx([0, 1])
    assert collapsed(shares) == [0]


def test_real_images_that_are_all_the_same_ask_for_no_variation():
    same = LabelledImages.from_arrays(np.full((4, 8, 8), 7), [0, 0, 1, 1])
    assert relative_variation(same, variation(same)) == [1.0, 1.0]
