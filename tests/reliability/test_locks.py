import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import crash
import pytest
from processes import Forked, Server, contents_of, said
from small_jobs import Inputs, Job, Reference, small_jobs, undisturbed

pytestmark = pytest.mark.slow

JOBS = ("train", "generate folder", "generate npz", "study")


@pytest.fixture(scope="module", params=JOBS)
def job(request: pytest.FixtureRequest, inputs: Inputs) -> Job:
    return small_jobs(inputs)[request.param]


@pytest.fixture(scope="module")
def reference(job: Job, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    return undisturbed(job, tmp_path_factory.mktemp("locks") / "undisturbed", server)


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def wait_for_lock(case: Path, pid: int) -> None:
    """Until the process holds its lock and says so in it."""
    wait_until(lambda: any(f"process {pid} on" in path.read_text() for path in case.rglob(".*lock")))


def test_a_second_process_ends_at_once_and_names_the_first(
    job: Job, reference: Reference, server: Server, tmp_path: Path
):
    case = tmp_path / "case"
    case.mkdir()
    first = server.start(job.arguments, case)
    wait_for_lock(case, first.pid)
    first.send_signal(signal.SIGSTOP)
    assert server.run(job.arguments, case) == 2
    assert first.poll() is None
    (line,) = said(case).read_text().splitlines()[-1:]
    assert f"in use by process {first.pid} on " in line
    first.send_signal(signal.SIGCONT)
    assert first.wait() == 0
    assert crash.unlike(contents_of(case), reference.tree) == []


def test_a_killed_process_holds_nothing(job: Job, reference: Reference, server: Server, tmp_path: Path):
    case = tmp_path / "case"
    case.mkdir()
    killed = server.start(job.arguments, case)
    wait_for_lock(case, killed.pid)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert [path.read_text() for path in case.rglob(".*lock")], "its lock's file is still there"
    assert server.run(job.arguments, case) == 0
    assert crash.unlike(contents_of(case), reference.tree) == []


def test_of_many_that_start_together_one_does_the_work(job: Job, reference: Reference, server: Server, tmp_path: Path):
    case, chance = tmp_path / "case", random.Random(0)
    case.mkdir()
    together = []
    for _ in range(6):
        together.append(server.start(job.arguments, case))
        time.sleep(chance.uniform(0, 0.1))
    codes = sorted(process.wait() for process in together)
    assert codes[0] == 0
    assert set(codes) <= {0, 2}
    assert job.arguments[0] != "generate" or codes.count(0) == 1
    assert crash.unlike(contents_of(case), reference.tree) == []


def half_drawn(words: tuple[str, ...], case: Path, server: Server) -> Forked:
    """A process that is drawing a set, stopped in the middle."""
    drawing = server.start(words, case)
    wait_until(lambda: any(path.stat().st_size for path in case.rglob(".set.npz.*.tmp")))
    drawing.send_signal(signal.SIGSTOP)
    return drawing


def test_what_another_process_writes_within_the_folder_is_left_alone(server: Server, inputs: Inputs, tmp_path: Path):
    """A set is drawn into a run's folder while that run goes on."""
    jobs, case = small_jobs(inputs), tmp_path / "case"
    case.mkdir()
    assert server.run(jobs["train"].arguments, case) == 0
    words = jobs["generate npz"].arguments
    drawing = half_drawn(tuple("run/set" if word == "set" else word for word in words), case, server)
    (case / "run" / "finished.json").unlink()
    assert server.run(jobs["train"].arguments, case) == 0
    drawing.send_signal(signal.SIGCONT)
    assert drawing.wait() == 0, said(case).read_text()


def test_what_another_process_writes_under_a_longer_name_is_left_alone(server: Server, inputs: Inputs, tmp_path: Path):
    """Two sets are drawn side by side: set.npz, and set."""
    jobs, case = small_jobs(inputs), tmp_path / "case"
    case.mkdir()
    drawing = half_drawn(jobs["generate npz"].arguments, case, server)
    assert server.run(jobs["generate folder"].arguments, case) == 0
    drawing.send_signal(signal.SIGCONT)
    assert drawing.wait() == 0, said(case).read_text()
