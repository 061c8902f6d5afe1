"""One process at a time works in a folder, or at a name; what a killed one left half-written goes."""

import logging
import os
import platform
import re
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import ENOLCK, ENOSYS, EOPNOTSUPP
from functools import partial
from pathlib import Path

from mizumashi.errors import InputError
from mizumashi.utils import files, layout
from mizumashi.utils.layout import LOCK, Layout

_NO_LOCKS = {ENOSYS, ENOLCK, EOPNOTSUPP}
_OURS = "process "  # what the text of a lock begins with
_TEXT_BYTES = 300

_log = logging.getLogger("mizumashi")


@contextmanager
def lock_folder(folder: Path, kind: Layout, *, wait: float = 0) -> Iterator[None]:
    """Hold a folder for the time of the block: no other process may.

    The folder is made if it is not there, and goes again if the block raises and it is empty. The lock is the
    system's: it ends with the process, however that ends. Within the block nothing is written in place of the folder
    if that is moved away, and nothing through links in it. What is in the folder stays: see `remove_leftovers`.

    Args:
        folder: new, empty, begun, or of that kind; it may be reached through links.
        kind: what the program writes there.
        wait: seconds for another process to leave it.

    Raises:
        InputError: the folder holds something else, or a link under a name of that kind; or another process, or
            another thread of this one, holds it.

    Example:
        >>> import tempfile
        >>> home = Path(tempfile.mkdtemp())
        >>> with lock_folder(home, Layout("answer", ("answer",))):
        ...     _ = (home / "answer").write_text("42")
        >>> [path.name for path in home.iterdir()]
        ['answer']
    """
    layout.require_own_way(folder)
    folder = layout.resolved(folder)
    if str(folder).encode("utf-8", "replace").decode() != str(folder):
        raise InputError(
            f"found the folder {folder}, whose name is no text in UTF-8; expected text, since weights are kept below; "
            "choose another --out"
        )
    lock = folder / LOCK
    _own_text(lock)
    if not (folder / kind.first).exists() and not (folder.is_dir() and kind.is_begun(folder)):
        files.require_new_folder(folder)
    kind.require_plain(folder)
    with _hold(lock, folder, wait):
        _sign(lock)
        with layout.held(folder, kind):
            yield


@contextmanager
def lock_name(path: Path) -> Iterator[None]:
    """Hold the name of a new file or folder for the time of the block; what a killed writer of it left goes.

    The lock's file notes the temporary name, so that only this goes.

    Raises:
        InputError: another process, or another thread of this one, holds the name.
    """
    layout.require_own_way(path)
    path = layout.resolved(path)
    lock = _lock_of(path)
    with _hold(lock, path) as before, files.noted_temporary(path) as mark:
        noted = before.splitlines()[1:]
        if noted and re.fullmatch(r"[0-9a-f]{8}", noted[0]):
            _remove(files.temporary_of(path, noted[0]))
        _sign(lock, mark)
        yield


def forget_killed_writer(path: Path) -> None:
    """Remove what a killed writer of the file or folder `path` left beside it, if anything."""
    with suppress(InputError, OSError):  # it lives, or is none of ours, or the folder may not be written to
        path = layout.resolved(path)
        if _own_text(_lock_of(path)):
            with lock_name(path):
                pass


def remove_leftovers(folder: Path, kind: Layout) -> None:
    """Remove the temporary files and locks that a killed process left in a folder; what a living one holds stays.

    Args:
        folder: known to be of that kind, and held by this process.
        kind: what the program writes there; nothing under other names goes.
    """
    for path in kind.temporaries(folder):
        below = path.relative_to(folder).parents
        locks = [_lock_of(path.with_name(path.name[1:-13])), *(folder / each / LOCK for each in below if each.name)]
        if not any(map(_is_held, locks)):
            path.unlink(missing_ok=True)
    for lock in kind.locks_below(folder):
        with suppress(InputError, OSError), _hold(lock, lock):  # a living process holds it, or it is none of ours
            pass


@contextmanager
def _hold(lock: Path, what: Path, wait: float = 0) -> Iterator[str]:
    """Hold a lock for the time of the block; gives what a killed process left in it."""
    from filelock import FileLock, Timeout

    _own_text(lock)
    with files.folders_above(lock):
        there, native = _inode(lock), FileLock(lock, timeout=wait, fallback_to_soft=False)
        end: Callable[[], None] = _nothing
        try:
            native.acquire()
        except Timeout:
            holder = (_own_text(lock).splitlines() or ["another process"])[0]
            raise InputError(
                f"found {what} in use by {holder}; expected no other process there; wait for it, or stop it"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _log.warning("%s: this file system has no locks: see that no other process works there", what)
        try:
            before = _own_text(lock)
            # An empty file that was there may be another program's, until the work in the folder is done.
            anyones = not before and there is not None and there == _inode(lock)
            end = partial(os.truncate, lock, 0) if anyones else lock.unlink
            yield before
            end = lock.unlink
        finally:
            with _uninterrupted():
                with suppress(OSError):  # a folder that was moved away took its lock along
                    end()
                native.release()


def _nothing() -> None:
    pass


def _own_text(lock: Path) -> str:
    """What a lock's file says; nothing if there is none, or it is new.

    Raises:
        InputError: what is there is a link, also a hard one, or no file, or a file of another program.
    """
    try:
        found = lock.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise InputError(
                f"found a link or another thing that is no plain file at {lock}; expected a lock's file; remove it"
            )
        with lock.open("rb") as file:
            text = file.read(_TEXT_BYTES).decode(errors="replace")
    except OSError:  # it is not there; or it may not be read, and whoever takes it learns why
        return ""
    if not _OURS.startswith(text[: len(_OURS)]):
        raise InputError(
            f"found a file of another program at {lock}; expected a lock's file; move it, or choose another --out"
        )
    return text


def _sign(lock: Path, mark: str = "") -> None:
    """Say in a held lock's file who holds it, and which temporary file it writes."""
    text = f"{_OURS}{os.getpid()} on {platform.node()}"
    with files.disk_errors_of(lock), lock.open("r+b" if lock.exists() else "xb") as file:
        file.truncate(0)
        file.write(f"{text}\n{mark}\n".encode() if mark else text.encode())
        if mark:  # it must be there after a power cut if the temporary file is
            file.flush()
            os.fsync(file.fileno())
            files.flush(lock.parent)


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None


def _lock_of(path: Path) -> Path:
    """The lock's file of a name."""
    return path.with_name(f".{path.name}{LOCK}")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals that stop the work wait for the end of the block."""
    if threading.current_thread() is not threading.main_thread():  # only the main thread can take signals
        yield
        return
    came: list[int] = []
    stops = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
    before = {number: signal.getsignal(number) for number in stops}
    heard = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in heard:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def _is_held(lock: Path) -> bool:
    """Whether a living process holds a lock."""
    from filelock import FileLock, Timeout

    try:
        if not _own_text(lock) and not lock.exists():
            return False
        with FileLock(lock, timeout=0, fallback_to_soft=False):
            return False
    except Timeout:
        return True
    except InputError:  # what is there is no lock of ours
        return False
    except OSError:  # no locks here: rather a leftover too many than another's work lost
        return True


def _remove(leftover: Path) -> None:
    if leftover.is_dir() and not leftover.is_symlink():
        shutil.rmtree(leftover)
    else:
        leftover.unlink(missing_ok=True)
