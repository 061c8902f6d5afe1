"""Image files: one file in, one array out, and a clear line for every file that cannot be used."""

import mimetypes
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from mizumashi.errors import InputError

# Pillow's other readers are refused: some start programs, all widen the ground for hostile files.
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
_TYPES = mimetypes.MimeTypes(filenames=())


def is_image(path: Path) -> bool:
    """Whether the file's content is that of an image; nothing is decoded.

    Raises:
        InputError: the file has an image's name but not an image's content, or cannot be opened.
    """
    try:
        with _opened(path):
            return True
    except UnidentifiedImageError as error:
        if (_TYPES.guess_type(path.name)[0] or "").startswith("image/"):
            raise _unreadable(path, error) from error
        return False
    except Exception as error:  # Pillow raises many kinds on hostile files
        raise _unreadable(path, error) from error


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read an image as H x W x 1 (grey) or H x W x 3 (RGB), uint8, as a viewer shows it.

    1-bit images become grey of 0 and 255, palettes become grey if all their colours are grey and RGB
    otherwise, transparency is laid on white, a camera's orientation mark is applied. Of 16-bit RGB the upper
    8 bits count.

    Raises:
        InputError: the file cannot be read, has several frames, more than 8 bits of grey, or more pixels than
            `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    try:
        with _opened(path) as image:
            _require_usable(image, path)
            array = np.asarray(_grey_or_rgb(ImageOps.exif_transpose(image)))
    except InputError:
        raise
    except Exception as error:  # Pillow raises many kinds on hostile files
        raise _unreadable(path, error) from error
    return array if array.ndim == 3 else array[..., np.newaxis]


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image; what Pillow would merely warn of as too large is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=_FORMATS) as image:
            yield image


def _require_usable(image: Image.Image, path: Path) -> None:
    # A camera's MPO file is a JPEG with previews or depth maps behind the picture.
    if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
        raise InputError(f"{path}: found several frames or pages; expected one image; save each as its own file")
    if image.mode.startswith(("I", "F")):
        raise InputError(f"{path}: found more than 8 bits of grey; expected 8; convert the images to 8 bits first")


def _grey_or_rgb(image: Image.Image) -> Image.Image:
    grey = image.mode in ("1", "L", "LA") or (image.mode in ("P", "PA") and _has_grey_palette(image))
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
    reason = "its content is not that of an image" if isinstance(error, UnidentifiedImageError) else error
    return InputError(
        f"{path}: cannot read the image ({reason}); expected PNG, JPEG, BMP, GIF, PNM, TIFF or WebP; "
        "remove or repair the file"
    )
