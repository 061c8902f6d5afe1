"""Every code block of the documentation runs as it stands there, or says why it does not and is read at least."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mizumashi.cli.main import main, parse
from mizumashi.data import limits

ROOT = Path(__file__).parents[1]
FRAGMENTS = (ROOT / "docs" / "paper", ROOT / "docs" / "results")  # of pages
PAGES = {
    str(path.relative_to(ROOT)): path
    for path in [*ROOT.glob("*.md"), *sorted(ROOT.glob("docs/**/*.md"))]
    if path.name != "README.ja.md" and path.parent not in FRAGMENTS
}
QUICK = ("docs/how-to/converting.md",)
SLOW = {"docs/tutorial.md", *(name for name in PAGES if name.startswith("docs/how-to/") and name not in QUICK)}

BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*) -->\n)?```(?P<language>\w*)(?: title=\"(?P<title>[^\"\n]+)\")?\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
REASONS = ("not run: ", "not checked: ")

READER = """
PATH=/nowhere
command_not_found_handle() { printf '%s\\0' $# "$@" >> "$FOUND"; }
eval "$BLOCK"
"""
"""Lets bash itself read a block, variables and loops included, and finds no command that it could start."""


@dataclass(frozen=True)
class Block:
    """A fenced block: what it is, what it holds, and why it is not run or checked, if it is not."""

    language: str
    title: str | None
    code: str
    reason: str


def blocks(page: str) -> Iterator[Block]:
    text = PAGES[page].read_text(encoding="utf-8")
    assert text.count("\n```") == 2 * len(BLOCK.findall(text)), f"{page}: a fence that is not understood"
    for found in BLOCK.finditer(text):
        mark = found["mark"] or ""
        assert not mark or mark.startswith(REASONS), f"{page}: <!-- {mark} --> is no reason"
        yield Block(found["language"], found["title"], found["code"], mark)


def commands(code: str, folder: Path) -> list[list[str]]:
    """The words of each command, as bash has them in the end."""
    found = folder / ".found"
    found.touch()
    bash = shutil.which("bash")
    assert bash
    subprocess.run(
        [bash, "-c", READER], cwd=folder, env={"FOUND": str(found), "BLOCK": code}, capture_output=True, check=False
    )
    words = found.read_text(encoding="utf-8").split("\0")[:-1]
    found.unlink()
    lists = []
    while words:
        count = int(words.pop(0))
        lists.append(words[:count])
        words = words[count:]
    return lists


def test_bash_reads_variables_and_loops_and_starts_nothing(tmp_path: Path):
    code = 'out="--out a"\nfor n in 1 2; do\n  mizumashi data "x y" \\\n    $out$n  # why\ndone\ntouch file\n'
    assert commands(code, tmp_path) == [
        ["mizumashi", "data", "x y", "--out", "a1"],
        ["mizumashi", "data", "x y", "--out", "a2"],
        ["touch", "file"],
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_block_can_be_read(page: str, tmp_path: Path):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for block in blocks(page):
        if block.language == "python":
            compile(block.code, page, "exec")
        for words in commands(block.code, tmp_path) if block.language == "bash" else ():
            match words:
                case ["mizumashi", "--version"]:
                    pass
                case ["mizumashi", *arguments]:
                    parse(arguments)
                case ["make", target]:
                    assert f"\n{target}:" in makefile
                case ["python", script, *_]:
                    assert (ROOT / script).is_file()


def run(page: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run a page's blocks in order in an empty folder; what its Python blocks leave."""
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    for block in blocks(page):
        if block.reason:
            continue
        if block.language == "text":
            for line in block.code.splitlines():
                assert line == "..." or line in printed.splitlines(), f"{page}: printed is\n{printed}"
        elif block.language == "python" and block.title:
            (folder / block.title).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.code, page, "exec"), names)
            printed = capsys.readouterr().out
        elif block.language == "bash":
            asked = commands(block.code, folder)
            assert len(asked) == sum(bool(line) and line[0] not in "# " for line in block.code.splitlines())
            for words in asked:
                assert words[0] == "mizumashi", f"{page}: {words[0]} is not run here; say why in front of the block"
                assert main(words[1:]) == 0, (words, capsys.readouterr().err)
            printed = capsys.readouterr().out
    return names


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder to work in; what a page's blocks change in Python itself is put right again.

    Pages name no precision. They are run as on a processor without bfloat16, which others could only emulate.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cpu.get_capabilities", dict)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(limits, "MAX_EXPANSION", limits.MAX_EXPANSION)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page in PAGES if page != "README.md"],
)
def test_every_block_runs(page: str, empty: Path, capsys: pytest.CaptureFixture[str]):
    run(page, empty, capsys)


@pytest.mark.slow
def test_the_readmes_example_makes_what_it_says(empty: Path, capsys: pytest.CaptureFixture[str]):
    made = run("README.md", empty, capsys)
    assert made["run"].snapshots == [75, 150, 300, 600]
    assert (len(made["more"]), len(made["both"])) == (1000, 1000)
    assert made["accuracy"].shape == made["loss"].shape == (2, 1, 1)
    assert len(made["result"].cells) == 27
    assert (empty / "studies" / "api" / "report.md").is_file()
