from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from mizumashi.classifiers import classical
from mizumashi.classifiers.classical import Classical, augment, augmented
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError

NOTHING = Classical(
    shift_share=0,
    rotation_degrees=0,
    scale_share=0,
    stroke_probability=0,
    blur_probability=0,
    coarse_probability=0,
    noise_probability=0,
)
# The place of each number that is drawn for an image.
RIGHT, DOWN, ANGLE, SCALE, MIRROR, _, DARKER, STROKE, _, BLUR, _, COARSE, _, NOISE = range(14)


@pytest.fixture(scope="module")
def smooth() -> torch.Tensor:
    """Four smooth random images, 2 channels, away from the borders, so that interpolation is nearly exact."""
    random = np.random.default_rng(0)
    images = ndimage.gaussian_filter(random.random((4, 2, 26, 32)), (0, 0, 3, 3), mode="nearest")
    images = (images - images.min()) / np.ptp(images)
    return torch.tensor(images, dtype=torch.float32)


def drawn(monkeypatch: pytest.MonkeyPatch, images: torch.Tensor, config: Classical, **numbers: float) -> torch.Tensor:
    """Augment with known numbers in place of drawn ones, the same for every image; 0.5 where none is given."""

    def known(count: int, length: int, generator: torch.Generator) -> torch.Tensor:
        result = torch.full((count, length), 0.5)
        for name, value in numbers.items():
            result[:, globals()[name]] = value
        return result

    monkeypatch.setattr(torch, "rand", known)
    return augment(images, config, torch.Generator())


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def interior(images: torch.Tensor) -> np.ndarray:
    return images[..., 7:-7, 7:-7].numpy()


def test_nothing_asked_for_changes_nothing(smooth: torch.Tensor):
    before = smooth.clone()
    torch.testing.assert_close(augment(smooth, NOTHING, seeded()), smooth, atol=1e-5, rtol=0)
    augment(smooth, Classical(), seeded())
    assert torch.equal(smooth, before)


def test_shifts_are_scipys(monkeypatch: pytest.MonkeyPatch, smooth: torch.Tensor):
    config = replace(NOTHING, shift_share=0.25)
    moved = drawn(monkeypatch, smooth, config, RIGHT=0.75, DOWN=0.0)  # half of 8 pixels right, 6.5 pixels up
    expected = ndimage.shift(smooth.numpy(), (0, 0, -6.5, 4), order=1, mode="nearest")
    np.testing.assert_allclose(moved.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize(("number", "degrees"), [(0.0, -30), (0.9, 24)])
def test_rotations_are_scipys(monkeypatch: pytest.MonkeyPatch, smooth: torch.Tensor, number: float, degrees: float):
    moved = drawn(monkeypatch, smooth, replace(NOTHING, rotation_degrees=30), ANGLE=number)
    expected = ndimage.rotate(smooth.numpy(), -degrees, axes=(2, 3), reshape=False, order=1, mode="nearest")
    np.testing.assert_allclose(interior(moved), interior(torch.tensor(expected)), atol=1e-3)


@pytest.mark.parametrize(("number", "factor"), [(1.0, 1.25), (0.0, 0.8)])
def test_scales_are_scipys_about_the_centre(
    monkeypatch: pytest.MonkeyPatch, smooth: torch.Tensor, number: float, factor: float
):
    moved = drawn(monkeypatch, smooth, replace(NOTHING, scale_share=0.25), SCALE=number)
    centre = (np.array(smooth.shape[2:]) - 1) / 2
    expected = [
        ndimage.affine_transform(plane, np.eye(2) / factor, centre * (1 - 1 / factor), order=1, mode="nearest")
        for plane in smooth.flatten(0, 1).numpy()
    ]
    np.testing.assert_allclose(moved.flatten(0, 1).numpy(), expected, atol=1e-4)


def test_images_are_mirrored_only_where_that_is_allowed(smooth: torch.Tensor):
    still = augment(smooth.repeat(20, 1, 1, 1), NOTHING, seeded())
    torch.testing.assert_close(still, smooth.repeat(20, 1, 1, 1), atol=1e-5, rtol=0)
    flipped = augment(smooth.repeat(20, 1, 1, 1), replace(NOTHING, flip=True), seeded())
    mirrored = 0
    for image, original in zip(flipped, smooth.repeat(20, 1, 1, 1), strict=True):
        as_before, in_mirror = (bool((image - each).abs().max() < 1e-4) for each in (original, original.flip(2)))
        assert as_before != in_mirror
        mirrored += in_mirror
    assert 20 < mirrored < 60  # of 80


@pytest.mark.parametrize(("size", "window"), [(28, 2), (64, 3)])
def test_strokes_change_as_by_scipys_grey_morphology(monkeypatch: pytest.MonkeyPatch, size: int, window: int):
    images = torch.rand(2, 1, size, size)
    strongest = 0.75
    for number, change in ((0.4, ndimage.grey_erosion), (0.6, ndimage.grey_dilation)):
        config = replace(NOTHING, stroke_probability=1)
        changed = drawn(monkeypatch, images, config, DARKER=number, STROKE=1.0)
        ways = [
            (1 - strongest) * images.numpy() + strongest * change(images.numpy(), (1, 1, window, window), origin=origin)
            for origin in ((0, 0, 0, 0), (0, 0, -1, -1))
        ]  # a window of two pixels lies on either side
        inside = np.s_[..., 2:-2, 2:-2]
        assert min(np.abs(changed.numpy() - way)[inside].max() for way in ways) < 1e-4


def test_blur_is_scipys(monkeypatch: pytest.MonkeyPatch):
    images = torch.rand(2, 3, 32, 32)
    blurred = drawn(monkeypatch, images, replace(NOTHING, blur_probability=1, blur_share=0.05), BLUR=0.5)
    expected = ndimage.gaussian_filter(images.numpy(), (0, 0, 1.2, 1.2), mode="nearest")
    np.testing.assert_allclose(blurred.numpy(), expected, atol=0.01)


def test_coarse_images_keep_their_means_and_lose_what_is_fine(monkeypatch: pytest.MonkeyPatch):
    fine = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)
    broad = (torch.arange(32) // 16).float().expand(1, 1, 32, 32)
    config = replace(NOTHING, coarse_probability=1, coarse_share=0.5)
    images = torch.cat([fine, broad]).contiguous()
    coarse = drawn(monkeypatch, images, config, COARSE=0.0)
    torch.testing.assert_close(coarse[0], torch.full_like(coarse[0], 0.5))  # every other row at half the resolution
    torch.testing.assert_close(coarse[1].mean(), images[1].mean())
    assert (coarse[1] - images[1]).abs().mean() < 0.05


def test_noise_has_the_asked_for_deviation():
    grey = torch.full((64, 1, 32, 32), 0.5)
    noisy = augment(grey, replace(NOTHING, noise_probability=1, noise_deviation=0.1), seeded()) - 0.5
    deviations = noisy.flatten(1).std(dim=1)
    assert float(deviations.max()) == pytest.approx(0.1, abs=0.01)
    assert float(deviations.min()) == pytest.approx(0.05, abs=0.005)
    assert float(noisy.mean()) == pytest.approx(0, abs=1e-3)
    strongest = noisy[deviations.argmax()].flatten()
    assert float((strongest.abs() < strongest.std()).float().mean()) == pytest.approx(0.683, abs=0.05)  # normal
    loud = replace(NOTHING, noise_probability=1, noise_deviation=1.0)
    on_black = augment(torch.zeros(4, 1, 16, 16), loud, seeded())
    assert (float(on_black.min()), float(on_black.max())) == (0.0, 1.0)


def test_borders_go_on_so_that_both_backgrounds_stay():
    config = Classical(noise_probability=0)
    for ground in (0.0, 1.0):
        images = torch.full((50, 1, 28, 28), ground)
        images[:, :, 10:18, 10:18] = 0.5
        borders = augment(images, config, seeded())[:, :, [0, -1]]
        torch.testing.assert_close(borders, torch.full_like(borders, ground))


def test_each_degradation_hits_its_share_of_the_images():
    images = torch.rand(2000, 1, 16, 16, generator=seeded(1))
    for name in ("stroke", "blur", "coarse", "noise"):
        config = replace(NOTHING, blur_share=0.1, **{f"{name}_probability": 0.3})
        hit = ((augment(images, config, seeded()) - images).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean()
        assert float(hit) == pytest.approx(0.3, abs=0.04), name


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 17, 24)])
def test_an_image_depends_on_its_place_and_not_on_its_neighbours(shape: Sequence[int]):
    images = torch.rand(40, *shape, generator=seeded(1))
    config = Classical(flip=True)
    whole = augment(images, config, seeded())
    assert torch.equal(augment(images, config, seeded()), whole)
    assert torch.allclose(augment(images[:7], config, seeded()), whole[:7], atol=1e-5)
    others = torch.rand(40, *shape, generator=seeded(2))
    others[5] = images[5]
    assert torch.allclose(augment(others, config, seeded())[5], whole[5], atol=1e-5)
    assert not torch.equal(augment(images, config, seeded(1)), whole)
    same = augment(images[:1].repeat(40, 1, 1, 1), config, seeded())
    assert len({image.numpy().tobytes() for image in same}) == 40


def test_no_global_generator_is_touched(smooth: torch.Tensor):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    augment(smooth, Classical(), seeded())
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_a_set_is_transformed_image_by_image_and_keeps_its_labels(
    blobs: LabelledImages, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(classical, "CHUNK", 100)
    whole = augmented(blobs, seed=0)
    assert whole.images.dtype == np.uint8
    assert whole.images.shape == blobs.images.shape
    assert (whole.labels == blobs.labels).all()
    assert whole.class_names == blobs.class_names
    assert (augmented(blobs.take(np.arange(130)), seed=0).images == whole.images[:130]).all()
    assert (augmented(blobs, seed=0).images == whole.images).all()
    assert (augmented(blobs, seed=1).images != whole.images).any()
    changed = (whole.images != blobs.images).any(axis=(1, 2, 3))
    assert changed.mean() > 0.99
    alike = blobs.take(np.zeros(240, int))
    assert len({image.tobytes() for image in augmented(alike, seed=0).images}) == 240
    untouched = augmented(blobs, seed=0, config=NOTHING)
    assert (untouched.images == blobs.images).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_probability": 1.5}, r"found noise_probability 1.5; expected 0.0 to 1.0"),
        ({"shift_share": -0.1}, r"found shift_share -0.1; expected 0.0 to 0.5"),
        ({"rotation_degrees": float("nan")}, r"found rotation_degrees nan; expected 0.0 to 180.0"),
        ({"coarse_share": 0.0}, r"found coarse_share 0.0; expected 0.05 to 1.0"),
    ],
)
def test_a_value_out_of_range_is_one_clear_line(change: dict[str, float], message: str):
    with pytest.raises(InputError, match=message):
        Classical(**change)
