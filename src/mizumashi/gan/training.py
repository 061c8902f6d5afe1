"""The training loop: step, snapshot, checkpoint."""

import logging
from contextlib import closing, nullcontext
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor, nn

from mizumashi.data.images import LabelledImages
from mizumashi.data.record import ImagesRecord
from mizumashi.errors import InputError
from mizumashi.gan import checkpoint
from mizumashi.gan.collapse import PER_CLASS, collapsed, relative_variation, variation
from mizumashi.gan.config import CHECKPOINT_EVERY, GanConfig, require_trainable
from mizumashi.gan.losses import discriminator_loss, generator_loss
from mizumashi.gan.networks import Discriminator, Generator, Shape, initialise
from mizumashi.gan.run import FORMAT, GanRun, Resume, RunRecord
from mizumashi.gan.sample_grid import grid
from mizumashi.gan.tensorboard import Board
from mizumashi.utils import locks
from mizumashi.utils.hardware import bfloat16_is_fast
from mizumashi.utils.layout import RUN
from mizumashi.utils.progress import Progress, silent
from mizumashi.utils.seeding import numpy_generator, torch_generator

_GPU_READS_EVERY = 50  # steps whose losses stay on a GPU: reading one makes the processor wait for it

_log = logging.getLogger("mizumashi")


def train(
    images: LabelledImages,
    out: str | Path,
    config: GanConfig | None = None,
    *,
    resume: Resume = "auto",
    checkpoint_every: int = CHECKPOINT_EVERY,
    accelerator: str = "auto",
    tensorboard: bool = False,
    progress: Progress = silent,
) -> GanRun:
    """Train a label-conditional GAN and keep its generator at several steps.

    A run that was stopped or killed goes on from its last checkpoint; a finished run returns at once; where a
    snapshot or the log was deleted, the run is trained from the start again, in the same folder. A source with a test
    part is trained on its training part alone.

    On a CPU, with the same number of threads and the same versions of the libraries, equal arguments give equal
    bytes, whether the run was stopped or not. Other numbers of threads, other kinds of machine and GPUs round
    differently, and a GAN amplifies it; on a GPU two runs may differ.

    Args:
        images: the real images.
        out: the run's folder: new, empty, or holding this same run.
        config: by default the paper's.
        resume: what to do where there is a run already. "auto": go on with the run in `out`, or start one there.
            True: go on with the run in `out`; there must be one. False: start in a new or empty folder. A path: start
            from the checkpoint of the run in that other folder, which must have the same configuration and images and
            stays as it is; once `out` holds the run, it goes on from there.
        checkpoint_every: steps between two checkpoints; there is one at every snapshot, too, and when the run is
            stopped. It does not change the results.
        accelerator: Lightning Fabric's name for the device: "auto", "cpu", "cuda", ...
        tensorboard: whether losses and pictures are written for TensorBoard, too (see `mizumashi.gan.tensorboard`).
        progress: called after every step; where it raises, the run is stopped: a checkpoint is written first.

    Returns:
        The finished run, with all its snapshots.

    Raises:
        InputError: the images cannot be trained on, training needs more memory than there is, `out` holds something
            else or is in use by another process, or `resume` does not fit.
        FloatingPointError: a loss or a gradient is not finite; nothing of that step is kept, and the last checkpoint
            stays. On a GPU that is noticed some steps later, before anything is written.
        KeyboardInterrupt: the user stopped the run; a checkpoint was written first, or the run is finished.
    """
    config = config or GanConfig()
    if checkpoint_every < 1:
        raise InputError(f"found a checkpoint every {checkpoint_every} steps; expected 1 or more (--checkpoint-every)")
    images = images if images.test_start is None else images.train
    require_trainable(images, config)
    config = resolved(config, accelerator)
    record = record_of(images, config)
    with locks.lock_folder(Path(out), RUN):
        run = GanRun.begin(Path(out), record, resume)
        if run.finished:
            run.drop_checkpoint()  # it may have been killed in its very last moment
        else:
            run.reopen()
            training = _Training(images, run, config, accelerator)
            training.go_on(checkpoint_every, tensorboard, progress)
    return run


def record_of(images: LabelledImages, config: GanConfig) -> RunRecord:
    """What RUN/config.json holds: equal records mean equal runs."""
    versions = {name: version(name) for name in ("mizumashi", "torch", "numpy")}
    return RunRecord(FORMAT, replace(config, snapshots=config.stages), ImagesRecord.of(images), versions)


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
    device = device_of(accelerator)
    if config.precision == "auto":
        return replace(config, precision="bf16-mixed" if bfloat16_is_fast(device) else "32-true")
    if config.precision == "16-mixed" and device.type == "cpu":
        raise InputError("found precision 16-mixed on a CPU; expected auto, 32-true or bf16-mixed there")
    return config


def device_of(accelerator: str) -> torch.device:
    """The device that Lightning Fabric means by this name.

    Raises:
        InputError: this machine has no such accelerator.

    Example:
        >>> device_of("cpu").type
        'cpu'
    """
    try:
        return Fabric(accelerator=accelerator, devices=1).device
    except (ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"found accelerator {accelerator!r}; expected one that is here: {error}") from error


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
        self.fabric, self.scaler = _fabric(accelerator, config.precision)
        shape = run.shape
        self.batches = MiniBatches(len(images), config.batch_size, config.seed)
        self.real_variation = variation(images)
        images_NHWC = torch.tensor(images.images)
        self.images_NCHW = self.fabric.to_device(images_NHWC.permute(0, 3, 1, 2).contiguous())
        self.labels = self.fabric.to_device(torch.tensor(images.labels))
        self.generator, self.generator_optimizer = self._network(Generator, shape, "generator")
        self.discriminator, self.discriminator_optimizer = self._network(Discriminator, shape, "discriminator")
        self.log = checkpoint.Log()
        self.board: Board | None = None
        self.on_cpu = self.fabric.device.type == "cpu"
        self.unread: list[Tensor] = []

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
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        return parts if self.scaler is None else parts | {"scaler": self.scaler}

    def go_on(self, checkpoint_every: int, tensorboard: bool, progress: Progress) -> None:
        self.log = checkpoint.load(self.run.path, self.parts)
        with closing(Board(self.run.path, len(self.log.losses))) if tensorboard else nullcontext() as self.board:
            self._go_on(checkpoint_every, progress)

    def _go_on(self, checkpoint_every: int, progress: Progress) -> None:
        task, total, note = f"GAN, seed {self.config.seed}", self.config.steps, ""
        with checkpoint.finish_step_on_interrupt() as interrupted:
            for step in range(len(self.log.losses), total):
                self.unread.append(self._step(step))
                done, snapshot = step + 1, step + 1 in self.config.stages
                due = snapshot or done == total or done % checkpoint_every == 0 or interrupted()
                if due or self.on_cpu or len(self.unread) == _GPU_READS_EVERY:
                    self._read()
                    note = "D {1:.2f}  G {0:.2f}".format(*self.log.losses[-1])
                if snapshot:
                    self._keep(done)
                try:
                    progress(task, done, total, note)
                except BaseException:
                    self._checkpoint()
                    raise
                if due or interrupted():
                    self._checkpoint()
                if interrupted() and done < total:
                    raise KeyboardInterrupt(f"stopped after step {done} of {total}; the same command goes on")
            self.run.finish()
            if interrupted():
                raise KeyboardInterrupt(f"stopped after step {total}, the last; the GAN in {self.run.path} is finished")

    def _checkpoint(self) -> None:
        self._read()
        checkpoint.save(self.run.path, self.parts, self.log)

    def _step(self, step: int) -> Tensor:
        """One step of both networks; gives what `_read` reads: loss and gradient norm, generator first."""
        chosen = self.fabric.to_device(self.batches[step])
        real, labels = self.images_NCHW[chosen].float() / 127.5 - 1, self.labels[chosen]
        latents = torch.randn(
            len(labels), self.config.latent_size, generator=torch_generator(self.config.seed, "latents", step)
        )
        generated = self.generator(self.fabric.to_device(latents), labels)

        judged_real = self.discriminator(real, labels)
        loss = discriminator_loss(judged_real, self.discriminator(generated.detach(), labels))
        discriminator_values = self._descend(loss, self.discriminator_optimizer, "discriminator", step)

        # The generator's step needs the discriminator's gradients for its input only.
        self.discriminator.requires_grad_(False)
        loss = generator_loss(self.discriminator(generated, labels), self.config.objective)
        generator_values = self._descend(loss, self.generator_optimizer, "generator", step)
        self.discriminator.requires_grad_(True)
        return torch.stack([*generator_values, *discriminator_values])

    def _descend(self, loss: Tensor, optimizer: Any, name: str, step: int) -> tuple[Tensor, Tensor]:
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = self.config.rate(step)
        self.fabric.backward(loss)
        values = loss.detach().float(), self._gradient_norm(optimizer)
        if self.on_cpu:
            self._require_finite(name, step, *(value.item() for value in values))
        optimizer.step()
        return values

    def _gradient_norm(self, optimizer: Any) -> Tensor:
        """The norm of all gradients together; 0 where a scaler looks after them: it skips those that overflow."""
        if self.scaler is not None:
            return torch.zeros((), device=self.fabric.device)
        return nn.utils.get_total_norm(
            weight.grad for group in optimizer.param_groups for weight in group["params"] if weight.grad is not None
        )

    def _read(self) -> None:
        """Take the values of the last steps from the device into the log, unless one is not finite."""
        if not self.unread:
            return
        for generator, generator_norm, discriminator, discriminator_norm in torch.stack(self.unread).tolist():
            step = len(self.log.losses)
            self._require_finite("discriminator", step, discriminator, discriminator_norm)
            self._require_finite("generator", step, generator, generator_norm)
            self.log.losses.append((generator, discriminator))
        self.unread.clear()
        if self.board is not None:
            self.board.losses(self.log.losses)

    def _require_finite(self, name: str, step: int, loss: float, norm: float) -> None:
        if isfinite(loss) and isfinite(norm):
            return
        what, value = ("gradient's norm", norm) if isfinite(loss) else ("loss", loss)
        exact = "" if self.config.precision == "32-true" else " or with --precision 32-true"
        raise FloatingPointError(
            f"{self.run.path}: the {name}'s {what} is {value} at step {step + 1}; expected a finite one; training "
            f"stopped before that step; train with a lower --learning-rate{exact}, in a new --out"
        )

    def _keep(self, step: int) -> None:
        """Write a snapshot and a picture of what it draws, and log whether it has collapsed."""
        self.run.write_snapshot(step, self.generator)
        drawn = self.run.snapshot(step).sample(per_class=PER_CLASS)
        picture = grid(drawn)
        self.run.write_picture(step, picture)
        if self.board is not None:
            self.board.picture(step, picture)
        shares = relative_variation(drawn, self.real_variation)
        self.log.variation[step] = shares
        if alike := collapsed(shares):
            _log.warning(
                "%s: the GAN has collapsed by step %d: in %d of %d classes all its images look alike, %r among them",
                self.run.path,
                step,
                len(alike),
                len(shares),
                drawn.class_names[alike[0]],
            )


def _fabric(accelerator: str, precision: str) -> tuple[Fabric, torch.amp.GradScaler | None]:
    """Fabric for one device, and the scaler of the loss where float16 needs one: its state is the checkpoint's."""
    if precision != "16-mixed":
        return Fabric(accelerator=accelerator, devices=1, precision=precision), None  # type: ignore[arg-type]
    device = Fabric(accelerator=accelerator, devices=1).device.type
    scaler = torch.amp.GradScaler(device)
    plugin = MixedPrecision("16-mixed", device, scaler)
    return Fabric(accelerator=accelerator, devices=1, plugins=plugin), scaler
