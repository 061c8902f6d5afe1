"""Wrong input, stops and hostile names: one line each, the right exit code, and nothing written."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mizumashi.cli.main import main
from mizumashi.data.images import LabelledImages
from mizumashi.data.writers import write_images

TINY = ["--steps", "4", "--batch-size", "16", "--latent-size", "8", "--widths", "4", "8", "8", "--precision", "32-true"]


@pytest.fixture(scope="module")
def brighter(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    brighter = replace(blobs, images=blobs.images + 5)
    return write_images(brighter, tmp_path_factory.mktemp("sets") / "brighter", "folder")


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", str(pictures), "--out", str(out), *TINY]) == 0
    return out


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """All that the command said, which must be one line on standard error."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mizumashi: ")
    assert captured.err.endswith("\n")
    assert captured.err.count("\n") == 1, captured.err
    return captured.err.removeprefix("mizumashi: ").removesuffix("\n")


def contents(*folders: Path) -> dict[Path, bytes | None]:
    """Every file with its bytes, and every folder."""
    paths = [path for folder in folders for path in folder.rglob("*")]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("study mnits", "found no file, folder or known set 'mnits' (did you mean 'mnist'?); expected a path"),
        ("train PICTURES --out OUT --steps 4 --snapshots 2 5", "snapshot at step 5; expected none beyond the last"),
        ("train PICTURES --out OUT --batch-size 500", "found 240 training images; expected at least one mini-batch"),
        (
            "train PICTURES --out FULL --precision 32-true",
            "found a folder that is not empty at FULL; expected a new or empty folder",
        ),
        (
            "study PICTURES --out FULL --precision 32-true",
            "found a folder that is not empty at FULL; expected a new or empty folder",
        ),
        ("generate FULL --out OUT --count 3", "found no GAN run in FULL"),
        ("generate RUN --out OUT --step 3 --count 3", "found no snapshot at step 3 in RUN; expected one of: 1, 2, 4"),
        ("generate RUN --out OUT", "found 0 of count (--count), per_class (--per-class)"),
        ("generate RUN --out OUT --count 6 --per-class 2", "found 2 of count (--count), per_class (--per-class)"),
        ("generate RUN --out OUT --count 6 --seed -1", "seed -1"),
        ("generate RUN --out FULL --count 3", "found a folder that is not empty at FULL; expected a new or empty"),
        ("export FULL --out OUT", "found no GAN run in FULL"),
        ("export RUN --out OUT --step 3", "found no snapshot at step 3 in RUN; expected one of: 1, 2, 4"),
        ("export RUN --out FULL", "found a folder at FULL; expected a new file's name; choose another --out"),
        ("generate RUN --out OUT --count 99999999999", "bytes of images; expected at most"),
        ("evaluate PICTURES --on digits", "expected ('left', 'middle', 'right') as in"),
        ("evaluate --on PICTURES", "found 0 training sets, 1 test sets and 1 seeds; expected"),
        ("evaluate PICTURES --on BRIGHTER --seeds 0", "found 1 training sets, 1 test sets and 0 seeds; expected"),
        ("evaluate PICTURES --on BRIGHTER --seeds 1000000000", "1000000000 seeds; expected"),
        ("data PICTURES --out FULL", "found a folder that is not empty at FULL; expected a new or empty folder"),
        ("data FULL", "FULL: found no labelled images; expected"),
        ("data PICTURES --resize 0", "found size 0; expected at least 1 pixel"),
        ("data PICTURES --resize 100000", "found 2,400,000,000,000 bytes of images; expected at most"),
        ("train PICTURES --out OUT --accelerator steam", "found accelerator 'steam'; expected one that is here"),
        ("study PICTURES --out OUT --accelerator steam", "found accelerator 'steam'; expected one that is here"),
        ("report FULL", "found no finished study in FULL; expected results.json"),
        ("study PICTURES --seeds 0 --out OUT", "found seeds 0; expected 1 to"),
        ("data LONG", "LONG (File name too long); expected a path that can be used"),
        ("train PICTURES --out LONG --precision 32-true", "(File name too long); expected a path that can be used"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2_and_writes_nothing(
    command: str,
    line: str,
    pictures: Path,
    brighter: Path,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
):
    full = tmp_path / "FULL"
    full.mkdir()
    (full / "thesis.tex").write_text("years of work")
    places = {
        "PICTURES": str(pictures),
        "BRIGHTER": str(brighter),
        "RUN": str(run),
        "FULL": str(full),
        "OUT": str(tmp_path / "OUT"),
        "LONG": "a" * 5000,
    }
    before = contents(tmp_path, pictures, brighter, run)
    capsys.readouterr()
    assert main([places.get(word, word) for word in command.split()]) == 2
    said = one_line(capsys)
    for word, place in places.items():
        said = said.replace(place, word)
    assert line in said
    assert contents(tmp_path, pictures, brighter, run) == before


COMMANDS = "study, train, generate, export, evaluate, compare, data, report; see `mizumashi --help`"


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("", f"found no command; expected a command: {COMMANDS}"),
        ("stduy", f"found 'stduy' (did you mean 'study'?); expected a command: {COMMANDS}"),
        ("--out x data digits", f"found '--out'; expected a command: {COMMANDS}"),
        (
            "train",
            "found no IMAGES and no --out; expected IMAGES (a name or path) and --out (a path); "
            "see `mizumashi train --help`",
        ),
        ("evaluate a", "found no --on; expected --on (a name or path); see `mizumashi evaluate --help`"),
        (
            "train digits --out x --stesp 4",
            "found option --stesp (did you mean '--steps'?); expected an option of this command; "
            "see `mizumashi train --help`",
        ),
        ("data digits -o x", "found option -o; expected an option of this command; see `mizumashi data --help`"),
        ("data digits --steps 4", "found option --steps; expected an option of this command; see"),
        ("train digits --out x --steps many", "found 'many' for --steps; expected a whole number; see"),
        ("train digits --out x --steps=1.5", "found '1.5' for --steps; expected a whole number; see"),
        ("train digits --out x --learning_rate fast", "found 'fast' for --learning-rate; expected a number; see"),
        ("train digits --out x --snapshots 1 two", "found 'two' for --snapshots; expected a whole number; see"),
        ("train digits --out x --widths 1 2", "found 2 values after --widths; expected 3 values, each a whole number"),
        ("data digits --out", "found no value after --out; expected a path; see"),
        ("study --precision 8", "found '8' for --precision; expected one of auto, 32-true, bf16-mixed, 16-mixed; see"),
        (
            "study --preset smal",
            "found 'smal' for --preset (did you mean 'small'?); expected one of paper, fast, small; see",
        ),
        ("data digits --preprocess mnist", "(did you mean 'mnist-style'?); expected one of mnist-style; see"),
        ("data digits faxocr", "found 'faxocr' left over; expected only IMAGES and options; see"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    command: str, line: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    assert line in one_line(capsys)
    assert contents(tmp_path) == {}


def test_a_refusal_without_a_known_reason_is_quoted_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        print("╭─ Mutex ─╮\n│ not both │\n╰─────────╯", file=sys.stderr)
        sys.exit(2)

    monkeypatch.setattr("tyro.cli", refuse)
    assert main(["data", "digits"]) == 2
    assert "(Mutex not both)" in one_line(capsys)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("study digits", "stopped; the same command goes on"),
        ("train digits --out OUT", "stopped; the same command goes on"),
        ("generate RUN --out OUT --count 600", "stopped; nothing was written"),
        ("evaluate PICTURES --on BRIGHTER", "stopped; nothing was written"),
        ("data PICTURES --out OUT", "stopped; nothing was written"),
        ("report FULL", "stopped; the same command draws it all again"),
    ],
)
def test_each_command_says_truly_what_a_stop_leaves(
    command: str,
    line: str,
    pictures: Path,
    brighter: Path,
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    # Each is stopped in the middle of its work: while it trains, draws, scores or writes.
    for place in (
        "api.study",
        "gan.training.train",
        "gan.sampling.latents",
        "classifiers.score.score",
        "data.writers.new_idx",
        "api.report",
    ):
        monkeypatch.setattr(f"mizumashi.{place}", stop)
    places = {"PICTURES": pictures, "BRIGHTER": brighter, "RUN": run, "OUT": tmp_path / "OUT"}
    capsys.readouterr()
    assert main([str(places.get(word, word)) for word in command.split()]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == f"mizumashi: {line}"
    assert contents(tmp_path) == {}


def test_a_signal_saves_a_checkpoint_and_exits_with_130(pictures: Path, tmp_path: Path):
    """Three processes at a time: most of it is the seconds that they take to start."""
    numbers, processes = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), []
    command = [
        sys.executable,
        "-m",
        "mizumashi",
        "train",
        str(pictures),
        *TINY,
        "--steps",
        "100000",
        "--snapshots",
        "1",
    ]
    for number in numbers:
        run = ["--out", str(tmp_path / number.name)]
        processes.append(subprocess.Popen([*command, *run], stderr=subprocess.PIPE, text=True))
    try:
        deadline = time.monotonic() + 60
        for number, process in zip(numbers, processes, strict=True):
            while not (tmp_path / number.name / "log.jsonl").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(number)
        for number, process in zip(numbers, processes, strict=True):
            _, said = process.communicate(timeout=60)
            assert process.returncode == 130
            assert "the same command goes on" in said
            assert (tmp_path / number.name / "checkpoint" / "state.safetensors").exists()
    finally:
        for process in processes:
            process.kill()


@pytest.mark.parametrize("before", [signal.SIG_DFL, signal.SIG_IGN])
def test_a_closed_terminal_stops_the_work_unless_nohup_is_in_force(before: signal.Handlers):
    numbers = (signal.SIGTERM, signal.SIGHUP)
    kept = [signal.signal(number, before) for number in numbers]
    try:
        main(["--version"])
        expected = signal.SIG_IGN if before is signal.SIG_IGN else signal.default_int_handler
        assert [signal.getsignal(number) for number in numbers] == [expected] * 2
    finally:
        for number, handler in zip(numbers, kept, strict=True):
            signal.signal(number, handler)


def test_a_stop_while_importing_is_one_line(tmp_path: Path):
    (tmp_path / "tyro.py").write_text("raise KeyboardInterrupt")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    stopped = subprocess.run(
        [sys.executable, "-m", "mizumashi", "data", "digits"], env=environment, capture_output=True, text=True
    )
    assert (stopped.returncode, stopped.stdout) == (130, "")
    assert stopped.stderr == "mizumashi: stopped; nothing was written\n"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format": 2}', b"\xff\x00", b'{"format": 1, "images": 3}'])
@pytest.mark.parametrize("name", ["config.json", "snapshots/step-000004.safetensors"])
def test_a_damaged_run_is_one_line(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes
):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(content)
    capsys.readouterr()
    assert main(["generate", str(tmp_path / "run"), "--out", str(tmp_path / "set"), "--count", "6"]) == 2
    assert str(tmp_path / "run") in one_line(capsys)
    assert not (tmp_path / "set").exists()


def test_an_output_folder_that_cannot_be_written_is_one_line(pictures: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", str(pictures), "--out", "/proc/run", *TINY]) == 2
    assert "/proc/run" in one_line(capsys)


def test_hostile_names_reach_the_terminal_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = ["[bold]a|b", "\x1b[31mred\n| x |"]
    hostile = LabelledImages.from_arrays(np.zeros((2, 16, 16), np.uint8), [0, 1], names)
    path = write_images(hostile, tmp_path / "set\x1b[5m.npz", "npz")
    assert main(["data", str(path), "--out", str(tmp_path / "new\x1b[5m")]) == 0
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "| \\[bold\\]a\\|b | 1 |\n| \\x1b\\[31mred\\n\\| x \\| | 1 |\n" in shown
    assert main(["report", str(tmp_path / "none\x1b[5m\n")]) == 2
    assert "none\\x1b[5m" in one_line(capsys)


@pytest.mark.parametrize("command", [["--help"], ["data", "SET"], ["data", "none-of-ü"]])
def test_a_terminal_without_unicode_gets_escapes(command: list[str], tmp_path: Path):
    images = LabelledImages.from_arrays(np.zeros((2, 16, 16), np.uint8), [0, 1], ["ä", "水"])
    path = write_images(images, tmp_path / "set.npz", "npz")
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "mizumashi", *(str(path) if word == "SET" else word for word in command)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if "none-of-ü" in command else 0)
    if "SET" in command:
        assert "| \\xe4 | 1 |\n| \\u6c34 | 1 |\n" in done.stdout


def test_pytorchs_lack_of_memory_is_one_line_without_a_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(*arguments: object, **options: object) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mizumashi.gan.training.train", full)
    assert main(["train", "digits", "--out", "run"]) == 1
    assert capsys.readouterr().err.startswith("mizumashi: found too little memory: ")
    assert list(tmp_path.iterdir()) == []
