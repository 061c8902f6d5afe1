"""Image files: one file in, one array out, and a clear line for every file that cannot be used."""

import io
import mimetypes
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mizumashi.data.bounded_file import BoundedBytes, BoundedFile
from mizumashi.data.error_text import reason
from mizumashi.data.image_headers import require_modest_header, require_pixels
from mizumashi.errors import InputError

# Pillow's other readers are refused: some start programs, all widen the ground for hostile files.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_TYPES = mimetypes.MimeTypes(filenames=())
_BAND = 2**18  # pixels that are converted at a time


def is_image(path: Path) -> bool:
    """Whether the file's content is that of an image; nothing is decoded.

    Raises:
        InputError: the file has an image's name but not an image's content, cannot be opened, or announces more than
            `mizumashi.data.limits` allow.
    """
    try:
        with _opened(path):
            return True
    except UnidentifiedImageError as error:
        if (_TYPES.guess_type(path.name)[0] or "").startswith("image/"):
            raise _unreadable(path, error) from error
        return False
    except InputError:
        raise
    except Exception as error:  # Pillow raises many kinds on hostile files
        raise _unreadable(path, error) from error


def read_image(path: Path, content: bytes | None = None) -> NDArray[np.uint8]:
    """Read an image as H x W x 1 (grey) or H x W x 3 (RGB), uint8, as a viewer shows it.

    1-bit images become grey of 0 and 255, palettes become grey if all their colours are grey and RGB
    otherwise, transparency is laid on white, a camera's orientation mark is applied. Of 16-bit RGB the upper
    8 bits count.

    Args:
        path: the image file; with `content`, what to call it in messages.
        content: the bytes of the image file, where they are in memory.

    Raises:
        InputError: the file cannot be read, has several frames, more than 8 bits of grey, or more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS` or, for its size, than `mizumashi.data.limits` allow.
    """
    try:
        with _opened(path, content) as image:
            _require_usable(image, path)
            ImageOps.exif_transpose(image, in_place=True)
            return image_pixels(image)
    except InputError:
        raise
    except Exception as error:  # Pillow raises many kinds on hostile files
        raise _unreadable(path, error) from error


def as_picture(image: NDArray[np.uint8]) -> Image.Image:
    """Pixels H x W x 1 (grey) or H x W x 3 (RGB), uint8, as a Pillow image of mode L or RGB.

    Example:
        >>> as_picture(np.zeros((2, 3, 1), np.uint8)).size
        (3, 2)
    """
    return Image.fromarray(image if image.shape[2] == 3 else image[..., 0])


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """The PNG file of an image, H x W x 1 or H x W x 3, uint8: equal images, equal bytes.

    Example:
        >>> png_bytes(np.zeros((2, 3, 1), np.uint8))[1:4]
        b'PNG'
    """
    file = io.BytesIO()
    as_picture(image).save(file, "PNG")
    return file.getvalue()


@contextmanager
def _opened(path: Path, content: bytes | None = None) -> Iterator[Image.Image]:
    """Open an image whose pixels its file can hold; what Pillow would merely warn of as too large is an error."""
    file = BoundedFile(path) if content is None else BoundedBytes(content)
    with warnings.catch_warnings(), file:
        warnings.simplefilter("ignore")  # of damaged metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        require_modest_header(path, file)
        with Image.open(file, formats=_FORMATS) as image:
            require_pixels(path, file.length, image.size, grey=image.mode in ("1", "L"))
            yield image


def _require_usable(image: Image.Image, path: Path) -> None:
    # A camera's MPO file is a JPEG with previews or depth maps behind the picture.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise InputError(f"{path}: found several frames or pages; expected one image; save each as its own file")
    if image.mode.startswith(("I", "F")):
        raise InputError(f"{path}: found more than 8 bits of grey; expected 8; convert the images to 8 bits first")


def image_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """A Pillow image as H x W x 1 or H x W x 3, uint8, by the rules of `read_image`.

    It is converted band by band: a large one is held twice, not six times.

    Example:
        >>> image_pixels(Image.new("1", (3, 2), 1)).tolist()
        [[[255], [255], [255]], [[255], [255], [255]]]
    """
    grey = image.mode in ("1", "L", "LA") or (image.mode in ("P", "PA") and _has_grey_palette(image))
    pixels = np.empty((image.height, image.width, 1 if grey else 3), np.uint8)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        pixels[top : top + rows] = np.asarray(_grey_or_rgb(band, grey=grey)).reshape(band.height, band.width, -1)
    return pixels


def _grey_or_rgb(image: Image.Image, *, grey: bool) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if grey else "RGB")


def _has_grey_palette(image: Image.Image) -> bool:
    colours = np.array(image.getpalette("RGB")).reshape(-1, 3)
    return bool((colours == colours[:, :1]).all())


def _unreadable(path: Path, error: Exception) -> InputError:
    if isinstance(error, Image.DecompressionBombWarning | Image.DecompressionBombError):
        return InputError(
            f"{path}: found an image of too many pixels; expected at most {Image.MAX_IMAGE_PIXELS:,}; "
            "make it smaller, or raise PIL.Image.MAX_IMAGE_PIXELS"
        )
    what = "its content is not that of an image" if isinstance(error, UnidentifiedImageError) else reason(error)
    return InputError(
        f"{path}: cannot read the image ({what}); expected PNG, JPEG, BMP, GIF, PNM, TIFF or WebP; "
        "remove or repair the file"
    )
