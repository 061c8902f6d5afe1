"""Where the time of the library's training step goes, and what share of the machine's best convolutions it reaches.

python benchmarks/step_profile.py
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from alternate import record
from gan_step import LIBRARY, SHAPE, library_step
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from mizumashi.utils.memory import keep_freed_memory

KINDS = {
    "convolutions, backward": ("aten::convolution_backward",),
    "convolutions, forward": ("aten::_convolution", "aten::mkldnn_convolution", "aten::convolution"),
    "batch normalisation": ("aten::native_batch_norm", "aten::native_batch_norm_backward"),
    "ReLU and its kind": (
        "aten::threshold_backward",
        "aten::clamp_min",
        "aten::leaky_relu",
        "aten::leaky_relu_backward",
        "aten::relu",
    ),
    "copies and conversions": ("aten::copy_", "aten::_to_copy", "aten::cat"),
    "Adam": (
        "Optimizer.step#Adam.step",
        "aten::addcdiv_",
        "aten::addcmul_",
        "aten::lerp_",
        "aten::sqrt",
        "aten::div",
        "aten::mul_",
    ),
}
STEPS = 20


def best_convolution(dtype: torch.dtype) -> float:
    """GFLOP/s of a large convolution: the machine's peak as a network can see it."""
    images = torch.randn(64, 256, 28, 28, dtype=dtype).to(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False, dtype=dtype).to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        for _ in range(15):
            start = time.perf_counter()
            layer(images)
            seconds.append(time.perf_counter() - start)
    return 2 * 64 * 28 * 28 * 256 * 256 * 9 / min(seconds) / 1e9


def measure(precision: str) -> dict[str, float]:
    """Milliseconds of each kind of work in a step, in all, and GFLOP/s."""
    with tempfile.TemporaryDirectory() as folder:
        step = library_step(precision, Path(folder))
        for number in range(5):
            step(number)
        with FlopCounterMode(display=False) as counter:
            step(5)
        seconds = []
        for number in range(6, 6 + STEPS):
            start = time.perf_counter()
            step(number)
            seconds.append(time.perf_counter() - start)
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            for number in range(6 + STEPS, 6 + 2 * STEPS):
                step(number)
    own = {event.key: event.self_cpu_time_total / 1000 / STEPS for event in profiled.key_averages()}
    found = {kind: sum(own.get(name, 0.0) for name in names) for kind, names in KINDS.items()}
    found["everything else"] = sum(own.values()) - sum(found.values())
    total = 1000 * float(np.median(seconds))
    flops = counter.get_total_flops()
    return found | {"step without profiler": total, "GFLOP": flops / 1e9, "GFLOP/s": flops / total / 1e6}


def main() -> None:
    """Print and record both precisions."""
    keep_freed_memory()
    found = {}
    for variant, precision in LIBRARY.items():
        peak = best_convolution(torch.float32 if precision == "32-true" else torch.bfloat16)
        found[variant] = measure(precision) | {"best convolution, GFLOP/s": peak}
        print(f"\n{variant}")
        for what, number in found[variant].items():
            print(f"  {what}: {number:.1f}")
    record("step_profile", {"unit": "ms per step", "networks": str(SHAPE), "variants": found})


if __name__ == "__main__":
    main()
