"""Randomness as an argument: every random stream is a pure function of a seed and the stream's purpose.

No stream has a position that could be lost: a mini-batch, a latent or a permutation is drawn from a generator
made for it alone, so work that is stopped and resumed, or done in another order, draws the same numbers.
"""

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for one purpose.

    Args:
        seed: any non-negative integer.
        purpose: words and non-negative numbers that name the stream, such as `("latents", step)`.

    Example:
        >>> first, again = numpy_generator(0, "split"), numpy_generator(0, "split")
        >>> first.integers(1000) == again.integers(1000)
        np.True_
    """
    return np.random.default_rng(_sequence(seed, *purpose))


def torch_generator(seed: int, *purpose: str | int) -> "torch.Generator":
    """A PyTorch generator on the CPU for one purpose; arguments as for `numpy_generator`."""
    import torch

    state = _sequence(seed, *purpose).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))


def _sequence(seed: int, *purpose: str | int) -> np.random.SeedSequence:
    words = [zlib.crc32(part.encode()) if isinstance(part, str) else part for part in purpose]
    return np.random.SeedSequence(seed, spawn_key=words)
