"""The configuration of a GAN run."""

from dataclasses import dataclass
from typing import Literal

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.utils.schema import Ranges, require_fields

Objective = Literal["non-saturating", "minimax"]
Schedule = Literal["constant", "decay"]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]

SIZES = (16, 28, 32, 64)

CHECKPOINT_EVERY = 300
"""Steps between two checkpoints by default."""


@dataclass(frozen=True)
class GanConfig:
    """Everything that decides what a GAN run does, apart from its images.

    Args:
        steps: training steps; each updates the discriminator once and the generator once.
        snapshots: the steps at which the generator is kept, as they were asked for: ascending, none beyond
            `steps`; empty for the paper's fractions of `steps`: an eighth, a quarter, a half and the end.
            `stages` has the steps themselves in both cases.
        batch_size: images in a mini-batch.
        latent_size: length of the latent z.
        widths: channels of the three inner layers at the discriminator's end; the generator mirrors them.
        objective: what the generator minimises; see `mizumashi.gan.losses`.
        learning_rate: Adam's, for both networks.
        schedule: "constant" keeps the learning rate; "decay" lowers it in the second half of the steps, in a straight
            line to zero, which calms the last stages.
        beta1: Adam's first decay rate; the second is 0.999.
        seed: decides the weights, the order of the images and the latents.
        precision: Lightning Fabric's name for the arithmetic, or "auto": "bf16-mixed" where the device multiplies
            bfloat16 in hardware, "32-true" elsewhere. A run's config.json has the one that was taken.

    Raises:
        InputError: a value is none of its words or out of its range, or a snapshot lies beyond the last step.

    Source:
        Batch size, steps and snapshots: the paper, section 4. What it leaves open is customary for a
        DCGAN (Radford et al. 2015): latents of 100, Adam with 2e-4 and 0.5.

    Example:
        >>> GanConfig().stages, GanConfig(steps=600).stages, GanConfig(snapshots=(1, 2400)).stages
        ((300, 600, 1200, 2400), (75, 150, 300, 600), (1, 2400))
    """

    steps: int = 2400
    snapshots: tuple[int, ...] = ()
    batch_size: int = 64
    latent_size: int = 100
    widths: tuple[int, int, int] = (64, 128, 256)
    objective: Objective = "non-saturating"
    learning_rate: float = 2e-4
    schedule: Schedule = "constant"
    beta1: float = 0.5
    seed: int = 0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        ranges: Ranges = {
            "steps": (1, 10**9),
            "latent_size": (1, 10**4),
            "batch_size": (2, 10**6),
            "learning_rate": (1e-12, 1e3),
            "beta1": (0, 0.9999),
            "seed": (0, 2**63 - 1),
            "widths": (1, 4096),
        }
        require_fields(self, ranges, options=True)
        if list(self.stages) != sorted(set(self.stages)) or self.stages[0] < 1:
            raise InputError(f"found snapshots {self.stages}; expected ascending steps from 1, each once (--snapshots)")
        if self.stages[-1] > self.steps:
            raise InputError(
                f"found a snapshot at step {self.stages[-1]}; expected none beyond the last step, {self.steps}; raise "
                "--steps or leave that snapshot out"
            )

    @property
    def stages(self) -> tuple[int, ...]:
        """The steps at which the generator is kept: `snapshots`, or where that is empty, the paper's fractions.

        A stage is a step of training as studies and reports speak of it: what the GAN could draw by then.
        """
        return self.snapshots or tuple(sorted({max(1, self.steps // part) for part in (8, 4, 2, 1)}))

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0.

        Example:
            >>> config = GanConfig(steps=8, learning_rate=1.0, schedule="decay")
            >>> [config.rate(step) for step in range(8)]
            [1.0, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25]
        """
        half = self.steps // 2
        if self.schedule == "constant" or step < half:
            return self.learning_rate
        return self.learning_rate * (self.steps - step) / (self.steps - half)


def require_trainable(images: LabelledImages, config: GanConfig) -> None:
    """Raise `InputError` unless a GAN with this configuration can be trained on these images, on this machine."""
    height, width = images.size
    if height != width or height not in SIZES:
        near = sorted(sorted(SIZES, key=lambda size: abs(size - max(height, width)))[:2])
        raise InputError(
            f"{images.name}: found images of {height}x{width} pixels; expected a square of "
            f"{', '.join(map(str, SIZES))}; the nearest are {near[0]} and {near[1]}: "
            f"`mizumashi data IMAGES --resize {near[-1]} --out SET` makes such a set"
        )
    if len(images) < config.batch_size:
        raise InputError(
            f"{images.name}: found {len(images)} training images; expected at least one mini-batch of "
            f"{config.batch_size}; lower --batch-size or add images"
        )
    if len(images.class_names) < 2:
        raise InputError(f"{images.name}: found one class; expected at least two to tell apart")
    empty = [name for name, count in zip(images.class_names, images.counts, strict=True) if not count]
    if empty:
        raise InputError(f"{images.name}: found no training image of class {empty[0]!r}; add some or drop it")
    # Here, because the networks bring torch: the command line needs only the configuration to start.
    from mizumashi.gan.footprint import require_memory

    require_memory(images, config)
