import csv
import io
import tarfile
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as some
from PIL import Image

from mizumashi.api import study
from mizumashi.cli.main import main
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError, TaskError
from mizumashi.report.tables import csv_text
from mizumashi.utils.text import for_csv, for_terminal, for_yaml

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
            assert cell.replace("'", "") == for_terminal(text).replace("'", "")
            for part in cell.split(";"):  # which parts cells in some countries
                if part.lstrip().startswith(("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")):
                    float(cell)  # a number is no formula


@pytest.mark.parametrize("cell", ["=cmd|'/c calc'!A1", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_what_a_spreadsheet_would_compute_is_text(cell: str):
    assert for_csv(cell) == f"'{for_terminal(cell)}"


@pytest.mark.parametrize("cell", ["-2.5", "+3", "1e-05", "-1.5E+3", -2.5, 0, "real+gan@300", "a=b", ""])
def test_numbers_and_names_stay_what_they_are(cell: object):
    assert for_csv(cell) == cell


def test_a_semicolon_begins_no_formula():
    assert for_csv("a; =1+1;-2+3;b;4") == "a;' =1+1;'-2+3;b;4"


@given(some.text(some.characters(exclude_categories=())))
@example("no")
@example("1e3")
@example("a: b\n---\n- c")
@example("\U0001f408\ufeff\x85\xa0\ud800#")
def test_yaml_gives_every_text_back(text: str):
    assert yaml.safe_load(f"tags:\n- {for_yaml(text)}\n- b\n") == {"tags": [text, "b"]}


@pytest.mark.parametrize("kind", [InputError, TaskError])
def test_an_error_is_one_line_without_codes_where_nothing_else_catches_it(kind: type[Exception]):
    assert str(kind(f"found {CODES}\nand b\udcff.npz")) == f"found {for_terminal(CODES)} and b\\xff.npz"


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


def test_a_warning_about_a_folder_has_no_codes(blobs: LabelledImages, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = tmp_path / "a\x1b[2J\u202e\nmizumashi: all is well"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(blobs.images[number, ..., 0]).save(folder / f"{number}.png")
    open_images(folder)
    (line,) = caplog.messages
    assert line.startswith(for_terminal(f"{folder}: labels are the first digits"))


def test_a_warning_names_few_of_many_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    labels = np.concatenate([np.arange(400), [0]])
    names = [f"name-{label:03}" for label in range(400)]
    few = LabelledImages.from_arrays(np.zeros((401, 4, 4), np.uint8), labels, names, "few")
    with pytest.raises(InputError):
        study(replace(few, test_start=400), out=tmp_path / "study")
    assert "name-010 and 389 more classes" in caplog.text
    assert len(caplog.text) < 400


@pytest.mark.parametrize("name", ["../../elsewhere", "/elsewhere", "..", "a\0b"])
def test_a_set_s_name_leads_to_no_other_folder(
    name: str, blobs: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with pytest.raises(InputError, match=r"expected a name that a folder can have; choose a folder \(--out\)"):
        study(blobs.renamed(name))
    assert [*tmp_path.rglob("*")] == [tmp_path / "a", tmp_path / "a" / "b"]


def test_a_listing_has_no_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    images, labels = np.zeros((8, 16, 16), np.uint8), np.arange(8) % 2
    np.savez(tmp_path / "a\x1b[31m.npz", images=images, labels=labels, class_names=np.array(["=1+1", CODES]))
    assert main(["data", str(tmp_path / "a\x1b[31m.npz")]) == 0
    said = capsys.readouterr().out
    assert "\\x1b\\[2J" in said
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(said)


def test_names_with_line_ends_make_no_lines(blobs: LabelledImages, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Else a name could end as a line that says what was never found."""
    forged, out = tmp_path / "a\n| forged | 99 |.npz", tmp_path / "b\nWritten to c"
    np.savez(
        forged, images=blobs.images, labels=blobs.labels, class_names=np.array(["a\n| x | 9 |", "b\u2028c", "d\x85e"])
    )
    assert main(["data", str(forged), "--out", str(out), "--format", "npz"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line] == [
        r"a\n|",
        "sha256",
        "|",
        "|:---|---:|",
        "|",
        "|",
        "|",
        "|",
        "Written",
    ]
    assert lines[-1] == for_terminal(f"Written to {out}.npz")
    assert main(["data", str(forged), "--json"]) == 0
    assert capsys.readouterr().out.isascii()


def test_names_of_classes_lead_nowhere(blobs: LabelledImages, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    names = ("../../etc/passwd", "/root", "a\\b\x1b[31m")
    np.savez(tmp_path / "a.npz", images=blobs.images, labels=blobs.labels, class_names=np.array(names))
    assert main(["data", str(tmp_path / "a.npz"), "--out", str(tmp_path / "out" / "a"), "--format", "folder"]) == 0
    found = {path.name for path in (tmp_path / "out" / "a").iterdir()}
    assert found == {"class-0", "class-1", "class-2", "classes.json"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "out"]
    assert open_images(tmp_path / "out" / "a").class_names == names
