import threading
import time

import pytest
import torch

from mizumashi.utils.progress import Progress
from mizumashi.utils.side_by_side import at_once, side_by_side


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_order_from_threads_that_compute_on_their_share(threads: int):
    def task(number: int):
        def work(progress: Progress) -> tuple[int, int, str]:
            time.sleep(0.05 / (number + 1))  # the first ends last
            return number, torch.get_num_threads(), threading.current_thread().name

        return work

    before = torch.get_num_threads()
    found = list(side_by_side([task(number) for number in range(4)], threads=threads))
    assert [number for number, _, _ in found] == [0, 1, 2, 3]
    assert {computing for _, computing, _ in found} == {threads}
    assert threading.current_thread().name not in {name for _, _, name in found}
    assert torch.get_num_threads() == before


def test_as_many_work_at_a_time_as_there_are_cores(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mizumashi.utils.side_by_side.at_once", lambda: 3)
    meeting = threading.Barrier(3, timeout=20)  # broken unless three wait for each other
    assert list(side_by_side([lambda progress: meeting.wait() >= 0] * 3)) == [True] * 3


@pytest.mark.parametrize("how", ["closed", "failed"])
def test_when_the_rest_is_not_wanted_it_ends_at_its_next_word(monkeypatch: pytest.MonkeyPatch, how: str):
    monkeypatch.setattr("mizumashi.utils.side_by_side.at_once", lambda: 2)
    begun, ended = threading.Event(), threading.Event()

    def first(progress: Progress) -> int:
        assert begun.wait(20)
        if how == "failed":
            raise FloatingPointError("diverged")
        return 1

    def endless(progress: Progress) -> int:
        begun.set()
        try:
            while True:
                progress("network", 1, 2, "")
                time.sleep(0.001)
        finally:
            ended.set()

    results = side_by_side([first, endless])
    if how == "failed":
        with pytest.raises(FloatingPointError, match="diverged"):
            next(results)
    else:
        assert next(results) == 1
        results.close()
    assert ended.is_set()


def test_one_task_speaks_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mizumashi.utils.side_by_side.at_once", lambda: 4)
    speaking, heard = threading.Lock(), []

    def progress(task: str, done: int, total: int, note: str) -> None:
        assert speaking.acquire(blocking=False), "two at once"
        time.sleep(0.001)
        heard.append((task, done))
        speaking.release()

    def task(name: str):
        def work(tell: Progress) -> None:
            for done in range(1, 21):
                tell(name, done, 20, "")

        return work

    list(side_by_side([task(name) for name in "abcd"], progress=progress))
    for name in "abcd":
        assert [done for task, done in heard if task == name] == list(range(1, 21))


def test_the_number_at_a_time_is_limited(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert at_once() == 8
