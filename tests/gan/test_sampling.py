from dataclasses import replace
from pathlib import Path

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
    config = GanConfig(steps=8, snapshots=(4, 8), batch_size=16, latent_size=10, widths=(4, 8, 8), learning_rate=0.02)
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
    with pytest.raises(InputError, match="both or neither"):
        run.snapshot(4).sample()
    with pytest.raises(InputError, match="found 0 images"):
        run.snapshot(4).sample(0)
    with pytest.raises(InputError, match="found no GAN run"):
        GanRun(tmp_path)
