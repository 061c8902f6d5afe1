"""The long fuzzing run: every reader, coverage-guided by Atheris where that is installed, else by seeded mutation.

    python tests/fuzz/run.py --inputs 30000 --target image --seed 1

prints how many inputs each target had, and what broke a promise, as JSON. Each target runs in a process of its own
under a limit of its address space; a process that dies is a finding, and the next one goes on. The smallest input
of each finding is kept in a folder.
"""

import argparse
import json
import mmap
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

CEILING = 2 * 2**30
"""Bytes of address space above what a process starts with: an allocation beyond them fails, and the machine lives."""

HANG = 20
"""Seconds after which a process counts as dead."""

INSTRUMENTED = ("mizumashi", "PIL", "zipfile", "gzip", "numpy.lib", "safetensors")
"""Modules whose coverage guides Atheris."""

LATE = (
    "mizumashi.cli.main",
    "mizumashi.api",
    "mizumashi.gan.training",
    "mizumashi.studies.run",
    "mizumashi.report.page",
)
"""Modules that some targets import when they run; Atheris sees only what is imported while it watches."""


def main() -> int:
    """Fuzz, and print the totals; the exit code is 1 if anything was found."""
    options = _options()
    if options.worker:
        return _work(options.worker, options)
    from targets import READERS

    unknown = set(options.target) - set(READERS)
    if unknown:
        sys.exit(f"found target {min(unknown)!r}; expected some of {', '.join(map(repr, READERS))}")
    options.keep.mkdir(parents=True, exist_ok=True)
    totals: dict[str, Any] = {}
    for name in options.target or READERS:
        words = ["--worker", name, "--inputs", options.inputs, "--engine", options.engine, "--seed", options.seed]
        command = [sys.executable, __file__, *map(str, words), "--keep", str(options.keep)]
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "1",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        }
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        totals[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, json.dumps(totals[name]), file=sys.stderr, flush=True)
    summary = {
        "inputs": sum(total["inputs"] for total in totals.values()),
        "seconds": round(sum(total["seconds"] for total in totals.values())),
        "findings": sum(len(total["findings"]) for total in totals.values()),
    }
    print(json.dumps({"engine": options.engine, "seed": options.seed, "targets": totals, "all": summary}, indent=2))
    return 1 if summary["findings"] else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="inputs for each target")
    parser.add_argument("--target", action="append", default=[], help="a reader; may be repeated (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=("atheris", "mutation"), default=_engine())
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="folder of the failing inputs")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def _engine() -> str:
    return "atheris" if find_spec("atheris") else "mutation"


def _work(name: str, options: argparse.Namespace) -> int:
    """Fuzz one target in child processes, one after the other until all inputs are done; print its totals."""
    if options.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=list(INSTRUMENTED)):
            from targets import READERS

            for module in LATE if READERS[name].late else ():
                import_module(module)
    else:
        from targets import READERS
    reader = READERS[name]
    home = Path(tempfile.mkdtemp(prefix="fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    tempfile.tempdir = str(home)  # what the targets make goes with it
    corpus = home / "corpus"
    corpus.mkdir()
    for index, content in enumerate(reader.seeds()):
        (corpus / str(index)).write_bytes(content)
    book = _Book(home, options.keep, name)
    start, round_ = time.monotonic(), 0
    while book.done < options.inputs and round_ < 100:
        child = os.fork()
        if not child:
            _fuzz(reader, book, options.inputs - book.done, options, options.seed + 1000 * round_, home)
        _, status = os.waitpid(child, 0)
        if status and not book.finished:
            book.died(status)
        round_ += 1
    print(json.dumps({"inputs": book.done, "seconds": round(time.monotonic() - start, 1), "findings": book.findings()}))
    shutil.rmtree(home, ignore_errors=True)
    return 0


def _fuzz(reader: Any, book: "_Book", count: int, options: argparse.Namespace, seed: int, home: Path) -> None:
    """Give `count` inputs to a target, in a process of its own that then ends."""
    import resource  # Windows has none

    from promise import FREE_BYTES, count_every_block, judge, virtual_memory

    count_every_block()
    resource.setrlimit(resource.RLIMIT_AS, (virtual_memory()[1] + CEILING,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    folder = home / "files"
    folder.mkdir(exist_ok=True)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)

    def one(content: bytes) -> None:
        signal.setitimer(signal.ITIMER_REAL, HANG)
        book.begin(content)
        broken = judge(reader.target, content, folder)
        signal.setitimer(signal.ITIMER_REAL, 0)
        if broken is not None:
            book.note(broken.kind, broken.place, broken.how, content)
            largest, size = virtual_memory()
            if largest - size > FREE_BYTES:
                os._exit(0)  # the largest size never falls: only a fresh process measures on
        if book.done >= options.inputs:
            book.finished = True
            os._exit(0)

    if options.engine == "mutation":
        _mutate(one, reader.change, home / "corpus", count, seed)
    else:
        _guide(one, reader.change, home / "corpus", seed)
    os._exit(0)


def _mutate(one: Callable[[bytes], None], change: Any, corpus: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    contents = [path.read_bytes() for path in sorted(corpus.iterdir(), key=lambda path: int(path.name))]
    for content in contents[:count]:
        one(content)
    for _ in range(count - len(contents)):
        one(change(rng, rng.choice(contents)))


def _guide(one: Callable[[bytes], None], change: Any, corpus: Path, seed: int) -> None:
    import atheris
    from mutation import LARGEST

    def mutate(content: bytes, largest: int, seed: int) -> bytes:
        rng = random.Random(seed)
        changed = atheris.Mutate(content, largest) if rng.random() < 0.3 else change(rng, content)
        return bytes(changed[:largest])

    arguments = [f"-seed={seed + 1}", f"-max_len={LARGEST}", "-len_control=0", "-rss_limit_mb=0", "-timeout=0"]
    found = corpus.with_name("found")
    found.mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], *arguments, str(found), str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()


class _Book:
    """What has been done and found, in memory and files that outlive a child process."""

    def __init__(self, home: Path, keep: Path, name: str) -> None:
        self._count = mmap.mmap(-1, 16)
        self._current = home / "current"
        self._notes = home / "notes.jsonl"
        self._keep, self._name = keep, name
        self._known: dict[tuple[str, str], int] = {}

    @property
    def done(self) -> int:
        return int(struct.unpack_from("<Q", self._count)[0])

    @property
    def finished(self) -> bool:
        return bool(self._count[8])

    @finished.setter
    def finished(self, value: bool) -> None:
        self._count[8] = int(value)

    def begin(self, content: bytes) -> None:
        """Note an input before it is tried: a process that dies cannot."""
        struct.pack_into("<Q", self._count, 0, self.done + 1)
        self._current.write_bytes(content)

    def note(self, kind: str, place: str, how: str, content: bytes) -> None:
        """Keep the smallest input of each finding."""
        if self._known.get((kind, place), len(content) + 1) <= len(content):
            return
        self._known[kind, place] = len(content)
        with self._notes.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "place": place, "how": how, "size": len(content)}) + "\n")
        kept = self._keep / re.sub(r"\W+", "-", f"{self._name} {kind} {place}")[:120]
        if not kept.exists() or kept.stat().st_size > len(content):
            kept.write_bytes(content)

    def died(self, status: int) -> None:
        """Note that the last input ended a process."""
        self.note("death", f"status {status}", "the process ended", self._current.read_bytes())

    def findings(self) -> list[dict[str, Any]]:
        """One for each kind and place: the smallest input's."""
        if not self._notes.exists():
            return []
        notes = [json.loads(line) for line in self._notes.read_text(encoding="utf-8").splitlines()]
        notes.sort(key=lambda note: note["size"], reverse=True)
        return list({(note["kind"], note["place"]): note for note in notes}.values())


if __name__ == "__main__":
    sys.exit(main())
