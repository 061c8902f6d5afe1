"""A study that somebody else sent: nothing in it is run, and what it was made from is checked."""

import json
import os
import shutil
import signal
import socket
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save

from mizumashi.api import training_set
from mizumashi.cli.main import main
from mizumashi.errors import InputError
from mizumashi.gan.run import GanRun
from mizumashi.report.data import ReportData
from mizumashi.studies.results import StudyResult


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def plant(study: Path, classifier: str) -> None:
    """Let the study's files name one more classifier, with cells of its own."""

    def in_results(results: dict[str, Any]) -> None:
        results["plan"]["classifiers"].append({"name": classifier})
        others = {cell["key"]: cell["key"][::-1] for cell in results["cells"]}
        results["cells"] += [cell | {"classifier": classifier, "key": others[cell["key"]]} for cell in results["cells"]]
        for key, other in others.items():
            for suffix in ("json", "npz"):
                shutil.copy(study / "cells" / f"{key}.{suffix}", study / "cells" / f"{other}.{suffix}")

    edit(study / "results.json", in_results)
    edit(study / "plan.json", lambda plan: plan["classifiers"].append({"name": classifier}))


@pytest.fixture
def trap(received: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module in the study's folder that leaves a file when it is imported; the current folder is the study's."""
    (received / "study" / "notes.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('RAN').touch()\n"
        "from sklearn.naive_bayes import GaussianNB as model\n"
    )
    monkeypatch.chdir(received / "study")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return received / "study" / "RAN"


@pytest.mark.parametrize(
    ("classifier", "command"),
    [(name, "generate . --recipe best --out ../set --format npz") for name in ("notes:model", "study.notes:model")]
    + [("os:abort", "generate . --recipe real --out ../set --format npz"), ("notes:model", "report .")],
)
def test_a_classifier_that_a_study_names_is_never_imported(received: Path, trap: Path, classifier: str, command: str):
    plant(received / "study", classifier)
    assert main(command.split()) == 0
    assert not trap.exists()
    assert not {"notes", "study", "study.notes"} & set(sys.modules)


@pytest.mark.parametrize("changed", ["source", "target"])
def test_a_recipe_is_not_made_of_other_images_than_the_studys(
    received: Path, capsys: pytest.CaptureFixture[str], changed: str
):
    path = received / f"{changed}.npz"
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"images": 255 - arrays["images"]})
    assert main(["generate", str(received / "study"), "--recipe", "real", "--out", str(path.parent / "set")]) == 2
    assert f"found other images than the study's: {changed}.sha256" in capsys.readouterr().err
    assert not (path.parent / "set").exists()


def test_a_recipe_with_target_images_needs_the_target(received: Path, capsys: pytest.CaptureFixture[str]):
    edit(received / "study" / "results.json", lambda results: results["plan"]["origins"].__setitem__(1, None))
    command = ["generate", str(received / "study"), "--recipe", "real", "--out", str(received / "set")]
    assert main(command) == 2
    assert "found a target that has no path" in capsys.readouterr().err
    assert main([*command, "--target", str(received / "target.npz")]) == 0


def test_what_lies_in_the_current_folder_takes_no_librarys_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from mizumashi.classifiers.custom import custom_classifier

    model = "from sklearn.naive_bayes import GaussianNB as model\n"
    for folder in ("installed", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "kept_apart.py").write_text(f"{model}folder = '{folder}'\n")
    (tmp_path / "here" / "only_here.py").write_text(model)
    monkeypatch.setattr(sys, "path", [*(entry for entry in sys.path if entry), str(tmp_path / "installed")])
    monkeypatch.chdir(tmp_path / "here")
    custom_classifier("only_here:model")
    custom_classifier("kept_apart:model")
    assert sys.modules.pop("kept_apart").folder == "installed"
    assert Path(str(sys.modules.pop("only_here").__file__)).samefile("only_here.py")


READ = [
    "results.json",
    "labels.npz",
    "examples.npz",
    "map.npz",
    "map-images.npz",
    "cells/*.npz",
    "runs/0/neighbours.npz",
    "runs/0/gan/config.json",
    "runs/0/gan/log.jsonl",
    "runs/0/gan/snapshots/step-000004.safetensors",
    "runs/0/sets/gan@4.npz",
]
"""What is read of a finished study."""


def read_all(study: Path) -> None:
    """Read a finished study as reports and generation do, or say within seconds why not."""

    def late(number: int, frame: Any) -> None:
        raise AssertionError("reading hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        facts = ReportData(StudyResult.read(study))
        _ = facts.examples, facts.points, facts.pictures, facts.neighbours, facts.gains, facts.confusions
        run = GanRun(study / "runs" / "0" / "gan")
        _ = run.losses(), run.snapshot(4).sample(3)
        training_set(study, "gan@4")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def replace_by(path: Path, what: str) -> None:
    content = path.read_bytes()
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        elsewhere = path.with_name(f"other-{path.name}")
        elsewhere.write_bytes(content)
        path.symlink_to(elsewhere)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as listening:
            here = Path.cwd()
            os.chdir(path.parent)  # a socket's path is short
            try:
                listening.bind(path.name)
            finally:
                os.chdir(here)
    else:
        path.symlink_to(what)


@pytest.mark.parametrize(
    ("name", "what"),
    [(name, what) for name in READ for what in ("pipe", "/dev/zero", "link")]
    + [("map.npz", what) for what in ("folder", "socket", "/dev/tty")],
)
def test_what_is_no_regular_file_is_not_opened(received: Path, name: str, what: str):
    study = received / "study"
    for path in study.glob(name):
        replace_by(path, what)
    with pytest.raises(InputError) as refused:
        read_all(study)
    said = str(refused.value)
    assert Path(name).name.removeprefix("*") in said
    assert "expected a regular file" in said


def test_a_study_that_is_whole_is_read(sent: Path):
    read_all(sent / "study")


@pytest.mark.parametrize(
    ("key", "number", "said"),
    [
        ("project.weight", float("nan"), "project.weight holds numbers that are not finite"),
        ("project.weight", float("-inf"), "project.weight holds numbers that are not finite"),
        ("running_var", -1.0, "running_var holds negative numbers"),
        ("running_var", float("nan"), "running_var holds numbers that are not finite"),
    ],
)
def test_weights_that_draw_nothing_are_refused(
    received: Path, key: str, number: float, said: str, capsys: pytest.CaptureFixture[str]
):
    run = received / "study" / "runs" / "0" / "gan"
    path = run / "snapshots" / "step-000004.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith(key))
    weights[name].view(-1)[0] = number
    path.write_bytes(save(weights))
    assert main(["generate", str(run), "--count", "6", "--out", str(received / "set")]) == 2
    assert said in capsys.readouterr().err
    assert not (received / "set").exists()


@pytest.mark.parametrize(
    ("name", "arrays"),
    [
        ("map.npz", {"real": np.zeros((3, 3)), "gan@2": np.zeros((3, 2)), "gan@4": np.zeros((3, 2))}),
        ("map.npz", {"real": np.full((3, 2), np.nan), "gan@2": np.zeros((3, 2)), "gan@4": np.zeros((3, 2))}),
        ("examples.npz", {"images": np.zeros((2, 3, 1, 16, 16, 1), np.uint8), "sets": np.array(["a", "b"])}),
        ("labels.npz", {"test0": np.arange(9), "test1": np.arange(9)}),
        ("map-images.npz", {"real": np.zeros((1, 16, 16, 1), np.uint8), "labels real": np.zeros(1, int)}),
    ],
)
def test_damage_is_blamed_on_the_file_that_has_it(received: Path, name: str, arrays: dict[str, Any]):
    np.savez(received / "study" / name, **arrays)
    with pytest.raises(InputError, match=name):
        read_all(received / "study")


def bomb(results: dict[str, Any], recipes: int, tests: int, seeds: int) -> None:
    """Some hundred kilobytes that imply arrays of gigabytes."""
    cell = results["cells"][0]
    one = next(iter(cell["scores"].values()))
    results["plan"]["recipes"] = ["real", *(f"gan@{step}" for step in range(recipes))]
    results["cells"] = [cell | {"scores": cell["scores"] | {f"t{test}": one for test in range(tests)}}]
    results["cells"] += [cell | {"seed": seed, "scores": {}} for seed in range(1, seeds)]
    told = next(iter(results["distances"]["0"].values()))
    results["distances"] = {str(seed): {"gan@2": told, "gan@4": told} for seed in range(seeds)}


def renamed(results: dict[str, Any], *path: Any, to: Any) -> None:
    for key in path[:-1]:
        results = results[key]
    results[path[-1]] = to


HOSTILE: dict[str, Any] = {
    "sizes": lambda results: bomb(results, 900, 1000, 300),
    "sizes with seeds": lambda results: (bomb(results, 900, 1000, 300), renamed(results, "plan", "seeds", to=300)),
    "many classifier seeds": lambda results: renamed(results, "plan", "classifier_seeds", to=10_000),
    "seeds are text": lambda results: renamed(results, "plan", "seeds", to="<b>3</b>"),
    "a size is text": lambda results: renamed(results, "plan", "source", "size", to=["<b>", "</b>"]),
    "precision": lambda results: renamed(results, "plan", "gan", "precision", to="32-true<b>"),
    "a version is a number": lambda results: renamed(results, "plan", "versions", 0, "torch", to=2),
    "an origin is a list": lambda results: renamed(results, "plan", "origins", to=[["--help"], None]),
    "imbalance": lambda results: renamed(results, "plan", "regime", "imbalance", to="b:0.1"),
    "a cell of nothing planned": lambda results: renamed(results, "cells", 0, "classifier", to="zz"),
    "a key that is a path": lambda results: renamed(results, "cells", 0, "key", to="../../../../etc/passwd"),
    "an accuracy of 2": lambda results: renamed(results, "cells", 0, "scores", "source.npz", "accuracy", to=2),
    "a score that is text": lambda results: renamed(results, "cells", 0, "scores", "source.npz", "loss", to="<b>"),
    "a cell twice": lambda results: results["cells"].append(results["cells"][0]),
    "a cell less": lambda results: results["cells"].pop(),
    "distances of other stages": lambda results: renamed(results, "distances", to={"0": {}}),
    "other classes": lambda results: renamed(results, "plan", "target", "class_names", to=["a", "b", "c"]),
    "a share of copies that is text": lambda results: renamed(results, "copies", "share", to="<b>"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_results_that_no_study_leaves_are_refused_before_they_cost_anything(
    received: Path, what: str, capsys: pytest.CaptureFixture[str]
):
    edit(received / "study" / "results.json", HOSTILE[what])
    tracemalloc.start()
    try:
        assert main(["report", str(received / "study")]) == 2
        assert tracemalloc.get_traced_memory()[1] < 2e8
    finally:
        tracemalloc.stop()
    said = capsys.readouterr().err
    assert "results.json: found a damaged or foreign file" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("damaged", ["map.npz", "examples.npz", "runs/0/gan/log.jsonl", "runs/0/neighbours.npz"])
def test_a_refused_report_leaves_the_old_one(received: Path, damaged: str, capsys: pytest.CaptureFixture[str]):
    study = received / "study"
    parts = [study / "report.html", study / "report.md", study / "verdict.json"]
    parts += [path for folder in ("tables", "figures") for path in (study / folder).iterdir()]
    for path in parts:
        path.write_text("old")
    (study / damaged).write_bytes((study / damaged).read_bytes()[:40])
    assert main(["report", str(study)]) == 2
    assert Path(damaged).name in capsys.readouterr().err
    assert {path.read_text() for path in parts} == {"old"}
