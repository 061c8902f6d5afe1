"""Seeded mutation of small files: of their bytes, and of what lies behind checksums and compression."""

import gzip
import io
import json
import math
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

Mutator = Callable[[random.Random, bytes], bytes]
"""A changed copy of a file; the generator decides what is changed."""

LARGEST = 2**16
"""Bytes of one mutated file."""

NUMBERS = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63, -1)
DECIMALS = (b"0", b"-1", b"1e400", b"NaN", b"0.5", b"9" * 20, b"1" * 5000, b"1000000000", b"4096", b"true", b'"1"')
ODD_VALUES = (None, True, -1, 0, 0.5, 10**9, 2**64, 10**400, float("nan"), "", "x", "\ud800", "a\nb", [], {}, [[]])


def change_bytes(rng: random.Random, content: bytes) -> bytes:
    """One to four changes: a bit, a number, a run of digits, a piece cut out, doubled, moved, cut off or made up."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_CHANGES)(rng, changed)
    return bytes(changed[:LARGEST])


def _flip(rng: random.Random, changed: bytearray) -> None:
    if changed:
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)


def _number(rng: random.Random, changed: bytearray) -> None:
    size, order = rng.choice((1, 2, 4, 8)), rng.choice(("little", "big"))
    place = rng.randrange(min(len(changed), 64) if rng.random() < 0.5 else len(changed)) if changed else 0
    value = rng.choice((*NUMBERS, len(changed), rng.getrandbits(32))) & (2 ** (8 * size) - 1)
    changed[place : place + size] = value.to_bytes(size, order)


def _digits(rng: random.Random, changed: bytearray) -> None:
    places = [index for index, byte in enumerate(changed[:4096]) if 48 <= byte < 58]
    if places:
        start = stop = rng.choice(places)
        while stop < len(changed) and 48 <= changed[stop] < 58:
            stop += 1
        changed[start:stop] = rng.choice(DECIMALS)


def _piece(rng: random.Random, changed: bytearray) -> None:
    start = rng.randrange(len(changed) + 1)
    stop = min(len(changed), start + rng.choice((1, 2, 4, 8, 12, 64, len(changed))))
    piece, place = changed[start:stop], rng.randrange(len(changed) + 1)
    match rng.randrange(5):
        case 0:
            del changed[start:stop]
        case 1:
            changed[place:place] = piece * rng.choice((1, 2, 100))
        case 2:
            changed[place : place + len(piece)] = piece
        case 3:
            changed[place:place] = rng.randbytes(rng.choice((1, 2, 4, 16)))
        case 4:
            changed[start:stop] = bytes([rng.choice((0, 255, 32))]) * len(piece)


def _cut(rng: random.Random, changed: bytearray) -> None:
    del changed[rng.randrange(len(changed) + 1) :]


_CHANGES = (_flip, _flip, _number, _number, _digits, _piece, _piece, _cut)


def change_gzip(rng: random.Random, content: bytes) -> bytes:
    """Change what is packed, and pack it again, or change the packed bytes."""
    with suppress(OSError, EOFError, zlib.error):
        if rng.random() < 0.7:
            return gzip.compress(change_bytes(rng, gzip.decompress(content)), 1)
    return change_bytes(rng, content)


def change_image(rng: random.Random, content: bytes) -> bytes:
    """Change a PNG's chunks behind their checksums and compression; the other formats have no checksums."""
    if not content.startswith(b"\x89PNG") or rng.random() < 0.2:
        return change_bytes(rng, content)
    chunks, place = [], 8
    while place + 8 <= len(content):
        (size,) = struct.unpack_from(">I", content, place)
        chunks.append([content[place + 4 : place + 8], content[place + 8 : place + 8 + size]])
        place += 12 + size
    if not chunks:
        return change_bytes(rng, content)
    chunk = rng.choice(chunks)
    packed = chunk[1] if chunk[0] == b"IDAT" else b""
    with suppress(zlib.error):
        packed = zlib.compress(change_bytes(rng, zlib.decompress(chunk[1])), 1)
    match rng.randrange(4):
        case 0 if packed:
            chunk[1] = packed
        case 1:
            kinds = (b"zTXt", b"iTXt", b"tEXt", b"eXIf", b"iCCP", b"tRNS", b"PLTE", b"acTL", b"fcTL", b"fdAT", b"gAMA")
            chunks.insert(rng.randrange(len(chunks) + 1), [rng.choice(kinds), chunk[1]])
        case 2:
            chunks.remove(chunk)
        case _:
            chunk[1] = change_bytes(rng, chunk[1])
    made = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return (b"\x89PNG\r\n\x1a\n" + b"".join(made))[:LARGEST]


_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def change_zip(rng: random.Random, content: bytes) -> bytes:
    """Change a member and pack the archive again, with any kind of compression, or change the packed bytes."""
    if rng.random() < 0.3:
        return change_bytes(rng, content)
    with suppress(Exception):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(name, archive.read(name)[:LARGEST]) for name in archive.namelist()[:20]]
        index = rng.randrange(len(members))
        name, inside = members[index]
        match rng.randrange(4):
            case 0:
                members.insert(rng.randrange(len(members)), (name, change_bytes(rng, inside)))
            case 1:
                members[index] = (rng.choice((*(name for name, _ in members), "../x.npy", "/x", "a\nb.npy")), inside)
            case _:
                members[index] = (name, change_bytes(rng, inside))
        (kind,) = rng.choices(_KINDS, (50, 50, 1, 1))  # the last two take the most time
        file = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as archive:
            warnings.simplefilter("ignore")  # names may repeat
            for name, inside in members:
                archive.writestr(name, inside)
        return file.getvalue()[:LARGEST]
    return change_bytes(rng, content)


def change_tar(rng: random.Random, content: bytes) -> bytes:
    """Change a header of a tar file and make its checksum right, or change any bytes."""
    starts = range(0, len(content) - 511, 512)
    if rng.random() < 0.3 or not starts:
        return change_bytes(rng, content)
    start = rng.choice(starts)
    header = bytearray(change_bytes(rng, content[start : start + 512])[:512].ljust(512, b"\0"))
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return content[:start] + bytes(header) + content[start + 512 :]


def change_json(rng: random.Random, content: bytes) -> bytes:
    """Put an odd value anywhere in a JSON document, or change the bytes."""
    if rng.random() < 0.7:
        with suppress(ValueError, RecursionError, OverflowError):
            return json.dumps(_with_odd_value(rng, json.loads(content))).encode()[:LARGEST]
    return change_bytes(rng, content)


def change_json_lines(rng: random.Random, content: bytes) -> bytes:
    """Change one line."""
    lines = content.split(b"\n")
    index = rng.randrange(len(lines))
    lines[index] = change_json(rng, lines[index])
    return b"\n".join(lines)[:LARGEST]


def change_safetensors(rng: random.Random, content: bytes) -> bytes:
    """Change the header, and set its length again, or change the bytes."""
    if len(content) > 8 and rng.random() < 0.7:
        (size,) = struct.unpack_from("<Q", content)
        if size < len(content):
            header = content[8 : 8 + size]
            header = _reshaped(rng, header) if rng.random() < 0.3 else change_json(rng, header)
            return (struct.pack("<Q", len(header)) + header + content[8 + size :])[:LARGEST]
    return change_bytes(rng, content)


def _reshaped(rng: random.Random, header: bytes) -> bytes:
    """Give a tensor another shape, or another type, of the same size: the file stays whole."""
    try:
        described = json.loads(header)
        tensor = described[rng.choice([name for name in described if name != "__metadata__"])]
        shape = tensor["shape"]
        tensor["shape"] = rng.choice(
            (shape[::-1], [1, *shape], [math.prod(shape)], shape[1:] if 1 in shape[:1] else shape)
        )
        if rng.random() < 0.3:
            tensor["dtype"] = {"F32": "I32", "I64": "F64"}.get(tensor["dtype"], tensor["dtype"])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return change_bytes(rng, header)
    return json.dumps(described).encode()


def _with_odd_value(rng: random.Random, value: Any) -> Any:
    """A copy of a JSON value in which one part is odd, doubled or missing."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        if rng.random() < 0.1:
            return {name: inside for name, inside in value.items() if name != key}
        return value | {key: _with_odd_value(rng, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.8:
        index = rng.randrange(len(value))
        if rng.random() < 0.2:
            return value[:index] + value[index:] * rng.choice((0, 2, 50))
        return [*value[:index], _with_odd_value(rng, value[index]), *value[index + 1 :]]
    if isinstance(value, int) and rng.random() < 0.3:
        return rng.choice((value + 1, value - 1, -value, value * 1000, float(value), str(value)))
    return rng.choice(ODD_VALUES)
