"""Kill commands with SIGKILL at random moments, start them again, and compare all they leave with an undisturbed run.

`python tests/reliability/crash.py --kills 120 --seed 0` prints one JSON object: the kills and restarts of each job,
and everything that was not as it should be.
"""

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from processes import Process, Server, contents_of, hashed, said, start_fresh
from safetensors import SafetensorError
from safetensors.numpy import load_file
from small_jobs import Job, Reference, small_jobs, undisturbed, write_inputs

MOMENTS = ("any", "any", "writing", "renamed")
"""When to kill: at a random moment; or when the process writes next after that; or when it next renames."""

LATER = 0.003
"""Seconds, at most, from the sight of a temporary or renamed file to the kill."""

SHARES = {
    "train": 0.25,
    "generate idx": 0.1,
    "generate folder": 0.1,
    "generate npz": 0.1,
    "study": 0.25,
    "study apart": 0.2,
}
"""Each job's share of the kills."""

LEFTOVER = re.compile(r"\..*\.tmp|(\..*)?\.lock")
"""Hidden names: what a killed process was writing, and its locks."""

FOR_A_TIME = re.compile(r".*/(finished\.json|checkpoint/state\.safetensors|training\.npz)")
"""What a finished job no longer has, or a restarted one makes anew."""

FIRST_STEP = re.compile(r"^GAN, seed (\d+): (\d+) of", re.MULTILINE)


@dataclass
class Tally:
    """What came out: counts, and everything wrong in words.

    Args:
        cases: how often the job was brought to its end.
        kills: how often it was killed on the way.
        workers: kills of a process that did a task of it; the others hit the command's own.
        fresh: kills of a new interpreter; the others were forked.
        while_writing: kills that left a temporary file.
        restarts: processes after a killed one.
        differences: of finished trees from the undisturbed one.
        half_files: contents under a final name, after a kill, that no undisturbed run ever had there.
        lost: files that were there after a kill and not after the next; steps behind the checkpoint, done again.
        made_again: files that are made once, and were made anew.
        failures: ends other than by the kill or with exit code 0.
    """

    cases: int = 0
    kills: int = 0
    workers: int = 0
    fresh: int = 0
    while_writing: int = 0
    restarts: int = 0
    differences: list[str] = field(default_factory=list)
    half_files: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    made_again: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Everything that was not as it should be."""
        return self.differences + self.half_files + self.lost + self.made_again + self.failures


@dataclass
class State:
    """What a killed process has left.

    Args:
        contents: all files under their final names.
        made: what identifies each file that is made once.
        steps: the checkpoint's step of each GAN's seed.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    made: dict[str, tuple[int, int]] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)


def crash(
    job: Job, reference: Reference, folder: Path, kills: int, fresh: int, chance: random.Random, server: Server
) -> Tally:
    """Kill a job at least `kills` times, in as many cases as that takes; each goes on until the job is finished.

    Args:
        job: what to run.
        reference: what it leaves undisturbed.
        folder: where to work; what belongs to a fault is left there.
        kills: how many at least.
        fresh: how many of them hit a new interpreter.
        chance: decides when to kill.
        server: forks the other processes.
    """
    tally, pace = Tally(), 1.0
    while tally.kills < kills:
        case, known = folder / str(tally.cases), len(tally.faults)
        case.mkdir(parents=True)
        tally.cases += 1
        killed, state, in_vain, processes = True, State(), 0, 0
        while killed:
            started_fresh = tally.fresh < fresh and tally.kills % 3 == 0
            process: Process = (
                start_fresh(job.arguments, case)
                if started_fresh
                else server.start(job.arguments, case, apart=job.apart)
            )
            left = seconds_left(state, reference) * pace * (1 + in_vain / 2)
            code, worker = _kill(process, case, left, chance, started_fresh, job.apart)
            told = said(case).read_text().splitlines()
            hit = worker and code == 1 and "was killed (SIGKILL)" in told[-1]
            killed = hit or code == -signal.SIGKILL
            state, before = state_of(case, job), state
            in_vain = in_vain + 1 if state.contents == before.contents else 0
            judge(case, job, reference, before, state, tally, told_steps=not started_fresh, stopped=hit)
            tally.kills += killed
            tally.workers += hit
            tally.fresh += started_fresh and killed
            processes += 1
        tally.restarts += processes - 1
        pace *= 1 if processes > 3 else 0.8  # the machine is faster now than when the undisturbed run was timed
        refused = code == 2 and job.whole and (case / job.makes).exists()  # a set that is there is never overwritten
        if code != 0 and not refused:
            tally.failures.append(f"{case}: exit code {code}: {said(case).read_text()[-500:]}")
        tally.differences += [f"{case}/{line}" for line in unlike(contents_of(case), reference.tree)]
        if len(tally.faults) == known:
            shutil.rmtree(case)
    return tally


def state_of(case: Path, job: Job) -> State:
    """What is there when no process runs."""
    found = contents_of(case).items()
    contents = {name: content for name, content in found if (case / name).is_file() and not is_leftover(name)}
    paths = [path for pattern in job.once for path in case.rglob(pattern)]
    made = {str(path.relative_to(case)): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}
    steps = {}
    for path in case.rglob("checkpoint/state.safetensors"):
        config = json.loads((path.parents[1] / "config.json").read_text())["config"]
        with contextlib.suppress(SafetensorError):  # `judge` speaks of its content
            steps[config["seed"]] = int(load_file(path)["step"])
    return State(contents, made, steps)


def unlike(tree: dict[str, bytes], expected: dict[str, bytes]) -> list[str]:
    """How a tree differs from the expected one: a line for each file."""
    wrong = {name for name in tree.keys() | expected.keys() if tree.get(name) != expected.get(name)}
    return [
        f"{name}: {'surplus' if name not in expected else 'missing' if name not in tree else 'other bytes'}"
        for name in sorted(wrong)
    ]


def _kill(
    process: Process, case: Path, left: float, chance: random.Random, started_fresh: bool, apart: bool
) -> tuple[int, bool]:
    """Kill a process, or one that does a task of it, at a random moment of the seconds that are left.

    Gives how the process ended, and whether another was hit. No process that it has started outlives this.
    """
    kind, wait, later = chance.choice(MOMENTS), chance.uniform(0, 1.1 * left), chance.uniform(0, LATER)
    workers_first = chance.random() < 0.8  # the moments count from when they have begun
    if started_fresh:  # not while it imports: that takes most of its time and risks nothing
        there = dict(_entries(case))
        _until(process, lambda: dict(_entries(case)) != there)
    if apart and workers_first:
        soon = time.perf_counter() + 2  # those of a study whose GANs are finished never come
        _until(process, lambda: bool(_workers(process)) or time.perf_counter() > soon)
        _until(process, lambda: any(case.glob("study/runs/*/.lock")) or not _workers(process))
    end = time.perf_counter() + wait
    _until(process, lambda: time.perf_counter() >= end)
    if kind == "writing":
        _until(process, lambda: any(name.endswith(".tmp") for name, _ in _entries(case)))
    elif kind == "renamed":
        known = set(_entries(case))
        _until(process, lambda: any(not is_leftover(name) for name, _ in set(_entries(case)) - known))
    if kind != "any":
        time.sleep(later)
    workers = _workers(process)
    victim = chance.choice(workers) if workers and chance.random() < 0.5 else None
    if victim is None:
        process.send_signal(signal.SIGKILL)
    else:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    code = process.wait()
    _, outlived = psutil.wait_procs(workers, timeout=20)
    assert not outlived, "a process outlived its parent"
    return code, victim is not None


def _workers(process: Process) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children() if process.poll() is None else []
    except psutil.NoSuchProcess:
        return []


def _until(process: Process, happened: Callable[[], bool]) -> None:
    while process.poll() is None and not happened():
        time.sleep(0.0003)


def _entries(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and inode of every file and folder, as they come and go; not what is in temporary folders."""
    try:
        with os.scandir(folder) as found:
            for entry in found:
                yield entry.path, entry.inode()
                if entry.is_dir() and not entry.name.endswith(".tmp"):
                    yield from _entries(Path(entry.path))
    except FileNotFoundError:
        pass


def is_leftover(name: str) -> bool:
    """Whether a killed process leaves such a name to the next."""
    return any(LEFTOVER.fullmatch(part) for part in Path(name).parts)


def seconds_left(state: State, reference: Reference) -> float:
    """What a process needs from here on: to start, and the undisturbed run's time after what is there."""
    start = min(min(moments.values()) for moments in reference.moments.values())
    there = (reference.moments.get(name, {}).get(hashed(content), 0) for name, content in state.contents.items())
    return start + reference.seconds - max(there, default=start)


def judge(
    case: Path,
    job: Job,
    reference: Reference,
    before: State,
    after: State,
    tally: Tally,
    told_steps: bool,
    stopped: bool = False,
) -> None:
    """Hold what a process has left against what was there before it, and against the undisturbed run.

    A GAN that was stopped has written its checkpoint after whichever step it was at.
    """
    tally.while_writing += any(name.endswith(".tmp") for name, _ in _entries(case))
    for name, content in after.contents.items():
        anywhere = stopped and (name.endswith("state.safetensors") or is_start_of_log(content, name, reference))
        known = anywhere or before.contents.get(name) == content
        if not known and hashed(content) not in reference.moments.get(name, {}):
            tally.half_files.append(f"{case}/{name}: {len(content)} bytes that no undisturbed run has there")
    if job.whole and (case / job.makes).exists():
        tally.half_files += [f"{case}/{line}" for line in unlike(after.contents, reference.tree)]
    gone = before.contents.keys() - after.contents.keys()
    tally.lost += [f"{case}/{name}: gone" for name in gone if not FOR_A_TIME.fullmatch(name)]
    anew = [name for name, made in before.made.items() if after.made.get(name, made) != made]
    tally.made_again += [f"{case}/{name}: made anew" for name in anew]
    if not told_steps:
        return
    first: dict[int, int] = {}
    for seed, step in FIRST_STEP.findall(said(case).read_text()):
        first.setdefault(int(seed), int(step))
    for seed, step in first.items():
        if step != before.steps.get(seed, 0) + 1:
            kept = before.steps.get(seed, 0)
            tally.lost.append(f"{case}: seed {seed} went on with step {step}, after a checkpoint of step {kept}")


def is_start_of_log(content: bytes, name: str, reference: Reference) -> bool:
    """Whether a file holds the first lines of a run's log."""
    return content.endswith(b"\n") and name.endswith("log.jsonl") and reference.tree[name].startswith(content)


def main() -> int:
    """The command: kill, restart, compare, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=120, help="at least so many, over all jobs")
    parser.add_argument("--fresh", type=int, default=2, help="of each job's kills, so many hit a new interpreter")
    parser.add_argument("--seed", type=int, default=0, help="decides the moments, as far as a machine repeats them")
    parser.add_argument("--job", choices=SHARES, action="append", help="only this one; may be given again")
    parser.add_argument("--work", type=Path, help="a new folder for what belongs to a fault")
    arguments = parser.parse_args()
    work = arguments.work or Path(tempfile.mkdtemp(prefix="crash-"))
    work.mkdir(parents=True, exist_ok=True)
    start, chance, tallies = time.perf_counter(), random.Random(arguments.seed), {}
    chosen = {name: SHARES[name] for name in arguments.job or SHARES}
    with Server() as server:
        jobs = small_jobs(write_inputs(work, server))
        for name, share in chosen.items():
            kills = round(arguments.kills * share / sum(chosen.values()))
            reference = undisturbed(jobs[name], work / name / "undisturbed", server)
            tallies[name] = crash(jobs[name], reference, work / name, kills, arguments.fresh, chance, server)
            print(f"{name}: {tallies[name].kills} kills", file=sys.stderr, flush=True)
    faults = sum(len(tally.faults) for tally in tallies.values())
    found = {
        "seed": arguments.seed,
        "kills": sum(tally.kills for tally in tallies.values()),
        "faults": faults,
        "seconds": round(time.perf_counter() - start),
        "jobs": {name: asdict(tally) for name, tally in tallies.items()},
    }
    print(json.dumps(found, indent=2))
    if faults:
        print(f"what belongs to the faults is in {work}", file=sys.stderr)
    else:
        shutil.rmtree(work)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
