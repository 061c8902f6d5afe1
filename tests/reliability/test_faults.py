"""Every write, flush, rename, mkdir and unlink fails: one line, nothing half, and the next run ends as it should."""

import contextlib
import errno
import json
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from crash import is_leftover, unlike
from faults import FaultyFiles, unflushed, watched
from processes import Moments, contents_of, hashed, recorded

import mizumashi.studies.classifiers
import mizumashi.studies.measures
from mizumashi.cli.main import main
from mizumashi.data.images import LabelledImages
from mizumashi.data.writers import write_images

SMALL = ("--batch-size", "16", "--latent-size", "8", "--widths", "4", "8", "8", "--accelerator", "cpu")
TINY = (*SMALL, "--precision", "32-true")
SIX_STEPS = (*TINY, "--steps", "6", "--snapshots", "3", "6", "--checkpoint-every", "2")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
FORMATS = ("idx", "idx.gz", "folder", "npz")


def write_tree(tree: dict[str, bytes], folder: Path) -> None:
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


@dataclass
class Trial:
    """A command, run in this process in a folder of its own, and what it does undisturbed.

    Args:
        arguments: the command's.
        folder: where it works; emptied before each run.
        calls: how many calls change files.
        tree: what it leaves.
        moments: every content of every file.
    """

    arguments: tuple[str, ...]
    folder: Path
    calls: int
    tree: dict[str, bytes]
    moments: Moments


@contextlib.contextmanager
def in_new_folder(folder: Path) -> Iterator[None]:
    """Work in an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with contextlib.chdir(folder):
        yield


def trial_of(arguments: Iterable[str], folder: Path) -> Trial:
    """Run a command undisturbed; a power cut at any moment would have lost nothing that had its final name."""
    record = folder.with_name(f"{folder.name}.moments")
    with in_new_folder(folder), watched(FaultyFiles(folder)) as files, recorded(record):
        assert main(list(arguments)) == 0
    assert unflushed(files.calls) == []
    return Trial(
        tuple(arguments), folder, len(files.calls), contents_of(folder), json.loads(record.read_text())["moments"]
    )


def wrong_after(trial: Trial, at: int, error: int, lasting: bool, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Let one call fail, or all from it on, then run the command again; gives what was not as it should be."""
    with in_new_folder(trial.folder):
        with watched(FaultyFiles(trial.folder, at, error, lasting)) as files:
            code = main(trial.arguments)
        said = capsys.readouterr().err.splitlines()
        lines = [line for line in said if line.startswith("mizumashi: ")]
        wrong = []
        if code == 0:  # what failed was to remove something, which the next run does
            wrong += [f"exit code 0, and {line}" for line in unlike(kept(contents_of(trial.folder)), trial.tree)]
        elif code not in (1, 2) or lines != said[-1:]:
            wrong.append(f"exit code {code}, saying {said}")
        for name, content in kept(contents_of(trial.folder)).items():
            if Path(name).is_file() and hashed(content) not in trial.moments.get(name, {}):
                wrong.append(f"{name} has {len(content)} bytes that no undisturbed run has there")
        again = main(trial.arguments)
        said = capsys.readouterr().err.splitlines()
        if again != 0 and not (again == 2 and trial.arguments[0] == "generate"):  # a set is never overwritten
            wrong.append(f"then exit code {again}, saying {said}")
        wrong += [f"then {line}" for line in unlike(contents_of(trial.folder), trial.tree)]
    how = "from" if lasting else "at"
    return [f"{os.strerror(error)} {how} call {at}, {files.calls[at]}: {line}" for line in wrong]


def kept(tree: dict[str, bytes]) -> dict[str, bytes]:
    """Without what a failing run may leave for the next to remove."""
    return {
        name: content
        for name, content in tree.items()
        if not is_leftover(name) and "checkpoint" not in Path(name).parts
    }


def sweep(trial: Trial, capsys: pytest.CaptureFixture[str], every: int = 1, lasting: bool = False) -> str:
    """Let every call fail in turn, or every third, ..., with the errors in turn; gives what was wrong, line by line."""
    numbers = enumerate(range(0, trial.calls, every))
    wrong = [wrong_after(trial, at, ERRORS[turn % len(ERRORS)], lasting, capsys) for turn, at in numbers]
    return "\n".join(line for lines in wrong for line in lines)


def wrong_after_stop(trial: Trial, at: int, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Let Ctrl-C come at one call, then run the command again; gives what was not as the one line said."""
    with in_new_folder(trial.folder):
        files = FaultyFiles(trial.folder, at, fail=lambda _: signal.raise_signal(signal.SIGINT))
        with watched(files):
            code = main(trial.arguments)
        said = capsys.readouterr().err.splitlines()
        wrong = []
        if code != 130 or [line for line in said if line.startswith("mizumashi: ")] != said[-1:]:
            wrong.append(f"exit code {code}, saying {said}")
        left = contents_of(trial.folder)
        if left and "nothing was written" in said[-1]:
            wrong.append(f"{said[-1]!r}, and {sorted(left)} are there")
        again = main(trial.arguments)
        said = capsys.readouterr().err.splitlines()
        if again != 0 and not (again == 2 and trial.arguments[0] == "generate" and kept(left)):
            wrong.append(f"then exit code {again}, saying {said}")
        wrong += [f"then {line}" for line in unlike(contents_of(trial.folder), trial.tree)]
    return [f"Ctrl-C at call {at}, {files.calls[at]}: {line}" for line in wrong]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are slower with more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def images(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(blobs, tmp_path_factory.mktemp("sets") / "blobs", "npz")


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return trial_of(("train", str(images), "--out", "run", *SIX_STEPS), tmp_path_factory.mktemp("train") / "work")


@pytest.fixture(scope="module")
def drawn(trained: Trial, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trial]:
    """A set of six images in each format."""
    home = tmp_path_factory.mktemp("generate")
    write_tree(trained.tree, home)
    command = ("generate", str(home / "run"), "--out", "set", "--count", "6", "--format")
    return {format: trial_of((*command, format), home / format) for format in FORMATS}


def test_training_goes_on_to_the_same_bytes_after_a_failing_call(trained: Trial, capsys: pytest.CaptureFixture[str]):
    assert sweep(trained, capsys, every=16) == ""


@pytest.mark.parametrize("format", ["idx", "npz"])
def test_a_set_is_whole_or_not_there_after_a_failing_call(
    drawn: dict[str, Trial], format: str, capsys: pytest.CaptureFixture[str]
):
    assert sweep(drawn[format], capsys, every=2) == ""


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C works, even in tests that a shell has put into the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("format", ["idx", "npz"])
def test_a_stop_at_any_call_says_truly_what_it_leaves(
    drawn: dict[str, Trial], format: str, capsys: pytest.CaptureFixture[str]
):
    trial = drawn[format]
    wrong = [line for at in range(trial.calls) for line in wrong_after_stop(trial, at, capsys)]
    assert "\n".join(wrong) == ""


@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
def test_a_stop_at_any_call_of_training_goes_on_to_the_same_bytes(trained: Trial, capsys: pytest.CaptureFixture[str]):
    wrong = [line for at in range(trained.calls) for line in wrong_after_stop(trained, at, capsys)]
    assert "\n".join(wrong) == ""


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
def test_training_goes_on_to_the_same_bytes_whichever_call_fails(
    trained: Trial, lasting: bool, capsys: pytest.CaptureFixture[str]
):
    assert sweep(trained, capsys, lasting=lasting) == ""


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True])
@pytest.mark.parametrize("format", FORMATS)
def test_a_set_is_whole_or_not_there_whichever_call_fails(
    drawn: dict[str, Trial], format: str, lasting: bool, capsys: pytest.CaptureFixture[str]
):
    assert sweep(drawn[format], capsys, lasting=lasting) == ""


@pytest.fixture
def known_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a study computes apart from the GAN and the sets is computed once, and figures are drawn small.

    What is written, and how, stays as it is.
    """
    known: dict[Any, Any] = {}

    def once(module: Any, name: str, key: Any) -> None:
        real = getattr(module, name)

        def look_up(*arguments: Any, **options: Any) -> Any:
            place = name, key(*arguments)
            if place not in known:
                known[place] = real(*arguments, **options)
            return known[place]

        monkeypatch.setattr(module, name, look_up)

    def images_of(*arguments: Any) -> Any:
        return tuple(each.tobytes() for each in arguments if isinstance(each, np.ndarray))

    once(mizumashi.studies.classifiers, "train_softmax", lambda sets, *_: tuple(each.content_hash() for each in sets))
    for name in ("two_sample_accuracy", "copies", "shared_map"):
        once(mizumashi.studies.measures, name, images_of)

    monkeypatch.setattr("mizumashi.report.figures.drawn", lambda _: {"png": b"a picture", "svg": b"a drawing"})


@pytest.mark.slow
def test_a_study_goes_on_to_the_same_bytes_whichever_call_fails(
    images: Path, tmp_path: Path, known_results: None, capsys: pytest.CaptureFixture[str]
):
    steps = ("--steps", "4", "--snapshots", "4", "--checkpoint-every", "2")
    trial = trial_of(("study", str(images), "--out", "study", *TINY, *steps), tmp_path / "work")
    assert sweep(trial, capsys) == ""
