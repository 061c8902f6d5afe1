"""WebDataset shards: read by the library webdataset, and back; damaged and foreign tar files are refused."""

import gc
import io
import tarfile
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mizumashi.data.image_files import png_bytes
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_images
from mizumashi.errors import InputError

PNG = png_bytes(np.zeros((2, 2, 1), np.uint8))


@pytest.fixture
def images() -> LabelledImages:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 6, 1), dtype=np.uint8)
    names = ("<script>alert(1)</script>", "../../x", "cat")
    return replace(LabelledImages(pixels, np.arange(12) % 3, names), test_start=9)


def test_the_library_webdataset_reads_it(images, tmp_path, monkeypatch):
    webdataset = pytest.importorskip("webdataset")
    monkeypatch.setattr("mizumashi.data.writers.SHARD", 4)
    path = write_images(images, tmp_path / "home" / "set", "webdataset")
    assert sorted(file.name for file in path.iterdir()) == [
        "classes.json",
        "test-000000.tar",
        *(f"train-00000{number}.tar" for number in range(3)),
    ]
    assert list((tmp_path / "home").iterdir()) == [path]
    for pattern, part in (("train-{000000..000002}", images.train), ("test-000000", images.test)):
        samples = samples_of(webdataset.WebDataset(f"{path}/{pattern}.tar", shardshuffle=False, empty_check=False))
        assert [label for _, label in samples] == part.labels.tolist()
        np.testing.assert_array_equal([image[..., :1] for image, _ in samples], part.images)
    assert open_images(path).equals(images)


def samples_of(shards):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unclosed file .*tar", ResourceWarning)  # the library leaves them open
        samples = list(shards.decode("rgb8").to_tuple("png", "cls"))
        del shards
        gc.collect()
    return samples


def test_what_the_library_webdataset_writes_is_read(images, tmp_path):
    """Its headers have times of fractions of seconds, in extended records."""
    webdataset = pytest.importorskip("webdataset")
    (tmp_path / "set").mkdir()
    with webdataset.TarWriter(str(tmp_path / "set" / "shard-0.tar")) as writer:
        for index, image in enumerate(images.images):
            sample = {"__key__": f"{index:04d}", "png": png_bytes(image), "cls": int(images.labels[index])}
            writer.write(sample)
    found = open_images(tmp_path / "set")
    np.testing.assert_array_equal(found.images, images.images)
    assert found.labels.tolist() == images.labels.tolist()
    assert open_images(tmp_path / "set" / "shard-0.tar").equals(found)


def test_equal_images_give_equal_bytes_without_time_or_owner(images, tmp_path):
    first, second = (write_images(images, tmp_path / name, "webdataset") for name in "ab")
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()
    with tarfile.open(first / "train-000000.tar") as archive:
        members = archive.getmembers()
    assert [member.name for member in members[:3]] == ["00.png", "00.cls", "01.png"]
    assert {(member.mtime, member.uid, member.uname) for member in members} == {(0, 0, "")}


def member(name, content=PNG, **fields):
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, content


def archive(path: Path, *members, format=tarfile.USTAR_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as file:
        for made, content in members:
            file.addfile(made, io.BytesIO(content))
    return path


PAIR = member("a/0.png"), member("a/0.cls", b"1\n")
OTHER = member("a/1.png"), member("a/1.cls", b"0")
FOLDER = member("a", b"", type=tarfile.DIRTYPE)


def test_folders_in_a_tar_file_are_passed_over(tmp_path):
    assert open_images(archive(tmp_path / "set.tar", FOLDER, *PAIR, *OTHER)).labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("members", "line"),
    [
        ([PAIR[0]], "found '0' without its image or its label"),
        ([PAIR[0], *OTHER], "found '0' without its image or its label"),
        ([PAIR[1], PAIR[1]], "found 'a/0.cls'; expected for each name one image"),
        ([*PAIR, member("a/0.json", b"{}")], "found 'a/0.json'; expected for each name one image"),
        ([PAIR[0], member("a/0.cls", b"cat")], "found the label b'cat'"),
        ([PAIR[0], member("a/0.cls", b"-1")], "found the label b'-1'"),
        ([PAIR[0], member("a/0.cls", b"1" * 100)], "found the label b'1111"),
        ([PAIR[0], member("a/0.cls", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "a member of kind b'2'"),
        ([PAIR[0], member("a/0.cls", b"", type=tarfile.LNKTYPE, linkname="a/0.png")], "a member of kind b'1'"),
        ([PAIR[0], member("a/0.cls", b"", type=tarfile.FIFOTYPE)], "a member of kind b'6'"),
        ([*PAIR, *OTHER, member("a/2.png", b"no image"), member("a/2.cls", b"0")], "a/2.png: cannot read the image"),
        ([FOLDER], "found no sample"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(members, line, tmp_path, refusal):
    assert line in refusal(archive(tmp_path / "set.tar", *members))


def test_names_and_sizes_in_extended_headers_are_refused(tmp_path, refusal):
    long = member("x" * 200 + ".png")
    assert "found long names or sizes" in refusal(archive(tmp_path / "a.tar", long, format=tarfile.PAX_FORMAT))
    assert "a member of kind b'L'" in refusal(archive(tmp_path / "b.tar", long, format=tarfile.GNU_FORMAT))
    sized = member("0.png", pax_headers={"size": "99999999999"})
    assert "found long names or sizes" in refusal(archive(tmp_path / "c.tar", sized, format=tarfile.PAX_FORMAT))


def with_size(header: bytes, field: bytes) -> bytes:
    """The header with another size, and the checksum that goes with it."""
    header = header[:124] + field + header[136:]
    total = sum(header[:148]) + 8 * 32 + sum(header[156:])
    return header[:148] + f"{total:06o}\0 ".encode() + header[156:]


@pytest.mark.parametrize(
    ("field", "line"),
    [
        (b"\xff" * 12, "found a damaged header"),  # minus one: tarfile went round in circles
        (b"\x80" + b"\xff" * 11, "found a damaged header"),
        (b"77777777777\0", "found a member of 8,589,934,591 bytes"),
        (b"-0000000001\0", "found a damaged header"),
    ],
)
def test_sizes_that_lie_are_refused(field, line, tmp_path, refusal):
    content = archive(tmp_path / "set.tar", *PAIR, *OTHER).read_bytes()
    (tmp_path / "set.tar").write_bytes(with_size(content[:512], field) + content[512:])
    assert line in refusal(tmp_path / "set.tar")


def test_a_file_cut_off_or_damaged_anywhere_is_read_or_refused(tmp_path, refusal):
    content = archive(tmp_path / "set.tar", *PAIR, *OTHER).read_bytes()
    for end in range(512, 8 * 512, 256):
        (tmp_path / "cut.tar").write_bytes(content[:end])
        assert "cut.tar" in refusal(tmp_path / "cut.tar")
    lines = []
    for place in range(0, 4 * 512, 7):
        (tmp_path / "set.tar").write_bytes(content[:place] + bytes([content[place] ^ 0x81]) + content[place + 1 :])
        try:
            open_images(tmp_path / "set.tar")
        except InputError as error:
            lines.append(str(error))
    assert len(lines) > 100
    assert not any("\n" in line for line in lines)
