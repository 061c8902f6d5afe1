"""How a study's time and memory grow with seeds, recipes, images, classes and image size.

python benchmarks/growth.py [--rounds 3]

Each point is one study, in a process of its own, with everything but one number at its base: 1 seed, 4 stages, 6,000
images of 10 classes and 28x28 pixels, a GAN of 64 steps. Writes results/growth.json and results/growth.png.
"""

import json
import resource
import tempfile
import time
from pathlib import Path

import alternate
import numpy as np
from alternate import RESULTS, record, summary
from matplotlib.figure import Figure

import mizumashi as mz
from mizumashi.report.figures import BLUE, RED
from mizumashi.utils.memory import keep_freed_memory

BASE = {"seeds": 1, "stages": 4, "images": 6000, "classes": 10, "size": 28, "classifier seeds": 1}
POINTS = {
    "seeds": [1, 2, 4],
    "classifier seeds": [1, 4, 10],
    "stages": [1, 4, 8, 16],
    "images": [3000, 6000, 12000, 24000],
    "classes": [2, 10, 50],
    "size": [16, 28, 32, 64],
}
STEPS = 64


def points() -> list[str]:
    """Every study once, as `what=number`; the base is "base"."""
    return ["base"] + [f"{what}={n}" for what, numbers in POINTS.items() for n in numbers if n != BASE[what]]


def measure(point: str) -> None:
    """Do one study in this process; print its seconds and peak memory."""
    keep_freed_memory()
    what, _, number = point.partition("=")
    numbers = BASE | ({what: int(number)} if number else {})
    random = np.random.default_rng(0)
    labels = np.arange(numbers["images"]) % numbers["classes"]
    size = numbers["size"]
    pixels = random.integers(0, 256, (numbers["images"], size, size), np.uint8)
    images = mz.LabelledImages.from_arrays(pixels, labels, name="noise")
    stages = tuple(STEPS * stage // numbers["stages"] for stage in range(1, numbers["stages"] + 1))
    gan = mz.GanConfig(steps=STEPS, snapshots=stages)
    config = mz.StudyConfig(gan, seeds=numbers["seeds"], classifier_seeds=numbers["classifier seeds"])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        mz.study(images, out=Path(folder) / "study", config=config)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": seconds, "GiB": peak / 2**20}))


def plot(found: dict[str, dict[str, dict[str, float]]]) -> None:
    """One panel for each number: seconds and GiB against it, both axes from zero."""
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    for panel, (what, numbers) in zip(figure.subplots(2, 3).ravel(), POINTS.items(), strict=True):
        keys = ["base" if n == BASE[what] else f"{what}={n}" for n in numbers]
        panel.plot(numbers, [found["seconds"][key]["median"] for key in keys], "o-", color=BLUE)
        panel.set(xlabel=what if what != "size" else "side (pixels)", ylim=(0, None), xlim=(0, None))
        panel.set_ylabel("seconds", color=BLUE)
        memory = panel.twinx()
        memory.plot(numbers, [found["GiB"][key]["median"] for key in keys], "x--", color=RED)
        memory.set_ylim(0, 2)
        memory.set_ylabel("peak GiB", color=RED)
    figure.savefig(RESULTS / "growth.png", dpi=150)


def main() -> None:
    """Measure one point, or all of them in turn."""
    runs = alternate.main(__file__, str(__doc__), points(), measure)
    if runs is None:
        return
    found = {what: summary(runs, what) for what in ("seconds", "GiB")}
    record("growth", {"base": BASE, "gan steps": STEPS, "points": found})
    plot(found)


if __name__ == "__main__":
    main()
