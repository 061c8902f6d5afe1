"""The README's code runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_python_example_runs_and_leaves_a_report(tmp_path: Path):
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    shown = "\nprint(run.snapshots, len(more), len(both), accuracy.shape, loss.shape, len(result.cells))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example + shown], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == "[75, 150, 300, 600] 1000 1000 (2, 1, 1) (2, 1, 1) 27\n"
    assert (tmp_path / "studies" / "api" / "report.md").is_file()


def test_every_command_of_the_readme_is_one_that_the_tool_takes():
    from mizumashi.cli import parse

    blocks = re.findall(r"```bash\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.partition("#")[0].split() for block in blocks for line in block.splitlines()]
    commands = [words[1:] for words in lines if words[:1] == ["mizumashi"]]
    assert len(commands) >= 8
    for words in commands:
        parse(words)
