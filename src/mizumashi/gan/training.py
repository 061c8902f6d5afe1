"""The training loop: step, snapshot, checkpoint."""

from dataclasses import asdict, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan import checkpoint
from mizumashi.gan.config import GanConfig, require_trainable
from mizumashi.gan.losses import discriminator_loss, generator_loss
from mizumashi.gan.networks import Discriminator, Generator, Shape, initialise
from mizumashi.gan.run import FORMAT, GanRun
from mizumashi.hardware import bfloat16_is_fast
from mizumashi.progress import Progress, silent
from mizumashi.randomness import numpy_generator, torch_generator


def train(
    images: LabelledImages,
    out: str | Path,
    config: GanConfig | None = None,
    *,
    accelerator: str = "auto",
    progress: Progress = silent,
) -> GanRun:
    """Train a label-conditional GAN and keep its generator at several steps.

    A run that was stopped goes on from its last checkpoint; a finished run returns at once; where a snapshot or
    the log was deleted, the run is trained from the start again, in the same folder. A source with a test part is
    trained on its training part alone.

    On a CPU, with the same number of threads and the same versions of the libraries, equal arguments give equal
    bytes, whether the run was stopped or not. Other numbers of threads, other kinds of machine and GPUs round
    differently, and a GAN amplifies it; on a GPU two runs may differ, and with precision "16-mixed" a run that
    was stopped starts the scale of its loss again.

    Args:
        images: the real images.
        out: the run's folder: new, empty, or holding this same run.
        config: by default the paper's.
        accelerator: Lightning Fabric's name for the device: "auto", "cpu", "cuda", ...
        progress: called after every step.

    Returns:
        The finished run, with all its snapshots.

    Raises:
        InputError: the images cannot be trained on, training needs more memory than there is, or `out` holds
            something else.
        FloatingPointError: a loss is not finite; what was written before that step stays.
        KeyboardInterrupt: the user stopped the run; a checkpoint was written first, or the run is finished.
    """
    config = config or GanConfig()
    images = images if images.test_start is None else images.train
    require_trainable(images, config)
    config = resolved(config, accelerator)
    description = describe(images, config)
    run = GanRun.begin(Path(out), description)
    if not run.finished:
        run.reopen()
        _Training(images, run, config, accelerator).go_on(progress)
    return run


def describe(images: LabelledImages, config: GanConfig) -> dict[str, Any]:
    """What RUN/config.json holds: equal descriptions mean equal runs."""
    return {
        "format": FORMAT,
        "config": asdict(config) | {"snapshots": list(config.stages), "widths": list(config.widths)},
        "images": images.describe(),
        "versions": {name: version(name) for name in ("mizumashi", "torch", "numpy")},
    }


def resolved(config: GanConfig, accelerator: str) -> GanConfig:
    """The configuration with "auto" replaced by the precision that suits the device.

    On a CPU and a GPU with bfloat16 products that is "bf16-mixed": faster, and over six paired seeds of the
    paper's study its accuracies differed from float32's by no more than chance (benchmarks/README.md).

    Args:
        config: any configuration.
        accelerator: Lightning Fabric's name for the device.

    Raises:
        InputError: this machine has no such accelerator, or it cannot compute in that precision.

    Example:
        >>> resolved(GanConfig(precision="32-true"), "cpu").precision
        '32-true'
    """
    try:
        device = Fabric(accelerator=accelerator, devices=1).device
    except (ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"found accelerator {accelerator!r}; expected one that is here: {error}") from error
    if config.precision == "auto":
        return replace(config, precision="bf16-mixed" if bfloat16_is_fast(device) else "32-true")
    if config.precision == "16-mixed" and device.type == "cpu":
        raise InputError("found precision 16-mixed on a CPU; expected auto, 32-true or bf16-mixed there")
    return config


class MiniBatches:
    """The order of the images: a new permutation for every epoch, cut into whole mini-batches.

    The mini-batch of a step depends on the seed and the step alone.

    Example:
        >>> order = MiniBatches(count=10, batch_size=4, seed=0)
        >>> sorted([*order[0], *order[1]]) == sorted(set([*order[0], *order[1]]))
        True
    """

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self._epoch = -1
        self._permutation = np.empty(0, np.int64)

    def __getitem__(self, step: int) -> Tensor:
        """Indices of the mini-batch of `step` (from 0): batch_size, int64."""
        epoch, batch = divmod(step, self.count // self.batch_size)
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = numpy_generator(self.seed, "epoch", epoch).permutation(self.count)
        start = batch * self.batch_size
        return torch.from_numpy(self._permutation[start : start + self.batch_size])


class _Training:
    def __init__(self, images: LabelledImages, run: GanRun, config: GanConfig, accelerator: str) -> None:
        assert config.precision != "auto", "resolved first"
        self.run, self.config = run, config
        self.fabric = Fabric(accelerator=accelerator, devices=1, precision=config.precision)
        shape = run.shape
        self.batches = MiniBatches(len(images), config.batch_size, config.seed)
        images_NHWC = torch.tensor(images.images)
        self.images_NCHW = self.fabric.to_device(images_NHWC.permute(0, 3, 1, 2).contiguous())
        self.labels = self.fabric.to_device(torch.tensor(images.labels))
        self.generator, self.generator_optimizer = self._network(Generator, shape, "generator")
        self.discriminator, self.discriminator_optimizer = self._network(Discriminator, shape, "discriminator")
        self.losses: list[tuple[float, float]] = []

    def _network(self, kind: type[nn.Module], shape: Shape, name: str) -> tuple[nn.Module, Any]:
        with torch.device("meta"):
            network = kind(shape)
        network.to_empty(device="cpu")
        initialise(network, torch_generator(self.config.seed, name))
        # Not the fused one: its last bits depend on where in memory the weights happen to lie.
        optimizer = torch.optim.Adam(network.parameters(), self.config.learning_rate, betas=(self.config.beta1, 0.999))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        prepared = self.fabric.setup(network, optimizer)
        return prepared[0], prepared[1]

    @cached_property
    def parts(self) -> checkpoint.Parts:
        """What a checkpoint must hold for the next step to come out the same."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }

    def go_on(self, progress: Progress) -> None:
        self.losses = checkpoint.load(self.run.path, self.parts)
        task, total = f"GAN, seed {self.config.seed}", self.config.steps
        with checkpoint.finish_step_on_interrupt() as interrupted:
            for step in range(len(self.losses), total):
                self.losses.append(self._step(step))
                done = step + 1
                progress(task, done, total, "D {1:.2f}  G {0:.2f}".format(*self.losses[-1]))
                if done in self.config.stages:
                    self.run.write_snapshot(done, self.generator)
                if done in self.config.stages or done == total or interrupted():
                    checkpoint.save(self.run.path, self.parts, self.losses)
                if interrupted() and done < total:
                    raise KeyboardInterrupt(f"stopped after step {done} of {total}; the same command goes on")
            self.run.finish()
            if interrupted():
                raise KeyboardInterrupt(f"stopped after step {total}, the last; the GAN in {self.run.path} is finished")

    def _step(self, step: int) -> tuple[float, float]:
        chosen = self.fabric.to_device(self.batches[step])
        real, labels = self.images_NCHW[chosen].float() / 127.5 - 1, self.labels[chosen]
        latents = torch.randn(
            len(labels), self.config.latent_size, generator=torch_generator(self.config.seed, "latents", step)
        )
        generated = self.generator(self.fabric.to_device(latents), labels)

        judged_real = self.discriminator(real, labels)
        loss = discriminator_loss(judged_real, self.discriminator(generated.detach(), labels))
        discriminator_value = self._descend(loss, self.discriminator_optimizer, "discriminator", step)

        # The generator's step needs the discriminator's gradients for its input only.
        self.discriminator.requires_grad_(False)
        loss = generator_loss(self.discriminator(generated, labels), self.config.objective)
        generator_value = self._descend(loss, self.generator_optimizer, "generator", step)
        self.discriminator.requires_grad_(True)
        return generator_value, discriminator_value

    def _descend(self, loss: Tensor, optimizer: Any, name: str, step: int) -> float:
        value = loss.item()
        if not np.isfinite(value):
            exact = "" if self.config.precision == "32-true" else " or with --precision 32-true"
            raise FloatingPointError(
                f"{self.run.path}: the {name}'s loss is {value} at step {step + 1}; expected a finite one; training "
                f"stopped before that step; train with a lower --learning-rate{exact}, in a new --out"
            )
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = self.config.rate(step)
        self.fabric.backward(loss)
        optimizer.step()
        return value
