"""What is left of an error that nobody foresaw: a file with its traceback, for whoever mends it."""

import os
import platform
import tempfile
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

from mizumashi.utils import files
from mizumashi.utils.text import for_terminal


def write_traceback(error: BaseException, arguments: Sequence[str], beside: Path | None) -> Path | None:
    """Write an error's traceback, the command and the versions into a new file.

    Args:
        error: with its notes and causes.
        arguments: the command's.
        beside: the run, study or set that was worked on: the file comes into the folder above. If that cannot be, into
            the current folder, or the one for temporary files.

    Returns:
        The file, mizumashi-error-TIME-RANDOM.txt; None where no folder takes it.
    """
    versions = ", ".join(f"{name} {version(name)}" for name in ("mizumashi", "torch", "numpy"))
    text = "\n".join(
        [
            f"command: {[*map(str, arguments)]!r}",
            f"versions: {versions}, Python {platform.python_version()}, {platform.platform()}",
            "",
            *map(for_terminal, "".join(traceback.format_exception(error)).split("\n")),
        ]
    )
    name = f"mizumashi-error-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{uuid4().hex[:8]}.txt"
    for folder in (None if beside is None else beside.absolute().parent, Path.cwd(), Path(tempfile.gettempdir())):
        if folder is None or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            continue
        try:
            files.write_bytes(folder / name, text.encode("utf-8", "backslashreplace"))
        except OSError:  # a full disk
            continue
        return folder / name
    return None
