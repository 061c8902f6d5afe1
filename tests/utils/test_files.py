import os
from pathlib import Path

import pytest

from mizumashi.errors import InputError
from mizumashi.utils import files
from mizumashi.utils.files import atomic_file, atomic_folder, read_json, write_text


@pytest.fixture
def flushed(monkeypatch):
    """What is flushed, in order: real paths, and "everything" for all disks."""
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    monkeypatch.setattr(os, "sync", lambda: seen.append("everything"))
    return seen


def test_a_few_files_are_flushed_one_by_one_with_their_folders(flushed, tmp_path):
    with atomic_folder(tmp_path / "set") as folder:
        (folder / "a").mkdir()
        (folder / "a" / "x").touch()
        written = {folder, folder / "a", folder / "a" / "x"}
    assert set(flushed[:-1]) == written
    assert flushed[-1] == tmp_path


def test_many_files_are_flushed_at_once(flushed, tmp_path):
    with atomic_folder(tmp_path / "set") as folder:
        for index in range(200):
            (folder / f"{index}").touch()
    assert flushed == ["everything", tmp_path]


@pytest.mark.parametrize("whole", [atomic_file, atomic_folder])
def test_the_folders_made_are_flushed_as_well(flushed, tmp_path, whole):
    with whole(tmp_path / "a" / "b" / "new") as temporary:
        if whole is atomic_file:
            temporary.touch()
    assert flushed[:2] == [tmp_path / "a", tmp_path]  # where a/b and a now are
    assert flushed[-1] == tmp_path / "a" / "b"


@pytest.mark.parametrize("whole", [atomic_file, atomic_folder])
def test_a_failure_leaves_none_of_the_folders_it_made(tmp_path, whole):
    (tmp_path / "mine").mkdir()

    def fail(path):
        with whole(path):
            raise KeyboardInterrupt

    for path in (tmp_path / "mine" / "new", tmp_path / "a" / "b" / "new"):
        with pytest.raises(KeyboardInterrupt):
            fail(path)
    assert list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_what_others_put_into_a_new_folder_stays(tmp_path):
    def fail():
        with atomic_file(tmp_path / "a" / "b" / "new"):
            write_text(tmp_path / "a" / "note", "theirs")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.rglob("*")) == [tmp_path / "a", tmp_path / "a" / "note"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused_with_a_way_out(tmp_path, content):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: found ")
    assert "; expected JSON; " in line
    assert "restore the file" in line or "make it again" in line
    assert "\n" not in line


def test_json_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 4)
    (tmp_path / "x.json").write_text("[1,2]")
    with pytest.raises(InputError, match="found 5 bytes of JSON; expected at most 4"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    "error", [MemoryError("no room"), RuntimeError("unable to mmap 9 bytes from file <x>: Cannot allocate memory (12)")]
)
def test_lack_of_memory_is_not_called_damage(tmp_path, error):
    with pytest.raises(MemoryError, match=r"x\.json: "), files.expect_undamaged(tmp_path / "x.json", "remove it"):
        raise error
