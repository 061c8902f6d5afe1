"""Stored weights: read if they are no larger than their networks, and numbers that a training leaves."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

from mizumashi.utils.stored import stored

MAX_HEADER_BYTES = 2**20
"""What stands in a safetensors file before the numbers: names and shapes of some hundred tensors."""


def require_size(path: Path, most: int) -> None:
    """Raise `InputError` or `ValueError` unless a safetensors file may hold weights of `most` bytes at most.

    To be called before anything else opens the file.
    """
    with stored(path, MAX_HEADER_BYTES + most).open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
    if header > MAX_HEADER_BYTES:
        raise ValueError(f"the header has {header:,} bytes; expected {MAX_HEADER_BYTES:,} at most")


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file.

    Raises:
        ValueError: a number is one that no training leaves.
        Exception: safetensors raises kinds of its own on damaged files.
    """
    tensors = load_file(path)
    require_usable(tensors)
    return tensors


def require_usable(tensors: Mapping[str, Tensor]) -> None:
    """Raise `ValueError` if a number of a stored state is one that no training leaves: networks would draw nothing.

    Example:
        >>> import torch
        >>> require_usable({"layer.bias": torch.tensor([0.5, float("nan")])})
        Traceback (most recent call last):
            ...
        ValueError: layer.bias holds numbers that are not finite
    """
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise ValueError(f"{name} holds numbers that are not finite")
        if name.endswith(("running_var", "exp_avg_sq")) and bool((tensor < 0).any()):
            raise ValueError(f"{name} holds negative numbers, and is a mean of squares")


def weight_bytes(network: nn.Module) -> int:
    """What a network's state takes.

    Example:
        >>> weight_bytes(nn.Linear(2, 1))
        12
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in network.state_dict().values())
