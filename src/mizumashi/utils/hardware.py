"""What the machine computes fast."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def bfloat16_is_fast(device: "torch.device") -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it is emulated, and slower than float32.

    Example:
        >>> import torch
        >>> bfloat16_is_fast(torch.device("meta"))
        False
    """
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)  # from Ampere on
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # older PyTorch does not tell
        return False
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
