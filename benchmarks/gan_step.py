"""One training step of the paper's GAN: a plain eager loop, each lever alone on top, and the library's loop.

python benchmarks/gan_step.py [--rounds 5]
"""

import contextlib
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import alternate
import numpy as np
import torch
from alternate import record, summary, table
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, one_hot

from mizumashi.data.images import LabelledImages
from mizumashi.gan.config import GanConfig
from mizumashi.gan.networks import Discriminator, Generator, Shape
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import _Training, record_of
from mizumashi.utils.memory import keep_freed_memory

LEVERS = {
    "plain": set(),
    "plain + keep freed memory": {"memory"},
    "plain + channels last": {"channels_last"},
    "plain + no weight gradients for D in G's step": {"skip"},
    "plain + first layer as Linear": {"linear"},
    "plain + bf16": {"bf16"},
    "plain + fused Adam": {"fused"},
    "all levers, float32": {"memory", "channels_last", "skip", "linear"},
    "all levers, bf16": {"memory", "channels_last", "skip", "linear", "bf16"},
}
LIBRARY = {"mizumashi, float32": "32-true", "mizumashi, bf16": "bf16-mixed"}
WARM_UP, STEPS = 6, 30
SHAPE = Shape(28, 1, 10, 100, (64, 128, 256))


class PlainGenerator(Generator):
    """As a user would write it: the first layer a transposed convolution."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.project = nn.ConvTranspose2d(shape.latent_size + shape.classes, shape.widths[2], self.side, bias=False)

    def forward(self, latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        inputs = torch.cat([latents, one_hot(labels, self.shape.classes).float()], dim=1)
        hidden = self.project_norm(self.project(inputs[:, :, None, None])).relu()
        hidden = self.norm1(self.grow1(hidden)).relu()
        hidden = self.norm2(self.grow2(hidden)).relu()
        return self.paint(hidden).tanh()


def plain_step(levers: set[str]):
    """The usual loop: `BCEWithLogits` against ones and zeros."""
    generator = Generator(SHAPE) if "linear" in levers else PlainGenerator(SHAPE)
    discriminator = Discriminator(SHAPE)
    if "channels_last" in levers:
        generator.to(memory_format=torch.channels_last)
        discriminator.to(memory_format=torch.channels_last)
    optimizers = [
        torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999), fused="fused" in levers or None)
        for net in (generator, discriminator)
    ]
    images, labels = torch.rand(2048, 1, 28, 28) * 2 - 1, torch.randint(10, (2048,))
    ones, zeros = torch.ones(64), torch.zeros(64)
    precision = torch.autocast("cpu", torch.bfloat16) if "bf16" in levers else contextlib.nullcontext()

    def step(number: int) -> None:
        start = number * 64 % 2048
        real, wanted = images[start : start + 64], labels[start : start + 64]
        with precision:
            generated = generator(torch.randn(64, 100), wanted)
            judged, judged_generated = discriminator(real, wanted), discriminator(generated.detach(), wanted)
        loss = binary_cross_entropy_with_logits(judged.float(), ones)
        loss = loss + binary_cross_entropy_with_logits(judged_generated.float(), zeros)
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        if "skip" in levers:
            discriminator.requires_grad_(False)
        with precision:
            judged_generated = discriminator(generated, wanted)
        loss = binary_cross_entropy_with_logits(judged_generated.float(), ones)
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        discriminator.requires_grad_(True)

    return step


def library_step(precision: str, folder: Path):
    """The step that `mizumashi train` does, on random images."""
    random = np.random.default_rng(0)
    images = LabelledImages.from_arrays(random.integers(0, 256, (2048, 28, 28)), np.arange(2048) % 10)
    config = replace(GanConfig(), precision=precision)
    return _Training(images, GanRun.begin(folder / "run", record_of(images, config)), config, "cpu")._step


def measure(variant: str) -> None:
    """Time one variant in this process; print seconds per step."""
    if variant in LIBRARY or "memory" in LEVERS[variant]:
        keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        step = library_step(LIBRARY[variant], Path(folder)) if variant in LIBRARY else plain_step(LEVERS[variant])
        seconds = []
        for number in range(WARM_UP + STEPS):
            start = time.perf_counter()
            step(number)
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"ms": 1000 * float(np.median(seconds[WARM_UP:]))}))


def main() -> None:
    """Measure one variant, or all of them in turn."""
    runs = alternate.main(__file__, str(__doc__), [*LEVERS, *LIBRARY], measure)
    if runs is None:
        return
    found = summary(runs, "ms")
    record("gan_step", {"batch_size": 64, "steps": STEPS, "unit": "ms per step", "variants": found})
    print(table(found, "ms per step", "plain"))


if __name__ == "__main__":
    main()
