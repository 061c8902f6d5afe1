"""IDX and NPZ files that lie, or hold what would hurt to read: findings of tests/fuzz, and others like them."""

import gzip
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from mizumashi.data import limits
from mizumashi.data.images import LabelledImages
from mizumashi.data.npz import map_npz, read_npz
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError

PIXELS, LABELS = np.zeros((2, 1, 1), np.uint8), np.array([0, 1])


def npy(array=PIXELS, **header):
    """An array in NumPy's format; what is given takes the place of the header's entries."""
    entries = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape} | header
    text = (repr(entries) + "\n").encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + array.tobytes()


def npz(path, kind=zipfile.ZIP_STORED, **members):
    """An NPZ file of members that are given as bytes or arrays."""
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in ({"images": PIXELS, "labels": LABELS} | members).items():
            archive.writestr(f"{name}.npy", content if isinstance(content, bytes) else npy(content))
    return path


# IDX


@pytest.mark.parametrize("shape", [(1,) * 255, (0, 2**32 - 1, 2**32 - 1), (2**32 - 1, 0, 2**32 - 1, 3), (2, 2), (0,)])
def test_idx_dimensions_that_numpy_cannot_hold_are_refused(tmp_path, write_idx_pair, refusal, shape):
    write_idx_pair(tmp_path)
    path = tmp_path / "images-idx3-ubyte"
    path.write_bytes(struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + b"x")
    line = refusal(path)
    assert line.startswith(f"{path}: found an IDX array of {shape[0]}")
    assert len(line) < 400


def test_a_gzip_bomb_is_refused_and_the_limit_can_be_raised(tmp_path, write_idx_pair, refusal, monkeypatch):
    write_idx_pair(tmp_path)
    (tmp_path / "images-idx3-ubyte").unlink()
    size = 9_000_000
    path = tmp_path / "images-idx3-ubyte.gz"
    header = struct.pack(">BBBBIII", 0, 0, 8, 3, 4, size // 4, 1)
    path.write_bytes(gzip.compress(header + bytes(size)))
    stored = path.stat().st_size
    assert stored > size / 1032  # no lie: it unpacks to what it says
    monkeypatch.setattr(limits, "MAX_EXPANSION", 50)
    most = limits.FREE_BYTES + 50 * stored
    assert f"found 9,000,000 bytes of pixels announced in {stored:,} bytes; expected at most {most:,}" in refusal(path)
    monkeypatch.setattr(limits, "MAX_EXPANSION", 100)
    assert len(open_images(path)) == 4


# NPZ


@pytest.mark.parametrize("descr", ["|V0", "<U0", "|S0", "|S1", "<c8", "<M8[s]", [("a", "|u1")], ("|u1", (10**9,))])
def test_elements_that_are_neither_numbers_nor_text_are_refused(tmp_path, refusal, descr):
    for key in ("images", "labels", "class_names"):
        path = npz(tmp_path / "x.npz", **{key: npy(descr=descr, shape=(10**10,))})
        assert f"in {key}.npy; expected numbers or text" in refusal(path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_neither_stored_nor_deflated_is_not_unpacked(tmp_path, refusal, kind):
    path = npz(tmp_path / "x.npz", kind, images=npy() + bytes(10**7))
    tracemalloc.start()
    try:
        assert "'images.npy' is neither stored nor deflated" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("length", [10_001, 10**7])
def test_a_long_header_is_not_unpacked(tmp_path, refusal, length):
    header = b"\x93NUMPY\2\0" + struct.pack("<I", length) + b" " * length
    path = npz(tmp_path / "x.npz", zipfile.ZIP_DEFLATED, images=header)
    tracemalloc.start()
    try:
        assert f"the header of 'images.npy' has {length:,} bytes" in refusal(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "header", [b"-" * 9000 + b"1", b"{" * 199, b"not " * 2400 + b"1", b"[" * 9999, b"{'a\n': 1,\n"]
)
def test_what_a_library_says_of_a_header_is_one_short_line(tmp_path, refusal, header):
    path = npz(tmp_path / "x.npz", images=b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header)
    line = refusal(path)
    assert "cannot read the NPZ file (" in line
    assert "()" not in line
    assert len(line) < 400


def test_a_header_that_python_2_wrote_is_read_without_a_warning(tmp_path):
    old = npy().replace(b"'shape': (2, 1, 1)", b"'shape': (2L, 1L, 1L)")
    length = struct.pack("<H", len(old) - 10 - PIXELS.size)
    path = npz(tmp_path / "x.npz", images=old[:8] + length + old[10:])
    assert len(open_images(path)) == 2


def test_an_npz_bomb_is_refused_and_the_limit_can_be_raised(tmp_path, refusal, monkeypatch):
    path = npz(tmp_path / "x.npz", zipfile.ZIP_DEFLATED, images=np.zeros((2, 5000, 1000), np.uint8))
    monkeypatch.setattr(limits, "MAX_EXPANSION", 50)
    assert "found 10,000,000 bytes of pixels announced in" in refusal(path)
    monkeypatch.setattr(limits, "MAX_EXPANSION", 1000)
    assert len(open_images(path)) == 2


def test_more_classes_than_the_limit_are_refused(tmp_path, refusal, monkeypatch):
    monkeypatch.setattr(limits, "MAX_CLASSES", 2)
    three = {"images": np.zeros((3, 1, 1), np.uint8), "labels": np.arange(3)}
    assert "found 3 classes; expected at most 2" in refusal(npz(tmp_path / "x.npz", **three))
    named = npz(tmp_path / "x.npz", class_names=np.array(["a", "b", "c"]))
    assert "found 3 classes; expected at most 2" in refusal(named)
    with pytest.raises(InputError, match="found 3 classes"):
        LabelledImages.from_arrays(PIXELS, [0, 2])
    monkeypatch.setattr(limits, "MAX_CLASSES", 3)
    assert open_images(npz(tmp_path / "x.npz", **three)).class_names == ("0", "1", "2")


def test_labels_that_are_no_classes_are_refused_before_each_is_named():
    with pytest.raises(InputError, match=r"found 1,000,000,001 classes"):
        LabelledImages.from_arrays(PIXELS, [0, 10**9])


def test_numbers_that_are_no_letters_are_refused(tmp_path, refusal):
    names = np.array([0x110000, 0x61], "<u4").tobytes()
    path = npz(tmp_path / "x.npz", class_names=npy(np.frombuffer(names, np.uint8), descr="<U1", shape=(2,)))
    assert "class_names.npy holds no text: 0x110000 is no letter" in refusal(path)


def test_archives_that_zipfile_stumbles_over_are_refused_by_name(tmp_path, refusal):
    def patched(place, value, start=b"PK\1\2"):
        content = bytearray(npz(tmp_path / "x.npz").read_bytes())
        content[content.index(start) + place] = value
        (tmp_path / "x.npz").write_bytes(content)
        return refusal(tmp_path / "x.npz")

    assert "x.npz: cannot read the file (zip file version 9.9)" in patched(6, 99)
    assert "is encrypted" in patched(8, 1)
    content = npz(tmp_path / "x.npz").read_bytes().replace(b"images.npy", b"\xff" * 10)
    start = content.index(b"PK\1\2")
    (tmp_path / "x.npz").write_bytes(content[: start + 9] + b"\x08" + content[start + 10 :])  # names are UTF-8, it says
    assert "x.npz: cannot read the file ('utf-8' codec can't decode" in refusal(tmp_path / "x.npz")


def test_many_members_make_neither_a_long_line_nor_much_work(tmp_path, refusal, monkeypatch):
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(500):
            archive.writestr(f"{index:03}{'x' * 50}.npy", b"")
    assert len(refusal(path)) < 800
    monkeypatch.setattr(limits, "MAX_MEMBERS_BYTES", 40_000)
    assert "found a zip archive's directory of 51,500 bytes; expected at most 40,000" in refusal(path)


def test_a_mapped_array_is_not_misread(tmp_path):
    path = npz(tmp_path / "x.npz", images=npy(np.arange(6, dtype=np.uint8), fortran_order=True, shape=(2, 3)))
    np.testing.assert_array_equal(read_npz(path, ("images",))[0], [[0, 2, 4], [1, 3, 5]])
    with pytest.raises(InputError, match="in Fortran's order"):
        map_npz(path, "images")
