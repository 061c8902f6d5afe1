"""A run's resume state: networks, optimisers, the loss's scale and the log, in safetensors and JSON lines.

The random streams have no state (see `mizumashi.utils.seeding`); the number of logged losses is the step.
"""

import json
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import torch
from safetensors import safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from mizumashi.errors import InputError
from mizumashi.gan.weights import read_weights, require_size, weight_bytes
from mizumashi.utils import files
from mizumashi.utils.stored import stored

FORMAT = "2"
"""The layout of a checkpoint. Format 1 had no mark and no scale of the loss; it is read as well."""

MAX_LOG_BYTES = 2**28
"""A larger log.jsonl, one of some millions of steps, is refused; assign a larger number to read it."""

MAX_LINE = 2**22
"""Characters of a line of log.jsonl: the variation of some 100,000 classes."""

Parts = Mapping[str, Any]
"""Networks, optimisers and the loss's scaler by name: anything with `state_dict` and `load_state_dict`."""


@dataclass
class Log:
    """What a run tells of its steps.

    Args:
        losses: the generator's and the discriminator's loss at each step.
        variation: for each snapshot's step, how much the images of each class vary (see `mizumashi.gan.collapse`).
    """

    losses: list[tuple[float, float]] = field(default_factory=list)
    variation: dict[int, list[float]] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """One line of JSON for each step, and one more for each snapshot."""
        for step, (generator, discriminator) in enumerate(self.losses, start=1):
            yield json.dumps({"step": step, "generator": generator, "discriminator": discriminator})
            if step in self.variation:
                yield json.dumps({"step": step, "variation": self.variation[step]})

    def until(self, step: int) -> "Log":
        """The log as it was after a step."""
        variation = {at: values for at, values in self.variation.items() if at <= step}
        return Log(self.losses[:step], variation)


def save(run: Path, parts: Parts, log: Log) -> None:
    """Write log.jsonl, then checkpoint/state.safetensors: the log may be ahead of the state, never behind."""
    files.write_text(run / "log.jsonl", "\n".join(log.lines()) + "\n")
    tensors = {
        f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in _tensors(part.state_dict()).items()
    }
    mark = {"format": f"{FORMAT} of mizumashi {version('mizumashi')}"}  # safetensors would shuffle several
    state = serialise(tensors | {"step": torch.tensor(len(log.losses))}, mark)
    files.write_bytes(run / "checkpoint" / "state.safetensors", state)


def load(run: Path, parts: Parts) -> Log:
    """Put the last checkpoint's state into `parts`, and return the log up to it.

    Without a checkpoint `parts` stay as they are and the log is empty.

    Raises:
        InputError: the checkpoint is damaged, or of a format that this version does not know.
    """
    path = run / "checkpoint" / "state.safetensors"
    if not path.exists():
        return Log()
    networks = [part for part in parts.values() if isinstance(part, torch.nn.Module)]
    with files.expect_undamaged(path, "remove the run's folder to train from the start"):
        require_size(path, most_bytes(*networks))
        _require_known(path)
        tensors = read_weights(path)
        for name, part in parts.items():
            own = {key.removeprefix(f"{name}/"): kept for key, kept in tensors.items() if key.startswith(f"{name}/")}
            if isinstance(part, torch.nn.Module):
                part.load_state_dict(own)
            elif isinstance(part, torch.amp.GradScaler):
                part.load_state_dict(part.state_dict() | {key: value.item() for key, value in own.items()})
            else:
                state = _nested(own)
                _require_fitting(part, state)
                part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
        log, step = read_log(run), int(tensors["step"])
        if len(log.losses) < step:
            raise ValueError(f"log.jsonl has {len(log.losses)} of {step} steps")
        return log.until(step)


def most_bytes(*networks: torch.nn.Module) -> int:
    """What the numbers of a checkpoint of these networks take at most: weights, and two moments of each."""
    return 4 * sum(map(weight_bytes, networks))


def read_log(run: Path) -> Log:
    """The losses of every logged step and the variation at every logged snapshot.

    Raises:
        InputError: the log is missing or damaged.
    """
    path = run / "log.jsonl"
    if not path.exists():
        raise InputError(f"found no {path}; expected the losses of every step; train into {run} again to remake it")
    log = Log()
    stored(path, MAX_LOG_BYTES)
    with (
        files.expect_undamaged(path, f"remove it, and train into {run} again to remake it"),
        path.open(encoding="utf-8") as file,
    ):
        for record in map(json.loads, _lines(file)):
            if "variation" in record:
                if not 1 <= int(record["step"]) <= len(log.losses):
                    raise ValueError(f"a variation is of step {record['step']}, and {len(log.losses)} are there")
                log.variation[int(record["step"])] = [_finite(value) for value in record["variation"]]
            else:
                log.losses.append((_finite(record["generator"]), _finite(record["discriminator"])))
    return log


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise ValueError(f"a line has more than {MAX_LINE:,} characters")
        yield line


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number that training leaves")
    return float(value)


def _require_known(path: Path) -> None:
    with safe_open(path, "pt") as file:
        mark = (file.metadata() or {"format": "1"})["format"]
    if mark.split()[0] not in ("1", FORMAT):
        raise InputError(
            f"{path}: found a checkpoint of format {mark}; expected format {FORMAT} at most; go on with that version, "
            "or train in a new folder"
        )


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
    """A network's or scaler's state as it is; an optimiser's per-parameter state under "index/name"."""
    if "param_groups" not in state:
        return {key: torch.as_tensor(value).contiguous() for key, value in state.items()}
    return {
        f"{index}/{key}": value.contiguous()
        for index, values in state["state"].items()
        for key, value in values.items()
    }


def _require_fitting(optimizer: Any, state: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Raise `ValueError` unless every tensor has its parameter's shape, or is one number; PyTorch looks only later."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    if set(state) != set(range(len(parameters))):
        raise ValueError(f"state of other parameters than the {len(parameters)} of this network")
    for index, values in state.items():
        shape = parameters[index].shape
        expected = {"step": torch.Size([]), "exp_avg": shape, "exp_avg_sq": shape}  # Adam's
        if {name: value.shape for name, value in values.items()} != expected:
            raise ValueError(
                f"parameter {index} has the state { ({name: list(value.shape) for name, value in values.items()}) }"
            )
        if not all(value.is_floating_point() for value in values.values()) or not 0 <= values["step"].item() <= 10**9:
            raise ValueError(f"parameter {index} has a state that no training leaves")


def _nested(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    nested: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split("/")
        nested.setdefault(int(index), {})[key] = tensor
    return nested
