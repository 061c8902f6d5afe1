from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits

from mizumashi.data.idx import read_idx
from mizumashi.errors import InputError
from mizumashi.metrics import memorization as module
from mizumashi.metrics.memorization import copies

Images = NDArray[np.uint8]


def noise(count: int, seed: int, shape: tuple[int, ...] = (6, 6)) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


@pytest.fixture(scope="module")
def digits() -> tuple[Images, Images, Images]:
    """Training, held-out and fresh images: 1,000, 400 and 380 of 16x16 pixels."""
    small = np.random.default_rng(0).permutation(load_digits().images)
    images = np.rint(ndimage.zoom(small, (1, 2, 2), order=1) * (255 / 16)).astype(np.uint8)
    return images[:1000], images[1000:1400], images[1400:1780]


def test_planted_copies_are_found(digits: tuple[Images, Images, Images]) -> None:
    train, held_out, fresh = digits
    originals = np.arange(0, 1000, 50)
    found = copies(train, held_out, np.concatenate([fresh, train[originals]]), seed=0)
    assert found.flagged[:20].tolist() == list(range(380, 400))
    np.testing.assert_array_equal(found.nearest[380:], originals)
    np.testing.assert_array_equal(found.nearness[380:], 0)
    assert (found.identical, found.identical_held_out) == (20, 0)
    assert found.share == len(found.flagged) / 400
    assert 0.05 <= found.share < 0.075
    assert found.low < 0.05 < found.high
    assert found.p_value < 1e-4


def test_fresh_images_are_flagged_no_more_than_expected(digits: tuple[Images, Images, Images]) -> None:
    train, held_out, fresh = digits
    found = copies(train, held_out, fresh, seed=0)
    assert found.share < 0.03
    assert found.p_value > 0.05
    assert found.identical == 0


def test_altered_copies_are_found(digits: tuple[Images, Images, Images]) -> None:
    train, held_out, fresh = digits
    random = np.random.default_rng(1)
    altered = {
        "moved": ndimage.shift(train[:100], (0, 1, -1), order=0, mode="nearest"),
        "noisy": np.clip(train[:100] + random.normal(0, 20, (100, 16, 16)), 0, 255).astype(np.uint8),
        "blurred": ndimage.gaussian_filter(train[:100], (0, 0.5, 0.5)),
    }
    for images in altered.values():
        found = copies(train, held_out, np.concatenate([fresh, images]), seed=0)
        assert (found.flagged >= 380).sum() > 80
        assert np.mean(found.nearest[380:] == np.arange(100)) > 0.9
        assert found.identical == 0


def test_the_expected_share_is_what_fresh_images_have_on_average() -> None:
    # 30 held-out images are few: the share varies with them, and a binomial test would be wrong far too often.
    found = []
    for seed in range(100):
        images = noise(260, seed, (3, 3))
        found.append(copies(images[:30], images[30:60], images[60:], seed=0))
    shares, p_values = np.array([f.share for f in found]), np.array([f.p_value for f in found])
    assert found[0].expected_share == 1 / 31
    assert abs(shares.mean() - 1 / 31) < 4 * shares.std() / 100**0.5
    for level in (0.05, 0.3):
        assert np.mean(p_values <= level) < level + 4 * np.sqrt(level * (1 - level) / 100)
    assert np.mean(p_values < 0.5) > 0.15


def test_p_value_for_few_held_out_images_is_a_matter_of_counting() -> None:
    # One flagged image, that is one of 82 equally likely ones nearer than all 40 held-out ones: 42 of 82 cases.
    train, held_out = noise(50, 1), noise(40, 2)
    found = copies(train, held_out, np.concatenate([train[:1], held_out, held_out[:1]]), seed=0)
    assert found.flagged.tolist() == [0]
    assert found.p_value == pytest.approx(42 / 82)
    assert found.threshold == found.nearness[1:].min()


def test_one_percent_of_many_held_out_images_lies_below_the_threshold() -> None:
    train, held_out = noise(50, 1), noise(499, 2)
    found = copies(train, held_out, held_out, seed=0)
    assert found.expected_share == 5 / 500
    assert (found.nearness <= found.threshold).sum() == 5
    assert found.share == 4 / 499


@pytest.mark.parametrize("shape", [(6, 6), (4, 4, 3)])
@pytest.mark.parametrize("bytes_at_once", [2**27, 9 * 4 * 70 * 8])
def test_nearness_is_that_of_plain_distances(
    shape: tuple[int, ...], bytes_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As many components as pixels: distances among components are those among pixels.
    monkeypatch.setattr(module, "_BYTES_AT_ONCE", bytes_at_once)
    train, held_out, generated = noise(70, 1, shape), noise(30, 2, shape), noise(45, 3, shape)
    moves = [(0, down, right) + (0,) * (len(shape) - 2) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    pixels = train.reshape(70, -1).astype(float)
    distances = np.min(
        [
            cdist(ndimage.shift(generated, move, order=0, mode="nearest").reshape(45, -1).astype(float), pixels)
            for move in moves
        ],
        axis=0,
    )
    found = copies(train, held_out, generated, seed=0)
    np.testing.assert_array_equal(found.nearest, distances.argmin(1))
    ordered = np.sort(distances, axis=1)
    np.testing.assert_allclose(found.nearness, ordered[:, 0] / ordered[:, 4], rtol=1e-4)


def test_a_held_out_set_that_is_not_held_out_is_told(digits: tuple[Images, Images, Images]) -> None:
    train, _, fresh = digits
    found = copies(train, train[:100], np.concatenate([fresh, train[:5]]), seed=0)
    assert found.identical_held_out == 100
    assert (found.identical, found.share, found.p_value) == (5, 0, 1)


def test_images_that_are_all_alike() -> None:
    train, held_out = noise(50, 1), noise(40, 2)
    assert copies(train, held_out, np.repeat(train[:1], 30, axis=0), seed=0).share == 1
    assert copies(train, held_out, np.zeros((30, 6, 6), np.uint8), seed=0).identical == 0
    black = np.zeros((30, 6, 6), np.uint8)
    found = copies(black, black, black, seed=0)
    assert (found.share, found.identical, found.p_value) == (0, 30, 1)
    assert np.isfinite(found.nearness).all()


def test_the_same_arguments_give_the_same_copies(digits: tuple[Images, Images, Images]) -> None:
    once, again = copies(*digits, seed=0), copies(*digits, seed=0)
    assert once.nearness.tobytes() == again.nearness.tobytes()
    assert once.nearest.tobytes() == again.nearest.tobytes()


@pytest.mark.parametrize(
    ("train", "held_out", "generated", "message"),
    [
        (noise(30, 1), noise(30, 2), noise(30, 3, (6, 5)), r"generated images of shape \(6, 5\) and training images"),
        (noise(30, 1), noise(30, 2, (6, 5)), noise(30, 3), r"held-out images of shape \(6, 5\) and training images"),
        (noise(19, 1), noise(30, 2), noise(30, 3), "found 19 training, 30 held-out and 30 generated images"),
        (noise(30, 1), noise(19, 2), noise(30, 3), "found 30 training, 19 held-out"),
        (noise(30, 1), noise(30, 2), noise(0, 3), "and 0 generated images; expected at least 20, 20 and 1"),
    ],
)
def test_what_cannot_be_searched_is_refused(train: Images, held_out: Images, generated: Images, message: str) -> None:
    with pytest.raises(InputError, match=message):
        copies(train, held_out, generated, seed=0)


@pytest.mark.realdata
def test_copies_of_real_digits_are_found_and_common_shapes_are_not(data_folder: Path) -> None:
    digits = read_idx(data_folder / "mnist" / "train-images-idx3-ubyte.gz")
    labels = read_idx(data_folder / "mnist" / "train-labels-idx1-ubyte.gz").ravel()
    order = np.random.default_rng(0).permutation(len(digits))
    train, held_out, fresh = digits[order[:10000]], digits[order[10000:11000]], digits[order[11000:11500]]
    moved = ndimage.shift(train[:100], (0, 1, 0), order=0, mode="nearest")
    blurred = ndimage.gaussian_filter(train[100:200], (0, 0.5, 0.5))
    found = copies(train, held_out, np.concatenate([fresh, moved, blurred]), seed=0)
    assert (found.nearness[500:] < found.threshold).mean() > 0.9
    assert (found.nearness[:500] < found.threshold).mean() < 0.03
    # Ones resemble each other: by plain distance 8 % of fresh ones lie below the 1 % threshold.
    ones = digits[order[12000:]][labels[order[12000:]] == 1][:500]
    assert copies(train, held_out, ones, seed=0).share < 0.04
