"""A study that somebody else sent: nothing in it is run, and what it was made from is checked."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mizumashi.cli import main


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def plant(study: Path, classifier: str) -> None:
    """Let the study's files name one more classifier, with cells of its own."""

    def in_results(results: dict[str, Any]) -> None:
        results["plan"]["classifiers"].append({"name": classifier})
        results["cells"] += [cell | {"classifier": classifier} for cell in results["cells"]]

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
    from mizumashi.classify.own import own_classifier

    model = "from sklearn.naive_bayes import GaussianNB as model\n"
    for folder in ("installed", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "kept_apart.py").write_text(f"{model}folder = '{folder}'\n")
    (tmp_path / "here" / "only_here.py").write_text(model)
    monkeypatch.setattr(sys, "path", [*(entry for entry in sys.path if entry), str(tmp_path / "installed")])
    monkeypatch.chdir(tmp_path / "here")
    own_classifier("only_here:model")
    own_classifier("kept_apart:model")
    assert sys.modules.pop("kept_apart").folder == "installed"
    assert Path(str(sys.modules.pop("only_here").__file__)).samefile("only_here.py")
