"""What the hardware is asked, and what is made of its answers."""

import pytest
import torch

from mizumashi.utils.hardware import bfloat16_is_fast as is_fast


@pytest.mark.parametrize("extension", ["avx512_bf16", "amx_bf16"])
def test_a_processor_is_fast_with_either_extension(monkeypatch: pytest.MonkeyPatch, extension: str):
    for has in (True, False):
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda has=has: {"avx512_f": True, extension: has})
        assert is_fast(torch.device("cpu")) is has


def test_an_arm_processor_and_an_older_pytorch_tell_of_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cpu.get_capabilities", lambda: {"sve": True})
    assert not is_fast(torch.device("cpu"))
    monkeypatch.delattr("torch.cpu.get_capabilities")
    assert not is_fast(torch.device("cpu"))


@pytest.mark.parametrize(("capability", "fast"), [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpus_are_fast_from_ampere_on(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], fast: bool):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    assert is_fast(torch.device("cuda")) is fast


def test_other_devices_are_not(bfloat16_is_fast: bool):
    assert not is_fast(torch.device("mps"))
    assert is_fast(torch.device("cpu")) is bfloat16_is_fast
