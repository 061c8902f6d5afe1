"""A run's resume state: networks, optimisers and losses, in safetensors and JSON lines.

The random streams have no state (see `mizumashi.randomness`); the number of logged losses is the step.
"""

import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor

from mizumashi import files
from mizumashi.errors import InputError

Parts = Mapping[str, Any]
"""Networks and optimisers by name: anything with `state_dict` and `load_state_dict`."""

Losses = list[tuple[float, float]]
"""The generator's and the discriminator's loss at each step."""


def save(run: Path, parts: Parts, losses: Losses) -> None:
    """Write log.jsonl, then checkpoint/state.safetensors: the log may be ahead of the state, never behind."""
    lines = (
        json.dumps({"step": step, "generator": generator, "discriminator": discriminator})
        for step, (generator, discriminator) in enumerate(losses, start=1)
    )
    files.write_text(run / "log.jsonl", "\n".join(lines) + "\n")
    tensors = {
        f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in _tensors(part.state_dict()).items()
    }
    state = serialise(tensors | {"step": torch.tensor(len(losses))})
    files.write_bytes(run / "checkpoint" / "state.safetensors", state)


def load(run: Path, parts: Parts) -> Losses:
    """Put the last checkpoint's state into `parts`, and return the losses up to it.

    Without a checkpoint `parts` stay as they are and there are no losses.
    """
    path = run / "checkpoint" / "state.safetensors"
    if not path.exists():
        return []
    with files.expect_undamaged(path, "remove the run's folder to train from the start"):
        tensors = load_file(path)
        for name, part in parts.items():
            own = {key.removeprefix(f"{name}/"): kept for key, kept in tensors.items() if key.startswith(f"{name}/")}
            if isinstance(part, torch.nn.Module):
                part.load_state_dict(own)
            else:
                part.load_state_dict({"state": _nested(own), "param_groups": part.state_dict()["param_groups"]})
        losses, step = read_log(run), int(tensors["step"])
        if len(losses) < step:
            raise ValueError(f"log.jsonl has {len(losses)} of {step} steps")
        return losses[:step]


def read_log(run: Path) -> Losses:
    """The generator's and the discriminator's loss at each logged step.

    Raises:
        InputError: the log is missing or damaged.
    """
    path = run / "log.jsonl"
    if not path.exists():
        raise InputError(f"found no {path}; expected the losses of every step; train into {run} again to remake it")
    with files.expect_undamaged(path, f"remove it, and train into {run} again to remake it"):
        records = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return [(record["generator"], record["discriminator"]) for record in records]


@contextmanager
def finish_step_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether SIGINT, SIGTERM or SIGHUP came; within the block they do nothing else.

    SIGHUP comes when the terminal closes; where it is ignored, as under nohup, it stays ignored.
    """
    stopped: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        stopped.append(number)

    if threading.current_thread() is not threading.main_thread():  # only the main thread can take signals
        yield lambda: False
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield lambda: bool(stopped)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """A network's state as it is; an optimiser's per-parameter state under "index/name"."""
    if "param_groups" not in state:
        return {key: value.contiguous() for key, value in state.items()}
    return {
        f"{index}/{key}": value.contiguous()
        for index, values in state["state"].items()
        for key, value in values.items()
    }


def _nested(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    nested: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        nested.setdefault(int(index), {})[key] = tensor
    return nested
