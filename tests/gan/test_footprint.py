import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan import footprint
from mizumashi.gan.config import GanConfig, require_trainable
from mizumashi.gan.footprint import physical_memory, training_bytes
from mizumashi.gan.networks import Discriminator, Generator, Shape
from mizumashi.gan.training import train


def test_weights_and_moments_are_those_of_a_checkpoint(blobs: LabelledImages, tmp_path: Path):
    sizes: list[int] = []

    def look(task: str, done: int, total: int, note: str) -> None:
        if done == 2:  # step 1 wrote a checkpoint
            sizes.append((tmp_path / "run" / "checkpoint" / "state.safetensors").stat().st_size)

    config = GanConfig(
        steps=2, snapshots=(1, 2), batch_size=2, latent_size=50, widths=(64, 64, 64), precision="32-true"
    )
    train(blobs, tmp_path / "run", config, progress=look)
    needed = training_bytes(Shape(16, 1, 3, 50, (64, 64, 64)), batch_size=2)
    assert needed / 10 == pytest.approx(sizes[0] / 3, rel=0.02)  # three of the ten are in the file


def test_activations_are_about_what_backpropagation_keeps():
    shape, count = Shape(28, 1, 10, 20, (32, 32, 32)), 128
    generator, discriminator = Generator(shape), Discriminator(shape)
    weights = [weight for network in (generator, discriminator) for weight in network.parameters()]
    kept: dict[int, int] = {weight.data_ptr(): 0 for weight in weights}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    labels = torch.arange(count) % 10
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        images = generator(torch.randn(count, 20), labels)
        outputs = discriminator(images, labels), discriminator(images, labels)
    estimate = training_bytes(shape, count) - 16 * sum(weight.numel() for weight in weights)
    assert 0.5 < estimate / sum(kept.values()) <= 1
    half = training_bytes(shape, count, "bf16-mixed") - 16 * sum(weight.numel() for weight in weights)
    assert half == estimate / 2
    del outputs


def test_networks_larger_than_the_memory_are_refused_and_nothing_is_written(
    blobs: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(footprint, "physical_memory", lambda: 8_000_000_000)
    huge = GanConfig(widths=(4096, 4096, 4096), latent_size=10_000)
    with pytest.raises(
        InputError, match=r"need about \d\d\.\d GB to train; expected at most the 8\.0 GB .* --widths, "
    ):
        require_trainable(blobs, huge)

    monkeypatch.setattr(footprint, "physical_memory", lambda: 1000)
    with pytest.raises(InputError, match="this machine's memory"):
        train(blobs, tmp_path / "run", GanConfig(steps=1, widths=(4, 8, 8)))
    assert not (tmp_path / "run").exists()

    needed = training_bytes(Shape(16, 1, 3, 100, (64, 128, 256)), 64)
    monkeypatch.setattr(footprint, "physical_memory", lambda: needed)
    require_trainable(blobs, GanConfig())
    monkeypatch.setattr(footprint, "physical_memory", lambda: needed - 1)
    with pytest.raises(InputError, match="this machine's memory"):
        require_trainable(blobs, GanConfig())


def test_the_check_is_skipped_where_the_system_does_not_say(blobs: LabelledImages, monkeypatch: pytest.MonkeyPatch):
    found = {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", found.__getitem__)
    assert physical_memory() == 4_096_000
    found["SC_PHYS_PAGES"] = -1
    assert physical_memory() is None
    monkeypatch.delattr(os, "sysconf")
    assert physical_memory() is None
    require_trainable(blobs, GanConfig(widths=(4096, 4096, 4096), latent_size=10_000))
