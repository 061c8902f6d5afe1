import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mizumashi.cli import main, parse
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_images

TINY = ["--steps", "4", "--batch-size", "16", "--latent-size", "8", "--widths", "4", "8", "8"]


@pytest.fixture(scope="module")
def pictures(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(blobs, tmp_path_factory.mktemp("sets") / "pictures", "folder")


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(pictures), "--out", str(out), *TINY]) == 0
    return out


def test_train_generate_evaluate(run: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert sorted(path.name for path in (run / "snapshots").iterdir()) == [
        "step-000001.safetensors",
        "step-000002.safetensors",
        "step-000004.safetensors",
    ]
    assert main(["generate", str(run), "--out", str(tmp_path / "set"), "--per-class", "5", "--format", "idx.gz"]) == 0
    assert open_images(tmp_path / "set").counts.tolist() == [5, 5, 5]
    capsys.readouterr()
    assert main(["evaluate", str(pictures), str(tmp_path / "set"), "--on", str(pictures)]) == 0
    captured = capsys.readouterr()
    assert f"| {pictures} | 1.000 |" in captured.out  # results on standard output
    assert "softmax models" in captured.err  # progress on standard error


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
    report = tmp_path / "studies" / "pictures" / "report.md"
    before = report.read_bytes()
    report.unlink()
    assert main(["report", str(report.parent)]) == 0
    assert report.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("study mnits", "did you mean 'mnist'?"),
        ("train PICTURES --out OUT --steps 4 --snapshots 2 5", "snapshot at step 5; expected none beyond the last"),
        ("train PICTURES --out OUT --batch-size 500", "found 240 training images"),
        ("train PICTURES --out FULL", "not empty"),
        ("generate FULL --out OUT --count 3", "found no GAN run"),
        ("generate RUN --out OUT --step 3 --count 3", "expected one of: 1, 2, 4"),
        ("generate RUN --out OUT", "expected one of them"),
        ("generate RUN --out FULL --count 3", "not empty"),
        ("evaluate PICTURES --on digits", "found class_names"),
        ("evaluate --on PICTURES", "found 0 training sets"),
        ("evaluate PICTURES --on PICTURES --seeds 0", "0 seeds"),
        ("evaluate PICTURES --on PICTURES --seeds 1000000000", "at most 10000 seeds"),
        ("data PICTURES --out FULL", "not empty"),
        ("data FULL", "FULL"),
        ("data PICTURES --resize 0", "found size 0"),
        ("data PICTURES --resize 100000", "found 2,400,000,000,000 bytes of images"),
        ("generate RUN --out OUT --count 99999999999", "bytes of images"),
        ("train PICTURES --out OUT --accelerator steam", "found accelerator 'steam'"),
        ("study PICTURES --out OUT --accelerator steam", "found accelerator 'steam'"),
        ("report FULL", "found no finished study"),
        ("study PICTURES --seeds 0 --out OUT", "found seeds 0"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_writes_nothing(
    command: str, line: str, pictures: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    full = tmp_path / "FULL"
    full.mkdir()
    (full / "thesis.tex").write_text("years of work")
    places = {"PICTURES": pictures, "RUN": run, "FULL": full, "OUT": tmp_path / "OUT"}
    assert main([str(places.get(word, word)) for word in command.split()]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    said = [text for text in captured.err.splitlines() if text.startswith("mizumashi: ")]
    assert len(said) == 1
    assert line in said[0]
    assert [path.name for path in tmp_path.rglob("*")] == ["FULL", "thesis.tex"]


@pytest.mark.parametrize("command", ["stduy", "train", "train digits --out x --steps many", "study --precision 8"])
def test_a_wrong_command_line_is_exit_code_2(command: str):
    with pytest.raises(SystemExit) as caught:
        main(command.split())
    assert caught.value.code == 2


def test_a_preset_sets_the_defaults_and_options_override_it():
    small = parse(["train", "digits", "--out", "x", "--preset", "small"]).gan
    assert (small.steps, small.widths) == (1200, (32, 64, 128))
    longer = parse(["train", "digits", "--out", "x", "--preset", "small", "--steps", "2000"]).gan
    assert (longer.steps, longer.widths) == (2000, (32, 64, 128))
    assert parse(["study", "digits"]).config.gan.stages == (300, 600, 1200, 2400)


def test_the_option_list_is_known():
    """An option that comes or goes is a decision: change this list with it."""
    gan = {"steps", "snapshots", "batch_size", "latent_size", "widths", "objective", "learning_rate", "beta1", "seed"}
    assert set(parse(["study"]).config.gan.__dict__) == gan | {"precision"}
    assert set(parse(["study"]).config.__dict__) == {"gan", "seeds", "classifier_seeds"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_checkpoint_and_exits_with_130(pictures: Path, tmp_path: Path, number: signal.Signals):
    command = ["train", str(pictures), "--out", str(tmp_path / "run"), *TINY, "--steps", "100000", "--snapshots", "1"]
    process = subprocess.Popen([sys.executable, "-m", "mizumashi", *command], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run" / "log.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert (tmp_path / "run" / "checkpoint" / "state.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": 2}', b"\xff\x00", b'{"format": 1, "images": 3}'])
@pytest.mark.parametrize("name", ["config.json", "snapshots/step-000004.safetensors"])
def test_a_damaged_run_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(content)
    assert main(["generate", str(tmp_path / "run"), "--out", str(tmp_path / "set"), "--count", "6"]) == 2
    assert capsys.readouterr().err.count("mizumashi: ") == 1
    assert not (tmp_path / "set").exists()


def test_an_output_folder_that_cannot_be_written_is_one_line(pictures: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", str(pictures), "--out", "/proc/run", *TINY]) == 2
    assert capsys.readouterr().err.count("mizumashi: ") == 1


def test_help_imports_no_tensors():
    probe = (
        "import sys, mizumashi.cli; assert not {'torch', 'sklearn', 'scipy', 'matplotlib', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_class_names_with_markup_reach_the_terminal_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    hostile = LabelledImages.from_arrays(np.zeros((2, 16, 16), np.uint8), [0, 1], ["[bold]a|b", "../../x"])
    path = write_images(hostile, tmp_path / "set.npz", "npz")
    assert main(["data", str(path)]) == 0
    assert "| [bold]a\\|b | 1 |" in capsys.readouterr().out


def test_the_study_function_survives_its_own_modules():
    probe = "import mizumashi as mz; mz.StudyConfig; import mizumashi.studies.run; assert callable(mz.study)"
    subprocess.run([sys.executable, "-c", probe], check=True)
