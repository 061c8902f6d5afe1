"""The fuzzer's promises in the fast tests, on a few inputs; and that the judge and the runner see what breaks them."""

import json
import random
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import promise
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from targets import READERS

from mizumashi.errors import InputError

SETS = ("idx", "idx.gz", "npz", "webdataset", "image", "image folder", "classes.json", "archive")
SETS += ("parquet",) if find_spec("pyarrow") else ()
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("name", SETS)
@FEW
@given(seed=st.integers(0, 2**32), changes=st.integers(0, 3))
def test_a_changed_file_is_read_or_refused(name: str, seed: int, changes: int, tmp_path: Path):
    reader, rng = READERS[name], random.Random(seed)
    content = rng.choice(reader.seeds())
    for _ in range(changes):
        content = reader.change(rng, content)
    keep_promise(reader.target, content, tmp_path)


@pytest.mark.parametrize("name", SETS)
@FEW
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(name: str, content: bytes, tmp_path: Path):
    keep_promise(READERS[name].target, content, tmp_path)


def keep_promise(target: promise.Target, content: bytes, folder: Path) -> None:
    """Call a target; what it raises, and every warning, is a failure; tracemalloc sees Python's memory and NumPy's."""
    tracemalloc.start()
    try:
        target(content, folder)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= promise.FREE_BYTES + promise.TIMES_THE_INPUT * len(content)


@pytest.mark.parametrize("name", SETS)
def test_the_fuzzers_seeds_are_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    answers: list[bool] = []

    def note(read: Callable[[], object]) -> None:
        with suppress(InputError):
            read()
            answers.append(True)

    reader = READERS[name]
    monkeypatch.setitem(reader.target.__globals__, "read_or_refuse", note)
    for content in reader.seeds():
        reader.target(content, tmp_path)
    assert len(answers) >= len(reader.seeds()) / 2


# The judge


def hold(mebibytes: int) -> promise.Target:
    return lambda content, folder: np.empty(mebibytes * 2**20, np.uint8).size


CASES: dict[str, promise.Target] = {
    "kept": lambda content, folder: promise.read_or_refuse(refuse("found 3; expected 4")),
    "crash": lambda content, folder: promise.read_or_refuse(lambda: json.loads(content)),
    "warning": lambda content, folder: warnings.warn("of something", stacklevel=1),
    "slow": lambda content, folder: sum(range(10**7)),
    "kept with 50 MiB": hold(50),
    "memory": hold(100),
}


def test_the_judge_names_the_promise_that_is_broken():
    # In a process of its own: the largest size of this one's address space may be far above the present one.
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {name: None if "kept" in name else name for name in CASES}


class Several:
    def __str__(self) -> str:
        return "one line\nand another"


def refuse(message: object, cause: Exception | None = None) -> Callable[[], object]:
    def read() -> None:
        error = InputError("")
        error.args = (message,)
        raise error from cause

    return read


@pytest.mark.parametrize(
    "read", [refuse(Several()), refuse("no room", MemoryError()), refuse("Unable to allocate 8 TiB"), lambda: 1 // 0]
)
def test_a_refusal_that_is_none_is_told(read):
    with pytest.raises((AssertionError, ZeroDivisionError)):
        promise.read_or_refuse(read)
    promise.read_or_refuse(refuse("found 3; expected 4"))


def test_the_runner_counts_inputs_and_keeps_what_fails(tmp_path: Path):
    script = Path(__file__).with_name("run.py")
    words = [
        script,
        "--engine",
        "mutation",
        "--inputs",
        "60",
        "--target",
        "idx",
        "--target",
        "archive",
        "--keep",
        tmp_path,
    ]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 0
    assert {name: total["inputs"] for name, total in told["targets"].items()} == {"idx": 60, "archive": 60}
    assert told["all"]["findings"] == 0
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    promise.count_every_block()
    promise.SECONDS = 0.02
    judged = {name: promise.judge(target, b"x", Path()) for name, target in CASES.items()}
    print(json.dumps({name: broken and broken.kind for name, broken in judged.items()}))
