"""A run's folder: taken up again, remade where a file is gone, refused where it is another run's."""

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig, Precision
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import train
from mizumashi.utils.descriptions import differences
from mizumashi.utils.progress import Progress

TINY = GanConfig(steps=6, snapshots=(2, 4, 6), batch_size=16, latent_size=8, widths=(4, 8, 8), precision="32-true")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def send(number: signal.Signals, at: int) -> Progress:
    def progress(task: str, done: int, total: int, note: str) -> None:
        if done == at:
            signal.raise_signal(number)

    return progress


@pytest.fixture
def run(blobs: LabelledImages, tmp_path: Path) -> GanRun:
    return train(blobs, tmp_path / "run", TINY)


@pytest.fixture
def tiny(precision: Precision) -> GanConfig:
    return replace(TINY, precision=precision)


@pytest.fixture
def whole(blobs: LabelledImages, tmp_path: Path, tiny: GanConfig) -> GanRun:
    """A run in each precision."""
    return train(blobs, tmp_path / "whole", tiny)


@pytest.mark.parametrize(
    "name", ["log.jsonl", "snapshots/step-000002.safetensors", "snapshots/step-000006.safetensors"]
)
def test_what_was_deleted_from_a_finished_run_is_remade(
    blobs: LabelledImages, tiny: GanConfig, whole: GanRun, name: str
):
    before = tree(whole.path)
    (whole.path / name).unlink()
    assert not GanRun(whole.path).finished
    again = train(blobs, whole.path, tiny)
    assert again.finished
    assert tree(whole.path) == before


def test_a_run_that_was_killed_between_its_end_and_the_last_removal_is_tidied(
    blobs: LabelledImages, tiny: GanConfig, whole: GanRun
):
    before = tree(whole.path)
    (whole.path / "checkpoint").mkdir()
    (whole.path / "checkpoint" / "state.safetensors").write_bytes(b"left")
    train(blobs, whole.path, tiny)
    assert tree(whole.path) == before


def test_remaking_can_be_stopped_and_goes_on(blobs: LabelledImages, tiny: GanConfig, whole: GanRun):
    before = tree(whole.path)
    (whole.path / "snapshots" / "step-000002.safetensors").unlink()
    with pytest.raises(KeyboardInterrupt):
        train(blobs, whole.path, tiny, progress=send(signal.SIGINT, at=3))
    assert not GanRun(whole.path).finished  # though all three snapshots are there
    train(blobs, whole.path, tiny)
    assert tree(whole.path) == before


@pytest.mark.parametrize("name", ["log.jsonl", "snapshots/step-000002.safetensors"])
def test_an_unfinished_run_that_lost_a_file_still_ends_complete(
    blobs: LabelledImages, tiny: GanConfig, whole: GanRun, tmp_path: Path, name: str
):
    with pytest.raises(KeyboardInterrupt):
        train(blobs, tmp_path / "stopped", tiny, progress=send(signal.SIGINT, at=3))
    (tmp_path / "stopped" / name).unlink()
    assert train(blobs, tmp_path / "stopped", tiny).finished
    assert tree(tmp_path / "stopped") == tree(whole.path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda log: log.unlink(), r"found no .*log\.jsonl; expected the losses of every step; train into .*run again"),
        (lambda log: log.write_text("{}"), r"log\.jsonl: found a damaged .*; remove it, and train into .*run again"),
        (
            lambda log: log.write_text(log.read_text().splitlines()[0]),
            r"log\.jsonl: found 1 steps; expected 6; .* remove it, and train into .*run again",
        ),
    ],
    ids=["missing", "damaged", "short"],
)
def test_a_log_that_is_missing_or_damaged_says_so(run: GanRun, spoil: Callable[[Path], object], message: str):
    spoil(run.path / "log.jsonl")
    with pytest.raises(InputError, match=message):
        GanRun(run.path).losses()


def test_a_run_without_snapshots_says_so_and_not_step_none(run: GanRun):
    for path in (run.path / "snapshots").iterdir():
        path.unlink()
    for step in (None, 2):
        with pytest.raises(InputError, match=r"found no snapshot in .*; expected at least one; train into"):
            run.snapshot(step)


def test_the_same_images_under_another_name_are_the_same_run(blobs: LabelledImages, run: GanRun):
    before = tree(run.path)
    train(blobs.renamed("moved"), run.path, TINY)
    assert tree(run.path) == before
    other = replace(blobs, images=255 - blobs.images, name="negatives")
    with pytest.raises(InputError, match=r"images\.name is 'blobs' there and 'negatives' here; images\.sha256 is"):
        train(other, run.path, TINY)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_last_step_stops_the_caller_after_the_run_is_finished(
    blobs: LabelledImages, tiny: GanConfig, whole: GanRun, tmp_path: Path, number: signal.Signals
):
    with pytest.raises(KeyboardInterrupt, match=r"stopped after step 6, the last; the GAN in .*again is finished"):
        train(blobs, tmp_path / "again", tiny, progress=send(number, at=6))
    assert tree(tmp_path / "again") == tree(whole.path)


def test_a_closed_terminal_stops_a_run_unless_hangups_are_ignored(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path
):
    before = signal.getsignal(signal.SIGHUP)
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        assert train(blobs, tmp_path / "nohup", tiny, progress=send(signal.SIGHUP, at=3)).finished
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with pytest.raises(KeyboardInterrupt, match="stopped after step 3 of 6; the same command goes on"):
            train(blobs, tmp_path / "terminal", tiny, progress=send(signal.SIGHUP, at=3))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_differences_go_through_nested_descriptions_both_ways():
    there = {"format": 1, "gan": {"seed": 0, "widths": [4, 8]}, "images": {"name": "a", "count": 3}, "old": None}
    here = {"format": 1, "gan": {"seed": 0, "widths": [4, 9]}, "images": {"name": "b", "count": 3}, "new": None}
    assert differences(there, here) == [
        "gan.widths is [4, 8] there and [4, 9] here",
        "images.name is 'a' there and 'b' here",
        "new is missing there and None here",
        "old is None there and missing here",
    ]
    assert differences(there, here, ignore=("images.name", "gan", "new", "old")) == []
    assert differences(there, here, ignore=("name", "images.count"))[1] == "images.name is 'a' there and 'b' here"
    assert differences({"gan": 3}, {"gan": {}}) == ["gan is 3 there and {} here"]


def test_a_card_says_which_images_seeds_and_stage_made_a_set(blobs: LabelledImages, run: GanRun, tmp_path: Path):
    origin = run.origin(4, seed=7)
    facts = dict(origin.facts)
    assert origin.title == "gan@4 of blobs"
    assert facts["real images"] == "blobs: 240 images of 16 x 16 pixels"
    assert facts["SHA-256 of the real images' contents"] == blobs.content_hash()
    assert (facts["seed of the GAN"], facts["seed of the drawing"]) == ("0", "7")
    assert facts["stage"] == "step 4 of 6"
    assert str(tmp_path) not in str(origin)
    shares = run.variation()[4]
    (score,) = origin.scores
    assert f"{min(shares):.2f} to {max(shares):.2f}" in score
    (run.path / "log.jsonl").unlink()
    assert run.origin().scores == ()
    with pytest.raises(InputError, match="found no snapshot at step 5"):
        run.origin(5)
