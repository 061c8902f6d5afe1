"""Parquet as the Hugging Face hub has it: read by its own library, and back; damaged files are refused."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mizumashi.data import limits
from mizumashi.data.card import Origin
from mizumashi.data.image_files import png_bytes
from mizumashi.data.images import LabelledImages
from mizumashi.data.parquet import _File, _footer
from mizumashi.data.parquet_footer import read_chunks
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_images
from mizumashi.errors import InputError

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

HOSTILE = ("<script>alert(1)</script>", "../../x", "犬\u202e", '"quoted"\n: yaml')
ORIGIN = Origin("gan@1 of a set", "Drawn from a GAN.", (("seed", "0"),))


@pytest.fixture
def images() -> LabelledImages:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (12, 8, 6, 3), dtype=np.uint8)
    return LabelledImages(pixels, np.arange(12) % 4, HOSTILE)


@pytest.fixture
def load_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    """`datasets.load_dataset`, offline, which keeps what it makes in the test's folder."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    return lambda *words, **options: datasets.load_dataset(*words, cache_dir=str(tmp_path / "cache"), **options)


@pytest.mark.parametrize("origin", [None, ORIGIN])
@pytest.mark.parametrize("test_start", [None, 9])
def test_load_dataset_reads_it_with_class_names_and_splits(images, tmp_path, load_dataset, origin, test_start):
    images = replace(images, test_start=test_start)
    path = write_images(images, tmp_path / "home" / "set", "parquet", origin=origin)
    assert sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()) == [
        *(["README.md"] if origin else []),
        *(["data/test-00000-of-00001.parquet"] if test_start else []),
        "data/train-00000-of-00001.parquet",
    ]
    assert list((tmp_path / "home").iterdir()) == [path]  # no name leads outside
    found = load_dataset(str(path))
    assert list(found) == (["train", "test"] if test_start else ["train"])
    rows = [row for split in found.values() for row in split]
    assert [row["label"] for row in rows] == images.labels.tolist()
    np.testing.assert_array_equal([np.asarray(row["image"]) for row in rows], images.images)
    assert found["train"].features["label"].names == list(HOSTILE)
    assert open_images(path).equals(images)


def test_what_datasets_writes_is_read(images, tmp_path, load_dataset):
    """With its own columns' names, compression and dictionaries."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(img=datasets.Image(), fine=datasets.ClassLabel(names=list(HOSTILE)))
    rows = {"img": [{"bytes": png_bytes(image), "path": "x.png"} for image in images.images], "fine": images.labels}
    made = datasets.Dataset.from_dict(rows, features=features)
    (tmp_path / "set").mkdir()
    for number, part in enumerate([made.select(range(5)), made.select(range(5, 12))]):
        part.to_parquet(str(tmp_path / "set" / f"train-0000{number}-of-00002.parquet"))
    assert open_images(tmp_path / "set").equals(images)
    made.to_parquet(str(tmp_path / "alone.parquet"))
    assert open_images(tmp_path / "alone.parquet").equals(images)


def test_equal_images_give_equal_bytes(images, tmp_path):
    contents = []
    for name in ("a", "b"):
        path = write_images(images, tmp_path / name, "parquet", origin=ORIGIN)
        contents.append([file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()])
    assert contents[0] == contents[1]


def table(labels=(0, 1), contents=None, label_type=None, **features):
    """A table as somebody else might write it."""
    png = png_bytes(np.zeros((2, 2, 1), np.uint8))
    contents = [png] * len(labels) if contents is None else contents
    image = pyarrow.array([{"bytes": each, "path": None} for each in contents])
    made = pyarrow.table({"image": image, "label": pyarrow.array(labels, label_type or pyarrow.int64())})
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.mark.parametrize(
    ("rows", "options", "line"),
    [
        (table(), {"compression": "zstd"}, "found the compression ZSTD; expected none or snappy"),
        (table(labels=[0, None]), {}, "an image has no label"),
        (table(contents=[b"no image", b""]), {}, "row 0: cannot read the image"),
        (table(contents=[png_bytes(np.zeros((2, 2, 1), np.uint8)), None]), {}, "an image has no bytes"),
        (table(labels=["a", "b"], label_type=pyarrow.string()), {}, "expected image (bytes and path"),
        (table().rename_columns(["picture", "label"]), {}, "found the columns 'label', 'picture.bytes'"),
        (table(labels=[0, 9], label={"_type": "ClassLabel", "names": ["a", "b"]}), {}, "labels from 0 to 9"),
        (table(label={"_type": "ClassLabel", "names": [1, 2]}), {}, "the class names are no list of text"),
        (table(label={"_type": "ClassLabel", "names": ["a", "a"]}), {}, "class names that repeat"),
        (table(label={"_type": "ClassLabel", "names": ["a" * 2000, "b"]}), {}, "a class name of 2,000 characters"),
        (table().slice(0, 0), {}, "found a part without rows"),
        (table().replace_schema_metadata({"huggingface": "{"}), {}, "cannot read the Parquet file"),
        (table().replace_schema_metadata({"huggingface": "[]"}), {}, "cannot read the Parquet file"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(rows, options, line, tmp_path, refusal):
    parquet.write_table(rows, tmp_path / "set.parquet", **options)
    assert line in refusal(tmp_path / "set.parquet")


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "brotli", "lz4"])
@pytest.mark.parametrize("rows", [1, 7, 5000])
def test_the_footer_says_what_pyarrow_says_of_it(compression, rows, tmp_path):
    """Of statistics, page indexes, bloom filters and many columns, too."""
    path = tmp_path / "table.parquet"
    columns = {f"column{number}": list(range(rows)) for number in range(20)}
    made = pyarrow.table(columns | {"nested": [{"a": [1.5, None], "b": "x"}] * rows, "truth": [True] * rows})
    parquet.write_table(made, path, compression=compression, row_group_size=999, write_page_index=True)
    metadata = parquet.read_metadata(path)
    expected = []
    for group in range(metadata.num_row_groups):
        chunks = [metadata.row_group(group).column(place) for place in range(metadata.num_columns)]
        expected.append([(each.total_uncompressed_size, each.total_compressed_size) for each in chunks])
    found = read_chunks(_footer(path))
    assert [[(each.unpacked, each.packed) for each in group] for group in found] == expected
    names = {"none": "UNCOMPRESSED", "lz4": "LZ4_RAW"}
    assert {each.codec for group in found for each in group} == {names.get(compression, compression.upper())}


def test_a_footer_over_which_pyarrow_ends_the_process_is_refused(tmp_path, refusal):
    """Its histogram of levels, in a field that nobody needs, has one entry too many."""
    parquet.write_table(table(), tmp_path / "set.parquet")
    whole, footer = (tmp_path / "set.parquet").read_bytes(), _footer(tmp_path / "set.parquet")
    place = footer.index(b"\x19\x26")  # of ColumnMetaData.size_statistics: a list of two numbers, which become three
    changed = footer[: place + 1] + b"\x36\0" + footer[place + 2 :]
    content = whole[: -8 - len(footer)] + changed + len(changed).to_bytes(4, "little") + b"PAR1"
    (tmp_path / "set.parquet").write_bytes(content)
    assert "cannot read the Parquet file (Definition level histogram" in refusal(tmp_path / "set.parquet")


def test_the_same_table_without_the_fault_is_read(tmp_path):
    parquet.write_table(table(), tmp_path / "set.parquet")
    assert open_images(tmp_path / "set.parquet").class_names == ("0", "1")


def test_a_file_cut_off_or_damaged_anywhere_is_read_or_refused(images, tmp_path):
    whole = (write_images(images, tmp_path / "set", "parquet") / "data" / "train-00000-of-00001.parquet").read_bytes()
    random = np.random.default_rng(0)
    path, lines = tmp_path / "damaged.parquet", []
    for place in random.integers(4, len(whole), 60).tolist():
        for content in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x81]) + whole[place + 1 :]):
            path.write_bytes(content)
            try:
                open_images(path)
            except InputError as error:
                lines.append(str(error))
    assert len(lines) > 60
    assert not any("\n" in line for line in lines)


def test_one_large_image_stored_once_does_not_fill_the_memory(tmp_path, refusal):
    """A dictionary holds it, and ten thousand rows of a few bits point at it."""
    large = png_bytes(np.random.default_rng(0).integers(0, 256, (128, 128, 1), dtype=np.uint8))
    path = tmp_path / "bomb.parquet"
    parquet.write_table(table(labels=[0, 1] * 5000, contents=[large] * 10_000), path)
    assert path.stat().st_size < 50_000
    assert "bytes; expected at most" in refusal(path)
    checked = _File(path)
    with checked._opened() as file:
        assert next(checked._batches(file, 0)).nbytes < 2**22  # of 160 MiB


def test_a_large_directory_is_refused_before_it_is_unpacked(images, tmp_path, refusal, monkeypatch):
    path = write_images(images, tmp_path / "set", "parquet")
    monkeypatch.setattr(limits, "MAX_MEMBERS_BYTES", 100)
    assert "mizumashi.data.limits.MAX_MEMBERS_BYTES" in refusal(path)


def test_splits_of_other_names_are_refused(images, tmp_path, refusal):
    path = write_images(images, tmp_path / "set", "parquet")
    file = path / "data" / "train-00000-of-00001.parquet"
    os.link(file, path / "data" / "validation-00000-of-00001.parquet")
    assert "found .parquet files of splits 'train', 'validation'; expected one, or train and test" in refusal(path)


def test_files_of_other_classes_do_not_make_one_set(images, tmp_path, refusal):
    path = write_images(images, tmp_path / "set", "parquet")
    other = write_images(replace(images, class_names=("a", "b", "c", "d")), tmp_path / "other", "parquet")
    os.link(next(other.rglob("*.parquet")), path / "data" / "train-1.parquet")
    assert "found other class names than in" in refusal(path)


def test_without_pyarrow_one_line_says_what_to_install(images, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"found no library pyarrow; Parquet needs it: pip install 'mizumashi\[hub\]'"):
        write_images(images, tmp_path / "set", "parquet")
    assert list(tmp_path.iterdir()) == []
