from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig
from mizumashi.gan.networks import Generator
from mizumashi.gan.run import GanRun
from mizumashi.gan.sampling import CHUNK, Snapshot, latents
from mizumashi.gan.training import train


@pytest.fixture(scope="module")
def run(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> GanRun:
    config = GanConfig(
        steps=8,
        snapshots=(4, 8),
        batch_size=16,
        latent_size=10,
        widths=(4, 8, 8),
        learning_rate=0.02,
        precision="32-true",
    )
    return train(blobs, tmp_path_factory.mktemp("runs") / "run", config)


@pytest.fixture
def snapshot(run: GanRun) -> Snapshot:
    return run.snapshot(8)


def test_image_i_depends_on_the_seed_and_i_alone(snapshot: Snapshot):
    many = snapshot.sample(2 * CHUNK + 10, seed=5)
    few = snapshot.sample(7, seed=5)
    np.testing.assert_array_equal(few.images, many.images[:7])
    late = snapshot.sample(20, seed=5, start=CHUNK - 8)
    np.testing.assert_array_equal(late.images, many.images[CHUNK - 8 : CHUNK + 12])
    np.testing.assert_array_equal(late.labels, many.labels[CHUNK - 8 : CHUNK + 12])
    assert not np.array_equal(few.images, snapshot.sample(7, seed=6).images)


def test_a_given_label_decides_its_own_image_alone(snapshot: Snapshot):
    random = np.random.default_rng(0)
    count = CHUNK + 60
    first, second = random.integers(0, 3, (2, count))
    second[[3, CHUNK + 1]] = first[[3, CHUNK + 1]]
    drawn, other = (snapshot.sample(labels=labels, seed=5) for labels in (first, second))
    assert drawn.labels.tolist() == first.tolist()
    same = first == second
    np.testing.assert_array_equal(drawn.images[same], other.images[same])
    assert (drawn.images[~same] != other.images[~same]).any(axis=(1, 2, 3)).all()
    late = snapshot.sample(labels=first[CHUNK - 8 :], seed=5, start=CHUNK - 8)
    np.testing.assert_array_equal(late.images, drawn.images[CHUNK - 8 :])
    np.testing.assert_array_equal(np.concatenate(list(snapshot.draw(count, seed=5, labels=first))), drawn.images)


def test_without_labels_the_classes_take_turns(snapshot: Snapshot):
    turns = (np.arange(40) + 7) % 3
    by_turns, default = snapshot.sample(labels=turns, start=7), snapshot.sample(40, start=7)
    np.testing.assert_array_equal(by_turns.images, default.images)
    assert by_turns.labels.tolist() == default.labels.tolist() == turns.tolist()
    np.testing.assert_array_equal(next(snapshot.draw(40, seed=0, start=7)), default.images)


def test_images_come_from_the_snapshots_own_weights(snapshot: Snapshot):
    drawn = snapshot.sample(30, seed=1)
    generator = Generator(snapshot.shape)
    generator.load_state_dict(load_file(snapshot.path))
    generator.eval()
    z = torch.from_numpy(latents(np.arange(30), 10, seed=1))
    plain = generator(z, torch.arange(30) % 3).detach().numpy().transpose(0, 2, 3, 1)
    assert np.abs(drawn.images.astype(float) - (plain + 1) * 127.5).max() < 0.51


def test_bfloat16_draws_nearly_the_same_images(snapshot: Snapshot):
    exact, quick = snapshot.sample(300), replace(snapshot, precision="bf16-mixed").sample(300)
    difference = np.abs(exact.images.astype(int) - quick.images)
    assert 0 < difference.mean() < 1
    assert difference.max() <= 8


def test_any_number_per_class(snapshot: Snapshot):
    images = snapshot.sample(per_class=11)
    assert images.counts.tolist() == [11, 11, 11]
    assert images.class_names == ("left", "middle", "right")
    assert images.images.dtype == np.uint8


def test_snapshots_of_one_run_differ(run: GanRun):
    assert not np.array_equal(run.snapshot(4).sample(3).images, run.snapshot(8).sample(3).images)


def test_latents_are_standard_normal_and_independent():
    drawn = latents(np.arange(20_000), 6, seed=0).astype(float)
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 0.01
    correlation = np.corrcoef(drawn.T)[np.triu_indices(6, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(20_000)
    neighbours = np.corrcoef(drawn[:-1].ravel(), drawn[1:].ravel())[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(120_000)


def test_unknown_steps_and_counts_are_refused(run: GanRun, tmp_path: Path):
    with pytest.raises(InputError, match=r"no snapshot at step 5 .* expected one of: 4, 8"):
        run.snapshot(5)
    with pytest.raises(InputError, match="found no GAN run"):
        GanRun(tmp_path)


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({}, r"found 0 of count \(--count\), per_class \(--per-class\) and labels; expected one of them"),
        ({"count": 3, "labels": [0, 1, 2]}, "found 2 of count"),
        ({"count": 0}, "found 0 images to draw; expected at least 3"),
        ({"count": 2}, "found 2 images to draw; expected at least 3, one of each class; raise --count or --per-class"),
        ({"per_class": -1}, "found -3 images to draw"),
        ({"labels": []}, "found 0 images to draw; expected at least 1"),
        ({"count": 10**20}, "^found a wish for 100,000,000,000,000,000,000 images, .* draw fewer, or raise"),
        ({"labels": [0, 3]}, "found labels from 0 to 3 for 3 classes; expected 0 to 2"),
        ({"labels": [-1, 1]}, "found labels from -1 to 1"),
        ({"labels": [0.0, 1.0]}, r"found labels of shape \(2,\) and type float64 for 2 images; expected one integer"),
        ({"labels": [[0], [1]]}, r"found labels of shape \(2, 1\)"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(snapshot: Snapshot, wishes: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message) as caught:
        snapshot.sample(**wishes)
    assert "safetensors" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 3, "seed": -1}, "seed -1"),
        ({"count": 3, "seed": 0, "start": -1}, "start -1"),
        ({"count": 0, "seed": 0}, "count 0"),
        ({"count": 3, "seed": 0, "labels": [0, 1]}, r"shape \(2,\)"),
    ],
)
def test_draw_refuses_at_the_call_and_not_at_the_first_image(
    snapshot: Snapshot, arguments: dict[str, Any], message: str
):
    with pytest.raises(InputError, match=message):
        snapshot.draw(**arguments)


def test_layers_too_wide_to_draw_with_are_refused(run: GanRun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mizumashi.gan.footprint.physical_memory", lambda: 2**10)
    with pytest.raises(InputError, match="bytes of memory; this machine has 1,024"):
        run.snapshot().sample(count=3)
