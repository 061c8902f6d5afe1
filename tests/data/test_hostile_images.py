"""Image files that lie, or hold what would hurt to read, and what is still read: findings of tests/fuzz, and others."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps
from scipy import ndimage

from mizumashi.data import image_files, limits
from mizumashi.data.image_files import is_image, read_image
from mizumashi.data.preprocess import LINKS, remove_ruled_lines
from mizumashi.errors import InputError

WIDE, HIGH = 9000, 8000


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(size=(2, 2), extra=b"", pixels=None):
    """A grey PNG; the pixels may be fewer than the size says."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0))
    packed = zlib.compress(bytes(6) if pixels is None else pixels, 9)
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def saved(kind, mode="RGB", size=(16, 16), **options):
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **options)
    return file.getvalue()


def tiff(*entries, order="<"):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    directory = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    return mark + struct.pack(f"{order}IH", 8, len(entries)) + directory + bytes(4)


def big_tiff(tag, kind, count):
    return b"II+\0\x08\0\0\0" + struct.pack("<QQHHQQ", 16, 1, tag, kind, count, 0)


def lying_jpeg(progressive):
    content = bytearray(saved("JPEG", progressive=progressive))
    place = content.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    content[place + 5 : place + 9] = struct.pack(">HH", HIGH, WIDE)
    return bytes(content)


def lying_webp():
    canvas = struct.pack("<I", WIDE - 1)[:3] + struct.pack("<I", HIGH - 1)[:3]
    body = b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas + saved("WEBP", lossless=True)[12:]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def lying_gif(first_frame):
    screen = (1, 1) if first_frame else (WIDE, HIGH)
    frame = (WIDE, HIGH) if first_frame else (1, 1)
    extension = b"!\xf9\4\x09\0\0\0\0"  # the frame is to be disposed of: Pillow makes room for that at once
    return (
        b"GIF89a" + struct.pack("<HHBBB", *screen, 0, 0, 0) + extension + b"," + struct.pack("<HHHHB", 0, 0, *frame, 0)
    )


LIES = {
    "PNG": png((WIDE, HIGH)),
    "JPEG": lying_jpeg(False),
    "progressive JPEG": lying_jpeg(True),
    "BMP": b"BM"
    + struct.pack("<IHHI", 54, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, WIDE, HIGH, 1, 24, 0, 0, 0, 0, 0, 0),
    "GIF's screen": lying_gif(False),
    "GIF's frame": lying_gif(True),
    "PNM": b"P6 9000 8000 255\n",
    "a column": b"P2 1 8000000 255\n",  # eight bytes a row
    "PNM in decimal": b"P3 9000 8000 255\n 1 2 3",
    "TIFF": tiff((256, 4, 1, WIDE), (257, 4, 1, HIGH), (258, 3, 1, 8), (259, 3, 1, 5), (262, 3, 1, 1), (273, 4, 1, 8)),
    "WebP": lying_webp(),
    "lossless WebP": b"RIFF\x40\0\0\0WEBPVP8L\x20\0\0\0/" + struct.pack("<I", WIDE - 1 | HIGH - 1 << 14) + bytes(40),
    "lossy WebP": b"RIFF\x40\0\0\0WEBPVP8 \x20\0\0\0\x10\0\0\x9d\1\x2a" + struct.pack("<HH", WIDE, HIGH) + bytes(40),
}


@pytest.mark.parametrize("content", LIES.values(), ids=LIES)
def test_more_pixels_than_the_file_can_hold_are_refused_before_allocation(tmp_path, monkeypatch, content):
    def allocate(*arguments):
        pytest.fail(f"Pillow allocates {arguments}")

    for name in ("new", "fill"):
        monkeypatch.setattr(Image.core, name, allocate)
    path = tmp_path / "x.png"
    path.write_bytes(content)
    for read in (is_image, read_image):
        with pytest.raises(InputError, match="bytes of pixels announced in") as caught:
            read(path)
        found = int(str(caught.value).split("found ")[1].split()[0].replace(",", ""))
        assert found in (HIGH * (8 + WIDE), HIGH * (8 + 4 * WIDE), 8_000_000 * 9)
        assert "\n" not in str(caught.value)


def test_an_image_bomb_is_refused_and_the_limit_can_be_raised(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(png((4000, 4000), pixels=bytes(4001 * 4000)))
    with pytest.raises(
        InputError, match=r"found 16,032,000 bytes of pixels .*raise mizumashi\.data\.limits\.MAX_EXPANSION"
    ):
        read_image(path)
    monkeypatch.setattr(limits, "MAX_EXPANSION", 1032)
    assert read_image(path).shape == (4000, 4000, 1)


def test_a_photograph_is_no_bomb(tmp_path):
    path = tmp_path / "x.jpg"  # smooth, but for the noise of a sensor
    grey = np.random.default_rng(0).normal(128, 4, (1500, 2000)) + np.linspace(-90, 90, 2000)
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB").save(path, quality=75)
    assert read_image(path).shape == (1500, 2000, 3)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_a_png_of_packed_texts_is_refused_before_they_are_unpacked(tmp_path, kind):
    path = tmp_path / "x.png"
    packed = zlib.compress(("\U0001f600" + "a" * (2**20 - 9)).encode(), 9)
    head = b"k%d\0\0" if kind == b"zTXt" else b"k%d\0\1\0\0\0"
    texts = [chunk(kind, head % index + packed) for index in range(9)]
    path.write_bytes(png(extra=b"".join(texts)))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="more than 8 compressed texts"):
            is_image(path)
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()
    path.write_bytes(png(extra=texts[0]))
    assert read_image(path).shape == (2, 2, 1)


def test_a_png_chunk_that_says_it_is_long_gets_no_room(tmp_path):
    path = tmp_path / "x.png"
    content = png()
    place = content.index(b"IDAT") - 4
    path.write_bytes(content[:place] + struct.pack(">I", 2**30) + content[place + 4 :])
    tracemalloc.start()
    try:
        assert read_image(path).shape == (2, 2, 1)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


LISTS = {
    "strips": tiff((256, 4, 1, 10), (273, 4, 2**16 + 1, 8)),
    "rationals": tiff((256, 4, 1, 10), (282, 5, 2**16 + 1, 8)),
    "big-endian": tiff((256, 4, 1, 10), (273, 4, 2**16 + 1, 8), order=">"),
    "BigTIFF": big_tiff(273, 16, 2**16 + 1),
}


@pytest.mark.parametrize("content", LISTS.values(), ids=LISTS)
def test_a_tiff_of_long_lists_is_refused(tmp_path, content):
    path = tmp_path / "x.tif"
    path.write_bytes(content + bytes(2**19))
    with pytest.raises(InputError, match=r"found 65,537 numbers under tag 2\d\d of a TIFF file"):
        is_image(path)


def test_a_pnm_of_comments_is_refused_and_one_with_that_byte_in_its_pixels_is_not(tmp_path):
    path = tmp_path / "x.ppm"
    path.write_bytes(b"P2 2 2 255\n" + b"#\n" * 1001 + b"1 2 3 4")
    with pytest.raises(InputError, match="found 1,001 comments"):
        read_image(path)
    path.write_bytes(b"P2 2 2 255\n" + b"#\n" * 1000 + b"1 2 3 4")
    assert read_image(path)[..., 0].tolist() == [[1, 2], [3, 4]]
    path.write_bytes(b"P5 100 20 255\n" + b"#" * 2000)
    assert (read_image(path) == ord("#")).all()


def test_damaged_metadata_is_no_reason_to_warn(tmp_path):
    path = tmp_path / "x.png"  # warnings are errors here
    path.write_bytes(png(extra=chunk(b"acTL", bytes(8))))
    assert read_image(path).shape == (2, 2, 1)
    tags = [
        (256, 4, 1, 2),
        (257, 4, 1, 2),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, 1, 8),
        (279, 4, 1, 4),
    ]
    path.write_bytes(tiff(*tags, (305, 2, 10**6, 8)))
    assert read_image(path).shape == (2, 2, 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "transparent P", "transparent RGB"])
@pytest.mark.parametrize("turned", [None, 3, 5, 6])
def test_bands_are_the_whole_image(tmp_path, monkeypatch, mode, turned):
    colours = np.random.default_rng(0).integers(0, 256, (7, 5, 4), np.uint8)
    image = Image.fromarray(colours, "RGBA").convert(mode.split()[-1])
    options = {"transparency": image.getpixel((1, 1))} if mode.startswith("transparent") else {}
    if turned:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = turned
    path = tmp_path / "x"
    image.save(path, "TIFF" if mode in ("PA", "CMYK") else "PNG", **({} if mode in ("PA", "CMYK") else options))
    with Image.open(path) as whole:
        upright = ImageOps.exif_transpose(whole)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        expected = np.asarray(upright.convert("L" if mode in ("1", "L", "LA") else "RGB"))
    for pixels in (1, 11, 2**18):
        monkeypatch.setattr(image_files, "_BAND", pixels)
        np.testing.assert_array_equal(read_image(path).squeeze(), expected)


def test_a_chain_of_marks_is_followed_so_far_and_no_farther():
    page = np.zeros((600, 600), np.float32)
    page[100:180, 100:180] = 1
    for index in range(40):  # each as far from the last as it is long
        page[140:144, 183 + 6 * index : 186 + 6 * index] = 1
    character = remove_ruled_lines(page)
    _, pieces = ndimage.label(character)
    assert pieces == 1 + LINKS
    assert (character[:, : 183 + 6 * LINKS] == page[:, : 183 + 6 * LINKS]).all()
