"""Complete configurations, as functions."""

from collections.abc import Callable

from mizumashi.gan.config import GanConfig


def paper() -> GanConfig:
    """The paper's GAN: 2,400 steps of 64 images, snapshots at 300, 600, 1,200 and 2,400 (section 4)."""
    return GanConfig()


def small() -> GanConfig:
    """A shorter schedule and narrower networks, for sets of a few thousand images of 16x16 pixels.

    It is not the paper's: its four snapshots stand at the same fractions of half the steps.
    """
    return GanConfig(steps=1200, widths=(32, 64, 128))


def fast() -> GanConfig:
    """As many steps as the paper's, with networks of a quarter of its widths and a learning rate that decays.

    Over six seeds its last stage trains softmax regression for MNIST as well as the paper preset's does, in a quarter
    of the time, and for faxes a point worse (benchmarks/README.md).
    """
    return GanConfig(widths=(16, 32, 64), learning_rate=1e-3, schedule="decay")


PRESETS: dict[str, Callable[[], GanConfig]] = {"paper": paper, "fast": fast, "small": small}
