"""Every command does its work and hands on what it was told."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import make_dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mizumashi.api import evaluate
from mizumashi.cli.main import main, parse
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_images
from mizumashi.gan.config import GanConfig
from mizumashi.studies.config import Regime, StudyConfig

TINY = ["--steps", "4", "--batch-size", "16", "--latent-size", "8", "--widths", "4", "8", "8", "--precision", "32-true"]


def test_train_generate_evaluate(
    blobs: LabelledImages, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(["train", str(pictures), "--out", str(run), *TINY]) == 0
    assert sorted(path.name for path in (run / "snapshots").iterdir()) == [
        "step-000001.safetensors",
        "step-000002.safetensors",
        "step-000004.safetensors",
    ]
    assert main(["generate", str(run), "--out", str(tmp_path / "set"), "--per-class", "5", "--format", "idx.gz"]) == 0
    assert open_images(tmp_path / "set").counts.tolist() == [5, 5, 5]
    card = (tmp_path / "set" / "README.md").read_text()
    assert f"| SHA-256 of the real images' contents | {open_images(pictures).content_hash()} |" in card
    brighter = write_images(replace(blobs, images=blobs.images + 5), tmp_path / "brighter", "idx")
    capsys.readouterr()
    assert main(["evaluate", str(pictures), str(tmp_path / "set"), "--on", str(brighter)]) == 0
    captured = capsys.readouterr()
    assert f"| {pictures} | 1.000 |" in captured.out  # results on standard output
    assert "softmax models" in captured.err  # progress on standard error


def told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    """What a command says for machines: all of standard output is one JSON object."""
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_results_for_machines_are_those_of_the_api(
    blobs: LabelledImages, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run, more = tmp_path / "run", tmp_path / "more"
    assert told(["train", str(pictures), "--out", str(run), *TINY], capsys) == {
        "run": str(run),
        "snapshots": [1, 2, 4],
    }
    drawn = told(["generate", str(run), "--out", str(more), "--count", "9", "--step", "2"], capsys)
    names = list(open_images(more).class_names)
    assert drawn == {"set": str(more), "count": 9, "class_names": names, "step": 2, "seed": 0}
    described = told(["data", str(more)], capsys)
    assert described["sha256"] == open_images(more).content_hash()
    assert described["counts"] == [3, 3, 3]
    brighter = write_images(replace(blobs, images=blobs.images + 5), tmp_path / "brighter", "idx")
    scored = told(["evaluate", str(more), "--on", str(brighter), "--seeds", "2"], capsys)
    accuracy, loss = evaluate([open_images(more)], [open_images(brighter)], seeds=2)
    assert (scored["accuracy"], scored["loss"]) == (accuracy.tolist(), loss.tolist())
    assert (scored["sets"], scored["on"]) == ([str(more)], [str(brighter)])


def test_what_is_no_number_is_null_for_machines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    found = make_dataclass("Found", ["accuracy", "name"])(np.array([0.5, np.nan]), "\x1b[31m\ud800")
    monkeypatch.setattr("mizumashi.api.compare", lambda *_, **__: found)
    monkeypatch.setattr("mizumashi.report.tables.describe_comparison", lambda found: "unused")
    assert told(["compare", "A", "B"], capsys) == {"accuracy": [0.5, None], "name": "\x1b[31m\ud800"}


def test_data_describes_and_converts(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    converted = tmp_path / "as-npz.npz"
    assert main(["data", str(pictures), "--resize", "28", "--out", str(converted), "--format", "npz"]) == 0
    assert "240 grey images of 28x28 pixels" in capsys.readouterr().out
    assert open_images(converted).size == (28, 28)


def test_study_leaves_a_report_and_report_draws_it_again(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["study", str(pictures), *TINY]) == 0
    assert "| real+gan@4 |" in capsys.readouterr().out
    study = tmp_path / "studies" / "pictures"
    reports = [study / "report.md", study / "report.html"]
    before = {path: path.read_bytes() for path in [*reports, *(study / "tables").iterdir()]}
    for path in reports:
        path.unlink()
    shutil.rmtree(study / "tables")
    assert told(["report", str(study)], capsys) == {"report": str(study / "report.html")}
    assert {path: path.read_bytes() for path in before} == before
    monkeypatch.setattr("mizumashi.report.figures.drawn", lambda figure: {})  # they take seconds
    facts = told(["study", str(pictures), *TINY], capsys)  # it is done: nothing is trained
    assert facts["verdict"] == json.loads((study / "verdict.json").read_text())
    assert facts["study"] == str(study.relative_to(tmp_path))
    (seed,) = facts["accuracy"]["softmax"]["real+gan@4"]["pictures"]
    assert f"softmax,real+gan@4,pictures,{seed:.6f}," in (study / "tables" / "accuracy.csv").read_text()


GAN_OPTIONS = (
    "--preset small --steps 9 --snapshots 3 9 --batch-size 8 --latent-size 7 --widths 1 2 3 "
    "--objective minimax --learning-rate 0.1 --schedule decay --beta1 0.2 --seed 4 --precision 16-mixed"
)
GAN = GanConfig(9, (3, 9), 8, 7, (1, 2, 3), "minimax", 0.1, "decay", 0.2, 4, "16-mixed")
STUDY_OPTIONS = (
    "--recipes real+smote gan@3 --classifiers cnn a.b:c --choose --grow --flip --per-class 5 --imbalance 3:0.1 b:0.2 "
    "--balance --target-per-class 6"
)
STUDY = StudyConfig(
    *(GAN, 3, 2, ("real+smote", "gan@3"), ("cnn", "a.b:c"), True, True, True),
    Regime(5, ("3:0.1", "b:0.2"), balance=True, target_per_class=6),
)
SMALL = GanConfig(steps=1200, widths=(32, 64, 128))

MIXED = LabelledImages.from_arrays(np.zeros((2, 8, 8), np.uint8), [0, 1], name="real+gan@3")

PASSED_ON: dict[str, list[tuple[str, tuple[Any, ...], dict[str, Any]]]] = {
    "study IN --target T --out OUT --data-dir D --accelerator cuda --checkpoint-every 7 --tensorboard --seeds 3 "
    f"--classifier-seeds 2 {STUDY_OPTIONS} {GAN_OPTIONS}": [
        (
            "study",
            ("IN",),
            {
                "target": "T",
                "out": Path("OUT"),
                "config": STUDY,
                "data_dir": Path("D"),
                "accelerator": "cuda",
                "checkpoint_every": 7,
                "tensorboard": True,
            },
        )
    ],
    f"train IN --out OUT --data-dir D --accelerator cuda --resume R --checkpoint-every 7 --tensorboard {GAN_OPTIONS}": [
        ("open_images", ("IN",), {"data_dir": Path("D")}),
        (
            "train",
            ("opened", Path("OUT"), GAN),
            {"accelerator": "cuda", "resume": "R", "checkpoint_every": 7, "tensorboard": True},
        ),
    ],
    **{
        f"train IN --out OUT --preset small{option}": [
            ("open_images", ("IN",), {"data_dir": None}),
            (
                "train",
                ("opened", Path("OUT"), SMALL),
                {"accelerator": "auto", "resume": resume, "checkpoint_every": 300, "tensorboard": False},
            ),
        ]
        for option, resume in {"": "auto", " --resume true": True, " --resume false": False}.items()
    },
    "generate RUN --out OUT --step 300 --count 6 --per-class 2 --seed 8 --format npz": [
        ("GanRun", (Path("RUN"),), {}),
        ("snapshot", (300,), {}),
        ("total", (6, 2), {}),
        ("draw", (6,), {"seed": 8}),
        ("labels", (6,), {}),
        ("origin", (300,), {"seed": 8}),
        ("write_stream", ("drawn", "labels", ("a", "b"), Path("OUT"), "npz"), {"origin": "origin"}),
    ],
    "generate STUDY --recipe best --out OUT --format npz --images I --target T --data-dir D": [
        ("require_writable", (Path("OUT"), "npz"), {}),
        ("training_set", (Path("STUDY"), "best"), {"images": "I", "target": "T", "data_dir": Path("D")}),
        ("recipe_origin", (Path("STUDY"), "best"), {}),
        ("write_images", (MIXED, Path("OUT"), "npz"), {"origin": "origin"}),
    ],
    "export RUN --out OUT --step 300": [
        ("GanRun", (Path("RUN"),), {}),
        ("snapshot", (300,), {}),
        ("export_onnx", (Path("OUT"),), {}),
    ],
    "compare A B --seed 3 --data-dir D": [
        ("compare", ("A", "B"), {"seed": 3, "data_dir": Path("D")}),
        ("describe_comparison", ("compared",), {}),
    ],
    "evaluate A B --on C D --seeds 5 --data-dir E": [
        *(("open_images", (name,), {"data_dir": Path("E")}) for name in "ABCD"),
        ("evaluate", (["opened"] * 2, ["opened"] * 2), {"seeds": 5}),
    ],
    "data IN --out OUT --format folder --preprocess mnist-style --resize 32 --data-dir D": [
        ("require_writable", (Path("OUT"), "folder"), {}),
        ("open_images", ("IN",), {"preprocess": "mnist-style", "resize": 32, "data_dir": Path("D")}),
        ("describe_images", ("opened",), {}),
        ("write_images", ("opened", Path("OUT"), "folder"), {}),
    ],
    "data IN": [
        ("open_images", ("IN",), {"preprocess": None, "resize": None, "data_dir": None}),
        ("describe_images", ("opened",), {}),
    ],
    "report OUT": [("report", (Path("OUT"),), {})],
}


@pytest.mark.parametrize("command", PASSED_ON)
def test_every_option_reaches_its_destination(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def recorder(name: str, result: object) -> Callable[..., object]:
        def record(*arguments: object, **options: object) -> object:
            assert callable(options.pop("progress", print))
            calls.append((name, arguments, options))
            return result

        return record

    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "accuracy.md").write_text("| 1.000 |")
    snapshot = SimpleNamespace(
        step=300,
        class_names=("a", "b"),
        total=recorder("total", 6),
        draw=recorder("draw", "drawn"),
        labels=recorder("labels", "labels"),
        export_onnx=recorder("export_onnx", "written"),
    )
    replaced = {
        "api.study": SimpleNamespace(path=tmp_path, verdict=SimpleNamespace(sentences=["No."])),
        "api.training_set": MIXED,
        "api.recipe_origin": "origin",
        "api.compare": "compared",
        "report.tables.describe_comparison": "description",
        "api.report": None,
        "api.evaluate": np.zeros((2, 2, 2, 5)),
        "gan.training.train": SimpleNamespace(path=tmp_path, snapshots=[1]),
        "gan.run.GanRun": SimpleNamespace(snapshot=recorder("snapshot", snapshot), origin=recorder("origin", "origin")),
        "data.readers.open_images": "opened",
        "data.writers.require_writable": None,
        "data.writers.write_images": "written",
        "data.writers.write_stream": "written",
        "report.tables.describe_images": "description",
    }
    for name, result in replaced.items():
        monkeypatch.setattr(f"mizumashi.{name}", recorder(name.rpartition(".")[2], result))
    assert main(command.split()) == 0
    assert calls == PASSED_ON[command]


def test_a_preset_sets_the_defaults_and_options_override_it():
    assert parse(["train", "digits", "--out", "x", "--preset", "small"]).gan == SMALL
    longer = parse(["train", "digits", "--out", "x", "--preset", "small", "--steps", "2000"]).gan
    assert longer == replace(SMALL, steps=2000)
    assert parse(["study", "digits"]).config.gan.stages == (300, 600, 1200, 2400)


STUDY_NAMES = (
    "seeds classifier-seeds recipes classifiers choose no-choose grow no-grow flip no-flip per-class imbalance balance "
    "no-balance target-per-class"
)
TRAINING_NAMES = (
    "checkpoint-every tensorboard no-tensorboard "
    "steps snapshots batch-size latent-size widths objective learning-rate schedule beta1 seed precision"
)


@pytest.mark.parametrize(
    ("command", "positional", "options"),
    [
        ("study", "IMAGES", f"target out preset data-dir accelerator {TRAINING_NAMES} {STUDY_NAMES}"),
        ("train", "IMAGES", f"out preset data-dir accelerator resume {TRAINING_NAMES}"),
        ("generate", "RUN", "out step count per-class format seed recipe images target data-dir"),
        ("export", "RUN", "out step"),
        ("compare", "REAL", "seed data-dir"),
        ("evaluate", "SET...", "on seeds data-dir"),
        ("data", "IMAGES", "out format preprocess resize data-dir"),
        ("report", "STUDY", ""),
    ],
)
def test_the_option_list_is_known(
    command: str, positional: str, options: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """An option that comes or goes is a decision: change this list with it."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert main([command, "--help"]) == 0
    shown, said = capsys.readouterr()
    names = re.findall(r"^\W* --([a-z][a-z0-9-]*)(?:, --(no-[a-z-]*))?", shown, re.MULTILINE)
    assert sorted(name for pair in names for name in pair if name) == sorted([*options.split(), "json", "no-json"])
    assert positional in shown.partition("\n\n")[0].split()  # the usage
    assert said == ""


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]):
    assert main(["--help"]) == 0
    shown, said = capsys.readouterr()
    assert "{study,train,generate,export,evaluate,compare,data,report}" in shown
    assert said == ""


def test_help_imports_no_tensors():
    probe = (
        "import sys, mizumashi.cli.main; mizumashi.cli.main.main(['--help']);"
        "assert not {'torch', 'sklearn', 'scipy', 'matplotlib', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True, stdout=subprocess.DEVNULL)


def test_the_study_function_survives_its_own_modules():
    probe = "import mizumashi as mz; mz.StudyConfig; import mizumashi.studies.run; assert callable(mz.study)"
    subprocess.run([sys.executable, "-c", probe], check=True)
