"""Small valid files of every format, from which the fuzzer starts; with MIZUMASHI_DATA, some real ones too."""

import gzip
import io
import json
import os
import struct
import tarfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mizumashi.data.images import LabelledImages

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 8, 8), np.uint8)
LABELS = np.arange(6, dtype=np.uint8) % 2


def idx_bytes(array: np.ndarray) -> bytes:
    """An IDX file."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def idx() -> list[bytes]:
    """Grey and RGB images, and labels."""
    rgb = np.repeat(PIXELS[..., np.newaxis], 3, axis=3)
    return [idx_bytes(PIXELS), idx_bytes(rgb), idx_bytes(LABELS), *_real("mnist/t10k-labels*", unpack=True)]


def idx_gz() -> list[bytes]:
    """The same, gzipped; one in two members."""
    plain = idx()
    return [*map(gzip.compress, plain), gzip.compress(plain[0][:50]) + gzip.compress(plain[0][50:])]


def npz() -> list[bytes]:
    """Our own layout, Keras's, and the one of a study's examples, stored and deflated."""
    names = np.array(["a", "b"])
    own = {"images": PIXELS, "labels": LABELS, "class_names": names, "test_start": np.array(4)}
    keras = {"x_train": PIXELS[:4], "y_train": LABELS[:4], "x_test": PIXELS[4:], "y_test": LABELS[4:]}
    wide = {"images": PIXELS.astype(">i4"), "labels": LABELS.astype(np.uint64)}
    examples = {"images": PIXELS.reshape(2, 3, 8, 8), "sets": names}
    return [_saved(np.savez, own), _saved(np.savez_compressed, own), _saved(np.savez, keras)] + [
        _saved(np.savez_compressed, arrays) for arrays in (wide, examples)
    ]


def tars() -> list[bytes]:
    """WebDataset shards: ours, and with extended headers and folders in them."""
    made = []
    for format in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT):
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w", format=format) as archive:
            folder = tarfile.TarInfo("a")
            folder.type, folder.mtime = tarfile.DIRTYPE, 1.5 if format == tarfile.PAX_FORMAT else 1
            archive.addfile(folder)
            for index, label in enumerate(LABELS):
                for ending, inside in (("png", png((3, 2))), ("cls", b"%d" % label)):
                    member = tarfile.TarInfo(f"a/{index}.{ending}")
                    member.size, member.mtime = len(inside), folder.mtime
                    archive.addfile(member, io.BytesIO(inside))
        made.append(content.getvalue())
    return made


def parquets() -> list[bytes]:
    """As `datasets` writes them: stored, packed, with dictionaries and without, in one row group and in several."""
    import pyarrow
    from pyarrow import parquet

    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["a", "b"]}}
    rows = {"image": [{"bytes": png((3, 2)), "path": None}] * 6, "label": LABELS.astype(int).tolist()}
    table = pyarrow.table(rows).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    made = []
    for compression in ("none", "snappy"):
        for options in ({}, {"use_dictionary": False}, {"row_group_size": 2, "store_schema": False}):
            content = io.BytesIO()
            parquet.write_table(table, content, compression=compression, **options)
            made.append(content.getvalue())
    return made


def images() -> list[bytes]:
    """Every format that is read, in several modes; with metadata."""
    grey = Image.fromarray(np.kron(PIXELS[0], np.ones((2, 2), np.uint8)))
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0
    made = [
        _image(grey.convert(mode), kind, **options)
        for kind, modes, choices in (
            ("PNG", ("1", "L", "LA", "P", "RGB", "RGBA"), ({}, {"exif": exif})),
            ("JPEG", ("L", "RGB", "CMYK"), ({}, {"progressive": True, "exif": exif})),
            ("BMP", ("1", "L", "P", "RGB", "RGBA"), ({},)),
            ("GIF", ("L", "P"), ({}, {"comment": b"hello", "transparency": 0})),
            ("PPM", ("1", "L", "RGB"), ({},)),
            ("TIFF", ("1", "L", "RGB", "CMYK"), ({}, {"compression": "tiff_lzw"}, {"compression": "jpeg"})),
            ("TIFF", ("1",), ({"compression": "group4"},)),
            ("WEBP", ("RGB", "RGBA"), ({}, {"lossless": True, "exif": exif})),
        )
        for mode in modes
        for options in choices
        if not (mode == "1" and options.get("compression") == "jpeg")
    ]
    film = io.BytesIO()
    grey.save(film, "GIF", save_all=True, append_images=[grey.transpose(Image.Transpose.ROTATE_90)])
    plain = b"P2\n# comment\n4 2\n15\n" + b" ".join(b"%d" % value for value in range(8))
    extremes = [
        png((4, 4), chunks=[(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**16)))]),
        rle_bmp(9, 3, b"\x03\1\0\2\1\1"),
    ]
    return [
        *made,
        film.getvalue(),
        plain,
        *extremes,
        *_real("faxocr/numbers/0-*.png"),
        *_real("cifar10-small/test/*/*"),
    ]


def png(size: tuple[int, int], *, chunks: list[tuple[bytes, bytes]] = (), pixels: bytes | None = None) -> bytes:
    """A grey PNG of width x height with further chunks; the pixels may be fewer or more than the header says."""
    packed = zlib.compress(bytes((size[0] + 1) * size[1]) if pixels is None else pixels, 9)
    header = struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", packed), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, data) for kind, data in parts)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """One chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def rle_bmp(width: int, height: int, codes: bytes) -> bytes:
    """A BMP of 8 bits a pixel, run-length encoded."""
    colours = b"\0\0\0\0\xff\0\0\0"
    start = 54 + len(colours)
    file = b"BM" + struct.pack("<IHHI", start + len(codes), 0, 0, start)
    return file + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(codes), 0, 0, 2, 0) + colours + codes


def trees() -> list[bytes]:
    """Folders of images, in the language of `targets.plant`: kind, name, content."""
    picture = b"\1"
    flat = [("f", "0-a.png", picture), ("f", "1-b.png", picture), ("f", "list.lst", b"a")]
    classes = [("d", "a", b""), ("f", "a/x.png", picture), ("d", "b", b""), ("f", "b/x.png", picture)]
    parts = [("d", "train", b""), ("d", "test", b"")]
    parts += [(kind, f"{part}/{name}", content) for part in ("train", "test") for kind, name, content in classes]
    odd = [*classes, ("f", "classes.json", b'["b", "a"]'), ("l", "b/y.png", b"a/x.png"), ("p", "b/pipe.png", b"")]
    return [_script(entries) for entries in (flat, classes, parts, odd)]


def class_names() -> list[bytes]:
    """classes.json."""
    return [json.dumps(names).encode() for names in (["a", "b"], ["0", "1"], ["水", "a\n", "../b"], [])]


def archives() -> list[bytes]:
    """The repository's archive of FaxOCR, in small, with members that lead elsewhere."""
    names = [f"kocr-1/images/numbers/{index}-x.png" for index in range(3)]
    made = []
    for kind in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", kind) as archive:
            for name in [*names, "kocr-1/images/numbers/../../x.png", "/images/numbers/1-y.png", "kocr-1/README"]:
                archive.writestr(name, b"content" * 9)
        made.append(file.getvalue())
    return made


@cache
def pets() -> LabelledImages:
    """A set with two parts, large enough for a study."""
    pixels = RANDOM.integers(0, 256, (40, 16, 16), np.uint8)
    pets = LabelledImages.from_arrays(pixels, np.arange(40) % 2, ["cat", "dog"], name="pets")
    return LabelledImages(pets.images, pets.labels, pets.class_names, "pets", test_start=20)


def _script(entries: list[tuple[str, str, bytes]]) -> bytes:
    return b"".join(
        kind.encode() + bytes([len(name.encode())]) + name.encode() + struct.pack(">H", len(content)) + content
        for kind, name, content in entries
    )


def _saved(save: object, arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def _image(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _real(pattern: str, *, unpack: bool = False) -> list[bytes]:
    """Up to three small real files."""
    folder = Path(os.environ.get("MIZUMASHI_DATA") or "/nowhere")
    found = [path.read_bytes() for path in sorted(folder.glob(pattern))[:3]]
    return [gzip.decompress(content) if unpack else content for content in found if len(content) < 2**16]
