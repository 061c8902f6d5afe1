"""The paper's figures, from plain arrays: nothing here trains, reads a file or touches global state."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from functools import cache
from importlib import import_module
from io import BytesIO
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mizumashi.errors import InputError
from mizumashi.stats.inference import Interval, t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mizumashi.metrics.tsne import SharedMap

BLUE, RED = "#0072B2", "#D55E00"  # of Okabe and Ito's palette: distinct with any colour vision
FONT_SIZE = 9  # points
WIDTH = 7.0  # inches: two columns of a paper
DOTS_PER_INCH = 150
LONGEST_TEXT = 80  # characters of whatever a figure says
LONGEST_NAME = 20  # characters of a class name above its column
MOST_NUMBERED = 20  # classes of a confusion matrix whose numbers are written
# The first comes with matplotlib; the others, where installed, draw what it lacks.
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "IPAexGothic", "Hiragino Sans", "Yu Gothic", "Arial Unicode MS")


def load_matplotlib() -> None:
    """Import matplotlib, but not the matplotlibrc of the current folder, which may be anybody's."""
    with chdir(Path(__file__).anchor):
        import_module("matplotlib")


@contextmanager
def _style() -> Iterator[None]:
    """Matplotlib's defaults, whatever the user has configured, and what all figures share."""
    load_matplotlib()
    from matplotlib import style

    own: dict[str, Any] = {
        "axes.spines.right": False,
        "axes.spines.top": False,
        "font.family": [name for name, _ in _fonts()],
        "font.size": FONT_SIZE,
        "legend.frameon": False,
        "savefig.bbox": "tight",
        "svg.hashsalt": "mizumashi",
        "text.parse_math": False,  # $ and _ in names are just characters
    }
    with style.context(["default", own]):
        yield


def drawn(figure: "Figure") -> dict[str, bytes]:
    """A figure as files hold it: "png" (150 dots per inch) and "svg".

    Figures drawn from the same numbers are the same bytes under the same version of matplotlib.
    """
    with _style():
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # else every further drawing would move things a little
        found = {}
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            file = BytesIO()
            figure.savefig(file, format=suffix, dpi=DOTS_PER_INCH, metadata=metadata)
            found[suffix] = file.getvalue()
        return found


@_style()
def loss_curves(
    losses: Mapping[str, Mapping[str, ArrayLike]], equilibrium: Mapping[str, float] | None = None
) -> "Figure":
    """Losses against the training step (paper figure 2).

    A thin line is one run; a thick one is the median of a network's runs, smoothed by a running median over a
    fiftieth of the steps.

    Args:
        losses: for each network ("generator", "discriminator") and each run, one loss for each step from 1 on.
        equilibrium: for some networks, the loss at which neither can improve, drawn dashed: under the
            non-saturating objective log 2 for the generator and 2 log 2 for the discriminator.

    Example:
        >>> runs = {"seed 0": [2.0, 1.0, 0.7], "seed 1": [1.6, 1.2, 0.7]}
        >>> figure = loss_curves({"generator": runs}, {"generator": float(np.log(2))})
        >>> figure.axes[0].get_legend_handles_labels()[1]
        ['generator', 'generator at equilibrium, 0.693']
    """
    from scipy.ndimage import median_filter

    figure = _figure(WIDTH, 3.2)
    axes = figure.subplots()
    for (network, runs), colour in zip(losses.items(), cycle((BLUE, RED)), strict=False):
        curves = [np.asarray(run, np.float64) for run in runs.values()]
        for curve in curves:
            steps = np.arange(1, len(curve) + 1)
            # As pixels in the SVG too: long runs have hundreds of thousands of points.
            axes.plot(steps, curve, color=colour, linewidth=0.5, alpha=0.15, rasterized=True)
        shortest = min(len(curve) for curve in curves)
        middle = np.median([curve[:shortest] for curve in curves], axis=0)
        smooth = median_filter(middle, max(1, shortest // 50))
        axes.plot(np.arange(1, shortest + 1), smooth, color=colour, label=_legible(network))
        if equilibrium and network in equilibrium:
            label = f"{_legible(network)} at equilibrium, {equilibrium[network]:.3f}"
            axes.axhline(equilibrium[network], color=colour, linewidth=1, linestyle="--", label=label)
    everything = np.concatenate([np.asarray(run) for runs in losses.values() for run in runs.values()])
    lowest, highest, usual = everything.min(), everything.max(), np.quantile(everything, 0.995)
    if highest - lowest > 2 * (usual - lowest):  # a few spikes would flatten all the rest
        margin = 0.05 * (usual - lowest)
        axes.set_ylim(lowest - margin, usual + margin)
        axes.set_title(f"spikes beyond the axis reach {highest:.3g}", loc="right", fontsize="small")
    axes.set(xlabel="training step", ylabel="loss", xmargin=0.01)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


@_style()
def image_rows(rows: Sequence[tuple[str, NDArray[np.uint8]]], class_names: Sequence[str], per_class: int) -> "Figure":
    """Images of every class side by side, one row for each set (paper figures 3 and 5).

    Args:
        rows: a label and K x H x W x C images, grey or RGB, K = len(class_names) * per_class: all of the first
            class, then all of the second ...
        class_names: the heads of the columns.
        per_class: images of each class in a row.

    Raises:
        InputError: a row does not have `per_class` images for each class.

    Example:
        >>> images = np.zeros((4, 8, 8, 1), np.uint8)
        >>> figure = image_rows([("300 steps", images), ("mnist", images)], ["cat", "dog"], per_class=2)
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['300 steps', 'mnist']
    """
    columns = len(class_names) * per_class
    for name, images in rows:
        if len(images) != columns:
            raise InputError(
                f"{name}: found {len(images)} images for {len(class_names)} classes; expected {per_class} of each class"
            )
    # One unit is the width of an image; gaps part images, and wider ones classes.
    gap, class_gap = 0.06, 0.06 if per_class == 1 else 0.3
    lefts = np.arange(columns) * (1 + gap) + np.arange(columns) // per_class * (class_gap - gap)
    heights = [images.shape[1] / images.shape[2] for _, images in rows]
    tops = np.cumsum([0.0, *(height + 0.15 for height in heights)])
    width, height = float(lefts[-1] + 1), float(tops[-1] - 0.15)

    inches = min(0.6, max(0.3, WIDTH / width))
    legible = [_legible(name) for name in class_names]
    # Names that no font can draw would all look alike.
    heads = [f"class {label}" if "□" in name else name for label, name in enumerate(legible)]
    heads = [_short(head) for head in heads]
    labels = [_legible(name) for name, _ in rows]
    longest_head, longest_label = max(map(_inches, heads)), max(map(_inches, labels))
    upright = longest_head < 0.95 * inches * per_class
    figure = _figure(inches * width + longest_label + 0.2, inches * height + 0.3 + (not upright) * longest_head)
    axes = figure.subplots()
    for (_, images), top, tall in zip(rows, tops, heights, strict=False):
        for image, left in zip(images, lefts, strict=True):
            shown = image[..., 0] if image.shape[2] == 1 else image
            axes.imshow(shown, cmap="gray", vmin=0, vmax=255, extent=(left, left + 1, top + tall, top))
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    ends = lefts.reshape(-1, per_class)
    axes.set_xticks((ends[:, 0] + ends[:, -1] + 1) / 2, heads)
    if not upright:
        for head in axes.get_xticklabels():
            head.set(rotation=60, rotation_mode="anchor", horizontalalignment="left")
    axes.set_yticks(tops[:-1] + np.array(heights) / 2, labels)
    axes.spines[:].set_visible(False)
    return figure


@_style()
def embedding_panels(positions: "SharedMap") -> "Figure":
    """A panel for each set on the shared map: reference (blue circles) and set (red crosses) (paper figure 4).

    All panels show the same part of the map.

    Args:
        positions: the map, as `mizumashi.metrics.tsne.shared_map` makes it.

    Example:
        >>> from mizumashi.metrics.tsne import SharedMap
        >>> figure = embedding_panels(SharedMap(np.zeros((5, 2)), {"gan@300": np.ones((4, 2))}))
        >>> [axes.get_title() for axes in figure.axes]
        ['gan@300']
    """
    count = len(positions.others)
    columns = math.ceil(math.sqrt(count))
    lines = math.ceil(count / columns)
    panel = min(3.5, WIDTH / columns)
    figure = _figure(panel * columns, panel * lines + 0.3)
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, (name, points) in zip(panels, positions.others.items(), strict=False):
        x, y = positions.reference.T
        axes.scatter(x, y, 10, marker="o", facecolors="none", edgecolors=BLUE, linewidths=0.6, label="real")
        axes.scatter(*points.T, 10, marker="x", color=RED, linewidths=0.6, label="generated")
        axes.set(title=_legible(name), aspect="equal", xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
    for axes in panels[count:]:
        axes.remove()
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=1.6)
    return figure


@_style()
def confusion_panels(matrices: Mapping[str, ArrayLike], class_names: Sequence[str]) -> "Figure":
    """A confusion matrix for each recipe: rows the labels, columns what was read, shades the share of the label.

    Args:
        matrices: for each recipe K x K counts.
        class_names: K names.

    Example:
        >>> figure = confusion_panels({"real": [[9, 1], [2, 8]]}, ["cat", "dog"])
        >>> figure.axes[0].get_title(), [text.get_text() for text in figure.axes[0].texts]
        ('real', ['90', '10', '20', '80'])
    """
    places = np.arange(len(class_names))
    heads = [
        name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…" for name in map(_legible, class_names)
    ]
    figure = _figure(WIDTH, WIDTH / max(2, len(matrices)) + 0.7)
    panels = figure.subplots(1, len(matrices), sharey=True, squeeze=False).ravel()
    for axes, (recipe, counts) in zip(panels, matrices.items(), strict=True):
        table = np.asarray(counts, np.float64)
        totals = table.sum(axis=1, keepdims=True)
        percent = 100 * np.divide(table, totals, out=np.zeros_like(table), where=totals > 0)
        axes.imshow(percent, cmap="Blues", vmin=0, vmax=100)
        axes.set(title=_legible(recipe), xlabel="read as", aspect="equal")
        if len(places) > MOST_NUMBERED:  # numbers and names would run into each other
            axes.set(xticks=[], yticks=[])
            continue
        for row, column in np.argwhere(percent >= 0.5):
            colour = "white" if percent[row, column] > 60 else "black"
            axes.text(column, row, f"{percent[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=6)
        axes.set_xticks(places, heads, rotation=0 if max(map(len, heads)) < 3 else 90)
        axes.set_yticks(places, heads)
    panels[0].set_ylabel("label")
    figure.suptitle("% of each label", fontsize="small")
    return figure


@_style()
def recipe_accuracy(
    names: Sequence[str], accuracies: ArrayLike, baseline: str, n_images: int | None, title: str
) -> "Figure":
    """The accuracy of each recipe with its uncertainty, and the baseline's as a red line (paper figure 6).

    A dot is one seed. With several seeds the bar is Student's 95 % interval of the mean: how training varies,
    on these test images. With one it is Wilson's 95 % interval: how the choice of `n_images` test images
    varies, for this one training.

    Args:
        names: the recipes, top to bottom.
        accuracies: recipes x seeds, in 0 ... 1.
        baseline: the recipe to compare with, one of `names`.
        n_images: number of test images; None where they do not count alike: then one seed has no interval.
        title: what was tested on.

    Example:
        >>> table = [[0.90, 0.91, 0.92], [0.93, 0.92, 0.94]]
        >>> figure = recipe_accuracy(["real", "gan@2400"], table, "real", 249, "faxocr")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['real', 'gan@2400']
    """
    table = np.asarray(accuracies, np.float64)
    means = table.mean(axis=1)
    seeds = table.shape[1]
    places = np.arange(len(names))
    figure = _figure(WIDTH, 1.3 + 0.3 * len(names))
    axes = figure.subplots()
    percent = 100 * means
    label = f"{_legible(baseline)}, the baseline"
    axes.axvline(percent[list(names).index(baseline)], color=RED, linewidth=1.2, zorder=1, label=label)
    if seeds > 1:
        spread = np.linspace(0.18, 0.34, seeds)  # below the bar
        dots = axes.scatter(100 * table, places[:, None] + spread, 9, color="0.6", linewidths=0, zorder=2)
        dots.set_label("one seed")
    ends, what = _interval(table, n_images)
    axes.errorbar(percent, places, xerr=ends, fmt="o", color=BLUE, markersize=5, capsize=3).set_label(what)
    low, high = axes.get_xlim()
    axes.set(xlim=(max(low, 0), min(high, 100.5)), ylim=(len(names) - 0.5, -0.5))
    axes.set(xlabel="accuracy (%)", title=_legible(title))
    axes.set_yticks(places, [_legible(name) for name in names])
    axes.grid(axis="x", color="0.9", linewidth=0.8)
    axes.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _interval(table: NDArray[np.float64], n_images: int | None) -> tuple[NDArray[np.float64] | None, str]:
    """2 x recipes: how far, in per cent, the interval reaches below and above the mean of recipes x seeds.

    And its name. None where there is no interval.
    """
    from scipy.stats import binomtest

    seeds = table.shape[1]
    if seeds > 1:
        intervals = [t_interval(values) for values in table]
        what = f"mean and 95 % t interval of {seeds} seeds"
    elif n_images is not None:
        tests = [binomtest(round(value * n_images), n_images) for value in table[:, 0]]
        ends = [test.proportion_ci(method="wilson") for test in tests]
        intervals = [Interval(value, *end) for value, end in zip(table[:, 0], ends, strict=True)]
        what = f"one seed, 95 % Wilson interval for {n_images} images"
    else:
        return None, "one seed"
    return 100 * np.array([[mean - low, high - mean] for mean, low, high in intervals]).T, what


def _inches(text: str) -> float:
    """The width of a label."""
    from matplotlib.textpath import TextPath

    if not text.strip():
        return 0.0
    return float(TextPath((0, 0), text, size=FONT_SIZE).get_extents().width) / 72


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


@cache
def _fonts() -> tuple[tuple[str, Path], ...]:
    """Name and file of those of `FONTS` that are installed."""
    load_matplotlib()
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    names = [name for name in FONTS if name in installed]
    return tuple((name, Path(font_manager.findfont(name))) for name in names)


def _legible(text: str) -> str:
    """`text` with a box for every character that no font at hand can draw.

    Example:
        >>> _legible("a_b $1$ é 𓀀")
        'a_b $1$ é □'
    """
    from matplotlib.font_manager import get_font

    fonts = [get_font(path) for _, path in _fonts()]
    text = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
    known = (char.isprintable() and any(font.get_char_index(ord(char)) for font in fonts) for char in text)
    return "".join(char if drawn else "□" for char, drawn in zip(text, known, strict=True))
