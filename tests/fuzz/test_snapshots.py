"""A snapshot's weights are held to the run's configuration before anything of the configured size is made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mizumashi.errors import InputError
from mizumashi.gan import sampling
from mizumashi.gan.networks import Generator, Shape
from mizumashi.gan.sampling import Snapshot

SHAPE = Shape(16, 1, 2, 3, (1, 2, 1))


def weights() -> dict[str, torch.Tensor]:
    return dict(Generator(SHAPE).state_dict())


def saved(path: Path, tensors: dict[str, torch.Tensor], shape: Shape = SHAPE) -> Snapshot:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path / "step.safetensors")
    return Snapshot(path / "step.safetensors", 1, shape, ("cat", "dog"))


def refusal(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> str:
    def make(*arguments: object) -> np.ndarray:
        pytest.fail("latents are made before the weights are looked at")

    monkeypatch.setattr(sampling, "latents", make)
    with pytest.raises(InputError) as caught:
        snapshot.sample(count=2)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_good_weights_draw(tmp_path: Path):
    assert saved(tmp_path, weights()).sample(count=2).images.shape == (2, 16, 16, 1)


@pytest.mark.parametrize(
    ("shape", "what"),
    [
        (
            SHAPE._replace(latent_size=10**9),
            "project.weight is F32 of [16, 5]; this network's is F32 of [16, 1000000002]",
        ),
        (SHAPE._replace(classes=10**5), "project.weight is F32 of [16, 5]"),
        (SHAPE._replace(widths=(10**9, 2, 1)), "grow2.weight is F32 of"),
        (SHAPE._replace(widths=(10**9, 10**9, 10**9)), "damaged or foreign"),  # more than PyTorch can count
        (SHAPE._replace(size=17), "damaged or foreign file (KeyError: 17)"),
        (SHAPE._replace(channels=3), "paint.weight is F32 of"),
    ],
)
def test_a_configuration_that_is_not_the_weights_gets_no_room(tmp_path: Path, monkeypatch, shape: Shape, what: str):
    assert what in refusal(saved(tmp_path, weights(), shape), monkeypatch)


def test_weights_of_other_names_or_types_are_refused(tmp_path: Path, monkeypatch):
    others = {f"x{index}": torch.zeros(0) for index in range(1000)}
    assert "weights of other names" in refusal(saved(tmp_path, weights() | others), monkeypatch)
    few = {name: tensor for name, tensor in weights().items() if name != "paint.bias"}
    assert "weights of other names" in refusal(saved(tmp_path, few), monkeypatch)
    for kind, label in ((torch.float64, "F64"), (torch.int8, "I8"), (torch.bfloat16, "BF16")):
        changed = weights() | {"paint.bias": torch.zeros(1, dtype=kind)}
        assert f"paint.bias is {label} of [1]; this network's is F32 of [1]" in refusal(
            saved(tmp_path, changed), monkeypatch
        )


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\xff" * 7 + b"\0" + b"{", b"\2\0\0\0\0\0\0\0{}"])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, monkeypatch, content: bytes):
    snapshot = saved(tmp_path, weights())
    snapshot.path.write_bytes(content)
    assert str(snapshot.path) in refusal(snapshot, monkeypatch)
