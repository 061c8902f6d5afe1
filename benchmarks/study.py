"""The whole study of MNIST and FaxOCR, one seed, from a cold start: seconds of each part and peak memory.

MIZUMASHI_DATA=FOLDER python benchmarks/study.py [--rounds 3]
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import alternate
from alternate import record, summary, table

import mizumashi as mz
from mizumashi.gan.presets import PRESETS
from mizumashi.utils.memory import keep_freed_memory

PARTS = {
    "GAN": "training the GAN",
    "drawing": "drawing and writing",
    "softmax": "softmax models",
    "telling": "telling generated from real",
    "t-SNE": "t-SNE map",
    "figures": "figures",
}


class Stopwatch:
    """A study's progress as seconds for each part: the time since the call before goes to the part that calls."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(["opening", *PARTS.values()], 0.0)
        self.last = time.perf_counter()
        self.part = "opening"

    def __call__(self, task: str, done: int, total: int, note: str) -> None:
        now = time.perf_counter()
        if self.seconds["opening"] == 0:
            self.seconds["opening"] = now - self.last
        else:
            part = next(name for word, name in PARTS.items() if word in task)
            self.seconds[part] += now - self.last
        self.last = now


def measure(preset: str) -> None:
    """Do one study in this process; print its parts and its peak memory."""
    keep_freed_memory()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        config = mz.StudyConfig(PRESETS[preset]())
        mz.study("mnist", target="faxocr", out=Path(folder) / "study", config=config, progress=watch)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps({f"{name} (s)": seconds for name, seconds in watch.seconds.items()} | {"peak (GiB)": peak / 2**20})
    )


def main() -> None:
    """Measure one preset, or all of them in turn."""
    runs = alternate.main(__file__, str(__doc__), ["paper", "fast"], measure)
    if runs is None:
        return
    parts = {name: summary(runs, name) for name in next(iter(runs.values()))[0]}
    record("study", {"unit": "seconds, GiB", "parts": parts})
    print(table(parts["wall (s)"], "seconds from a cold start", "paper"))
    for name, found in parts.items():
        print(
            f"{name}: " + ", ".join(f"{preset} {row['median']:.3g}" for preset, row in found.items()), file=sys.stderr
        )


if __name__ == "__main__":
    main()
