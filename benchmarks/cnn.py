"""Eight small CNNs: one after the other on all cores, side by side, or as one network of grouped convolutions.

python benchmarks/cnn.py [--rounds 5]

MNIST's size, 64 steps of 32 images each.
"""

import json
import os
import time
from functools import partial

import alternate
import numpy as np
import torch
from alternate import record, summary, table
from torch import Tensor, nn

from mizumashi.classifiers.cnn import Cnn, CnnConfig, train_cnn, train_network
from mizumashi.data.images import LabelledImages
from mizumashi.utils.memory import keep_freed_memory
from mizumashi.utils.progress import Progress
from mizumashi.utils.side_by_side import side_by_side

VARIANTS = ["one after the other", "side by side", "one batched computation"]
MODELS, STEPS, COUNT = 8, 64, 6000


class Batched(nn.Module):
    """MODELS networks as one: every convolution in groups, so that none reads another's channels.

    All read the same mini-batches here: the time to gather eight is left out, in this variant's favour.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = Cnn(MODELS, 10, (28, 28), tuple(MODELS * width for width in CnnConfig().widths))
        for parent in self.network.modules():
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.Conv2d):
                    setattr(parent, name, grouped(child))
        self.judge = nn.Parameter(torch.randn(MODELS, self.network.judge.in_features // MODELS, 10) / 10)
        self.network.judge = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """N x 1 x H x W to N x 10: the logits of all models, added up, which gives each a gradient of its own size."""
        features = self.network.features(images.expand(-1, MODELS, -1, -1)).unflatten(1, (MODELS, -1))
        return torch.einsum("nmd,mdk->nk", features, self.judge)


def grouped(whole: nn.Conv2d) -> nn.Conv2d:
    """The same convolution in MODELS groups."""
    return nn.Conv2d(whole.in_channels, whole.out_channels, 3, whole.stride, padding=1, groups=MODELS, bias=False).to(
        memory_format=torch.channels_last
    )


def measure(variant: str) -> None:
    """Train all models; print the seconds."""
    keep_freed_memory()
    random = np.random.default_rng(0)
    images = LabelledImages.from_arrays(random.integers(0, 256, (COUNT, 28, 28), np.uint8), np.arange(COUNT) % 10)
    config = CnnConfig(steps=STEPS)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    start = time.perf_counter()
    if variant == "one after the other":
        for seed in range(MODELS):
            train_cnn(images, seed, config)
    elif variant == "side by side":

        def train(seed: int, progress: Progress) -> None:
            train_cnn(images, seed, config, progress=progress)

        for _ in side_by_side([partial(train, seed) for seed in range(MODELS)]):
            pass
    else:
        train_network(Batched(), images, 0, config)
    print(json.dumps({"s": time.perf_counter() - start}))


def main() -> None:
    """Measure one variant, or all in turn."""
    runs = alternate.main(__file__, str(__doc__), VARIANTS, measure)
    if runs is None:
        return
    found = summary(runs, "s")
    record("cnn", {"models": MODELS, "steps": STEPS, "variants": found})
    print(table(found, "s for all models", "one after the other"))


if __name__ == "__main__":
    main()
