import os
import subprocess
import sys
from pathlib import Path

import pytest

from mizumashi import files
from mizumashi.errors import InputError
from mizumashi.files import read_json, sole_user, sole_writer, whole_file, whole_folder, write_text


@pytest.fixture
def flushed(monkeypatch):
    """What is flushed, in order: real paths, and "everything" for all disks."""
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
    monkeypatch.setattr(os, "sync", lambda: seen.append("everything"))
    return seen


def test_a_few_files_are_flushed_one_by_one_with_their_folders(flushed, tmp_path):
    with whole_folder(tmp_path / "set") as folder:
        (folder / "a").mkdir()
        (folder / "a" / "x").touch()
        written = {folder, folder / "a", folder / "a" / "x"}
    assert set(flushed[:-1]) == written
    assert flushed[-1] == tmp_path


def test_many_files_are_flushed_at_once(flushed, tmp_path):
    with whole_folder(tmp_path / "set") as folder:
        for index in range(200):
            (folder / f"{index}").touch()
    assert flushed == ["everything", tmp_path]


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_the_folders_made_are_flushed_as_well(flushed, tmp_path, whole):
    with whole(tmp_path / "a" / "b" / "new") as temporary:
        if whole is whole_file:
            temporary.touch()
    assert flushed[:2] == [tmp_path / "a", tmp_path]  # where a/b and a now are
    assert flushed[-1] == tmp_path / "a" / "b"


@pytest.mark.parametrize("whole", [whole_file, whole_folder])
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
        with whole_file(tmp_path / "a" / "b" / "new"):
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


HOLD = """
import sys, time
from pathlib import Path
from mizumashi import files
with getattr(files, sys.argv[1])(Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("whole", [sole_user, sole_writer])
def test_what_another_process_holds_is_refused_with_its_name_and_a_killed_ones_is_taken_over(tmp_path, whole):
    def hold():
        with whole(tmp_path / "new"):
            return {path.name for path in tmp_path.iterdir()}

    command = [sys.executable, "-c", HOLD, whole.__name__, str(tmp_path / "new")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(InputError, match=rf"found .*new in use by process {process.pid} on .*; expected no other"):
            hold()
        process.kill()
    for name in (".new.0123abcd.tmp", ".newer.0123abcd.tmp"):
        (tmp_path / name).touch()
    within = hold()
    assert within >= ({".new.lock", ".newer.0123abcd.tmp"} if whole is sole_writer else {"new"})
    assert (".new.0123abcd.tmp" in within) == (whole is sole_user)  # beside a held folder nothing is touched
    assert not list(tmp_path.rglob("*.lock"))


def test_a_writer_killed_after_its_last_rename_leaves_nothing_for_long(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / ".set.lock").write_text("process 1 on moon")
    (tmp_path / ".other.lock").touch()
    files.forget_killed_writer(tmp_path / "set")
    files.forget_killed_writer(tmp_path / "never")
    assert {path.name for path in tmp_path.iterdir()} == {"set", ".other.lock"}


def test_what_a_killed_process_left_in_a_folder_goes_and_nothing_else(tmp_path):
    kept = [".hidden", "a.0123abcd.tmp", ".a.tmp", "sets/x.lock"]
    gone = [".a.json.0123abcd.tmp", "sets/.b.89abcdef.tmp", "sets/.b.lock"]
    for name in [*kept, *gone]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".c.01234567.tmp" / "inner").mkdir(parents=True)
    with sole_user(tmp_path):
        pass
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {*kept, "sets"}


def test_a_folder_that_is_moved_away_is_not_made_again(tmp_path):
    home = tmp_path / "home"

    def move():
        with sole_user(home):
            write_text(home / "kept", "1")
            home.rename(tmp_path / "elsewhere")
            write_text(home / "cells" / "new", "2")

    with pytest.raises(InputError, match=r"found that .*home has gone while it was in use"):
        move()
    assert {path.name for path in tmp_path.rglob("*")} == {"elsewhere", "kept", ".lock"}


@pytest.mark.parametrize("written", [[], ["a"]])
def test_a_folder_made_to_be_held_goes_with_the_failure_and_stays_with_its_contents(tmp_path, written):
    def fail():
        with sole_user(tmp_path / "x" / "y"):
            for name in written:
                write_text(tmp_path / "x" / "y" / name, "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "x").exists() == bool(written)


def test_json_beyond_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_JSON_BYTES", 4)
    (tmp_path / "x.json").write_text("[1,2]")
    with pytest.raises(InputError, match="found 5 bytes of JSON; expected at most 4"):
        read_json(tmp_path / "x.json")
