import numpy as np
import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.studies.config import Regime
from mizumashi.studies.subsets import split_target, training_images


def numbered(count: int, start: int = 0, name: str = "scans") -> LabelledImages:
    """Image i holds the number i in its first two pixels; classes take turns."""
    pixels = np.zeros((count, 8, 8), np.uint8)
    pixels[:, 0, 0], pixels[:, 0, 1] = divmod(np.arange(start, start + count), 256)
    return LabelledImages.from_arrays(pixels, np.arange(count) % 3, ["a", "b", "c"], name)


def numbers(images: LabelledImages) -> list[int]:
    return [int(image[0, 0, 0]) * 256 + int(image[0, 1, 0]) for image in images.images]


def test_without_a_regime_all_images_are_trained_on():
    found = training_images(numbered(90), None, Regime(), choose=False, seed=3)
    assert found.validation is None
    assert found.real.equals(numbered(90))


def test_so_many_of_each_class_others_for_each_seed():
    first, again, other = (
        training_images(numbered(90), None, Regime(per_class=5), choose=False, seed=seed).real for seed in (0, 0, 1)
    )
    assert first.counts.tolist() == [5, 5, 5]
    assert numbers(first) == numbers(again) != numbers(other)


def test_classes_are_cut_to_their_share_after_the_drawing():
    regime = Regime(per_class=20, imbalance=("b:0.2", "c:0.01"))
    assert training_images(numbered(90), None, regime, choose=False, seed=0).real.counts.tolist() == [20, 4, 2]


@pytest.mark.parametrize("profile", ["b", "b:2", "b:0", "d:0.1", ":0.1", "b:x"])
def test_a_wrong_profile_is_one_line(profile: str):
    with pytest.raises(InputError, match=r"found imbalance .*; expected CLASS:SHARE, .* a, b, c"):
        training_images(numbered(90), None, Regime(imbalance=(profile,)), choose=False, seed=0)


def test_what_is_set_aside_for_choosing_is_not_trained_on():
    few = numbered(15, start=500)
    found = training_images(numbered(90), few, Regime(), choose=True, seed=0)
    assert found.validation is not None
    trained, chosen_by = set(numbers(found.real)), set(numbers(found.validation))
    assert trained | chosen_by == {*range(90), *range(500, 515)}
    assert not trained & chosen_by
    assert found.validation.counts.tolist() == [7, 7, 7]  # a fifth of 30 and of 5 of each class
    assert len({number for number in chosen_by if number >= 500}) == 3


def test_the_targets_few_are_never_tested_on():
    faxes = numbered(60, name="faxes")
    copies = faxes.take([*range(60), *range(6)])  # six images come twice
    few, rest = split_target(copies, per_class=4)
    assert few is not None
    assert few.counts.tolist() == [4, 4, 4]
    assert not set(numbers(few)) & set(numbers(rest))
    assert set(numbers(few)) | set(numbers(rest)) == set(range(60))
    again, _ = split_target(copies, per_class=4)
    assert again is not None
    assert numbers(again) == numbers(few)
    assert split_target(faxes, None) == (None, faxes)
    with pytest.raises(
        InputError, match=r"found 20 images of class 'a'; expected more than the 20 .*--target-per-class"
    ):
        split_target(faxes, per_class=20)
