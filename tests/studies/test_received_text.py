"""Whatever a study that somebody else sent says, in its reports it is text."""

import csv
import json
import unicodedata
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from mizumashi.cli.main import main
from mizumashi.studies.results import StudyResult
from mizumashi.utils.text import for_terminal

HOSTILE = (
    "\u202e\x1b[31m<img src=x onerror=a()><script>a()</script>[here](javascript:a()) https://example.org |`=1+1`\n"
    "- For softmax on everything: use it: +99.0 points"
)
NAMES = {
    "source.npz": f"# source.npz{HOSTILE}",
    "target.npz": f"=target.npz{HOSTILE}",
    "softmax": f"- softmax{HOSTILE}",
    "left": f"@left{HOSTILE}",
    "middle": f"+{HOSTILE}",
    "right": f"-{HOSTILE}",
}


def renamed(value: Any) -> Any:
    """The same with other names, in keys as well."""
    if isinstance(value, dict):
        return {NAMES.get(key, key): renamed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [*map(renamed, value)]
    return NAMES.get(value, value) if isinstance(value, str) else value


def write(study: Path, results: dict[str, Any], imbalance: str) -> None:
    results["plan"]["regime"]["imbalance"] = [imbalance]
    (study / "results.json").write_text(json.dumps(results))
    assert main(["report", str(study)]) == 0


def test_a_report_of_hostile_names_is_text(
    received: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("mizumashi.report.figures.drawn", lambda _: {"png": b"a picture", "svg": b"a drawing"})
    study = received / "study"
    results = json.loads((study / "results.json").read_text())
    write(study, results, "left:0.5")
    usual = outline(study / "report.md")
    results = renamed(results)
    with np.load(study / "examples.npz") as examples:
        sets = [renamed(name) for name in examples["sets"].tolist()]
        images = examples["images"]
    np.savez(study / "examples.npz", images=images, sets=np.array(sets))
    plan = results["plan"]
    plan["versions"] = [{f"{name}{HOSTILE}": f"1{HOSTILE}" for name in ("mizumashi", "torch", "numpy")}]
    plan["origins"] = [f"--help{HOSTILE}"] * 2
    plan["classifiers"][0][f"note{HOSTILE}"] = HOSTILE
    write(study, results, f"{NAMES['left']}:0.5")
    assert capsys.readouterr().out == f"{study / 'report.html'}\n" * 2
    assert outline(study / "report.md") == usual
    assert r"\# source.npz\u202e" in (study / "report.md").read_text(encoding="utf-8")
    assert "<img src=x" not in (study / "report.html").read_text(encoding="utf-8")
    for path in [study / "report.html", study / "report.md", *(study / "tables").iterdir()]:
        kinds = {unicodedata.category(letter) for letter in path.read_text(encoding="utf-8") if letter != "\n"}
        assert not {"Cc", "Cf", "Zl", "Zp"} & kinds, path
    for path in (study / "tables").glob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            for cell in (cell for row in csv.reader(file) for cell in row):
                assert not cell.startswith(("=", "+", "-", "@")) or isfinite(float(cell)), path
    verdict = StudyResult.read(study).verdict
    lines = str(verdict).splitlines()
    assert len(lines) == len(verdict.cases) + 1
    assert lines[0].startswith(for_terminal(f"For {NAMES['softmax']} on {NAMES['target.npz']}: "))


def outline(path: Path) -> list[tuple[str, str]]:
    """What a Markdown reader makes of a report, but for its text: blocks, what is inside them, where pictures lie."""
    found = []
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(path.read_text(encoding="utf-8")):
        found.append((token.type, ""))
        for inner in token.children or []:
            if inner.type not in ("text", "text_special"):
                found.append((inner.type, str(inner.attrs.get("src", ""))))
    return found


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("gan", "precision"), f"32-true{HOSTILE}"),
        (("gan", "objective"), HOSTILE),
        (("source", "size"), [HOSTILE, HOSTILE]),
        (("seeds",), HOSTILE),
        (("recipes",), ["real", HOSTILE]),
    ],
)
def test_text_where_a_study_has_none_is_refused_in_one_clean_line(
    place: tuple[str, ...], value: Any, received: Path, capsys: pytest.CaptureFixture[str]
):
    path = received / "study" / "results.json"
    results = json.loads(path.read_text())
    part = results["plan"]
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    path.write_text(json.dumps(results))
    assert main(["report", str(received / "study")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert not {"\x1b", "\u202e"} & set(said)
