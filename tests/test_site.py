"""The site builds without a warning and asks no other server for anything; the example notebook runs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "digits.ipynb"

FETCHED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"([^\"]+)\"|<link\b[^>]*\bhref=\"([^\"]+)\"")
IMPORTED = re.compile(r"(?:@import\s+|url\()[\"']?((?:https?:)?//[^\"')]+)")


@pytest.mark.slow
def test_the_site_builds_and_fetches_nothing_from_elsewhere(tmp_path: Path):
    pytest.importorskip("mkdocs")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    pages = sorted(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        text = page.read_text(encoding="utf-8")
        fetched = ["".join(found) for found in FETCHED.findall(text)]
        assert any("stylesheets/main" in address for address in fetched)  # else the pattern finds nothing
        assert [address for address in fetched if re.match(r"(https?:)?//", address)] == [], page.name
        for address in fetched if page.name != "404.html" else ():
            assert (page.parent / address.partition("?")[0]).resolve().exists(), (page.name, address)
    for sheet in tmp_path.rglob("*.css"):
        assert IMPORTED.findall(sheet.read_text(encoding="utf-8")) == [], sheet.name


def test_the_notebook_is_kept_without_outputs():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path):
    """In a process of its own: what Jupyter's libraries do to an event loop is their affair."""
    pytest.importorskip("nbclient")
    out = tmp_path / "done.ipynb"
    code = (
        "import sys, nbformat; from nbclient import NotebookClient; "
        "notebook = nbformat.read(sys.argv[1], 4); "
        "NotebookClient(notebook, timeout=600, resources={'metadata': {'path': sys.argv[2]}}).execute(); "
        "nbformat.write(notebook, sys.argv[3])"
    )
    subprocess.run([sys.executable, "-c", code, str(NOTEBOOK), str(tmp_path), str(out)], check=True)
    cells = [cell for cell in json.loads(out.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    printed = ["".join("".join(output.get("text", "")) for output in cell["outputs"]) for cell in cells]
    assert "For softmax on digits: " in printed[2]
    assert printed[3].count("±") == 4
    assert printed[-1] == "1415 images of 10 classes\n"
    assert (tmp_path / "studies" / "notebook" / "report.md").is_file()
