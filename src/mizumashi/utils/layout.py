"""What the program writes in a run's or study's folder, and that nothing there leads elsewhere or is no file."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from mizumashi.errors import InputError
from mizumashi.utils.stored import stored, stored_folder

LOCK = ".lock"
"""The lock file in a held folder; that of a single name is `.NAME.lock`, beside it."""

_TEMPORARY = f".{{}}.{'[0-9a-f]' * 8}.tmp"
_held: "dict[Path, Layout]" = {}  # folders that this process holds


@dataclass(frozen=True)
class Layout:
    """The names that the program gives in a folder of one kind, as patterns of paths relative to it.

    Args:
        first: the file that is written before all others; a folder that holds it is of this kind.
        written: all files that are written whole, `first` too, and, with a slash, folders that others write in.
        locks: the lock files further below.

    Example:
        >>> Layout("config.json", ("config.json", "snapshots/step-*")).below("runs/*")
        ('runs/*/config.json', 'runs/*/snapshots/step-*')
    """

    first: str
    written: tuple[str, ...]
    locks: tuple[str, ...] = ()

    def below(self, folder: str) -> tuple[str, ...]:
        """`written`, as a layout has it whose `folder` holds this one."""
        return tuple(f"{folder}/{pattern}" for pattern in self.written)

    def temporaries(self, folder: Path) -> Iterator[Path]:
        """The temporary files of this layout below a folder."""
        for pattern in self.written:
            *above, name = pattern.split("/")
            for path in _matches(folder, "/".join([*above, _TEMPORARY.format(name)])):
                if path.is_file() and not path.is_symlink():
                    yield path

    def locks_below(self, folder: Path) -> Iterator[Path]:
        """The lock files of this layout below a folder, but for the folder's own."""
        for pattern in self.locks:
            yield from _matches(folder, pattern)

    def is_begun(self, folder: Path) -> bool:
        """Whether a folder holds what a start leaves that was killed before it wrote `first`, or nothing at all."""
        with os.scandir(folder) as entries:
            return all(
                entry.is_file(follow_symlinks=False)
                and (entry.name == LOCK or fnmatchcase(entry.name, _TEMPORARY.format(self.first)))
                for entry in entries
            )

    def require_plain(self, folder: Path) -> None:
        """Raise `InputError` unless what has a name of this layout is a regular file, or a folder where that belongs.

        A link would lead what is read or written elsewhere; a pipe or a device could be read for ever.
        """
        for pattern in self.written:
            for path in _matches(folder, pattern):
                if not pattern.endswith("/"):
                    stored(path)
                else:
                    stored_folder(path)


RUN = Layout(
    "config.json",
    (
        "config.json",
        "log.jsonl",
        "finished.json",
        "checkpoint/state.safetensors",
        "snapshots/step-*.safetensors",
        "pictures/step-*.png",
        "tensorboard/",
    ),
)
"""A GAN run's folder."""

SEED = Layout(
    "training.npz",
    ("training.npz", "distances.json", "copies.json", "neighbours.npz", "sets/gan@*.npz", *RUN.below("gan")),
    (f"gan/{LOCK}", f"sets/.gan@*.npz{LOCK}"),
)
"""A seed's folder in a study, while its GAN trains and draws."""

STUDY = Layout(
    "plan.json",
    (
        *("plan.json", "labels.npz", "examples.npz", "map.npz", "map-images.npz", "results.json", "verdict.json"),
        *("report.md", "report.html", "tables/*.csv", "tables/*.md", "figures/*.png", "figures/*.svg"),
        *("cells/*.json", "cells/*.npz", *SEED.below("runs/[0-9]*")),
    ),
    (f"runs/[0-9]*/{LOCK}", *(f"runs/[0-9]*/{lock}" for lock in SEED.locks)),
)
"""A study's folder."""


@contextmanager
def held(folder: Path, layout: Layout) -> Iterator[None]:
    """Note for the time of the block that this process holds a folder, a resolved path."""
    _held[folder] = layout
    try:
        yield
    finally:
        _held.pop(folder, None)


def layout_of(folder: Path) -> Layout | None:
    """The layout of a folder that this process holds, a resolved path; None if it does not."""
    return _held.get(folder)


def resolved(path: Path) -> Path:
    """`path` without links on the way.

    Raises:
        InputError: a link on the way leads nowhere: in a circle, or to what is not there.
    """
    path = path.absolute()
    for place in (*reversed(path.parents), path):
        if place.is_symlink() and not place.exists():
            raise InputError(
                f"found a link at {place} that leads nowhere; expected a folder, or a new name; choose another --out"
            )
    return path.resolve()


def require_own_way(path: Path) -> None:
    """Raise `InputError` if `path` is in a folder that this process holds, and that has gone, or past a link there."""
    if not _held:
        return
    way = [*reversed(path.absolute().parents), path.absolute()]
    for place, folder in enumerate(way[:-1], start=1):
        home = Path(os.path.realpath(folder))
        if home not in _held:
            continue
        if not home.is_dir():
            raise InputError(
                f"found that {home} has gone while it was in use; expected it to stay; put it back, and the same "
                "command goes on from what is there"
            )
        for below in way[place:]:
            _require_no_link(below)
        return


def _require_no_link(path: Path) -> None:
    if path.is_symlink():
        raise InputError(
            f"found a link at {path}; expected a file or folder, since nothing is written through links below a run "
            "or study; replace it with what it leads to, or remove it"
        )


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    """What is there under a pattern; on the way a link, or what is no folder, is refused."""
    name, _, rest = pattern.partition("/")
    try:
        with os.scandir(folder) as entries:
            found = sorted(entry.name for entry in entries if fnmatchcase(entry.name, name))
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in (folder / each for each in found):
        if not rest:
            yield path
        else:
            if path.is_symlink() or not ("*" in name and path.is_file()):  # a file of the user's beside the folders
                yield from _matches(stored_folder(path), rest)
