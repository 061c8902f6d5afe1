"""Two seeds' GANs and the sets that they draw: one after the other on all cores, or side by side.

python benchmarks/seeds.py [--rounds 3]

A twentieth of the paper's seed: 120 of its 2,400 steps, four stages, 3,500 of its 70,000 images from each. Side by side
means a process for each seed; threads of one process, which share Lightning Fabric's state, can only train in float32.
"""

import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import alternate
import numpy as np
from alternate import record, summary

from mizumashi.data.images import LabelledImages
from mizumashi.gan.presets import fast, paper
from mizumashi.gan.training import resolved
from mizumashi.studies import gans
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.plan import Plan
from mizumashi.studies.tasks import GanTask
from mizumashi.utils.memory import keep_freed_memory
from mizumashi.utils.progress import Progress, silent

PRESETS = {"paper": paper(), "fast": fast()}
PRECISIONS = ("32-true", "bf16-mixed")
ONE_BY_ONE, PROCESSES, THREADS = "one after the other", "side by side", "in two threads"
VARIANTS = [
    f"{preset}, {precision}, {way}"
    for preset in PRESETS
    for precision in PRECISIONS
    for way in (ONE_BY_ONE, PROCESSES, THREADS)
    if (precision, way) != ("bf16-mixed", THREADS)
]
STEPS = 120


def measure(variant: str) -> None:
    """Make both seeds; print the seconds of it all."""
    keep_freed_memory()
    preset, precision, way = variant.split(", ")
    random = np.random.default_rng(0)
    images = LabelledImages.from_arrays(random.integers(0, 256, (3500, 28, 28), np.uint8), np.arange(3500) % 10)
    config = resolved(replace(PRESETS[preset], steps=STEPS, snapshots=(), precision=precision), "cpu")
    plan = Plan(replace(images, test_start=3000), None, None, StudyConfig(config, seeds=2))
    if way == THREADS:
        gans.perform_side_by_side = perform_in_threads
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk, where /tmp may be memory
        together = gans.Gans(plan, Path(folder), "cpu", 10**9, tensorboard=False, progress=silent)
        start = time.perf_counter()
        for group in [plan.seeds] if way != ONE_BY_ONE else [[seed] for seed in plan.seeds]:
            together.make(group)
        seconds = time.perf_counter() - start
    print(json.dumps({"s": seconds}))


def perform_in_threads(tasks: Sequence[GanTask], progress: Progress) -> None:
    """Do tasks at the same time in threads of this process."""
    with ThreadPoolExecutor(len(tasks)) as pool:
        list(pool.map(lambda task: task.perform(progress), tasks))


def main() -> None:
    """Measure one variant, or all in turn."""
    runs = alternate.main(__file__, str(__doc__), VARIANTS, measure)
    if runs is None:
        return
    found = summary(runs, "s")
    record("seeds", {"steps": STEPS, "variants": {"s": found}})
    for preset in PRESETS:
        for precision in PRECISIONS:
            rows = {name: row for name, row in found.items() if name.startswith(f"{preset}, {precision}")}
            print(alternate.table(rows, "s", f"{preset}, {precision}, {ONE_BY_ONE}"))


if __name__ == "__main__":
    main()
