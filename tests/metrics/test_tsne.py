import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from mizumashi.data.idx import read_idx
from mizumashi.errors import InputError
from mizumashi.metrics.tsne import SharedMap, shared_map


def own_neighbour_share(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The share of points whose nearest neighbour is of their own set: 1 apart, 0.5 mixed."""
    points = np.concatenate([first, second])
    side = np.arange(len(points)) < len(first)
    return float(np.mean(side[KDTree(points).query(points, 2)[1][:, 1]] == side))


def cluster(centre: float, count: int, seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(centre, 1, (count, 12))


@pytest.fixture(scope="module")
def positions() -> SharedMap:
    return shared_map(cluster(0, 60, 1), {"same": cluster(0, 60, 2), "far": cluster(9, 50, 3)}, seed=0)


def test_each_set_keeps_its_size_and_name(positions: SharedMap) -> None:
    assert positions.reference.shape == (60, 2)
    assert {name: points.shape for name, points in positions.others.items()} == {
        "same": (60, 2),
        "far": (50, 2),
    }
    assert all(np.isfinite(points).all() for points in (positions.reference, *positions.others.values()))


def test_equal_sets_mix_and_different_ones_keep_apart(positions: SharedMap) -> None:
    assert 0.35 < own_neighbour_share(positions.reference, positions.others["same"]) < 0.65
    assert own_neighbour_share(positions.reference, positions.others["far"]) == 1
    assert own_neighbour_share(positions.others["same"], positions.others["far"]) == 1


def test_positions_stay_with_their_rows() -> None:
    # Rows alternate between two clusters in both sets: so must the positions.
    centres = np.where(np.arange(40)[:, None] % 2, 30.0, 0.0)
    first, second = cluster(0, 40, 1) + centres, cluster(0, 40, 2) + centres
    positions = shared_map(first, {"second": second}, seed=0)
    even = np.concatenate([positions.reference[::2], positions.others["second"][::2]])
    odd = np.concatenate([positions.reference[1::2], positions.others["second"][1::2]])
    assert own_neighbour_share(even, odd) == 1


def test_the_seed_decides() -> None:
    sets = cluster(0, 30, 1), {"other": cluster(2, 20, 2)}
    once, again, other = (shared_map(*sets, seed=seed) for seed in (0, 0, 1))
    assert once.reference.tobytes() == again.reference.tobytes()
    assert once.others["other"].tobytes() == again.others["other"].tobytes()
    assert once.reference.tobytes() != other.reference.tobytes()


def test_pixels_are_taken_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 20, 30)).astype(np.uint8)
    as_bytes = shared_map(pixels[0], {"other": pixels[1]}, seed=0)
    as_floats = shared_map(pixels[0].astype(np.float64), {"other": pixels[1].astype(np.float64)}, seed=0)
    np.testing.assert_array_equal(as_bytes.reference, as_floats.reference)


def test_few_points_and_copies_of_one_image_raise_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        few = shared_map(cluster(0, 6, 1), {"other": cluster(0, 4, 2)}, seed=0)
        collapsed = shared_map(cluster(0, 50, 1), {"collapsed": np.full((50, 12), 20.0)}, seed=0)
    assert not caplog.records
    assert np.isfinite(few.reference).all()
    assert own_neighbour_share(collapsed.reference, collapsed.others["collapsed"]) == 1


@pytest.mark.parametrize(
    ("reference", "other", "message"),
    [
        (np.zeros((20, 4)), np.ones((20, 5)), r"other: found an array of shape \(20, 5\)"),
        (np.zeros((20, 4)), np.ones((0, 4)), r"other: found an array of shape \(0, 4\)"),
        (np.zeros((20, 4, 4)), np.ones((20, 4, 4)), "the reference: found an array of shape"),
        (np.zeros((4, 4)), np.ones((5, 4)), "found 9 images for a map; expected at least 10"),
        (np.ones((20, 4)), np.ones((20, 4)), "images that are all the same"),
    ],
)
def test_what_cannot_be_mapped_is_refused(
    reference: NDArray[np.float64], other: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        shared_map(reference, {"other": other}, seed=0)


@pytest.mark.slow
@pytest.mark.realdata
def test_the_map_tells_what_the_pixels_tell(data_folder: Path) -> None:
    digits = read_idx(data_folder / "mnist" / "train-images-idx3-ubyte.gz")[:2000]
    reference, rest = digits[:1000], digits[1000:]
    others = {
        "the same": rest,
        "blurred": ndimage.gaussian_filter(rest, (0, 1.5, 1.5)),
        "thickened": ndimage.grey_dilation(rest, (1, 3, 3)),
    }
    rows = {name: images.reshape(1000, -1) for name, images in others.items()}
    positions = shared_map(reference.reshape(1000, -1), rows, seed=0)
    pixels = reference.reshape(1000, -1).astype(np.float64)
    for name, images in rows.items():
        on_map = own_neighbour_share(positions.reference, positions.others[name])
        assert on_map == pytest.approx(own_neighbour_share(pixels, images.astype(np.float64)), abs=0.1)


def test_the_map_does_not_depend_on_the_number_of_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.random.default_rng(0).normal(size=(300, 20))
    maps = []
    for processors in (1, 3):
        monkeypatch.setattr("mizumashi.metrics.tsne.os.cpu_count", lambda count=processors: count)
        maps.append(shared_map(rows[:150], {"other": rows[150:]}, seed=0))
    np.testing.assert_array_equal(maps[0].reference, maps[1].reference)
    np.testing.assert_array_equal(maps[0].others["other"], maps[1].others["other"])
