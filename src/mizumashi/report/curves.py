"""Losses as curves that a page draws itself, in its own colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mizumashi.report.figures import load_matplotlib

WIDTH, HEIGHT = 360, 200
LEFT, RIGHT, TOP, BOTTOM = 36, 18, 8, 34
MOST_POINTS = 200


@dataclass(frozen=True)
class Curve:
    """One network's losses.

    Args:
        name: the network's.
        line: the medians, as the points of an SVG polyline.
        band: where 80 % of the losses lie, as an SVG path.
        equilibrium: where the discriminator cannot tell, the loss and its height in the image.
    """

    name: str
    line: str
    band: str
    equilibrium: tuple[float, float] | None


@dataclass(frozen=True)
class Chart:
    """Curves between two axes, in units of an SVG image of `WIDTH` x `HEIGHT`.

    Args:
        curves: one for each network.
        x_ticks: places and numbers.
        y_ticks: likewise.
        steps: training steps that make one point.
        ends: for each network its median over the last point's steps.
    """

    curves: list[Curve]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    steps: int
    ends: list[tuple[str, float]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def chart(losses: Mapping[str, Sequence[NDArray[np.float64]]], equilibrium: Mapping[str, float]) -> Chart:
    """The median of all runs' losses in up to 200 spans of training, and the tenth and ninetieth percentile.

    Args:
        losses: for each network and run, one loss for each step.
        equilibrium: for some networks, the loss where the discriminator cannot tell.

    Example:
        >>> found = chart({"generator": [np.linspace(2, 1, 1000)]}, {"generator": float(np.log(2))})
        >>> found.steps, found.ends, [text for _, text in found.x_ticks]
        (5, [('generator', 1.002002002002002)], ['0', '250', '500', '750', '1000'])
    """
    load_matplotlib()
    from matplotlib.ticker import MaxNLocator

    count = min(len(run) for runs in losses.values() for run in runs)
    span = max(1, -(-count // MOST_POINTS))
    starts = np.arange(0, count, span)
    middles = starts + np.minimum(span, count - starts) / 2
    percentiles = {
        name: np.array(
            [np.percentile([run[start : min(start + span, count)] for run in runs], (10, 50, 90)) for start in starts]
        )
        for name, runs in losses.items()
    }
    shown = np.concatenate([*(values.ravel() for values in percentiles.values()), list(equilibrium.values())])
    low, high = float(shown.min()), float(shown.max())
    y_ticks = [float(tick) for tick in MaxNLocator(4).tick_values(low, high)]
    x_ticks = [float(tick) for tick in MaxNLocator(4, integer=True).tick_values(0, count) if tick <= count]

    def x(step: NDArray[np.float64]) -> NDArray[np.float64]:
        return LEFT + step / count * (WIDTH - LEFT - RIGHT)

    def y(loss: NDArray[np.float64]) -> NDArray[np.float64]:
        share = (loss - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def points(steps: NDArray[np.float64], values: NDArray[np.float64]) -> str:
        return " ".join(f"{left:.1f},{top:.1f}" for left, top in zip(x(steps), y(values), strict=True))

    curves = [
        Curve(
            name,
            points(middles, values[:, 1]),
            f"M{points(middles, values[:, 0])} L{points(middles[::-1], values[::-1, 2])}Z",
            (equilibrium[name], round(float(y(np.array(equilibrium[name]))), 1)) if name in equilibrium else None,
        )
        for name, values in percentiles.items()
    ]
    return Chart(
        curves,
        [(round(float(x(np.array(tick))), 1), f"{tick:.0f}") for tick in x_ticks],
        [(round(float(y(np.array(tick))), 1), f"{tick:.4g}") for tick in y_ticks],
        span,
        [(name, float(values[-1, 1])) for name, values in percentiles.items()],
    )
