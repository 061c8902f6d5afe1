"""A whole study that somebody else sent, its run with it: one file of it damaged, replaced or added, then used.

An input is four bytes (which file, what becomes of it, what is done then, which folder a file is added to) and content.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import mutation
import seeds
from promise import read_or_refuse

from mizumashi.cli.main import UNUSABLE
from mizumashi.errors import InputError

HEAD = 4
BECOMES = ("content", "content", "content", "content", "pipe", "device", "link", "hard link", "folder", "none", "added")
TRAP = b"raise SystemExit('code of the study ran')\n"


def received(content: bytes, folder: Path) -> None:
    """Read, report on, draw from or take up a study of which one file is not what it was."""
    which, becomes, then, where = content[:HEAD].ljust(HEAD, b"\0")
    study, outside, names = folder / "study", folder / "outside", list(_contents())
    for path in (study, outside):
        shutil.rmtree(path, ignore_errors=True)
    _write(study)
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious")
    _damage(study, names[which % len(names)], BECOMES[becomes % len(BECOMES)], content[HEAD:], outside, where)
    foreign = [study / ".git" / "index.lock", study / ".notes.0123abcd.tmp", study / "notes.py"]
    with _watched(study) as strays, _nothing_is_trained(), patch("gc.collect"):
        read_or_refuse(lambda: _use(study, ACTIONS[then % len(ACTIONS)]))
    assert not strays, f"outside of the study: {strays[:3]}"
    assert [path.name for path in outside.iterdir()] == ["precious"], "a file was made or removed outside"
    assert (outside / "precious").read_bytes() == b"precious", "a file outside was written to"
    assert all(path.is_file() for path in foreign), "a file of others was removed"


def _use(study: Path, action: Callable[[Path], None]) -> None:
    try:
        action(study)
    except OSError as error:  # a folder where a file is to be written: the command line makes a line of it, too
        if error.errno not in UNUSABLE or error.filename is None:
            raise
        raise InputError(error) from error


def _write(study: Path) -> None:
    for name, content in _contents().items():
        (study / name).parent.mkdir(parents=True, exist_ok=True)
        (study / name).write_bytes(content)
    (study / ".git").mkdir()
    (study / ".git" / "index.lock").touch()
    (study / ".notes.0123abcd.tmp").touch()
    (study / "notes.py").write_bytes(TRAP)


def _damage(study: Path, name: str, becomes: str, content: bytes, outside: Path, where: int) -> None:
    path = study / name
    if becomes == "added":
        path = path.parent / (".lock" if where % 2 else f".{path.name}.lock")
        path.unlink(missing_ok=True)
        path.symlink_to(outside / "precious") if where % 4 < 2 else path.hardlink_to(outside / "precious")
        return
    path.unlink()
    if becomes == "content":
        path.write_bytes(content)
    elif becomes == "pipe":
        os.mkfifo(path)
    elif becomes == "device":
        path.symlink_to(("/dev/zero", "/dev/full", "/dev/tty", "/dev/null")[where % 4])
    elif becomes == "link":
        path.symlink_to((outside / "precious", outside, outside / "new", path)[where % 4])
    elif becomes == "hard link":
        path.hardlink_to(outside / "precious")
    elif becomes == "folder":
        path.mkdir()


def _read(study: Path) -> None:
    from mizumashi.report.data import ReportData
    from mizumashi.studies.results import StudyResult

    facts = ReportData(StudyResult.read(study))
    _ = facts.examples, facts.points, facts.pictures, facts.neighbours, facts.losses, facts.confusions


def _report(study: Path) -> None:
    from mizumashi.api import report

    with patch("mizumashi.report.figures.drawn", lambda figure: {}), patch("mizumashi.report.page._drawings", _none):
        report(study)


def _none(*arguments: object, **options: object) -> Iterator[Any]:
    return iter(())


def _recipe(study: Path) -> None:
    from mizumashi.api import recipe_origin, training_set

    training_set(study, "best", images=seeds.pets())
    training_set(study, "gan@2", images=seeds.pets())
    recipe_origin(study, "gan@2")


def _draw(study: Path) -> None:
    from mizumashi.gan.run import GanRun

    run = GanRun(study / "runs" / "0" / "gan")
    run.snapshot(2).sample(count=4)
    run.losses()
    run.origin(2)


def _take_up(study: Path) -> None:
    from mizumashi.api import study as do

    with patch("mizumashi.report.page.draw", _none):
        do(seeds.pets(), out=study, config=_config(), accelerator="cpu")


def _train(study: Path) -> None:
    from mizumashi.gan.training import train

    train(seeds.pets().train, study / "runs" / "0" / "gan", _config().gan, accelerator="cpu")


ACTIONS: tuple[Callable[[Path], None], ...] = (*2 * (_read, _draw, _recipe), _report, _take_up, _train)
"""What is done with a study; reading takes a third of the time of the others, and is done twice as often."""


@contextmanager
def _nothing_is_trained() -> Iterator[None]:
    """Let what is missing be refused instead of made: making is not what is tried here, and takes seconds."""

    def refuse(*arguments: object, **options: object) -> None:
        raise InputError("found nothing; expected a result")

    makers = ("tasks.train", "cell.Cells._train_and_score", "measures.two_sample_accuracy", "measures.copies")
    with ExitStack() as stack:
        for maker in (*makers, "measures.shared_map"):
            stack.enter_context(patch(f"mizumashi.studies.{maker}", refuse))
        stack.enter_context(patch("mizumashi.gan.training._Training._step", refuse))
        stack.enter_context(patch("mizumashi.gan.footprint.training_bytes", _counted_once()))
        yield


@cache
def _counted_once() -> Callable[..., int]:
    """`training_bytes`, for each shape only once: it takes longer than reading most files."""
    from mizumashi.gan.footprint import training_bytes

    return cache(training_bytes)


_CHANGES = {
    "os.remove": 1,
    "os.rename": 2,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.link": 2,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "shutil.rmtree": 1,
}
_STARTS = {"os.system", "os.exec", "os.posix_spawn", "subprocess.Popen"}
_watching: list[tuple[Path, list[str]]] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook: what is written or removed outside of the study, and what is started."""
    if not _watching:
        return
    study, strays = _watching[-1]
    if event in _STARTS:
        strays.append(event)
    elif event == "open" and isinstance(arguments[0], str | bytes) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
        _note(strays, study, event, arguments[0])
    elif event in _CHANGES:
        for path in arguments[: _CHANGES[event]]:
            _note(strays, study, event, path)


def _note(strays: list[str], study: Path, event: str, path: Any) -> None:
    if isinstance(path, int):
        return
    place = Path(os.path.realpath(Path(os.fsdecode(path)).parent)) / Path(os.fsdecode(path)).name
    if study not in (place, *place.parents) and place.parts[1] != "dev" and "__pycache__" not in place.parts:
        strays.append(f"{event} {place}")


@contextmanager
def _watched(study: Path) -> Iterator[list[str]]:
    """Give a list of what goes astray; the current folder is the study, and its modules must not be imported."""
    strays: list[str] = []
    here, path = Path.cwd(), list(sys.path)
    _hooked()
    os.chdir(study)
    _watching.append((Path(os.path.realpath(study)), strays))
    try:
        yield strays
    finally:
        _watching.pop()
        os.chdir(here)
        sys.path[:] = path


@cache
def _hooked() -> None:
    sys.addaudithook(_watch)


@cache
def _config() -> Any:
    from targets import _plan

    return _plan().config


@cache
def _contents() -> dict[str, bytes]:
    """The files of a finished study, small ones of a run included, by name."""
    from targets import _study

    study = _study()
    files = (path for path in sorted(study.rglob("*")) if path.is_file() and path.suffix != ".png")
    return {str(path.relative_to(study)): path.read_bytes() for path in files}


def whole() -> list[bytes]:
    """Every file as it is, every way to replace one, and every action."""
    names = list(_contents())
    made = [bytes([which, 0, which % len(ACTIONS), 0]) + _contents()[name] for which, name in enumerate(names)]
    ways = range(4, len(BECOMES))
    made += [bytes([which, way, which + way, way]) for which in range(len(names)) for way in ways]
    plan = names.index("results.json")
    made.append(bytes([plan, 0, 2, 0]) + _contents()["results.json"].replace(b'"softmax"', b'"notes:model"'))
    return made


def change(rng: Random, content: bytes) -> bytes:
    """Another file, another way or another action, or the file's content changed as its kind is."""
    head, names = bytearray(content[:HEAD].ljust(HEAD, b"\0")), list(_contents())
    if rng.random() < 0.4:
        head = bytearray(rng.randrange(256) for _ in range(HEAD))
        content = bytes(head) + _contents()[names[head[0] % len(names)]]
    head[2] = rng.randrange(256)
    name = names[head[0] % len(names)]
    changes = {".json": mutation.change_json, ".jsonl": mutation.change_json_lines, ".npz": mutation.change_zip}
    changed = changes.get(Path(name).suffix, mutation.change_safetensors)(rng, content[HEAD:])
    return bytes(head) + changed
