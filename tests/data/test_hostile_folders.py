"""Folders and archives that lie, or hold what would hurt to read: findings of tests/fuzz, and others like them."""

import json
import os
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from mizumashi.data import catalog, limits
from mizumashi.data.folders import class_folders
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError


@pytest.fixture
def pair(tmp_path, save):
    """Two class folders with one image each."""
    for name in ("a", "b"):
        save(tmp_path / "set" / name / "x.png", 7)
    return tmp_path / "set"


def test_pipes_and_links_to_pipes_are_not_waited_for(tmp_path, pair, refusal):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(pair / "a" / "pipe.png")
    (pair / "a" / "link.png").symlink_to(tmp_path / "pipe")
    (pair / "b" / "device.png").symlink_to("/dev/zero")
    assert len(open_images(pair)) == 2
    os.mkfifo(pair / "classes.json")
    assert (
        refusal(pair) == f"{pair / 'classes.json'}: found no file; expected a list of class names; remove what is there"
    )


def test_links_that_lead_in_a_circle_are_refused(pair, refusal):
    (pair / "a" / "me.png").symlink_to("me.png")
    assert "me.png: cannot read the image" in refusal(pair)
    (pair / "a" / "me.png").unlink()
    (pair / "a" / "up").symlink_to("..")
    assert "found folder 'up' inside a class folder" in refusal(pair)


def test_class_names_that_are_too_many_or_too_long_are_refused(pair, refusal, monkeypatch):
    (pair / "classes.json").write_text(json.dumps(["a", "b", "c" * 1001]))
    assert "found a class name of 1,001 characters, 'cccccccccccccccccccc'...; expected at most 1,000" in refusal(pair)
    with pytest.raises(InputError, match="found a class name of 1,001 characters"):
        LabelledImages.from_arrays(np.zeros((2, 1, 1), int), [0, 1], ["a", "c" * 1001])
    monkeypatch.setattr(limits, "MAX_CLASSES", 2)
    (pair / "classes.json").write_text(json.dumps(["a", "b", "c"]))
    assert "classes.json: found 3 classes; expected at most 2" in refusal(pair)
    monkeypatch.setattr(limits, "MAX_NAMES_BYTES", 14)
    assert "classes.json: found 15 bytes of class names; expected at most 14" in refusal(pair)
    (pair / "classes.json").write_text(json.dumps(["a", "b"]))
    assert open_images(pair).class_names == ("a", "b")


@pytest.mark.parametrize(
    "content",
    [
        "[" * 10**5,
        '["a", NaN]',
        '["a", 1e999]',
        "[" + "9" * 5000 + "]",
        '["a", "b", "\\ud800"]',
        '{"a": 0}',
        "\ufeff[]",
    ],
)
def test_class_names_that_are_no_list_of_text_are_refused(pair, refusal, content):
    (pair / "classes.json").write_text(content)
    assert len(refusal(pair)) < 800


def test_many_classes_get_folders_without_comparing_each_with_each():
    names = [f"c{index}" for index in range(limits.MAX_CLASSES)]  # each with each would take a minute
    assert list(class_folders(names).values()) == names
    assert class_folders(["A", "a", "b"]) == {"A": "class-0", "a": "class-1", "b": "b"}


def test_a_large_first_image_makes_no_room_for_many_that_are_small(pair, refusal, monkeypatch):
    Image.new("L", (1000, 1000)).save(pair / "a" / "0.png")
    for index in range(20):
        Image.new("L", (1, 1)).save(pair / "b" / f"{index}.png")

    def allocate(shape, *arguments):
        pytest.fail(f"NumPy allocates {shape}")

    image_room = np.empty
    monkeypatch.setattr(
        np, "empty", lambda shape, *rest: image_room(shape, *rest) if len(shape) == 3 else allocate(shape)
    )
    assert f"{pair}: found 23,000,000 bytes of pixels announced in" in refusal(pair)


# FaxOCR's archive


def kocr(path, members, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(f"kocr-1/images/numbers/{name}", content)
    return path


def damaged(place, value, start=b"PK\1\2"):
    def damage(content):
        place_ = content.index(start) + place
        return content[:place_] + value + content[place_ + len(value) :]

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        damaged(8, b"\1"),  # encrypted
        damaged(6, b"\x63"),  # of a later version of the format
        damaged(10, struct.pack("<H", zipfile.ZIP_LZMA)),
        damaged(10, struct.pack("<H", 99)),
        damaged(16, b"\0\0\0\0"),  # a wrong checksum
        damaged(20, struct.pack("<II", 2**20, 2**20)),  # sizes that lie
        damaged(42, struct.pack("<I", 2**31)),  # a place outside of the file
        lambda content: content[:-30],
        lambda content: content[:40] + content[60:],
        lambda content: b"",
    ],
)
def test_a_damaged_archive_is_refused_in_one_line(tmp_path, monkeypatch, damage):
    monkeypatch.setattr(catalog, "FAXOCR_LEAST", 1)
    path = kocr(tmp_path / "kocr.zip", {"0-a.png": b"png", "1-b.png": b"png"})
    path.write_bytes(damage(path.read_bytes()))
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match=r"kocr/archive/.*\.zip: ") as caught:
        catalog.extract_numbers(path, tmp_path / "new")
    assert "\n" not in str(caught.value)


def test_an_archive_cannot_fill_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "FAXOCR_LEAST", 1)
    monkeypatch.setattr(catalog, "_FAXOCR_MOST", 10**6)
    path = kocr(tmp_path / "kocr.zip", {f"0-{index}.png": bytes(10**5) for index in range(11)}, zipfile.ZIP_DEFLATED)
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match="found more than 1,000,000 bytes of images"):
        catalog.extract_numbers(path, tmp_path / "new")
    assert sum(file.stat().st_size for file in (tmp_path / "new").iterdir()) <= 10**6


def test_a_member_that_repeats_counts_once(tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "FAXOCR_LEAST", 2)
    path = kocr(tmp_path / "kocr.zip", {"0-a.png": b"png"})
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("kocr-1/images/numbers/0-a.png", b"other")
    (tmp_path / "new").mkdir()
    with pytest.raises(InputError, match="found 1 images, expected 2 at least"):
        catalog.extract_numbers(path, tmp_path / "new")
