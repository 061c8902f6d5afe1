"""Commands leave alone what is not theirs, write through no links, and name the file where the disk is full."""

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mizumashi.cli.main import main
from mizumashi.data.images import LabelledImages
from mizumashi.data.writers import write_images
from mizumashi.utils.layout import STUDY, Layout

TINY = ["--steps", "4", "--snapshots", "2", "4", "--batch-size", "16", "--latent-size", "8", "--widths", "4", "8", "8"]
TINY += ["--accelerator", "cpu", "--precision", "32-true"]
FORMATS = ("idx", "idx.gz", "folder", "npz", "parquet", "webdataset")


@pytest.fixture(scope="module", autouse=True)
def quick_figures() -> Iterator[None]:
    """What figures show is no matter here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mizumashi.report.figures.drawn", lambda _: {"png": b"a picture", "svg": b"a drawing"})
        yield


@pytest.fixture(scope="module")
def images(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(blobs, tmp_path_factory.mktemp("sets") / "blobs", "npz")


@pytest.fixture(scope="module")
def received(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study, to be copied."""
    study = tmp_path_factory.mktemp("studies") / "study"
    assert main(["study", str(images), "--out", str(study), "--recipes", "gan@4", *TINY]) == 0
    return study


@pytest.fixture(scope="module")
def trained(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, to be copied."""
    gan = tmp_path_factory.mktemp("runs") / "gan"
    assert main(["train", str(images), "--out", str(gan), *TINY]) == 0
    return gan


def copied(study: Path, folder: Path) -> Path:
    shutil.copytree(study, folder / "study")
    return folder / "study"


def run(command: str, capsys: pytest.CaptureFixture[str], **places: Path) -> tuple[int, str]:
    """Run a command; words in capitals are places. Gives its exit code and its last line."""
    words = [str(places.get(word, word)) for word in command.split()]
    capsys.readouterr()
    code = main([*words, *(TINY if words[0] in ("train", "study") else [])])
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if line.startswith("mizumashi: ")] == (said[-1:] if code else [])
    return code, said[-1] if said else ""


def contents(folder: Path) -> dict[str, object]:
    """All that is below a folder: files' contents, links' targets, and folders."""
    return {
        str(path.relative_to(folder)): path.readlink()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("command", ["train IMAGES --out HOME", "study IMAGES --out HOME", "data IMAGES --out HOME"])
@pytest.mark.parametrize("first", ["notes.txt", "config.json", "plan.json", ".0.deadbeef.tmp/thesis.tex"])
def test_a_refused_command_removes_nothing(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, first: str
):
    home = tmp_path / "home"
    names = [first, ".config/app/.session.lock", ".notes.0123abcd.tmp", ".config.json.0123abcd.tmp", "cells/.x.lock"]
    names += [".plan.json.0123abcd.tmp", "runs/0/.lock", "snapshots/.step-000001.safetensors.0123abcd.tmp", ".a.lock"]
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("{}")
    for name in (".home.lock", ".home.0123abcd.tmp"):
        (tmp_path / name).write_text("theirs")
    before = contents(tmp_path)
    code, _ = run(command, capsys, IMAGES=images, HOME=home)
    assert code == 2
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", ["report STUDY", "study IMAGES --out STUDY --recipes gan@4"])
@pytest.mark.parametrize("how", [os.symlink, os.link])
def test_a_lock_that_is_a_link_is_refused_and_its_target_stays(
    received: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, how: object
):
    study, victim = copied(received, tmp_path), tmp_path / "victim"
    victim.write_text("theirs")
    how(victim, study / ".lock")  # type: ignore[operator]
    before = contents(tmp_path)
    code, said = run(command, capsys, STUDY=study, IMAGES=images)
    assert code == 2
    assert f"found a link or another thing that is no plain file at {study / '.lock'}; expected a lock" in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", ["report STUDY", "study IMAGES --out STUDY --recipes gan@4"])
@pytest.mark.parametrize("link", ["tables", "figures", "cells", "runs", "runs/0", "runs/0/sets", "report.html"])
def test_a_link_in_a_received_study_is_refused_and_leads_nothing_elsewhere(
    received: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, link: str
):
    study, elsewhere = copied(received, tmp_path), tmp_path / "elsewhere"
    (study / link).rename(elsewhere)
    (study / link).symlink_to(elsewhere)
    if elsewhere.is_dir():
        (elsewhere / ".accuracy.csv.0123abcd.tmp").write_text("theirs")
        (elsewhere / "training.npz").write_text("theirs")
    before = contents(tmp_path)
    code, said = run(command, capsys, STUDY=study, IMAGES=images)
    assert code == 2
    assert f"{study / link}: found a link; expected a" in said
    assert contents(tmp_path) == before


@pytest.mark.parametrize("link", ["snapshots", "pictures", "checkpoint", "tensorboard", "log.jsonl"])
def test_a_link_in_a_run_is_refused_and_leads_nothing_elsewhere(
    trained: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], link: str
):
    gan, elsewhere = shutil.copytree(trained, tmp_path / "gan"), tmp_path / "elsewhere"
    (gan / "finished.json").unlink()
    if (gan / link).exists():
        (gan / link).rename(elsewhere)
    else:
        elsewhere.mkdir()
        (elsewhere / "state.safetensors").write_text("theirs")
    (gan / link).symlink_to(elsewhere)
    before = contents(tmp_path)
    code, said = run("train IMAGES --out GAN", capsys, IMAGES=images, GAN=gan)
    assert code == 2
    assert f"{gan / link}: found a link; expected a" in said
    assert contents(tmp_path) == before


def test_a_study_and_a_run_may_be_reached_through_links(
    received: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    copied(received, tmp_path)
    (tmp_path / "link").symlink_to("study")
    (tmp_path / "empty").mkdir()
    (tmp_path / "new").symlink_to("empty")
    assert run("report STUDY", capsys, STUDY=tmp_path / "link")[0] == 0
    assert run("train IMAGES --out GAN", capsys, IMAGES=images, GAN=tmp_path / "new")[0] == 0
    assert (tmp_path / "empty" / "finished.json").is_file()


@pytest.mark.parametrize(
    "command",
    [
        "data IMAGES --format npz --out",
        "data IMAGES --format idx --out",
        "generate GAN --count 6 --out",
        "generate STUDY --recipe gan@4 --format npz --out",
        "train IMAGES --out",
        "study IMAGES --out",
        "export GAN --out",
        "report",
    ],
)
@pytest.mark.parametrize("out", ["loop.npz", "circle.npz/set.npz", "nowhere.npz", "nowhere.npz/set.npz"])
def test_a_link_that_leads_nowhere_is_one_line(
    received: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, out: str
):
    for name, target in [
        ("loop.npz", "loop.npz"),
        ("circle.npz", "c.npz"),
        ("c.npz", "circle.npz"),
        ("nowhere.npz", "x"),
    ]:
        (tmp_path / name).symlink_to(target)
    before = contents(tmp_path)
    gan = received / "runs" / "0" / "gan"
    code, said = run(f"{command} OUT", capsys, IMAGES=images, STUDY=received, GAN=gan, OUT=tmp_path / out)
    assert code == 2
    assert "that leads nowhere; expected" in said or command == "report"
    assert str(tmp_path / out.split("/")[0]) in said
    assert contents(tmp_path) == before


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file gets larger than `size` bytes: what does not fit is refused as on a full disk, without a name."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("size", "file"), [(0, ".out.npz.lock"), (200, "out.npz")])
@pytest.mark.parametrize("format", FORMATS)
def test_a_set_without_room_is_named_and_leaves_nothing(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str, size: int, file: str
):
    with room(size):
        code, said = run(f"data IMAGES --out OUT --format {format}", capsys, IMAGES=images, OUT=tmp_path / "out.npz")
    assert code == 1
    assert said.endswith(f"File too large: '{tmp_path / file}'")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("size", "file"), [(0, ".lock"), (200, "config.json"), (2000, "snapshots/step-000002.safetensors")]
)
def test_a_run_without_room_names_the_file(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int, file: str
):
    with room(size):
        code, said = run("train IMAGES --out OUT", capsys, IMAGES=images, OUT=tmp_path / "run")
    assert code == 1
    assert said.endswith(f"File too large: '{tmp_path / 'run' / file}'")
    assert run("train IMAGES --out OUT", capsys, IMAGES=images, OUT=tmp_path / "run")[0] == 0


def test_a_report_without_room_names_the_file(received: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    study = copied(received, tmp_path)
    with room(3000):
        code, said = run("report STUDY", capsys, STUDY=study)
    assert code == 1
    assert said.endswith(f"File too large: '{study / 'tables' / 'map.csv'}'")
    assert run("report STUDY", capsys, STUDY=study)[0] == 0
    assert contents(study) == contents(received)


def test_all_that_a_study_writes_is_in_its_layout(received: Path):
    files = {path.relative_to(received) for path in received.rglob("*") if path.is_file()}
    known = Layout("", STUDY.written)
    assert {path for path in files if not any(path.match(pattern) for pattern in known.written)} == set()
