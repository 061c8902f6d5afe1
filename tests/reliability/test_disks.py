"""Real file systems that fill up, break, lose power or go away, below commands in processes of their own."""

import contextlib
import fcntl
import os
import random
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import crash
import pytest
from processes import Server, contents_of, said
from small_jobs import Inputs, Job, Reference, small_jobs, undisturbed

pytestmark = pytest.mark.slow

SETS = ("generate idx", "generate folder", "generate npz", "generate parquet", "generate webdataset")
EACH = ("train", *SETS, "study")

EXT4_IOC_SHUTDOWN, WITHOUT_FLUSHING_THE_JOURNAL = 0x8004587D, 2  # linux/ext4.h


@pytest.fixture(scope="module")
def jobs(inputs: Inputs) -> dict[str, Job]:
    """The small jobs; GANs of some hundred kilobytes, and small sets."""
    jobs = small_jobs(inputs)
    wide = {"4": "16", "8": "32"}
    for name in ("train", "study"):
        words = jobs[name].arguments
        at = words.index("--widths")
        jobs[name] = replace(jobs[name], arguments=(*words[:at], *(wide.get(word, word) for word in words[at:])))
    for name in ("generate idx", "generate npz"):
        words = jobs[name].arguments
        jobs[name] = replace(jobs[name], arguments=tuple("6000" if word == "40000" else word for word in words))
    return jobs


@pytest.fixture(scope="module")
def references(jobs: dict[str, Job], server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    home = tmp_path_factory.mktemp("undisturbed")
    return {name: undisturbed(job, home / name, server) for name, job in jobs.items()}


def system(*command: str | Path) -> None:
    """Run a system command; the test is skipped where that is not permitted."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]} here")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"{command[0]} is not permitted here: {error.stderr.strip()}")


@contextlib.contextmanager
def mounted(folder: Path, *what: str | Path) -> Iterator[Path]:
    """Mount a file system for the time of the block."""
    folder.mkdir(exist_ok=True)
    system("mount", *what, folder)
    try:
        with contextlib.suppress(FileNotFoundError):
            (folder / "lost+found").rmdir()
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def disk_image(folder: Path) -> Path:
    """An ext4 file system of 16 MiB in a file."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(2**24)
    system("mkfs.ext4", "-q", "-F", image)
    return image


def ended_with_one_line(folder: Path, code: int) -> str:
    """The last line of a command that has failed; asserts that it is the only one that says so."""
    spoken = said(folder).read_text().splitlines()
    lines = [line for line in spoken if line.startswith("mizumashi: ")]
    assert code in (1, 2), spoken[-5:]
    assert lines == spoken[-1:]
    return lines[0]


def judged(case: Path, job: Job, reference: Reference, before: crash.State, told_steps: bool = True) -> crash.State:
    """What a process left, which must be as after a kill: nothing half, nothing lost, nothing made again."""
    after, tally = crash.state_of(case, job), crash.Tally()
    crash.judge(case, job, reference, before, after, tally, told_steps)
    assert tally.faults == []
    return after


def goes_on(job: Job, reference: Reference, case: Path, server: Server) -> None:
    """Run the command again to its end: it does the rest, and leaves what an undisturbed one leaves."""
    before = judged(case, job, reference, crash.State(), told_steps=False)
    code = server.run(job.arguments, case)
    assert code == 0 or (code == 2 and job.whole and before.contents), said(case).read_text()
    judged(case, job, reference, before)
    assert crash.unlike(contents_of(case), reference.tree) == []


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", EACH)
def test_a_full_disk_is_one_line_and_with_more_room_the_same_command_ends_as_it_should(
    jobs: dict[str, Job],
    references: dict[str, Reference],
    server: Server,
    tmp_path: Path,
    name: str,
    share: float,
):
    job, reference = jobs[name], references[name]
    need = sum(4096 * -(-len(content) // 4096) for content in reference.tree.values())
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", f"size={round(share * need)}", "tmpfs") as disk:
        code = server.run(job.arguments, disk)
        assert code == 1
        assert "No space left on device: '" in ended_with_one_line(disk, code), "it names the file"
        system("mount", "-o", "remount,size=64m", disk)
        goes_on(job, reference, disk, server)


@pytest.mark.parametrize("trial", range(3))
@pytest.mark.parametrize("name", EACH)
def test_a_disk_that_breaks_is_one_line_and_once_repaired_the_same_command_ends_as_it_should(
    jobs: dict[str, Job],
    references: dict[str, Reference],
    server: Server,
    tmp_path: Path,
    name: str,
    trial: int,
):
    """An error makes ext4 read-only while the command runs."""
    job, reference, image = jobs[name], references[name], disk_image(tmp_path)
    how = ("-o", "loop,errors=remount-ro", image)
    with mounted(tmp_path / "disk", *how) as disk:
        process = server.start(job.arguments, disk)
        time.sleep(random.Random(trial).uniform(0.1, 0.9) * reference.seconds)
        source = subprocess.run(["findmnt", "-n", "-o", "SOURCE", disk], capture_output=True, text=True).stdout
        Path("/sys/fs/ext4", Path(source.strip()).name, "trigger_fs_error").write_text("1")
        code = process.wait()
        if code != 0:  # it may have ended before
            ended_with_one_line(disk, code)
    subprocess.run(["e2fsck", "-f", "-y", image], capture_output=True)
    with mounted(tmp_path / "disk", *how) as disk:
        goes_on(job, reference, disk, server)


@pytest.mark.parametrize("name", EACH)
def test_a_power_cut_loses_nothing_that_had_its_final_name(
    jobs: dict[str, Job], references: dict[str, Reference], server: Server, tmp_path: Path, name: str
):
    """Ten cuts: what was not flushed is gone; what is there is whole, and a command that was done stays done."""
    job, reference, image, chance = jobs[name], references[name], disk_image(tmp_path), random.Random(0)
    how = ("-o", "loop,noauto_da_alloc,commit=1", image)  # ext4's own care for careless programs is off
    state, in_vain = crash.State(), 0
    for _ in range(10):
        with mounted(tmp_path / "disk", *how) as disk:
            process = server.start(job.arguments, disk)
            time.sleep(chance.uniform(0, (1 + in_vain / 2) * crash.seconds_left(state, reference)))
            done = process.poll() == 0
            cut_power(disk)
            process.send_signal(signal.SIGKILL)
            process.wait()
        with mounted(tmp_path / "disk", *how) as disk:
            before, state = state, judged(disk, job, reference, state)
            in_vain = in_vain + 1 if state.contents == before.contents else 0
            assert not done or crash.unlike(state.contents | reference.tree, state.contents) == []
            if done or (job.whole and state.contents):
                goes_on(job, reference, disk, server)
                for path in disk.iterdir():
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                state = crash.State()
    with mounted(tmp_path / "disk", *how) as disk:
        goes_on(job, reference, disk, server)


def cut_power(disk: Path) -> None:
    """Stop a file system as it is on the disk, with what is not flushed lost."""
    descriptor = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, EXT4_IOC_SHUTDOWN, struct.pack("I", WITHOUT_FLUSHING_THE_JOURNAL))
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("trial", range(3))
@pytest.mark.parametrize("name", EACH)
def test_a_folder_that_is_moved_away_is_one_line_and_nothing_is_made_in_its_place(
    jobs: dict[str, Job],
    references: dict[str, Reference],
    server: Server,
    tmp_path: Path,
    name: str,
    trial: int,
):
    job, reference = jobs[name], references[name]
    place, away = tmp_path / "place", tmp_path / "away"
    place.mkdir()
    moved = place / "sets" if job.whole else place / job.makes
    arguments = [f"sets/{word}" if job.whole and word == "set" else word for word in job.arguments]
    process = server.start(arguments, place)
    while not moved.exists() and process.poll() is None:
        time.sleep(0.001)
    time.sleep(random.Random(trial).uniform(0.1, 0.9) * reference.seconds / 2)
    moved.rename(away)
    code = process.wait()
    if code != 0:  # it may have ended before
        ended_with_one_line(place, code)
    assert contents_of(place) == {}
    away.rename(moved)
    assert server.run(arguments, place) in ((0, 2) if job.whole else (0,))
    made = {name.removeprefix("sets/"): content for name, content in contents_of(place).items()}
    assert crash.unlike(made, reference.tree) == []
