"""Time to quality: seconds from a cold start until a GAN's images alone train the softmax model to 0.884 on MNIST.

MIZUMASHI_DATA=FOLDER python benchmarks/quality.py [--rounds 3]

0.884 is what the paper's model 5 reaches (table 1). A variant opens MNIST, trains a GAN to its last step, draws 60,000
images, trains the classifier on them and scores it.
"""

import json
import tempfile
from pathlib import Path

import alternate
from alternate import record, summary, table

import mizumashi as mz
from mizumashi.gan.presets import PRESETS
from mizumashi.utils.memory import keep_freed_memory

ENOUGH = 0.884


def measure(preset: str) -> None:
    """Train, draw and score in this process; print the accuracy."""
    keep_freed_memory()
    mnist = mz.open_images("mnist")
    with tempfile.TemporaryDirectory() as folder:
        run = mz.train(mnist, Path(folder) / "run", PRESETS[preset](), accelerator="cpu")
        drawn = run.snapshot().sample(labels=mnist.train.labels, seed=0)
    accuracy, _ = mz.evaluate([drawn], [mnist])
    print(json.dumps({"accuracy": float(accuracy.mean())}))


def main() -> None:
    """Measure one preset, or all of them in turn."""
    runs = alternate.main(__file__, str(__doc__), ["paper", "fast"], measure)
    if runs is None:
        return
    found = {what: summary(runs, what) for what in ("wall (s)", "accuracy")}
    record("quality", {"wanted accuracy": ENOUGH, "unit": "seconds from a cold start", "variants": found})
    print(table(found["wall (s)"], "seconds from a cold start", "paper"))
    for preset, row in found["accuracy"].items():
        print(f"{preset}: accuracy {row['lowest']:.3f} to {row['highest']:.3f}; wanted {ENOUGH}")


if __name__ == "__main__":
    main()
