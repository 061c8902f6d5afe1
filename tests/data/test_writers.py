import gzip
import struct
import tempfile
import unicodedata
import zipfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import hypothesis.extra.numpy as arrays
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import example, given, settings
from PIL import Image

from mizumashi.data.folders import class_folders
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.data.writers import Format, require_writable, write_images, write_stream
from mizumashi.errors import InputError

HOSTILE = [
    *("../../x", "a/b", "a\\b", "C:", "CON", "con.txt", "nul", "", ".", "..", ".hidden", "trailing ", " leading"),
    *("dot.", "tab\there", "line\nbreak", "\x7f", "class-1", "train", "test", "classes.json", "a*?", "%2e", "~", "-rf"),
    *("x" * 300, "犬", "é", unicodedata.normalize("NFD", "é"), "Cat", "cat", "10", "9", "09", "\u202etxt", "😀", "٣"),
]
formats = pytest.mark.parametrize(
    "format",
    [
        pytest.param(
            each, marks=pytest.mark.skipif(each == "parquet" and not find_spec("pyarrow"), reason="no pyarrow")
        )
        for each in get_args(Format)
    ],
)


@pytest.fixture(scope="module", autouse=True)
def quick_disk():
    """Hundreds of small sets need not outlive a power failure."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        patch.setattr("os.sync", lambda: None)
        yield


@st.composite
def labelled_images(draw):
    """Sets of all kinds: grey or RGB, with or without parts, with any class names in any order."""
    letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
    name = st.sampled_from(HOSTILE) | st.text(letters, max_size=5)
    names = draw(st.lists(name, min_size=2, max_size=6, unique=True) | st.just(["0", "1", "2"]))
    more = draw(st.lists(st.integers(0, len(names) - 1), max_size=6))
    labels = np.array(draw(st.permutations([*range(len(names)), *more])), np.int64)
    size = draw(st.tuples(st.integers(1, 5), st.integers(1, 5), st.sampled_from([1, 3])))
    images = draw(arrays.arrays(np.uint8, (len(labels), *size)))
    found = LabelledImages(images, labels, tuple(names))
    if draw(st.booleans()):
        test_labels = draw(st.lists(st.integers(0, len(names) - 1), min_size=1, max_size=4))
        test = found.take(np.searchsorted(np.sort(labels), test_labels).clip(max=len(labels) - 1))
        found = LabelledImages.from_parts(found, test, "images")
    return found


def names_only(names):
    labels = np.arange(len(names))
    return LabelledImages(labels.astype(np.uint8).reshape(-1, 1, 1, 1), labels, tuple(names))


@formats
@settings(max_examples=25, deadline=None)
@given(images=labelled_images())
@example(images=names_only(HOSTILE))
@example(images=names_only(["b", "a", "classes"]))
def test_what_is_written_is_read_back_identically(format, images):
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        path = write_images(images, home / "set", format)
        assert open_images(path).equals(images)
        assert list(home.iterdir()) == [path]
        assert list(Path(folder).iterdir()) == [home]


def test_names_that_a_file_system_may_take_for_equal_get_other_folders():
    names = ["Cat", "cat", "dog", "\u00e9", "e\u0301"]
    assert list(class_folders(names).values()) == ["class-0", "class-1", "dog", "class-3", "class-4"]


@formats
@settings(max_examples=12, deadline=None)
@given(images=labelled_images(), borders=st.lists(st.integers(0, 16), max_size=5))
def test_chunks_give_the_same_files_as_the_whole(format, images, borders):
    chunks = np.split(images.images, sorted(border for border in borders if border <= len(images)))
    with tempfile.TemporaryDirectory() as folder:
        whole = write_images(images, Path(folder) / "whole.npz", format)
        arguments = images.labels, images.class_names, Path(folder) / "chunks.npz", format, images.test_start
        streamed = write_stream(iter(chunks), *arguments)
        assert contents(streamed) == contents(whole)


def contents(path):
    if path.is_file():
        return path.read_bytes()
    return {file.relative_to(path): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture
def pets():
    pixels = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3, 1)
    images = LabelledImages(pixels, np.array([1, 0, 1, 0]), ("cat", "dog"))
    return replace(images, test_start=3)


def test_idx_files_are_those_made_by_hand(pets, tmp_path):
    write_images(pets, tmp_path / "idx", "idx")
    pixels = bytes(range(24))
    assert contents(tmp_path / "idx") == {
        Path("train-images-idx3-ubyte"): struct.pack(">BBBBiii", 0, 0, 8, 3, 3, 2, 3) + pixels[:18],
        Path("train-labels-idx1-ubyte"): struct.pack(">BBBBi", 0, 0, 8, 1, 3) + b"\1\0\1",
        Path("t10k-images-idx3-ubyte"): struct.pack(">BBBBiii", 0, 0, 8, 3, 1, 2, 3) + pixels[18:],
        Path("t10k-labels-idx1-ubyte"): struct.pack(">BBBBi", 0, 0, 8, 1, 1) + b"\0",
        Path("classes.json"): b'["cat", "dog"]\n',
    }
    write_images(pets, tmp_path / "packed", "idx.gz")
    plain = {f"{name}.gz": content for name, content in contents(tmp_path / "idx").items() if name.suffix == ""}
    for name, content in plain.items():
        packed = (tmp_path / "packed" / name).read_bytes()
        assert gzip.decompress(packed) == content
        assert packed[3:8] == bytes(5)  # neither a name nor a time
    rgb = LabelledImages(np.ones((2, 1, 1, 3), np.uint8), np.array([0, 1]), ("0", "1"))
    write_images(rgb, tmp_path / "rgb", "idx")
    assert contents(tmp_path / "rgb") == {
        Path("images-idx4-ubyte"): struct.pack(">BBBBiiii", 0, 0, 8, 4, 2, 1, 1, 3) + b"\1" * 6,
        Path("labels-idx1-ubyte"): struct.pack(">BBBBi", 0, 0, 8, 1, 2) + b"\0\1",
    }


def test_class_folders_hold_numbered_png_files(pets, tmp_path):
    write_images(pets, tmp_path / "set", "folder")
    assert sorted(map(str, contents(tmp_path / "set"))) == [
        "test/cat/3.png",
        "train/cat/1.png",
        "train/dog/0.png",
        "train/dog/2.png",
    ]
    with Image.open(tmp_path / "set" / "train" / "dog" / "2.png") as image:
        assert (image.format, image.mode) == ("PNG", "L")
        np.testing.assert_array_equal(np.asarray(image), pets.images[2, ..., 0])


def test_npz_holds_plain_arrays(pets, tmp_path):
    path = write_images(pets, tmp_path / "pets.v1", "npz")
    assert path.name == "pets.v1.npz"
    with np.load(path, allow_pickle=False) as found:
        assert sorted(found) == ["class_names", "images", "labels", "test_start"]
        np.testing.assert_array_equal(found["images"], pets.images)
        assert found["class_names"].tolist() == ["cat", "dog"]
        assert found["test_start"] == 3


@formats
def test_nothing_is_overwritten_and_no_image_is_asked_for(format, pets, tmp_path):
    def chunks():
        pytest.fail("asked for an image")
        yield

    kept = tmp_path / "kept.npz"
    if format == "npz":
        kept.write_text("mine")
    else:
        kept.mkdir()
        (kept / "mine.txt").write_text("mine")
    before = contents(kept)
    with pytest.raises(InputError, match=r"found a f.*; choose another --out"):
        write_stream(chunks(), pets.labels, pets.class_names, kept, format)
    with pytest.raises(InputError, match=r"found a f.*; choose another --out"):
        require_writable(kept, format)
    for names, labels, expected in [
        (("cat",), [0, 0], "expected two at least"),
        (("cat", "dog"), [0, 0], "found no image of class 'dog'"),
        (("cat", "dog"), [0, 2], "labels from 0 to 2"),
        (("cat", "cat"), [0, 1], "class names that repeat"),
        (("cat", "d\0g"), [0, 1], "expected text"),
        (("cat", "d\ud800g"), [0, 1], "expected text"),
    ]:
        with pytest.raises(InputError, match=expected) as caught:
            write_stream(chunks(), np.array(labels), names, tmp_path / "above" / "new", format)
        assert "\n" not in str(caught.value)
    assert contents(kept) == before
    assert list(tmp_path.iterdir()) == [kept]


def test_a_class_without_training_images_is_refused(tmp_path):
    with pytest.raises(InputError, match="train: found no image of class 'dog'"):
        write_stream([], np.array([0, 0, 1]), ("cat", "dog"), tmp_path / "new", "idx", test_start=2)


@formats
@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([np.zeros((3, 2, 2, 1), np.uint8)], "found 3 images for 4 labels"),
        ([], "found 0 images for 4 labels"),
        ([np.zeros((3, 2, 2, 1), np.uint8)] * 2, "more images than the 4 labels"),
        ([np.zeros((4, 2, 2, 1), np.uint8)] * 2, "more images than the 4 labels"),
        ([np.zeros((2, 2, 2, 1), np.uint8), np.zeros((2, 2, 3, 1), np.uint8)], "expected one size"),
        ([np.zeros((4, 2, 2, 1))], "type float64"),
        ([np.zeros((4, 2, 2), np.uint8)], "expected N x H x W x C"),
        ([np.zeros((4, 0, 2, 1), np.uint8)], "expected N x H x W x C"),
    ],
)
def test_chunks_that_do_not_fit_leave_nothing_behind(format, pets, tmp_path, chunks, expected):
    with pytest.raises(InputError, match=expected):
        write_stream(chunks, pets.labels, pets.class_names, tmp_path / "above" / "new", format, pets.test_start)
    assert list(tmp_path.iterdir()) == []


@formats
def test_a_stream_is_held_one_chunk_at_a_time(format, tmp_path):
    import weakref

    alive = []

    def chunks():
        for _ in range(20):
            # One chunk may still be in the writer's hands when the next is asked for.
            assert sum(reference() is not None for reference in alive) <= 1
            chunk = np.zeros((2, 2, 2, 1), np.uint8)
            alive.append(weakref.ref(chunk))
            yield chunk
            del chunk

    write_stream(chunks(), np.arange(40) % 2, ("0", "1"), tmp_path / "set", format)


def test_idx_cannot_hold_more_than_256_classes(tmp_path):
    with pytest.raises(InputError, match="found 257 classes; expected at most 256"):
        write_images(names_only([str(number) for number in range(257)]), tmp_path / "set", "idx")
    path = write_images(names_only([str(number) for number in range(256)]), tmp_path / "set", "idx")
    assert open_images(path).labels.tolist() == list(range(256))


def test_an_unknown_format_gets_the_nearest_one(pets, tmp_path):
    with pytest.raises(InputError, match=r"found format 'foldre' \(did you mean 'folder'\?\)"):
        write_images(pets, tmp_path / "set", "foldre")


@formats
def test_what_can_be_written_is_known_before(format, pets, tmp_path, monkeypatch):
    path = str(tmp_path / "deep" / "below" / "set")
    require_writable(path, format)
    assert list(tmp_path.iterdir()) == []
    assert open_images(write_images(pets, path, format)).equals(pets)
    with pytest.raises(InputError, match="choose another --out"):
        require_writable(path, format)
    (tmp_path / "file").touch()
    for place, expected in [
        (tmp_path / "file" / "below" / "set", f"found a file at {tmp_path / 'file'}; expected a folder"),
        (".", "found '.' as the place to write to; expected a new name"),
    ]:
        with pytest.raises(InputError) as caught:
            require_writable(place, format)
        assert str(caught.value).startswith(expected)
    with pytest.raises(InputError, match="found format 'zip'"):
        require_writable(path, "zip")
    monkeypatch.setattr("os.access", lambda place, mode: place != tmp_path)
    with pytest.raises(InputError, match=f"found the folder {tmp_path}, which may not be written to"):
        require_writable(tmp_path / "new", format)


def test_an_empty_folder_may_be_a_link(pets, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "set").symlink_to(tmp_path / "disk")
    write_images(pets, tmp_path / "set", "idx")
    assert (tmp_path / "set").is_symlink()
    assert open_images(tmp_path / "disk").equals(pets)


def test_npz_is_not_compressed(tmp_path, blobs):
    with zipfile.ZipFile(write_images(blobs, tmp_path / "set", "npz")) as archive:
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
