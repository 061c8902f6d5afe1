"""What checkpoints cost: the paper's GAN on MNIST's size, with the default interval and with none but the last.

python benchmarks/checkpoint.py [--rounds 3]
"""

import json
import tempfile
import time
from pathlib import Path

import alternate
import numpy as np
from alternate import record, summary

from mizumashi.data.images import LabelledImages
from mizumashi.gan import checkpoint
from mizumashi.gan.config import CHECKPOINT_EVERY, GanConfig
from mizumashi.gan.training import train
from mizumashi.utils.memory import keep_freed_memory

VARIANTS = {"none but the last": 10**9, "every 300 steps": CHECKPOINT_EVERY}
STEPS = 2 * CHECKPOINT_EVERY + 1  # the last step has a checkpoint anyway


def measure(variant: str) -> None:
    """Train once; print the seconds of a step and the share of the time that went into checkpoints."""
    keep_freed_memory()
    random = np.random.default_rng(0)
    images = LabelledImages.from_arrays(random.integers(0, 256, (60_000, 28, 28), np.uint8), np.arange(60_000) % 10)
    inside: list[float] = []
    save = checkpoint.save

    def timed(run: Path, parts: checkpoint.Parts, log: checkpoint.Log) -> None:
        start = time.perf_counter()
        save(run, parts, log)
        inside.append(time.perf_counter() - start)

    checkpoint.save = timed
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk, where /tmp may be memory
        start = time.perf_counter()
        config = GanConfig(steps=STEPS, snapshots=(STEPS,))
        train(images, Path(folder) / "run", config, checkpoint_every=VARIANTS[variant])
        seconds = time.perf_counter() - start
    regular = inside[:-1]
    print(
        json.dumps(
            {
                "ms": 1e3 * seconds / STEPS,
                "ms of a checkpoint": 1e3 * float(np.median(inside)),
                "share": sum(regular) / seconds,
            }
        )
    )


def main() -> None:
    """Measure one variant, or both in turn."""
    runs = alternate.main(__file__, str(__doc__), list(VARIANTS), measure)
    if runs is None:
        return
    found = {what: summary(runs, what) for what in ("ms", "ms of a checkpoint", "share")}
    record("checkpoint", {"steps": STEPS, "variants": found})
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
