"""What stands in the place of a stored file is refused at once, by every command; so are numbers that lie."""

import json
import os
import shutil
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from mizumashi.cli.main import main
from mizumashi.data.readers import open_images
from mizumashi.gan.training import train
from mizumashi.studies.record import PlanRecord
from mizumashi.utils.schema import from_json

OPTIONS = (
    "--steps 4 --snapshots 2 4 --widths 8 8 8 --batch-size 16 --latent-size 8 --precision 32-true --accelerator cpu"
)
SNAPSHOT = "snapshots/step-000004.safetensors"
STATE = "checkpoint/state.safetensors"


@pytest.fixture(scope="module")
def stopped(sent: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped after three of four steps."""

    def stop(task: str, done: int, total: int, note: str) -> None:
        if done == 3:
            raise KeyboardInterrupt

    gan = tmp_path_factory.mktemp("stopped") / "half"
    config = from_json(PlanRecord, json.loads((sent / "study" / "plan.json").read_text())).gan
    with pytest.raises(KeyboardInterrupt):
        train(open_images(sent / "source.npz"), gan, config, accelerator="cpu", progress=stop)
    return gan


@pytest.fixture
def home(received: Path, stopped: Path) -> Path:
    """A folder with source.npz, target.npz, a study, a finished run and half of one."""
    shutil.copytree(received / "study" / "runs" / "0" / "gan", received / "run")
    shutil.copytree(stopped, received / "half")
    return received


COMMANDS = {
    "report": "report study",
    "take up": f"study source.npz --target target.npz --out study --target-per-class 2 --recipes gan@4 {OPTIONS}",
    "recipe": "generate study --recipe gan@4 --out new --format npz",
    "best": "generate study --recipe best --out new --format npz",
    "draw": "generate run --count 6 --out new --format npz",
    "export": "export run --out new.onnx",
    "train": f"train source.npz --out run {OPTIONS}",
    "go on": f"train source.npz --out half {OPTIONS}",
    "go on elsewhere": f"train source.npz --out new --resume half {OPTIONS}",
}


@pytest.fixture
def refuse(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Does a command in the folder `home`, which must refuse at once, and gives its one line."""
    monkeypatch.chdir(home)
    monkeypatch.setattr("mizumashi.gan.training._Training._step", lambda *_: pytest.fail("a step was trained"))

    def do(command: str) -> str:
        capsys.readouterr()
        with quickly():
            code = main(COMMANDS[command].split())
        said = capsys.readouterr().err.splitlines()
        assert (code, len(said)) == (2, 1), (command, said)
        assert not list(home.glob("new.*")), command
        return said[0].removeprefix("mizumashi: ").removeprefix(f"{home}/")

    return do


@contextmanager
def quickly() -> Iterator[None]:
    """A block that hangs fails."""

    def late(number: int, frame: Any) -> None:
        pytest.fail("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(30)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make_pipe(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path, outside: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path.name)
    finally:
        os.chdir(here)


def make_folder(path: Path, outside: Path) -> None:
    path.mkdir()


def link_to_a_link_to_a_device(path: Path, outside: Path) -> None:
    if not (outside / "zero").is_symlink():
        (outside / "zero").symlink_to("/dev/zero")
    path.symlink_to(outside / "zero")


def link_to_the_same_outside(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "aside")


KINDS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "pipe": (make_pipe, "a pipe"),
    "socket": (make_socket, "a socket"),
    "folder": (make_folder, "a folder"),
    "device": (link_to_a_link_to_a_device, "a link"),
    "link": (link_to_the_same_outside, "a link"),
}


@pytest.mark.parametrize(("command", "first"), [*((command, 0) for command in COMMANDS), ("report", 1), ("draw", 1)])
def test_what_is_no_regular_file_is_refused_wherever_it_stands(
    home: Path, tmp_path: Path, refuse: Callable[[str], str], command: str, first: int
):
    """In each place another kind, in turn; where a command comes twice, two in each."""
    folder = next(word for word in COMMANDS[command].split()[::-1] if word in ("study", "run", "half"))
    places = sorted((home / folder).rglob("*"))[:: 4 if command == "take up" else 1]  # it opens sets each time
    kinds = islice(cycle(KINDS), first, None)
    for path in places:
        make, found = KINDS[next(kinds) if path.is_file() else "pipe"]
        path.rename(tmp_path / "aside")
        make(path, tmp_path)
        assert refuse(command).startswith(f"{path.relative_to(home)}: found {found}; expected a ")
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        (tmp_path / "aside").rename(path)
    assert len(places) > 6


NUMBERS = {
    "nan": ("weight", float("nan"), "holds numbers that are not finite"),
    "infinite": ("bias", float("-inf"), "holds numbers that are not finite"),
    "negative variance": ("running_var", -1e-3, "holds negative numbers"),
}


@pytest.mark.parametrize("what", NUMBERS)
@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("draw", f"run/{SNAPSHOT}"),
        ("export", f"run/{SNAPSHOT}"),
        ("take up", f"study/runs/0/gan/{SNAPSHOT}"),
        ("go on", f"half/{STATE}"),
        ("go on elsewhere", f"half/{STATE}"),
    ],
)
def test_weights_that_no_training_leaves_are_refused_by_file_and_name(
    home: Path, refuse: Callable[[str], str], command: str, file: str, what: str
):
    if command == "export":
        pytest.importorskip("onnxscript")
    (home / "study" / "runs" / "0" / "sets" / "gan@4.npz").unlink()  # to be drawn again
    ending, number, said = NUMBERS[what]
    weights = load_file(home / file)
    name = next(name for name in sorted(weights) if name.endswith(ending))
    weights[name].view(-1)[-1] = number
    (home / file).write_bytes(save(weights))
    line = refuse(command)
    assert line.startswith(file if command != "go on elsewhere" else f"new/{STATE}"), line
    assert f"{name} {said}" in line


def test_a_moment_of_squares_is_not_negative(home: Path, refuse: Callable[[str], str]):
    state = load_file(home / "half" / STATE)
    state["generator_optimizer/0/exp_avg_sq"].view(-1)[0] = -1
    (home / "half" / STATE).write_bytes(save(state))
    assert "generator_optimizer/0/exp_avg_sq holds negative numbers" in refuse("go on")


def test_weights_too_large_to_draw_with_are_refused(home: Path, refuse: Callable[[str], str]):
    weights = load_file(home / "run" / SNAPSHOT)
    for name in ("grow1.weight", "grow2.weight", "paint.weight"):
        signs = torch.arange(weights[name].numel()).reshape(weights[name].shape) % 2 * 2 - 1
        weights[name] = signs * 1e38
    (home / "run" / SNAPSHOT).write_bytes(save(weights))
    assert refuse("draw").startswith(f"run/{SNAPSHOT}: found weights so large that images are no numbers")


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("draw", f"run/{SNAPSHOT}"),
        ("go on", f"half/{STATE}"),
        ("go on elsewhere", f"half/{STATE}"),
        ("go on elsewhere", "half/pictures/step-000002.png"),
        ("report", "study/runs/0/gan/log.jsonl"),
        ("report", "study/results.json"),
        ("take up", "study/plan.json"),
    ],
)
def test_a_file_of_a_terabyte_is_not_read(home: Path, refuse: Callable[[str], str], command: str, file: str):
    os.truncate(home / file, 2**40)  # it takes no room on the disk
    assert refuse(command).startswith(f"{file}: found 1,099,511,627,776 bytes")


@pytest.mark.parametrize(("command", "file"), [("draw", f"run/{SNAPSHOT}"), ("go on", f"half/{STATE}")])
def test_a_header_of_megabytes_is_not_read(home: Path, refuse: Callable[[str], str], command: str, file: str):
    content = (home / file).read_bytes()
    (size,) = struct.unpack_from("<Q", content)
    header = content[8 : 8 + size] + b" " * 2**20
    (home / file).write_bytes(struct.pack("<Q", len(header)) + header + content[8 + size :])
    said = refuse(command)
    assert said.startswith(file)
    assert "bytes" in said


def lines(change: Callable[[list[Any]], object]) -> Callable[[Path], None]:
    """Changes the records of log.jsonl."""

    def write(path: Path) -> None:
        records = [json.loads(line) for line in path.read_text().splitlines()]
        change(records)
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records))

    return write


def arrays(**changes: Callable[[Any], Any]) -> Callable[[Path], None]:
    """Changes arrays of an NPZ file; gan_4 stands for gan@4."""

    def write(path: Path) -> None:
        with np.load(path) as file:
            found = dict(file)
        for argument, change in changes.items():
            name = argument.replace("gan_", "gan@")
            found[name] = change(found[name])
        np.savez(path, **found)

    return write


def numbers(*keys: str | int, **changes: object) -> Callable[[Path], None]:
    """Changes numbers of a JSON file, below the keys; None removes one."""

    def write(path: Path) -> None:
        whole = found = json.loads(path.read_text())
        for key in keys:
            found = found[key]
        found.update(changes)
        for name in [name for name, value in changes.items() if value is None]:
            del found[name]
        path.write_text(json.dumps(whole))

    return write


def repeat_a_key(path: Path) -> None:
    """Lets all cells share the files of one."""
    whole = json.loads(path.read_text())
    for cell in whole["cells"]:
        cell["key"] = whole["cells"][0]["key"]
    path.write_text(json.dumps(whole))


LOG, MAP, EXAMPLES, NEIGHBOURS = "runs/0/gan/log.jsonl", "map.npz", "examples.npz", "runs/0/neighbours.npz"
SET = "runs/0/sets/gan@4.npz"


@pytest.mark.parametrize(
    ("command", "file", "damage"),
    [
        ("report", LOG, lines(lambda records: records.append(records[0]))),
        ("report", LOG, lines(lambda records: records[0].update(generator=float("nan")))),
        ("report", LOG, lines(lambda records: records[2].update(variation=[0.5] * 9))),
        ("report", LOG, lines(lambda records: records[2].update(variation=[float("inf")] * 3))),
        ("report", LOG, lines(lambda records: records.insert(0, {"step": 7, "variation": [0.5] * 3}))),
        ("report", LOG, lambda path: path.write_text("[" + "[]," * 2**21 + "[]]\n")),
        ("report", MAP, arrays(gan_4=lambda points: points[:, :1])),
        ("report", MAP, arrays(gan_4=lambda points: points.astype(int))),
        ("report", MAP, arrays(gan_4=lambda points: points[:0])),
        ("report", MAP, arrays(real=lambda points: points * 1e300)),
        ("report", MAP, arrays(real=lambda points: points.astype("U9"))),
        ("report", EXAMPLES, arrays(images=lambda images: images[..., :8, :])),
        ("report", EXAMPLES, arrays(images=lambda images: images[:, :, :0])),
        ("report", EXAMPLES, arrays(images=lambda images: images.astype(float))),
        ("report", EXAMPLES, arrays(sets=lambda names: names[::-1] + "x")),
        ("report", NEIGHBOURS, arrays(nearness=lambda numbers: numbers * np.nan)),
        ("report", NEIGHBOURS, arrays(distance=lambda numbers: numbers[:, None])),
        ("report", NEIGHBOURS, arrays(nearest=lambda images: images[:, :8])),
        ("report", NEIGHBOURS, arrays(generated=lambda images: images[:-1])),
        ("report", "labels.npz", arrays(test0=lambda labels: labels[:-1])),
        ("report", "labels.npz", arrays(test1=lambda labels: labels + 0.5)),
        ("report", "map-images.npz", arrays(real=lambda images: images[:, :, :8])),
        ("recipe", SET, arrays(labels=lambda labels: labels[::-1])),
        ("recipe", SET, arrays(images=lambda images: images[:, :8, :8])),
        ("recipe", SET, arrays(test_start=lambda start: start - 1)),
        ("take up", SET, arrays(labels=lambda labels: labels[::-1])),
        ("report", "results.json", numbers("copies", share=None)),
        ("report", "results.json", numbers("copies", p_value="0")),
        ("report", "results.json", numbers("copies", share=1e9)),
        ("report", "results.json", numbers("plan", "gan", objective="hinge")),
        ("report", "results.json", numbers("plan", "source", class_names=None)),
        ("report", "results.json", numbers("plan", "regime", imbalance=["--out", "elsewhere"])),
        ("report", "results.json", numbers("plan", recipes=["real", "--classifiers"])),
        ("report", "results.json", numbers("plan", "source", name="W" * 3000)),
        ("report", "results.json", numbers("plan", "source", size=[60, 1])),
        ("report", "results.json", repeat_a_key),
        ("take up", "runs/0/copies.json", numbers(count=None)),
        ("take up", "plan.json", numbers("source", size=[28])),
    ],
)
def test_damage_is_blamed_on_the_file_that_has_it(
    home: Path, refuse: Callable[[str], str], command: str, file: str, damage: Callable[[Path], None]
):
    damage(home / "study" / file)
    assert refuse(command).startswith(f"study/{file}: found ")


@pytest.mark.parametrize(
    "command", ["data", "train --out new", "study --out new", "evaluate --on source.npz", "compare"]
)
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_a_set_that_is_no_file_is_refused(
    received: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    kind: str,
):
    monkeypatch.chdir(received)
    KINDS[kind][0](received / "set", tmp_path)
    name, *options = command.split()
    sets = ["source.npz", "set"] if name == "compare" else ["set"]
    with quickly():
        assert main([name, *sets, *options]) == 2
    assert "found no file, folder or known set 'set'" in capsys.readouterr().err


def test_more_predictions_than_a_study_may_have_are_not_read(
    refuse: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mizumashi.studies.checks.MOST_READINGS", 99)
    assert "images; expected 99 at most" in refuse("report")


def test_a_run_that_is_refused_for_its_log_stays_finished(home: Path, refuse: Callable[[str], str]):
    (home / "half" / "finished.json").write_text('{"steps": 4}')  # its last snapshot is missing
    with (home / "half" / "log.jsonl").open("a") as log:
        log.write("{")
    assert refuse("go on").startswith("half/log.jsonl: ")
    assert (home / "half" / "finished.json").exists()
