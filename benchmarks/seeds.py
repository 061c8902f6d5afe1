"""Two seeds' GANs and the sets that they draw: one after the other on all cores, or side by side.

python benchmarks/seeds.py [--rounds 3]

A twentieth of the paper's seed: 120 of its 2,400 steps, four stages, 3,500 of its 70,000 images from each.
"""

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import alternate
import numpy as np
from alternate import record, summary

from mizumashi.data.images import LabelledImages
from mizumashi.gan.presets import fast, paper
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import resolved
from mizumashi.memory import keep_freed_memory
from mizumashi.progress import silent
from mizumashi.studies import gans
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.plan import Plan

PRESETS = {"paper": paper(), "fast": fast()}
WAYS = {"one after the other": 1, "side by side": 2}
VARIANTS = [f"{preset}, {way}" for preset in PRESETS for way in WAYS]
STEPS = 120


def measure(variant: str) -> None:
    """Make both seeds; print the seconds of it all and of the trainings, added up where they run side by side."""
    keep_freed_memory()
    preset, _, way = variant.partition(", ")
    random = np.random.default_rng(0)
    images = LabelledImages.from_arrays(random.integers(0, 256, (3500, 28, 28), np.uint8), np.arange(3500) % 10)
    config = resolved(replace(PRESETS[preset], steps=STEPS, snapshots=()), "cpu")
    plan = Plan(replace(images, test_start=3000), None, None, StudyConfig(config, seeds=2))
    trainings: list[float] = []
    train = gans.train

    def timed(*arguments: Any, **options: Any) -> GanRun:
        start = time.perf_counter()
        run = train(*arguments, **options)
        trainings.append(time.perf_counter() - start)
        return run

    gans.train = timed
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:  # a disk, where /tmp may be memory
        together = gans.Gans(plan, Path(folder), "cpu", 10**9, tensorboard=False, progress=silent)
        start = time.perf_counter()
        for first in range(0, 2, WAYS[way]):
            together.make(plan.seeds[first : first + WAYS[way]])
        seconds = time.perf_counter() - start
    print(json.dumps({"s": seconds, "s of training": sum(trainings)}))


def main() -> None:
    """Measure one variant, or all in turn."""
    runs = alternate.main(__file__, str(__doc__), VARIANTS, measure)
    if runs is None:
        return
    found = {what: summary(runs, what) for what in ("s", "s of training")}
    record("seeds", {"steps": STEPS, "variants": found})
    for preset in PRESETS:
        of_preset = {name: row for name, row in found["s"].items() if name.startswith(preset)}
        print(alternate.table(of_preset, "s", f"{preset}, one after the other"))
        alone = found["s of training"][f"{preset}, one after the other"]["median"]
        for name, row in of_preset.items():
            print(f"{name}: {row['median'] / alone:.2f} times the trainings one after the other")


if __name__ == "__main__":
    main()
