import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import crash
import pytest
from processes import Server, contents_of
from small_jobs import Inputs, Job, Reference, small_jobs, undisturbed


@pytest.mark.slow
def test_killed_a_hundred_times_nothing_is_lost():
    """The command of docs/reliability.md, in an interpreter of its own."""
    command = [sys.executable, crash.__file__, "--kills", "120", "--seed", "0"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    assert found["faults"] == 0, done.stdout
    assert done.returncode == 0
    assert found["kills"] >= 100
    assert {name for name, job in found["jobs"].items() if job["while_writing"]} == set(crash.SHARES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["train", *(f"generate {format}" for format in ("idx", "folder", "npz", "parquet", "webdataset"))]
)
def test_killed_in_place_of_every_single_call_nothing_is_lost(
    server: Server, inputs: Inputs, tmp_path: Path, name: str
):
    """Of a very small job: 6 steps, or 6 images. Of a write, half is done."""
    fewer = {"300": "6", "100": "3", "200": "4", "7": "2", "40000": "6", "2000": "6"}
    job = small_jobs(inputs)[name]
    job = replace(job, arguments=tuple(fewer.get(word, word) for word in job.arguments))
    reference, number, code = undisturbed(job, tmp_path / "undisturbed", server), 0, -signal.SIGKILL
    while True:
        case = tmp_path / str(number)
        case.mkdir()
        code = server.start(job.arguments, case, dies_at=number).wait()
        if code != -signal.SIGKILL:
            break
        killed, tally = crash.state_of(case, job), crash.Tally()
        crash.judge(case, job, reference, crash.State(), killed, tally, told_steps=True)
        again = server.run(job.arguments, case)
        assert again == 0 or (again == 2 and job.whole and killed.contents)
        crash.judge(case, job, reference, killed, crash.state_of(case, job), tally, told_steps=True)
        assert tally.faults == []
        assert crash.unlike(contents_of(case), reference.tree) == []
        number += 1
    assert code == 0
    assert number > 15


@pytest.mark.slow
def test_killed_while_it_takes_over_another_run_no_step_is_lost(server: Server, inputs: Inputs, tmp_path: Path):
    fewer = {"300": "40", "100": "10", "200": "20"}
    job = small_jobs(inputs)["train"]
    job = replace(job, arguments=tuple(fewer.get(word, word) for word in job.arguments))
    reference = undisturbed(job, tmp_path / "undisturbed", server)
    other = tmp_path / "other"
    other.mkdir()
    process = server.start(job.arguments, other)
    while not (other / "run" / "snapshots" / "step-000010.safetensors").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = crash.state_of(other, job)
    arguments = (*job.arguments, "--resume", str(other / "run"))
    for number in range(50):
        case = tmp_path / str(number)
        case.mkdir()
        assert server.start(arguments, case, dies_at=number).wait() == -signal.SIGKILL
        killed = crash.state_of(case, job)
        assert server.run(arguments, case) == 0
        first = crash.FIRST_STEP.search(crash.said(case).read_text())
        assert first
        assert int(first[2]) == max(killed.steps.get(0, 0), left.steps[0]) + 1, number
        assert crash.unlike(contents_of(case), reference.tree) == []
    assert crash.state_of(other, job).contents == left.contents


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """The folder of a run of two steps that was killed after the first."""
    write(tmp_path / "case", {"run/config.json": b'{"config": {"seed": 0}}', "run/log.jsonl": b"1"})
    return tmp_path / "case"


def write(folder: Path, tree: dict[str, bytes]) -> None:
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def found(case: Path, before: crash.State, said: str = "") -> crash.Tally:
    """What the harness makes of the folder, where an undisturbed run logs 1, then 12."""
    config = (case / "run" / "config.json").read_bytes()
    moments = {
        "run/config.json": {crash.hashed(config): 0.1},
        "run/log.jsonl": {crash.hashed(b"1"): 0.2, crash.hashed(b"12"): 0.3},
    }
    reference = Reference({"run/config.json": config, "run/log.jsonl": b"12"}, 0.4, moments)
    crash.said(case).write_text(said)
    job, tally = Job((), "run", once=("config.json",)), crash.Tally()
    crash.judge(case, job, reference, before, crash.state_of(case, job), tally, told_steps=True)
    return tally


JOB = Job((), "run", once=("config.json",))


def test_the_harness_finds_nothing_wrong_with_what_is_right(case: Path):
    before = crash.state_of(case, JOB)
    write(case, {"run/log.jsonl": b"12", "run/.log.jsonl.01234567.tmp": b"1", "run/.lock": b"process 1"})
    tally = found(case, before, "GAN, seed 0: 1 of 2\nGAN, seed 0: 2 of 2\n")
    assert tally.faults == []
    assert tally.while_writing == 1


@pytest.mark.parametrize("content", [b"", b"2", b"123"])
def test_the_harness_finds_half_and_foreign_contents(case: Path, content: bytes):
    write(case, {"run/log.jsonl": content})
    assert len(found(case, crash.State()).half_files) == 1


def test_the_harness_finds_files_that_went_or_were_made_again(case: Path):
    before = crash.state_of(case, JOB)
    (case / "run" / "log.jsonl").unlink()
    config = (case / "run" / "config.json").read_bytes()
    (case / "run" / "new").write_bytes(config)
    (case / "run" / "new").replace(case / "run" / "config.json")
    tally = found(case, before)
    assert [len(tally.lost), len(tally.made_again)] == [1, 1]


@pytest.mark.parametrize(("first", "faults"), [(1, 1), (2, 1), (8, 0), (9, 1)])
def test_the_harness_finds_steps_that_were_lost_or_left_out(case: Path, first: int, faults: int):
    tally = found(case, crash.State(steps={0: 7}), f"GAN, seed 0: {first} of 20\nGAN, seed 0: 20 of 20\n")
    assert len(tally.lost) == faults


def test_the_harness_finds_what_is_surplus_missing_or_other_at_the_end():
    tree, expected = {"a": b"1", "b": b"2", "c": b"3"}, {"a": b"1", "b": b"0", "d": b"4"}
    assert crash.unlike(tree, expected) == ["b: other bytes", "c: surplus", "d: missing"]
