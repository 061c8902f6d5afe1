"""Nine recipes times ten seeds of softmax regression: one by one, batched naively, and the library's way.

python benchmarks/softmax.py [--rounds 5]
"""

import json
import time

import alternate
import numpy as np
import torch
from alternate import record, summary, table
from torch.nn.functional import cross_entropy

from mizumashi.classifiers.softmax import SoftmaxConfig, train_softmax
from mizumashi.data.images import LabelledImages
from mizumashi.utils.memory import keep_freed_memory

VARIANTS = ["one by one", "batched naively", "mizumashi, float32", "mizumashi, bf16"]
RECIPES, SEEDS, COUNT = 9, 10, 60_000


def sets() -> list[LabelledImages]:
    """Nine sets of MNIST's size; their contents do not matter for the time."""
    random = np.random.default_rng(0)
    labels = np.arange(COUNT) % 10
    images = [random.integers(0, 256, (COUNT, 28, 28), np.uint8) for _ in range(RECIPES)]
    return [LabelledImages.from_arrays(pixels, labels) for pixels in images]


def one_by_one(images: LabelledImages, steps: int) -> None:
    """The tutorial in PyTorch: one model, autograd, SGD."""
    x = torch.tensor(images.images).reshape(COUNT, -1).float() / 255
    y = torch.tensor(images.labels)
    model = torch.nn.Linear(784, 10)
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    for _ in range(steps):
        chosen = torch.randint(COUNT, (100,))
        loss = cross_entropy(model(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def batched_naively(images: list[LabelledImages], steps: int) -> None:
    """All models as one batched product, batches stacked anew at every step."""
    x = [torch.tensor(each.images).reshape(COUNT, -1).float() / 255 for each in images]
    y = [torch.tensor(each.labels) for each in images]
    models = RECIPES * SEEDS
    weights = torch.zeros(models, 784, 10, requires_grad=True)
    bias = torch.zeros(models, 1, 10, requires_grad=True)
    optimizer = torch.optim.SGD([weights, bias], 0.5)
    for _ in range(steps):
        chosen = [torch.randint(COUNT, (100,)) for _ in range(models)]
        batch = torch.stack([x[model // SEEDS][rows] for model, rows in enumerate(chosen)])
        labels = torch.stack([y[model // SEEDS][rows] for model, rows in enumerate(chosen)])
        logits = torch.bmm(batch, weights) + bias
        loss = cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum") / 100
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def measure(variant: str, steps: int) -> None:
    """Time one variant in this process; print seconds for all models."""
    if "mizumashi" in variant:
        keep_freed_memory()
    images = sets()
    start = time.perf_counter()
    if variant == "one by one":  # a fifth of the models, since they do not influence each other
        for each in images:
            for _ in range(SEEDS // 5):
                one_by_one(each, steps)
        seconds = 5 * (time.perf_counter() - start)
    elif variant == "batched naively":
        batched_naively(images, steps)
        seconds = time.perf_counter() - start
    else:
        config = SoftmaxConfig(steps=steps, precision="bf16-mixed" if "bf16" in variant else "32-true")
        train_softmax([each for each in images for _ in range(SEEDS)], list(range(SEEDS)) * RECIPES, config)
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds}))


def main() -> None:
    """Measure one variant, or all of them in turn."""
    runs = alternate.main(__file__, str(__doc__), VARIANTS, lambda variant: measure(variant, steps=1000))
    if runs is None:
        return
    found = summary(runs, "seconds")
    record("softmax", {"models": RECIPES * SEEDS, "unit": "seconds for 1,000 steps", "variants": found})
    print(table(found, "seconds for all models", "batched naively"))


if __name__ == "__main__":
    main()
