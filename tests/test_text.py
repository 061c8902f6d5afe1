import csv
import io
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image

from mizumashi.cli import main
from mizumashi.report.tables import csv_text
from mizumashi.text import for_csv, for_terminal

CODES = "\x1b]0;TITLE\x07\x1b[2J\x1b[31mred\u202e\x9b31m"


@given(some.text(some.characters(exclude_categories=())))
def test_a_terminal_gets_no_codes_and_one_line(text: str):
    shown = for_terminal(text)
    assert not {"Cc", "Cf", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, shown))
    assert len(shown.splitlines()) <= 1


@given(some.lists(some.lists(some.text(some.characters(codec="utf-8")), min_size=2, max_size=2), min_size=1))
def test_csv_gives_every_cell_back_and_none_is_a_formula(rows: list[list[str]]):
    content = csv_text(["a", "b"], rows)
    _, *found = csv.reader(io.StringIO(content, newline=""))
    for row, cells in zip(rows, found, strict=True):
        for text, cell in zip(row, cells, strict=True):
            assert cell in (for_terminal(text), f"'{for_terminal(text)}")
            if cell.lstrip().startswith(("=", "+", "-", "@")):
                float(cell)  # a number is no formula


@pytest.mark.parametrize("cell", ["=cmd|'/c calc'!A1", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1"])
def test_what_a_spreadsheet_would_compute_is_text(cell: str):
    assert for_csv(cell) == f"'{for_terminal(cell)}"


@pytest.mark.parametrize("cell", ["-2.5", "+3", "1e-05", "-1.5E+3", -2.5, 0, "real+gan@300", "a=b", ""])
def test_numbers_and_names_stay_what_they_are(cell: object):
    assert for_csv(cell) == cell


def test_a_warning_about_a_class_has_no_codes(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    labels, random = np.concatenate([np.arange(60) % 3, np.arange(10) % 2]), np.random.default_rng(0)
    images = random.integers(0, 255, (70, 16, 16), np.uint8)
    names = np.array(["a", "b", CODES])
    np.savez(tmp_path / "codes.npz", images=images, labels=labels, class_names=names, test_start=np.array(60))
    assert main(["study", str(tmp_path / "codes.npz"), "--out", str(tmp_path / "study")]) == 2  # too few for testing
    said = caplog.text
    assert "has no image of \\x1b]0;TITLE" in said
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)


def test_a_warning_about_a_member_has_no_codes(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with tarfile.open(tmp_path / "codes.tar", "w") as tar:

        def add(name: str, content: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))

        for number in range(8):
            file = io.BytesIO()
            Image.new("L", (20, 20), 255).save(file, "PNG")  # white: nothing is left of it
            add(f"\x1b[2J{number}.png", file.getvalue())
            add(f"\x1b[2J{number}.cls", str(number % 2).encode())
    main(["data", str(tmp_path / "codes.tar"), "--preprocess", "mnist-style"])
    assert "\\x1b[2J0" in caplog.text
    assert "\x1b" not in caplog.text


def test_a_listing_has_no_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    images, labels = np.zeros((8, 16, 16), np.uint8), np.arange(8) % 2
    np.savez(tmp_path / "a\x1b[31m.npz", images=images, labels=labels, class_names=np.array(["=1+1", CODES]))
    assert main(["data", str(tmp_path / "a\x1b[31m.npz")]) == 0
    said = capsys.readouterr().out
    assert "\\x1b\\[2J" in said
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)
