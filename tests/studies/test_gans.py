"""The GANs of several seeds, side by side."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from mizumashi.data.images import LabelledImages
from mizumashi.data.split import stratified_split
from mizumashi.errors import InputError
from mizumashi.gan import footprint
from mizumashi.gan.config import GanConfig
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import train
from mizumashi.progress import Progress, silent
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.gans import Gans
from mizumashi.studies.plan import Plan

TINY = GanConfig(steps=6, snapshots=(2, 6), batch_size=16, latent_size=8, widths=(4, 8, 8), precision="32-true", seed=3)


@pytest.fixture(scope="module")
def source(blobs: LabelledImages) -> LabelledImages:
    return stratified_split(blobs, 0.5, seed=0)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("side_by_side", "studies.gans"):
        monkeypatch.setattr(f"mizumashi.{place}.at_once", lambda: 2)


def gans(source: LabelledImages, folder: Path, progress: Progress = silent, seeds: int = 2) -> Gans:
    plan = Plan(source, None, None, StudyConfig(TINY, seeds=seeds))
    return Gans(plan, folder, "cpu", checkpoint_every=100, tensorboard=False, progress=progress)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_as_many_seeds_form_a_group_as_there_are_cores(
    source: LabelledImages, tmp_path: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch
):
    five = gans(source, tmp_path, seeds=5)
    assert five.groups == [[3, 4], [5, 6], [7]]
    monkeypatch.setattr("mizumashi.studies.gans.device_of", lambda accelerator: torch.device("cuda"))
    assert five.groups == [[3], [4], [5], [6], [7]]


@pytest.mark.parametrize(("gans_that_fit", "expected"), [(1.9, 1), (2.1, 2), (0.4, 1)])
def test_where_memory_is_short_fewer_train_at_once(
    source: LabelledImages,
    tmp_path: Path,
    two_cores: None,
    monkeypatch: pytest.MonkeyPatch,
    gans_that_fit: float,
    expected: int,
):
    shape = footprint.Shape(16, 1, 3, TINY.latent_size, TINY.widths)
    one = footprint.training_bytes(shape, TINY.batch_size, TINY.precision) + source.train.images.nbytes
    monkeypatch.setattr(footprint, "physical_memory", lambda: int(2 * gans_that_fit * one))
    assert len(gans(source, tmp_path).groups[0]) == expected


def test_a_group_trains_at_the_same_time_to_the_bytes_that_each_has_alone(
    source: LabelledImages, tmp_path: Path, two_cores: None, monkeypatch: pytest.MonkeyPatch
):
    meeting, threads = threading.Barrier(2, timeout=60), set()

    def train_together(*arguments: Any, **options: Any) -> GanRun:
        meeting.wait()  # broken unless both are here at once
        threads.add(torch.get_num_threads())
        return train(*arguments, **options)

    monkeypatch.setattr("mizumashi.studies.gans.train", train_together)
    gans(source, tmp_path / "both").make([3, 4])
    assert threads == {1}
    monkeypatch.undo()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for seed in (3, 4):
            gans(source, tmp_path / "alone").make([seed])
    finally:
        torch.set_num_threads(before)
    assert tree(tmp_path / "both") == tree(tmp_path / "alone")
    sets = gans(source, tmp_path / "both").sets(4)
    assert list(sets) == [2, 6]
    assert sets[6].labels.tolist() == source.labels.tolist()


@pytest.mark.parametrize("at", ["GAN, seed 4", "seed 3: drawing"])
def test_a_stopped_group_loses_no_step_and_goes_on_to_the_same_bytes(
    source: LabelledImages, tmp_path: Path, two_cores: None, at: str
):
    last: dict[str, int] = {}

    def stop(task: str, done: int, total: int, note: str) -> None:
        last[task] = done
        if task == at and done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gans(source, tmp_path / "stopped", stop).make([3, 4])
    first: dict[str, int] = {}
    gans(source, tmp_path / "stopped", lambda task, done, total, note: first.setdefault(task, done) and None).make(
        [3, 4]
    )
    for seed in (3, 4):
        done = last.get(f"GAN, seed {seed}", 0)
        assert first.get(f"GAN, seed {seed}", 7) in (done + 1, done + 2)  # it may have done one more, unheard
    gans(source, tmp_path / "whole").make([3, 4])
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def test_a_fault_in_one_ends_the_others_and_is_told(source: LabelledImages, tmp_path: Path, two_cores: None):
    (tmp_path / "runs" / "3" / "gan").mkdir(parents=True)
    (tmp_path / "runs" / "3" / "gan" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new or empty"):
        gans(source, tmp_path).make([3, 4])
    assert (tmp_path / "runs" / "3" / "gan" / "letter.txt").read_text() == "mine"
