"""Commands in processes of their own, that start in a moment: forked from one that has imported everything.

A forked process is as real as a fresh one: it has its own memory, files, locks and signals, and SIGKILL ends it
as it ends any other. Only the seconds that imports take are saved.
"""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from faults import FaultyFiles, watched

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "MPLBACKEND": "agg"}
"""One thread: equal bytes need an equal number of them, and a process with several cannot be forked."""

IMPORTED = (
    "lightning_fabric",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "mizumashi.classifiers.softmax",
    "mizumashi.cli.main",
    "mizumashi.cli.progress_display",
    "mizumashi.data.writers",
    "mizumashi.gan.training",
    "mizumashi.api",
    "mizumashi.report.page",
    "mizumashi.studies.run",
    "openTSNE",
    "scipy.stats",
    "sklearn.linear_model",
)

Moments = dict[str, dict[str, float]]
"""For each file, the hashes of all its contents under its final name, and after how many seconds they came."""


class Process(Protocol):
    """A running command, forked or fresh."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, or minus the signal's number; None while it runs."""

    def wait(self) -> int:
        """The exit code, once it has ended."""

    def send_signal(self, number: int) -> None:
        """Send a signal to it, if it still runs."""


class Server:
    """The process that forks the commands; one line of JSON asks, one answers."""

    def __enter__(self) -> "Server":
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | ENVIRONMENT
        )
        assert self.ask({}) == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(
        self,
        arguments: Sequence[str],
        folder: Path,
        moments: Path | None = None,
        dies_at: int | None = None,
        *,
        apart: bool = False,
    ) -> "Forked":
        """Start `mizumashi ARGUMENTS` in `folder`; what it says goes to "FOLDER.said".

        Args:
            arguments: the command's.
            folder: the process's working directory.
            moments: where to write the `Moments` of every file below the folder, if at all.
            dies_at: the number of the call that changes files (see `faults`) in whose place the process kills itself.
            apart: whether a study's GANs train in processes of their own, however short.
        """
        request = {"arguments": arguments, "folder": str(folder), "dies_at": dies_at, "apart": apart}
        return Forked(self.ask(request | {"moments": None if moments is None else str(moments)}), self)

    def run(self, arguments: Sequence[str], folder: Path, moments: Path | None = None, *, apart: bool = False) -> int:
        """Run a command to its end; gives its exit code."""
        return self.start(arguments, folder, moments, apart=apart).wait()

    def ask(self, request: dict[str, Any]) -> Any:
        """Send a request, and give its answer."""
        assert self._process.stdin
        assert self._process.stdout
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@dataclass
class Forked:
    """A process that the server has forked."""

    pid: int
    server: Server
    code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self.server.ask({"poll": self.pid})
        return self.code

    def wait(self) -> int:
        if self.code is None:
            self.code = self.server.ask({"wait": self.pid})
        assert self.code is not None
        return self.code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:  # until it is waited for, its number is its own
            os.kill(self.pid, number)


def said(folder: Path) -> Path:
    """Where the output of the commands in `folder` is: beside it."""
    return folder.with_name(f"{folder.name}.said")


def start_fresh(arguments: Sequence[str], folder: Path) -> Process:
    """Start `python -m mizumashi ARGUMENTS` in a new interpreter, as a user does."""
    with said(folder).open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "mizumashi", *arguments],
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )


def _serve() -> None:
    for name in IMPORTED:
        __import__(name)
    for line in sys.stdin:
        answer: object = "ready"
        match json.loads(line):
            case {"arguments": arguments, "folder": folder, "moments": moments, "dies_at": dies_at, "apart": apart}:
                answer = _fork(arguments, Path(folder), moments, dies_at, apart)
            case {"poll": pid}:
                ended, status = os.waitpid(pid, os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if ended else None
            case {"wait": pid}:
                answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        print(json.dumps(answer), flush=True)


def _fork(arguments: Sequence[str], folder: Path, moments: str | None, dies_at: int | None, apart: bool) -> int:
    """Fork a command; gives its process number once it takes signals."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = _command(arguments, folder, moments, dies_at, apart, lambda: os.close(tell))
        except BaseException:
            traceback.print_exc()
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):
                    stream.flush()
            os._exit(code)
    os.close(tell)
    os.read(ready, 1)  # ends when the child closes its side, by ending at the latest
    os.close(ready)
    return pid


def _command(
    arguments: Sequence[str],
    folder: Path,
    moments: str | None,
    dies_at: int | None,
    apart: bool,
    tell_ready: Callable[[], None],
) -> int:
    import mizumashi.cli.progress_display
    import mizumashi.studies.gans
    from mizumashi.__main__ import main

    with Path(os.devnull).open() as nothing, said(folder).open("w") as output:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.chdir(folder)
    sys.argv = ["mizumashi", *arguments]
    mizumashi.cli.progress_display.QUIET = -1  # every step is told, the first one too
    mizumashi.studies.gans.SHORT = 0.0 if apart else 1e9
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as `main` does in its first moment
    with contextlib.ExitStack() as watching:
        if moments:
            watching.enter_context(recorded(Path(moments)))
        if dies_at is not None:
            files = FaultyFiles(folder, dies_at, fail=lambda _: os.kill(os.getpid(), signal.SIGKILL))
            watching.enter_context(watched(files))
        tell_ready()
        return main()


@contextlib.contextmanager
def recorded(path: Path) -> Iterator[None]:
    """Write the `Moments` of all files that get their final name within the block to `path`; names are from here."""
    start, moments, rename = time.perf_counter(), Moments(), os.replace

    def replace(source: Path, target: Path) -> None:
        contents = contents_of(Path(source)) if Path(source).is_dir() else {"": Path(source).read_bytes()}
        for name, content in contents.items():
            known = moments.setdefault(os.path.relpath(Path(target) / name), {})
            known.setdefault(hashed(content), time.perf_counter() - start)
        rename(source, target)

    os.replace = replace  # type: ignore[assignment]
    try:
        yield
    finally:
        os.replace = rename
    path.write_text(json.dumps({"seconds": time.perf_counter() - start, "moments": moments}))


def contents_of(folder: Path) -> dict[str, bytes]:
    """All that is below a folder, hidden files too: the bytes of files, and b"folder" for empty folders."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"folder"
        for path in sorted(folder.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


def hashed(content: bytes) -> str:
    """What stands for a file's content; of the header of a safetensors file, whose order is random, for its meaning."""
    size = int.from_bytes(content[:8], "little")
    if content[8:9] == b"{" and size <= len(content):
        with contextlib.suppress(ValueError):
            header = json.dumps(json.loads(content[8 : 8 + size]), sort_keys=True)
            content = header.encode() + content[8 + size :]
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    _serve()
