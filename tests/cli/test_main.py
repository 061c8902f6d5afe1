"""The command as a process."""

import subprocess
import sys
from pathlib import Path


def test_what_lies_in_the_current_folder_is_not_imported(tmp_path: Path):
    for library in ("tyro", "numpy", "filelock", "logging", "re", "typing", "string", "traceback", "weakref"):
        (tmp_path / f"{library}.py").write_text("print('CODE OF THE CURRENT FOLDER RAN')\nraise SystemExit(7)\n")
    ended = subprocess.run(
        [sys.executable, "-m", "mizumashi", "data", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "RAN" not in ended.stdout + ended.stderr
    assert ended.returncode == 0
