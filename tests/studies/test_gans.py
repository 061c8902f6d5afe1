"""The GANs of several seeds: side by side in processes, or one after another here."""

import errno
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch

from mizumashi.data.images import LabelledImages
from mizumashi.data.split import stratified_split
from mizumashi.errors import InputError, TaskError
from mizumashi.gan import footprint
from mizumashi.gan.config import GanConfig, Precision
from mizumashi.studies.config import StudyConfig
from mizumashi.studies.executors.processes import _raise_again, perform_side_by_side
from mizumashi.studies.executors.worker import _described
from mizumashi.studies.gans import Gans
from mizumashi.studies.plan import Plan
from mizumashi.studies.tasks import GanTask
from mizumashi.utils.progress import Progress, silent

TINY = GanConfig(steps=6, snapshots=(2, 6), batch_size=16, latent_size=8, widths=(4, 8, 8), precision="32-true", seed=3)


@pytest.fixture(scope="module")
def source(blobs: LabelledImages) -> LabelledImages:
    return stratified_split(blobs, 0.5, seed=0)


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mizumashi.studies.gans.at_once", lambda: 2)


@pytest.fixture
def apart(two_cores: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """However short, trainings get processes of their own."""
    monkeypatch.setattr("mizumashi.studies.gans.SHORT", 0.0)


def gans(
    source: LabelledImages, folder: Path, progress: Progress = silent, seeds: int = 2, config: GanConfig = TINY
) -> Gans:
    plan = Plan(source, None, None, StudyConfig(config, seeds=seeds))
    return Gans(plan, folder, "cpu", checkpoint_every=100, tensorboard=False, progress=progress)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if (record.name, record.levelname) == ("mizumashi", "WARNING")]


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
    one += 400 * 2**20  # its process
    monkeypatch.setattr(footprint, "physical_memory", lambda: int(2 * gans_that_fit * one))
    assert len(gans(source, tmp_path).groups[0]) == expected


def test_apart_or_here_a_group_leaves_the_bytes_of_one_thread_each(
    source: LabelledImages,
    tmp_path: Path,
    two_cores: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    precision: Precision,
):
    config, workers, here = replace(TINY, precision=precision), set(), set()

    def watch(task: str, done: int, total: int, note: str) -> None:
        workers.update(child.pid for child in psutil.Process().children())
        here.add(torch.get_num_threads())

    before = torch.get_num_threads()
    gans(source, tmp_path / "here", watch, config=config).make([3, 4])
    assert (workers, here) == (set(), {1})
    warned = [line.replace("/here/", "/apart/") for line in warnings_of(caplog)]
    assert len(warned) == 4  # each collapses twice
    caplog.clear()
    monkeypatch.setattr("mizumashi.studies.gans.SHORT", 0.0)
    gans(source, tmp_path / "apart", watch, config=config).make([3, 4])
    assert len(workers) == 2
    assert sorted(warnings_of(caplog)) == sorted(warned)  # heard from the processes
    torch.set_num_threads(1)
    try:
        for seed in (3, 4):
            gans(source, tmp_path / "alone", config=config).make([seed])
    finally:
        torch.set_num_threads(before)
    assert tree(tmp_path / "here") == tree(tmp_path / "alone")
    assert tree(tmp_path / "apart") == tree(tmp_path / "alone")
    sets = gans(source, tmp_path / "apart").sets(4)
    assert list(sets) == [2, 6]
    assert sets[6].labels.tolist() == source.labels.tolist()


@pytest.mark.parametrize(("precision", "at"), [("bf16-mixed", "GAN, seed 4"), ("32-true", "seed 3: drawing")])
def test_a_stopped_group_loses_no_step_and_goes_on_to_the_same_bytes(
    source: LabelledImages, tmp_path: Path, apart: None, monkeypatch: pytest.MonkeyPatch, precision: Precision, at: str
):
    config = replace(TINY, steps=40, snapshots=(2, 40), precision=precision)

    def stop(task: str, done: int, total: int, note: str) -> None:
        if task == at and done > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gans(source, tmp_path / "stopped", stop, config=config).make([3, 4])
    assert not psutil.Process().children()
    logged = {seed: tmp_path / "stopped" / "runs" / str(seed) / "gan" / "log.jsonl" for seed in (3, 4)}
    steps = {seed: log.read_text().count("discriminator") for seed, log in logged.items() if log.exists()}
    monkeypatch.setattr("mizumashi.studies.gans.SHORT", 1e9)
    first: dict[str, int] = {}
    gans(
        source,
        tmp_path / "stopped",
        lambda task, done, total, note: first.setdefault(task, done) and None,
        config=config,
    ).make([3, 4])
    for seed in (3, 4):
        assert first.get(f"GAN, seed {seed}", 41) == steps.get(seed, 0) + 1
    gans(source, tmp_path / "whole", config=config).make([3, 4])
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


@pytest.mark.parametrize(("precision", "how"), [("32-true", signal.SIGKILL), ("bf16-mixed", signal.SIGTERM)])
def test_a_killed_process_is_named_and_the_others_keep_what_they_have(
    source: LabelledImages, tmp_path: Path, apart: None, precision: Precision, how: signal.Signals
):
    config, heard = replace(TINY, steps=3000, snapshots=(2, 3000), precision=precision), {}

    def kill(task: str, done: int, total: int, note: str) -> None:
        heard[task] = done
        if len(heard) == 2 and heard["GAN, seed 3"] > 2 and heard["GAN, seed 4"] > 2:
            os.kill(_worker_of(tmp_path / "runs" / "3" / ".lock"), how)
            heard["killed"] = 1

    expected = {
        signal.SIGKILL: (TaskError, r"the GAN of seed 3: its process was killed \(SIGKILL\).*the same command goes on"),
        signal.SIGTERM: (KeyboardInterrupt, "the GAN of seed 3: stopped after step .*the same command goes on"),
    }
    kind, message = expected[how]
    with pytest.raises(kind, match=message):
        gans(source, tmp_path, kill, config=config).make([3, 4])
    assert not psutil.Process().children()
    logged = (tmp_path / "runs" / "4" / "gan" / "log.jsonl").read_text().count("discriminator")
    assert heard["GAN, seed 4"] <= logged < 3000
    assert (tmp_path / "runs" / "4" / "gan" / "checkpoint" / "state.safetensors").exists()


def _worker_of(lock: Path) -> int:
    """The process that holds a lock: it says so there."""
    return int(lock.read_text().split()[1])


def test_what_the_user_can_set_right_ends_the_others_and_is_told(source: LabelledImages, tmp_path: Path, apart: None):
    (tmp_path / "runs" / "3" / "gan").mkdir(parents=True)
    (tmp_path / "runs" / "3" / "gan" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new or empty"):
        gans(source, tmp_path).make([3, 4])
    assert not psutil.Process().children()
    assert (tmp_path / "runs" / "3" / "gan" / "letter.txt").read_text() == "mine"


def test_an_error_that_nobody_foresaw_comes_with_its_traceback(source: LabelledImages, tmp_path: Path):
    task = replace(prepared(source, tmp_path), threads=0)
    with pytest.raises(TaskError, match="the GAN of seed 3: RuntimeError: ") as raised:
        perform_side_by_side([task], silent)
    assert "in perform\n" in raised.value.__notes__[0]


@pytest.mark.parametrize(
    "error",
    [
        InputError("found 3; expected 4"),
        FloatingPointError("loss is nan"),
        OSError(errno.ENOSPC, "No space left on device", "runs/3/gan/log.jsonl"),
        KeyboardInterrupt("stopped after step 7 of 9"),
        MemoryError("Unable to allocate 9 GiB"),
    ],
)
def test_known_errors_come_over_as_they_are(source: LabelledImages, tmp_path: Path, error: BaseException):
    with pytest.raises(type(error)) as raised:
        _raise_again(gans(source, tmp_path).task(3, threads=1), json.loads(json.dumps(_described(error))))
    assert str(error) in str(raised.value)
    assert type(raised.value) is type(error)


def test_pytorchs_lack_of_memory_comes_over_as_lack_of_memory(source: LabelledImages, tmp_path: Path):
    error = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
    with pytest.raises(MemoryError, match=r"the GAN of seed 3: .*can't allocate"):
        _raise_again(gans(source, tmp_path).task(3, threads=1), _described(error))


def test_the_last_lines_of_a_process_that_ends_are_told(
    source: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    start = "import sys; print('one', 'two', sep='\\n', file=sys.stderr); sys.exit(7)"
    monkeypatch.setattr("mizumashi.studies.executors.processes._START", start)
    with pytest.raises(TaskError, match=r"seed 3: its process ended with exit code 7; its last lines: one \| two; the"):
        perform_side_by_side([prepared(source, tmp_path)], silent)


def prepared(source: LabelledImages, folder: Path) -> GanTask:
    task = gans(source, folder).task(3, threads=1)
    task.prepare(source.train, [0, 1, 2], source.test.labels)
    return task
