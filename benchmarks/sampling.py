"""Drawing 10,000 images from a snapshot of the paper's GAN, and drawing and writing them as IDX.

python benchmarks/sampling.py [--rounds 5]
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import alternate
import numpy as np
import torch
from alternate import record, summary, table
from safetensors.torch import load_file

from mizumashi.data.images import LabelledImages
from mizumashi.data.writers import write_images, write_stream
from mizumashi.gan.networks import Generator
from mizumashi.gan.run import GanRun
from mizumashi.gan.sampling import Snapshot
from mizumashi.utils.memory import keep_freed_memory

VARIANTS = [
    "naive",
    "mizumashi, float32",
    "mizumashi, float32, drawn and written",
    "mizumashi, bf16",
    "mizumashi, bf16, drawn and written",
]
COUNT = 10_000


def snapshot(folder: Path, variant: str) -> Snapshot:
    """The generator after two steps: its weights do not matter for the time.

    It is trained in a process of its own: training would teach this one's allocator to keep large blocks.
    """
    random = np.random.default_rng(0)
    images = LabelledImages.from_arrays(random.integers(0, 256, (640, 28, 28)), np.arange(640) % 10)
    write_images(images, folder / "noise", "npz")
    precision = "bf16-mixed" if "bf16" in variant else "32-true"
    options = ["--out", str(folder / "run"), "--steps", "2", "--precision", precision, "--accelerator", "cpu"]
    command = [sys.executable, "-m", "mizumashi", "train", str(folder / "noise.npz"), *options]
    subprocess.run(command, check=True, capture_output=True)
    return GanRun(folder / "run").snapshot(2)


@torch.no_grad()
def naive(weights: Path, generator: Generator) -> np.ndarray:
    """As a user would write it: the trained network in evaluation mode, 250 images at a time."""
    generator.load_state_dict(load_file(weights))
    generator.eval()
    drawn = []
    for start in range(0, COUNT, 250):
        labels = torch.arange(start, start + 250) % 10
        images = generator(torch.randn(250, 100), labels)
        drawn.append(((images + 1) * 127.5).round().to(torch.uint8).numpy())
    return np.concatenate(drawn)


def measure(variant: str) -> None:
    """Time one variant in this process; print images per second."""
    if variant != "naive":
        keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        drawn = snapshot(Path(folder), variant)
        if variant != "naive":
            drawn.sample(500)  # folds the weights
        generator = Generator(drawn.shape)
        start = time.perf_counter()
        if variant == "naive":
            naive(drawn.path, generator)
        elif "written" in variant:
            chunks = drawn.draw(COUNT, seed=0)
            write_stream(chunks, drawn.labels(COUNT), drawn.class_names, Path(folder) / "set", "idx")
        else:
            for _ in drawn.draw(COUNT, seed=0):
                pass
        seconds = time.perf_counter() - start
    print(json.dumps({"ms": 1e6 * seconds / COUNT}))


def main() -> None:
    """Measure one variant, or all of them in turn."""
    runs = alternate.main(__file__, str(__doc__), VARIANTS, measure)
    if runs is None:
        return
    found = summary(runs, "ms")
    record("sampling", {"images": COUNT, "unit": "ms per 1,000 images", "variants": found})
    print(table(found, "ms per 1,000 images", "naive"))


if __name__ == "__main__":
    main()
