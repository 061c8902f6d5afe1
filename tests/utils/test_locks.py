import os
import subprocess
import sys
from pathlib import Path

import pytest

from mizumashi.errors import InputError
from mizumashi.utils import files, locks
from mizumashi.utils.files import write_text
from mizumashi.utils.layout import Layout
from mizumashi.utils.locks import lock_folder, lock_name, remove_leftovers

KIND = Layout("config.json", ("config.json", "log", "sets/a.*", "runs/*/x"), ("runs/*/.lock", "sets/.a.*.lock"))

HOLD = """
import sys, time
from pathlib import Path
from mizumashi.utils import files, locks
from mizumashi.utils.files import atomic_folder
from mizumashi.utils.layout import Layout
new = Path(sys.argv[2])
kind = Layout("config.json", ("config.json",))
with locks.lock_folder(new, kind) if sys.argv[1] == "folder" else locks.lock_name(new):
    if sys.argv[1] == "folder":
        (new / "config.json").touch()
        (new / ".config.json.01234567.tmp").touch()
        print("held", flush=True)
        time.sleep(600)
    with atomic_folder(new) as temporary:
        (temporary / "half").touch()
        print("held", flush=True)
        time.sleep(600)
"""


def held(kind, path):
    return lock_folder(path, KIND) if kind == "folder" else lock_name(path)


@pytest.mark.parametrize("kind", ["folder", "name"])
def test_what_another_process_holds_is_refused_with_its_name_and_a_killed_ones_is_taken_over(tmp_path, kind):
    def hold():
        with held(kind, tmp_path / "new"):
            return {path.name for path in tmp_path.iterdir()}

    command = [sys.executable, "-c", HOLD, kind, str(tmp_path / "new")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        with pytest.raises(InputError, match=rf"found .*new in use by process {process.pid} on .*; expected no other"):
            hold()
        process.kill()
    others = {".new.0123abcd.tmp", ".newer.0123abcd.tmp"}
    for name in others:
        (tmp_path / name).touch()
    assert len(list(tmp_path.iterdir())) == (3 if kind == "folder" else 4)
    assert hold() == others | {"new" if kind == "folder" else ".new.lock"}
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.parametrize(
    "text", ["process 1 on moon", "process 1 on moon\n../../../x", "process 1 on moon\n0123456", "pro"]
)
def test_a_lock_that_notes_no_temporary_name_removes_nothing_but_itself(tmp_path, text):
    (tmp_path / ".new.0123abcd.tmp").mkdir()
    (tmp_path / ".new.lock").write_text(text)
    with lock_name(tmp_path / "new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".new.0123abcd.tmp"]


def test_a_writer_killed_after_its_last_rename_leaves_nothing_for_long(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / ".set.lock").write_text("process 1 on moon")
    (tmp_path / ".other.lock").touch()
    locks.forget_killed_writer(tmp_path / "set")
    locks.forget_killed_writer(tmp_path / "never")
    assert {path.name for path in tmp_path.iterdir()} == {"set", ".other.lock"}


def test_what_a_killed_process_left_in_a_folder_goes_once_that_is_known_and_nothing_else(tmp_path):
    kept = [".hidden", "a.0123abcd.tmp", ".log.tmp", "sets/x.lock", ".git.lock", ".notes.0123abcd.tmp", "config.json"]
    kept += [
        "sets/.b.89abcdef.tmp",
        ".log.0123ABCD.tmp",
        "sub/.log.0123abcd.tmp",
        ".log.lock",
        "runs/0/.y.0123abcd.tmp",
    ]
    kept += ["sets/.a.y.01234567.tmp/thesis", "sets/.a.x.lock"]
    gone = [".config.json.0123abcd.tmp", ".log.0123abcd.tmp", "sets/.a.npz.89abcdef.tmp", "runs/0/.x.89abcdef.tmp"]
    gone += ["runs/0/.lock", "sets/.a.b.lock"]
    for name in [*kept, *gone]:
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("process 1 on moon" if name in gone else "theirs")

    def names():
        return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}

    with lock_folder(tmp_path, KIND):
        assert names() == {*kept, *gone, ".lock"}
        remove_leftovers(tmp_path, KIND)
    assert names() == {*kept}


def test_what_a_living_process_writes_below_a_folder_stays(tmp_path):
    for name in ("runs/0/.x.89abcdef.tmp", "runs/1/.x.89abcdef.tmp", "sets/.a.b.89abcdef.tmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    (tmp_path / "config.json").touch()
    seed = Layout("x", ("x",))
    (tmp_path / "runs/0/x").touch()
    with lock_folder(tmp_path, KIND), lock_folder(tmp_path / "runs" / "0", seed), lock_name(tmp_path / "sets" / "a.b"):
        remove_leftovers(tmp_path, KIND)
        assert {path.name for path in (tmp_path / "runs" / "0").iterdir()} == {"x", ".x.89abcdef.tmp", ".lock"}
        assert {path.name for path in (tmp_path / "sets").iterdir()} == {".a.b.89abcdef.tmp", ".a.b.lock"}
        assert not list((tmp_path / "runs" / "1").iterdir())


@pytest.mark.parametrize(
    ("there", "new"),
    [
        ([], True),
        ([".lock"], True),
        ([".lock", ".config.json.0123abcd.tmp"], True),
        ([".config.json.0123abcd.tmp/thesis"], False),
        ([".log.0123abcd.tmp"], False),
        ([".lock", "x"], False),
    ],
)
def test_a_folder_is_new_that_holds_only_what_a_start_leaves_that_was_killed(tmp_path, there, new):
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("process 1 on moon")

    def hold():
        with lock_folder(tmp_path, KIND):
            files.require_new_folder(tmp_path)

    if new:
        hold()
    else:
        with pytest.raises(InputError, match="found a folder that is not empty"):
            hold()
        assert sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()) == sorted(
            there
        )


def hard_link(lock, victim):
    os.link(victim, lock)


def own_text(lock, victim):
    lock.write_text("pid 17\n")


@pytest.mark.parametrize("kind", ["folder", "name"])
@pytest.mark.parametrize(
    "make", [Path.symlink_to, hard_link, own_text, lambda lock, _: os.mkfifo(lock), lambda lock, _: lock.mkdir()]
)
def test_what_is_no_lock_of_ours_is_left_as_it_is(tmp_path, kind, make):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "config.json").touch()
    (tmp_path / "victim").write_text("process of theirs")
    lock = tmp_path / "new" / ".lock" if kind == "folder" else tmp_path / ".new.lock"
    make(lock, tmp_path / "victim")
    before = lock.lstat()

    def hold():
        with held(kind, tmp_path / "new"):
            pass

    with pytest.raises(InputError, match=r"found a (link|file of another program) .*\.lock; expected a lock's file; "):
        hold()
    locks.forget_killed_writer(tmp_path / "new")
    assert (lock.lstat().st_ino, lock.lstat().st_size) == (before.st_ino, before.st_size)
    assert (tmp_path / "victim").read_text() == "process of theirs"


def test_an_empty_lock_may_be_anyones_until_the_work_is_done(tmp_path):
    (tmp_path / "config.json").touch()
    (tmp_path / ".lock").touch()

    def refuse():
        with lock_folder(tmp_path, KIND):
            assert (tmp_path / ".lock").read_text().startswith("process ")
            raise InputError("another run")

    with pytest.raises(InputError, match="another run"):
        refuse()
    assert (tmp_path / ".lock").read_text() == ""
    with lock_folder(tmp_path, KIND):
        pass
    assert not (tmp_path / ".lock").exists()


@pytest.mark.parametrize("link", ["runs", "runs/0", "runs/0/x", "sets", "sets/a.npz", "log"])
@pytest.mark.parametrize("when", ["before", "while"])
def test_nothing_is_written_or_removed_through_links_below_a_held_folder(tmp_path, link, when):
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    for folder in (home, elsewhere):
        for name in ("config.json", "runs/0/.x.89abcdef.tmp", "sets/.a.npz.89abcdef.tmp", "x", "a.npz", "log"):
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_text("theirs")
    (home / "log").unlink()
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}

    def make():
        if (home / link).is_dir():
            (home / link).rename(tmp_path / "away")
        (home / link).symlink_to(elsewhere / link if (elsewhere / link).exists() else elsewhere / "x")

    def work():
        (tmp_path / "way").symlink_to(home)
        with lock_folder(tmp_path / "way", KIND):
            if when == "while":
                make()
            file = {"runs": "runs/0/x", "runs/0": "runs/0/x", "sets": "sets/a.npz"}.get(link, link)
            write_text(tmp_path / "way" / file, "ours")

    if when == "before":
        make()
    with pytest.raises(
        InputError, match=rf"(found a link at )?{tmp_path}/(home|way)/{link}(: found a link)?; expected a"
    ):
        work()
    assert {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()} == before


def test_a_folder_may_be_reached_through_links(tmp_path):
    (tmp_path / "disk" / "home").mkdir(parents=True)
    (tmp_path / "link").symlink_to("disk")
    with lock_folder(tmp_path / "link" / "home", KIND):
        write_text(tmp_path / "link" / "home" / "sets" / "a.txt", "ours")
    assert (tmp_path / "disk" / "home" / "sets" / "a.txt").read_text() == "ours"


def test_a_folder_that_is_moved_away_is_not_made_again(tmp_path):
    home = tmp_path / "home"

    def move():
        with lock_folder(home, KIND):
            write_text(home / "kept", "1")
            home.rename(tmp_path / "elsewhere")
            write_text(home / "cells" / "new", "2")

    with pytest.raises(InputError, match=r"found that .*home has gone while it was in use"):
        move()
    assert {path.name for path in tmp_path.rglob("*")} == {"elsewhere", "kept", ".lock"}


@pytest.mark.parametrize("written", [[], ["a"]])
def test_a_folder_made_to_be_held_goes_with_the_failure_and_stays_with_its_contents(tmp_path, written):
    def fail():
        with lock_folder(tmp_path / "x" / "y", KIND):
            for name in written:
                write_text(tmp_path / "x" / "y" / name, "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "x").exists() == bool(written)
