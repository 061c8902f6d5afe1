import numpy as np
import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.data.smote import smote
from mizumashi.errors import InputError


def test_new_images_lie_between_two_of_their_class():
    """Class 0 varies in its left half alone, class 1 in its right half alone."""
    pixels = np.full((40, 8, 8), 100, np.uint8)
    random = np.random.default_rng(0)
    pixels[:20, :, :4] = random.integers(0, 256, (20, 1, 1))
    pixels[20:, :, 4:] = random.integers(0, 256, (20, 1, 1))
    real = LabelledImages.from_arrays(pixels, np.repeat([0, 1], 20))
    new = smote(real, [30, 10], seed=0)
    assert new.counts.tolist() == [30, 10]
    for label, half, still in ((0, slice(0, 4), slice(4, 8)), (1, slice(4, 8), slice(0, 4))):
        values, known = new.images[new.labels == label], real.images[real.labels == label]
        assert (values[:, :, still] == 100).all()
        assert (
            values[:, :, half] == values[:, :1, half][:, :, :1]
        ).all()  # between constant halves lies a constant one
        assert known[:, :, half].min() <= values[:, :, half].min()
        assert values[:, :, half].max() <= known[:, :, half].max()
        assert not set(values[:, 0, half][:, 0, 0].tolist()) <= set(known[:, 0, half][:, 0, 0].tolist())


def test_the_seed_decides(blobs: LabelledImages):
    first, again, other = (smote(blobs, [5, 5, 5], seed) for seed in (0, 0, 1))
    assert first.equals(again)
    assert not first.equals(other)


def test_a_class_of_one_image_is_refused(blobs: LabelledImages):
    few = blobs.take([np.flatnonzero(blobs.labels == 0)[0], *np.flatnonzero(blobs.labels != 0)])
    with pytest.raises(InputError, match="found 1 image of class"):
        smote(few, [2, 0, 0], seed=0)
    assert smote(few, [0, 2, 1], seed=0).counts.tolist() == [0, 2, 1]
