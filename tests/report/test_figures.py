import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from mizumashi.errors import InputError
from mizumashi.metrics.tsne import SharedMap
from mizumashi.report import figures

RECIPES = [
    "real",
    *(f"gan@{step}" for step in (300, 600, 1200, 2400)),
    *(f"real+gan@{step}" for step in (300, 600, 1200, 2400)),
]


def save(figure: Figure, path: Path) -> None:
    for suffix, content in figures.drawn(figure).items():
        path.with_name(f"{path.name}.{suffix}").write_bytes(content)


def random_table(seeds: int) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(0.5, 0.9, (len(RECIPES), seeds))


def random_images(count: int, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape)).astype(np.uint8)


def random_losses() -> dict[str, dict[str, NDArray[np.float64]]]:
    values = np.random.default_rng(0).uniform(0, 3, (2, 3, 200))
    return {
        network: {f"seed {seed}": curve for seed, curve in enumerate(curves)}
        for network, curves in zip(("generator", "discriminator"), values, strict=True)
    }


def random_map() -> SharedMap:
    random = np.random.default_rng(0)
    others = {f"gan@{step}": random.normal(step / 100, 1, (20, 2)) for step in (300, 600, 1200, 2400)}
    return SharedMap(random.normal(0, 1, (30, 2)), others)


FIGURES: dict[str, Callable[[], Figure]] = {
    "losses": lambda: figures.loss_curves(random_losses(), {"generator": 0.7}),
    "rows": lambda: figures.image_rows([("mnist", random_images(4, (8, 8, 1)))], ["cat", "dog"], 2),
    "map": lambda: figures.embedding_panels(random_map()),
    "confusion": lambda: figures.confusion_panels({"real": 9 * np.eye(3), "gan@4": np.ones((3, 3))}, ["a", "b", "c"]),
    "recipes": lambda: figures.recipe_accuracy(RECIPES, random_table(5), "real", 249, "faxocr"),
}


def texts(labels: list[Text]) -> list[str]:
    return [label.get_text() for label in labels]


def require_apart(figure: Figure, labels: list[Text]) -> None:
    """Neighbouring labels do not touch, and all are inside the figure."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    boxes = [label.get_window_extent(renderer) for label in labels]
    assert len(boxes) > 1
    for box, following in pairwise(boxes):
        assert not box.overlaps(following)
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)


# Losses


def test_every_run_is_drawn_as_it_is() -> None:
    losses = random_losses()
    axes = figures.loss_curves(losses).axes[0]
    thin = [line for line in axes.lines if line.get_linewidth() < 1]
    curves = [curve for runs in losses.values() for curve in runs.values()]
    for line, curve in zip(thin, curves, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, 201))
        np.testing.assert_array_equal(line.get_ydata(), curve)


def test_the_thick_line_is_the_smoothed_median_of_the_runs() -> None:
    runs = {"a": np.full(300, 1.0), "b": np.full(300, 2.0), "c": np.full(250, 9.0)}
    runs["b"][100] = 50  # one spike of one run moves neither the median of three nor a running median
    axes = figures.loss_curves({"generator": runs}).axes[0]
    (thick,) = [line for line in axes.lines if line.get_label() == "generator"]
    np.testing.assert_array_equal(thick.get_ydata(), np.full(250, 2.0))


def test_the_equilibrium_is_dashed_where_it_is_given() -> None:
    axes = figures.loss_curves(random_losses(), {"discriminator": 2 * np.log(2)}).axes[0]
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [pytest.approx(1.386, abs=1e-3)]
    assert dashed[0].get_label() == "discriminator at equilibrium, 1.386"


def test_a_spike_is_cut_off_and_named() -> None:
    losses = random_losses()
    losses["generator"]["seed 0"][7] = 321
    axes = figures.loss_curves(losses).axes[0]
    assert axes.get_title(loc="right") == "spikes beyond the axis reach 321"
    assert axes.get_ylim()[1] < 4
    assert figures.loss_curves(random_losses()).axes[0].get_title(loc="right") == ""


# Images


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 8, 3), (6, 12, 1)])
def test_images_are_shown_unchanged_under_their_heads(shape: tuple[int, int, int]) -> None:
    sets = [(name, random_images(6, shape, seed)) for seed, name in enumerate(("300 steps", "mnist"))]
    axes = figures.image_rows(sets, ["cat", "dog", "owl"], 2).axes[0]
    assert texts(axes.get_yticklabels()) == ["300 steps", "mnist"]
    assert texts(axes.get_xticklabels()) == ["cat", "dog", "owl"]
    given = [(row, column) for row in range(2) for column in range(6)]
    for shown, (row, column) in zip(axes.images, given, strict=True):
        pixels = sets[row][1][column]
        np.testing.assert_array_equal(shown.get_array(), pixels[..., 0] if shape[2] == 1 else pixels)
        assert shown.get_clim() == (0, 255)
        left, right, bottom, top = shown.get_extent()
        assert top < axes.get_yticks()[row] < bottom
        assert (bottom - top) / (right - left) == pytest.approx(shape[0] / shape[1])
        centre = axes.get_xticks()[column // 2]
        assert (right < centre) if column % 2 == 0 else (left > centre)


def test_grey_and_colour_of_different_sizes_go_into_one_figure(tmp_path: Path) -> None:
    sets = [("grey", random_images(2, (8, 8, 1))), ("colour", random_images(2, (10, 16, 3)))]
    figure = figures.image_rows(sets, ["cat", "dog"], 1)
    save(figure, tmp_path / "rows")
    assert [shown.get_array().shape for shown in figure.axes[0].images] == [(8, 8)] * 2 + [(10, 16, 3)] * 2


@pytest.mark.parametrize(("word", "per_class"), [("class_", 2), ("a remarkably long name of class ", 1)])
def test_heads_of_twenty_classes_do_not_touch(word: str, per_class: int) -> None:
    names = [f"{word}{label}" for label in range(20)]
    figure = figures.image_rows([("real", random_images(20 * per_class, (8, 8, 1)))], names, per_class)
    heads = figure.axes[0].get_xticklabels()
    if heads[0].get_rotation() == 0:
        require_apart(figure, heads)
    else:  # parallel slanted lines: their distance is what counts
        height = 1.2 * heads[0].get_fontsize() / 72
        FigureCanvasAgg(figure).draw()
        xs = [figure.axes[0].transData.transform((x, 0))[0] for x in figure.axes[0].get_xticks()]
        assert np.diff(xs).min() / figure.dpi * np.sin(np.radians(60)) > height
    assert max(map(len, texts(heads))) <= figures.LONGEST_NAME


def test_an_incomplete_row_is_refused() -> None:
    with pytest.raises(InputError, match="gan@300: found 5 images for 3 classes; expected 2 of each class"):
        figures.image_rows([("gan@300", random_images(5, (8, 8, 1)))], ["cat", "dog", "owl"], 2)


# Map


@pytest.mark.parametrize("count", [1, 4, 5])
def test_each_set_has_a_panel_with_the_reference(count: int) -> None:
    random = np.random.default_rng(0)
    others = {f"gan@{step}": random.normal(step, 1, (20, 2)) for step in range(count)}
    positions = SharedMap(random.normal(0, 1, (30, 2)), others)
    panels = figures.embedding_panels(positions).axes
    assert [axes.get_title() for axes in panels] == list(others)
    for axes, points in zip(panels, others.values(), strict=True):
        real, generated = (artist for artist in axes.collections if isinstance(artist, PathCollection))
        np.testing.assert_array_equal(real.get_offsets(), positions.reference)
        np.testing.assert_array_equal(generated.get_offsets(), points)
        assert axes.viewLim.bounds == panels[0].viewLim.bounds
        everything = np.concatenate([positions.reference, *others.values()])
        assert axes.viewLim.x0 < everything[:, 0].min()
        assert axes.viewLim.x1 > everything[:, 0].max()


def test_the_map_names_its_markers() -> None:
    (legend,) = FIGURES["map"]().legends
    assert texts(legend.get_texts()) == ["real", "generated"]


# Recipes


def bars(axes: Axes) -> NDArray[np.float64]:
    """Recipes x 2: the ends of the error bars."""
    (collection,) = [artist for artist in axes.collections if isinstance(artist, LineCollection)]
    return np.array([segment[:, 0] for segment in collection.get_segments()])


def test_bars_of_several_seeds_are_students_interval() -> None:
    table = random_table(5)
    axes = figures.recipe_accuracy(RECIPES, table, "gan@600", 249, "faxocr").axes[0]
    expected = [stats.ttest_1samp(row, 0).confidence_interval(0.95) for row in 100 * table]
    np.testing.assert_allclose(bars(axes), expected)
    (dots,) = [artist for artist in axes.collections if isinstance(artist, PathCollection)]
    offsets = np.asarray(dots.get_offsets()).reshape(*table.shape, 2)
    np.testing.assert_allclose(offsets[..., 0], 100 * table)
    np.testing.assert_array_equal(np.rint(offsets[..., 1]), np.arange(len(RECIPES))[:, None].repeat(5, 1))
    baseline = axes.lines[0]
    assert (baseline.get_color(), baseline.get_xdata()[0]) == (figures.RED, pytest.approx(100 * table[2].mean()))


def test_bars_of_one_seed_are_wilsons_interval() -> None:
    correct = np.array([170, 249, 0])
    figure = figures.recipe_accuracy(RECIPES[:3], correct[:, None] / 249, "real", 249, "faxocr")
    z, p, n = stats.norm.ppf(0.975), correct / 249, 249
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = np.stack([p + z**2 / (2 * n) - half, p + z**2 / (2 * n) + half], axis=1) / (1 + z**2 / n)
    np.testing.assert_allclose(bars(figure.axes[0]), 100 * expected, atol=1e-9)
    assert "one seed, 95 % Wilson interval for 249 images" in texts(figure.legends[0].get_texts())


def test_one_seed_has_no_bar_where_images_do_not_count_alike() -> None:
    figure = figures.recipe_accuracy(["real", "gan@300"], [[0.9], [0.8]], "real", None, "faxocr, every class alike")
    assert not [artist for artist in figure.axes[0].collections if isinstance(artist, LineCollection)]
    assert texts(figure.legends[0].get_texts()) == ["real, the baseline", "one seed"]


def test_seeds_that_agree_have_no_bar() -> None:
    axes = figures.recipe_accuracy(["real", "gan@300"], np.full((2, 3), 0.5), "real", 249, "faxocr").axes[0]
    np.testing.assert_array_equal(bars(axes), np.full((2, 2), 50.0))


def test_the_axis_ends_where_accuracy_does() -> None:
    table = [[1.0, 0.6], [0.1, 0.3]]  # intervals of two seeds are wide
    low, high = figures.recipe_accuracy(["real", "gan@300"], table, "real", 249, "faxocr").axes[0].get_xlim()
    assert 0 <= low < 10
    assert 100 <= high < 101


def test_recipe_names_do_not_touch() -> None:
    figure = FIGURES["recipes"]()
    assert texts(figure.axes[0].get_yticklabels()) == RECIPES
    require_apart(figure, figure.axes[0].get_yticklabels())


# All


@pytest.mark.parametrize("name", FIGURES)
def test_files_are_whole_and_deterministic(name: str, tmp_path: Path) -> None:
    figure = FIGURES[name]()
    for path in (tmp_path / "gan@2400.5", tmp_path / "again"):
        save(figure, path)
    with mpl.rc_context(
        {"font.size": 30, "lines.linewidth": 9, "svg.hashsalt": None}
    ):  # a user's taste changes nothing
        save(FIGURES[name](), tmp_path / "anew")
    kinds = ("png", "svg")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{stem}.{kind}" for stem in ("gan@2400.5", "again", "anew") for kind in kinds
    }
    for kind in kinds:
        content = (tmp_path / f"gan@2400.5.{kind}").read_bytes()
        assert content == (tmp_path / f"again.{kind}").read_bytes()
        assert content == (tmp_path / f"anew.{kind}").read_bytes()
    assert ElementTree.parse(tmp_path / "again.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"
    with Image.open(tmp_path / "again.png") as image:
        assert image.info["dpi"] == pytest.approx((150, 150), abs=0.1)
        assert np.ptp(np.asarray(image.convert("L"))) > 200


def test_awkward_names_are_drawn_as_they_are(tmp_path: Path) -> None:
    names = ["a_b", "$x$", "$", "猫", "\udc80\n𓀀", "<&>", "", "\\frac"]
    figure = figures.image_rows([("水増し_$1$", random_images(8, (8, 8, 1)))], names, 1)
    save(figure, tmp_path / "names")
    heads = texts(figure.axes[0].get_xticklabels())
    assert [heads[place] for place in (0, 1, 2, 4, 5, 6, 7)] == ["a_b", "$x$", "$", "class 4", "<&>", "", "\\frac"]
    assert heads[3] in ("猫", "class 3")
    assert not any(label.get_parse_math() for label in figure.axes[0].get_xticklabels())
    save(figures.recipe_accuracy(names, np.ones((8, 2)) / 3, "猫", 9, "$_{"), tmp_path / "recipes")
    save(figures.embedding_panels(SharedMap(np.eye(2), {"$_猫": np.eye(2)})), tmp_path / "map")
    save(figures.loss_curves({"$_猫": {"a": [1, 2]}}, {"$_猫": 1}), tmp_path / "losses")
    markup = ["--><script>a()</script>", "]]>", "]]>&x;", "$\\frac{$"]
    save(figures.confusion_panels({markup[0]: np.eye(4)}, markup), tmp_path / "confusion")
    for drawing in tmp_path.glob("*.svg"):
        assert not any(each.tag.endswith("script") for each in ElementTree.parse(drawing).iter())


def test_settings_stay_and_pyplot_is_not_imported() -> None:
    before = dict(mpl.rcParams)
    FIGURES["recipes"]()
    assert dict(mpl.rcParams) == before
    code = (
        "import sys; from mizumashi.report import figures; assert 'matplotlib' not in sys.modules;"
        "figures.recipe_accuracy(['real'], [[0.5]], 'real', 9, ''); assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_in_the_current_folder_are_not_read(tmp_path: Path):
    (tmp_path / "matplotlibrc").write_text("figure.dpi: 7\nno.such.key: 1\n")
    script = "from mizumashi.report.figures import load_matplotlib as load; load(); import matplotlib as m; "
    script += "print(m.rcParams['figure.dpi'])"
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (ended.stdout.strip(), ended.stderr) == ("100.0", "")
