"""The curves of report.html stand where the losses say."""

import re

import numpy as np
import pytest

from mizumashi.report.curves import MOST_POINTS, chart


def test_a_straight_line_of_losses_is_a_straight_line_from_corner_to_corner():
    found = chart({"generator": [np.linspace(0, 4, 4000)]}, {})
    (curve,) = found.curves
    places = np.array([[float(number) for number in pair.split(",")] for pair in curve.line.split()])
    assert len(places) == MOST_POINTS
    assert found.steps == 4000 / MOST_POINTS
    slopes = np.diff(places[:, 1]) / np.diff(places[:, 0])
    wanted = -(found.bottom - found.top) / (found.right - found.left)
    assert np.polyfit(*places.T, 1)[0] == pytest.approx(wanted, rel=0.01)
    assert (slopes < 0).all()
    assert [text for _, text in found.y_ticks] == ["0", "1", "2", "3", "4"]
    assert found.y_ticks[0][0] == pytest.approx(found.bottom)
    assert found.y_ticks[-1][0] == pytest.approx(found.top)


def test_a_spike_of_one_run_moves_neither_the_line_nor_the_axis():
    quiet = [np.full(1000, 1.0) + np.arange(1000) % 2 for _ in range(12)]
    loud = [run.copy() for run in quiet]
    loud[3][500] = 1e6
    assert chart({"generator": loud}, {}) == chart({"generator": quiet}, {})


def test_the_band_holds_the_middle_of_the_runs():
    runs = [np.full(50, float(level)) for level in range(11)]
    found = chart({"generator": runs}, {})
    heights = [float(number) for number in re.findall(r",([\d.]+)", found.curves[0].band)]
    ticks = {text: place for place, text in found.y_ticks}
    unit = (ticks["0"] - ticks["5"]) / 5 if "5" in ticks else (ticks["0"] - ticks["2"]) / 2
    low, high = ticks["0"] - 1 * unit, ticks["0"] - 9 * unit  # the 10th and 90th percentile of 0 ... 10
    assert sorted(set(np.round(heights))) == [round(high), round(low)]


def test_one_step_and_runs_of_different_length_are_drawn():
    assert chart({"generator": [np.ones(1)]}, {}).curves[0].line.count(",") == 1
    assert chart({"generator": [np.ones(10), np.ones(7)]}, {}).curves[0].line.count(",") == 7


def test_the_loss_at_which_the_discriminator_cannot_tell_has_its_height_on_the_axis():
    found = chart({"generator": [np.linspace(1, 3, 100)]}, {"generator": 0.0})
    (curve,) = found.curves
    assert curve.equilibrium == (0.0, {text: place for place, text in found.y_ticks}["0"])
    assert (
        chart({"generator": [np.ones(9)], "discriminator": [np.ones(9)]}, {"generator": 1}).curves[1].equilibrium
        is None
    )
