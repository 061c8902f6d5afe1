"""One function for every reader: the content of one file, or a whole small folder, goes in."""

import os
import shutil
import struct
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any
from unittest.mock import patch

import mutation
import numpy as np
import received
import seeds
from mutation import Mutator
from promise import Target, read_or_refuse

from mizumashi.data import catalog
from mizumashi.data.image_files import is_image, read_image
from mizumashi.data.npz import map_npz, read_npz
from mizumashi.data.preprocess import mnist_style
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_images

PICTURE = seeds.png((3, 2))
LARGEST_CHARACTER = 64 * 64  # pixels of an image that is also preprocessed: the time grows faster than they do


def idx(content: bytes, folder: Path) -> None:
    """The images of an IDX set, then its labels."""
    _idx(content, folder, "")


def idx_gz(content: bytes, folder: Path) -> None:
    """The same, gzipped."""
    _idx(content, folder, ".gz")


def _idx(content: bytes, folder: Path, ending: str) -> None:
    images, labels = folder / f"images-idx3-ubyte{ending}", folder / f"labels-idx1-ubyte{ending}"
    (count,) = struct.unpack_from(">4xI", content) if len(content) >= 8 and not ending else (6,)
    images.write_bytes(content)
    labels.write_bytes(seeds.idx_bytes(np.arange(min(count, 9), dtype=np.uint8) % 2))
    read_or_refuse(lambda: open_images(folder))
    images.write_bytes(seeds.idx_bytes(seeds.PIXELS))
    labels.write_bytes(content)
    read_or_refuse(lambda: open_images(folder))


def npz(content: bytes, folder: Path) -> None:
    """A set as NPZ, the arrays of a study's examples, and an array left on disk."""
    path = folder / "set.npz"
    path.write_bytes(content)
    read_or_refuse(lambda: open_images(path))
    read_or_refuse(lambda: read_npz(path, ("images", "sets")))
    read_or_refuse(lambda: map_npz(path, "labels"))


def tar(content: bytes, folder: Path) -> None:
    """A WebDataset shard."""
    path = folder / "train-0.tar"
    path.write_bytes(content)
    read_or_refuse(lambda: open_images(folder))
    read_or_refuse(lambda: open_images(path))


def parquet(content: bytes, folder: Path) -> None:
    """A Parquet file."""
    path = folder / "train-0.parquet"
    path.write_bytes(content)
    read_or_refuse(lambda: open_images(folder))
    read_or_refuse(lambda: open_images(path))


def image(content: bytes, folder: Path) -> None:
    """An image file."""
    path = folder / "x.png"
    path.write_bytes(content)
    read_or_refuse(lambda: is_image(path))
    read_or_refuse(lambda: _preprocessed(read_image(path)))


def _preprocessed(pixels: np.ndarray) -> None:
    if pixels.size <= LARGEST_CHARACTER:
        mnist_style(pixels)


def image_folder(content: bytes, folder: Path) -> None:
    """A folder of image files, class folders, links and pipes."""
    home = folder / "set"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir()
    plant(content, home)
    read_or_refuse(lambda: open_images(home))


def plant(content: bytes, home: Path) -> None:
    """Make the files that a script names: kind (f, d, l, p), length of the name, name, length, content."""
    place = 0
    while place + 2 <= len(content):
        kind, size = content[place : place + 1], content[place + 1]
        name = content[place + 2 : place + 2 + size].decode(errors="replace").replace("\0", "").lstrip("/")
        name = "_".join(name.splitlines())  # in a path they are the command line's to escape
        place += 2 + size
        (size,) = struct.unpack_from(">H", content.ljust(place + 2, b"\0"), place)
        inside, place = content[place + 2 : place + 2 + size], place + 2 + size
        path = home / name
        try:
            if ".." in path.parts or not path.parent.is_dir():
                continue
            if kind == b"d":
                path.mkdir()
            elif kind == b"l":
                path.symlink_to(os.fsdecode(inside.replace(b"\0", b"") or b"."))
            elif kind == b"p":
                os.mkfifo(path)
            elif not path.exists():
                path.write_bytes(PICTURE if inside == b"\1" else inside)
        except OSError:
            continue


def class_names(content: bytes, folder: Path) -> None:
    """classes.json beside class folders, and beside IDX files."""
    pictures, numbers = folder / "pictures", folder / "numbers"
    if not pictures.exists():
        for name in ("a", "b"):
            (pictures / name).mkdir(parents=True)
            (pictures / name / "x.png").write_bytes(PICTURE)
        numbers.mkdir()
        (numbers / "images-idx3-ubyte").write_bytes(seeds.idx_bytes(seeds.PIXELS))
        (numbers / "labels-idx1-ubyte").write_bytes(seeds.idx_bytes(seeds.LABELS))
    for home in (pictures, numbers):
        (home / "classes.json").write_bytes(content)
        read_or_refuse(lambda home=home: open_images(home))


def archive(content: bytes, folder: Path) -> None:
    """The archive that FaxOCR comes in; what it holds must stay in the folder."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / "numbers").mkdir(parents=True)
    (folder / "kocr.zip").write_bytes(content)
    with patch.object(catalog, "FAXOCR_LEAST", 2):
        read_or_refuse(lambda: catalog.extract_numbers(folder / "kocr.zip", home / "numbers"))
    strays = [path for path in folder.rglob("*") if path.parent != home / "numbers" and path.name not in _OWN]
    assert not strays, f"files outside of the folder: {strays}"


_OWN = ("home", "numbers", "kocr.zip")


def run_config(content: bytes, folder: Path) -> None:
    """A GAN run's config.json, then a drawing from what it describes."""
    _run(content, folder, "config.json")


def snapshot(content: bytes, folder: Path) -> None:
    """A generator's weights."""
    _run(content, folder, "snapshots/step-000002.safetensors")


def run_log(content: bytes, folder: Path) -> None:
    """A GAN run's log.jsonl."""
    from mizumashi.gan.run import GanRun

    run = _copied(_gan_run(), folder / "run")
    (run / "log.jsonl").write_bytes(content)
    read_or_refuse(lambda: GanRun(run).losses())


def _run(content: bytes, folder: Path, name: str) -> None:
    from mizumashi.gan.run import GanRun

    run = _copied(_gan_run(), folder / "run")
    (run / name).write_bytes(content)
    read_or_refuse(lambda: GanRun(run).snapshot(None).sample(count=4))


def checkpoint(content: bytes, folder: Path) -> None:
    """A GAN run's resume state, and a step that goes on from it."""
    from mizumashi.gan import checkpoint

    def go_on() -> None:
        checkpoint.load(run, parts)
        parts["generator_optimizer"].step()

    run, parts = folder / "run", _parts()
    if not run.exists():
        checkpoint.save(run, parts, checkpoint.read_log(_gan_run()))
    (run / "checkpoint" / "state.safetensors").write_bytes(content)
    read_or_refuse(go_on)


def plan(content: bytes, folder: Path) -> None:
    """A study's plan.json, when the study is taken up again."""
    from mizumashi.studies.plan import begin

    (folder / "plan.json").write_bytes(content)
    read_or_refuse(lambda: begin(_plan(), folder))


def cell(content: bytes, folder: Path) -> None:
    """A study's cell, when the study is taken up again."""
    from mizumashi.studies.cell import read_cell

    (folder / "cell.json").write_bytes(content)
    read_or_refuse(lambda: read_cell(folder / "cell.json"))


def results(content: bytes, folder: Path) -> None:
    """A study's results.json, through all of its report but the figures."""
    from mizumashi.report import page

    study = _copied(_study(), folder / "study")
    (study / "results.json").write_bytes(content)
    with patch.object(page, "figures", _NoFigures()), patch("gc.collect"):  # statsmodels collects garbage at each call
        read_or_refuse(lambda: page.draw(study))


def command_line(content: bytes, folder: Path) -> None:
    """A command, which the first byte chooses, with one of its files damaged: exit code 0 or 2, and no traceback."""
    from mizumashi.cli import main as cli

    name, words = COMMANDS[content[0] % len(COMMANDS)] if content else COMMANDS[0]
    shutil.rmtree(folder / "new", ignore_errors=True)
    (folder / "pictures" / "a").mkdir(parents=True, exist_ok=True)
    (folder / "pictures" / "b").mkdir(exist_ok=True)
    (folder / "pictures" / "b" / "x.png").write_bytes(PICTURE)
    run = _copied(_gan_run(), folder / "run")
    shutil.copyfile(_gan_run() / "config.json", run / "config.json")
    _copied(_study(), folder / "study")
    write_images(seeds.pets(), folder / "pets.npz", "npz") if not (folder / "pets.npz").exists() else None
    (folder / name).write_bytes(content[1:])
    said, told = StringIO(), StringIO()
    # What keeps freed memory hides from the judge what is allocated.
    with redirect_stdout(said), redirect_stderr(told), patch.object(cli, "keep_freed_memory", lambda: None):
        code = cli.main([word.replace("FOLDER", str(folder)) for word in words.split()])
    lines = told.getvalue().splitlines()
    assert code in (0, 2), f"exit code {code}: {lines[-1:]}"
    assert "Traceback" not in told.getvalue(), "a traceback on the terminal"
    refusals = [line for line in lines if line.startswith("mizumashi: ")]
    assert code == 0 or refusals == lines[-1:], f"{len(lines)} lines on the terminal"


COMMANDS = (
    ("set.npz", "data FOLDER/set.npz --out FOLDER/new --format folder"),
    ("pictures/a/x.png", "data FOLDER/pictures --resize 8 --out FOLDER/new --format npz"),
    ("pictures/a/x.png", "data FOLDER/pictures --preprocess mnist-style"),
    ("set.npz", "evaluate FOLDER/set.npz --on FOLDER/pets.npz"),
    ("run/config.json", "generate FOLDER/run --per-class 1 --out FOLDER/new"),
    ("run/snapshots/step-000002.safetensors", "generate FOLDER/run --count 4 --out FOLDER/new --format idx.gz"),
    ("run/config.json", "train FOLDER/pets.npz --out FOLDER/run --steps 2"),
    ("study/results.json", "report FOLDER/study"),
)


class _NoFigures:
    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments, **options: None


def _copied(source: Path, target: Path) -> Path:
    """A copy of a folder, made once; what a target changes in it, the next input changes again."""
    if not target.exists():
        shutil.copytree(source, target)
    return target


@cache
def _gan_run() -> Path:
    from mizumashi.gan.config import GanConfig
    from mizumashi.gan.training import train

    config = GanConfig(steps=2, snapshots=(2,), batch_size=2, latent_size=2, widths=(1, 2, 1), precision="32-true")
    return train(seeds.pets(), Path(mkdtemp()) / "run", config, accelerator="cpu").path


@cache
def _parts() -> dict[str, Any]:
    import torch

    network = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return {"generator": network, "generator_optimizer": optimizer}


@cache
def _plan() -> object:
    from mizumashi.gan.config import GanConfig
    from mizumashi.studies.config import StudyConfig
    from mizumashi.studies.plan import Plan

    config = GanConfig(steps=2, snapshots=(1, 2), batch_size=4, latent_size=2, widths=(1, 2, 1), precision="32-true")
    return Plan(seeds.pets(), None, None, StudyConfig(config))


@cache
def _study() -> Path:
    from mizumashi.studies.run import run_study

    folder = Path(mkdtemp()) / "study"
    run_study(_plan(), folder, accelerator="cpu")
    return folder


@dataclass(frozen=True)
class Reader:
    """A target with what a fuzzer needs: valid inputs, a mutator of its format, and whether it brings PyTorch."""

    target: Target
    seeds: Callable[[], list[bytes]]
    change: Mutator = mutation.change_bytes
    late: bool = False


def _file(folder: Callable[[], Path], name: str) -> Callable[[], list[bytes]]:
    return lambda: [(folder() / name).read_bytes()]


def _checkpoints() -> list[bytes]:
    from mizumashi.gan import checkpoint

    folder = Path(mkdtemp())
    checkpoint.save(folder, _parts(), checkpoint.read_log(_gan_run()))
    return [(folder / "checkpoint" / "state.safetensors").read_bytes()]


def _plans() -> list[bytes]:
    from mizumashi.studies.plan import begin

    folder = Path(mkdtemp())
    begin(_plan(), folder)
    return [(folder / "plan.json").read_bytes()]


def _cells() -> list[bytes]:
    return [path.read_bytes() for path in sorted((_study() / "cells").glob("*.json"))[:3]]


def _command_lines() -> list[bytes]:
    npz, picture = seeds.npz()[0], seeds.images()[0]
    weights = (_gan_run() / "snapshots" / "step-000002.safetensors").read_bytes()
    config, results = ((_gan_run() / "config.json").read_bytes(), (_study() / "results.json").read_bytes())
    return [
        bytes([index]) + content
        for index, content in enumerate((npz, picture, picture, npz, config, weights, config, results))
    ]


def _change_command_line(rng: Random, content: bytes) -> bytes:
    """Change the file and leave the command."""
    changes = (mutation.change_zip, mutation.change_image, mutation.change_image, mutation.change_zip)
    changes += (mutation.change_json, mutation.change_safetensors, mutation.change_json, mutation.change_json)
    index = content[0] % len(changes) if content else 0
    return bytes([index]) + changes[index](rng, content[1:])


READERS = {
    "idx": Reader(idx, seeds.idx),
    "idx.gz": Reader(idx_gz, seeds.idx_gz, mutation.change_gzip),
    "npz": Reader(npz, seeds.npz, mutation.change_zip),
    "webdataset": Reader(tar, seeds.tars, mutation.change_tar),
    "parquet": Reader(parquet, seeds.parquets),
    "image": Reader(image, seeds.images, mutation.change_image),
    "image folder": Reader(image_folder, seeds.trees),
    "classes.json": Reader(class_names, seeds.class_names, mutation.change_json),
    "archive": Reader(archive, seeds.archives, mutation.change_zip),
    "config.json": Reader(run_config, _file(_gan_run, "config.json"), mutation.change_json, late=True),
    "log.jsonl": Reader(run_log, _file(_gan_run, "log.jsonl"), mutation.change_json_lines, late=True),
    "snapshot": Reader(
        snapshot, _file(_gan_run, "snapshots/step-000002.safetensors"), mutation.change_safetensors, late=True
    ),
    "checkpoint": Reader(checkpoint, _checkpoints, mutation.change_safetensors, late=True),
    "plan.json": Reader(plan, _plans, mutation.change_json, late=True),
    "cell": Reader(cell, _cells, mutation.change_json, late=True),
    "results.json": Reader(results, _file(_study, "results.json"), mutation.change_json, late=True),
    "study": Reader(received.received, received.whole, received.change, late=True),
    "command line": Reader(command_line, _command_lines, _change_command_line, late=True),
}
"""Every reader of files that someone else may have made."""
