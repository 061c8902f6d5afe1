"""Raw scan -> MNIST-style image (paper, section 6): pure functions of arrays.

Every step is a rule about scanned characters on forms; none looks at a label.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from mizumashi.errors import InputError

Ink = NDArray[np.float32]

GRAIN = 1 / 8  # what differs from the paper by less is its grain: of the full range, then of the image's contrast
MARGIN = 1 / 6  # the outer part of a cut-out: its level is the paper's, and a form's lines lie within it
DOT = 1 / 20  # of the image's side: a shorter gap is one in a dotted line, a shorter mark alone is dust
LINE = 0.95  # a ruled line covers this part of the way from border to border, the gaps between its dots included
LINKS = 16  # pieces in a chain that leads away from the character; a spiral of dots would cost minutes

TOUCHING = np.ones((3, 3), np.bool_)  # pixels of one piece touch at a side or at a corner


def foreground(image: NDArray[np.uint8]) -> Ink:
    """Ink intensity of a scan, whatever its polarity, at full contrast.

    The paper's level is the median of the margin; ink is what differs from it, on the side that differs most.

    Args:
        image: H x W or H x W x C, uint8, C = 1 or 3; dark on bright or bright on dark.

    Returns:
        H x W, 0 for paper and 1 for the strongest ink; all 0 where the contrast is no more than paper grain.

    Raises:
        InputError: the image is not of that type and shape.

    Example:
        >>> page = np.full((6, 6), 240, np.uint8)
        >>> page[2:5, 3] = 40
        >>> foreground(page)[1:4, 3].tolist()
        [0.0, 1.0, 1.0]
        >>> bool((foreground(255 - page) == foreground(page)).all())
        True
    """
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))
    if image.dtype != np.uint8 or not shaped or not image.size:
        raise InputError(
            f"found an image of shape {image.shape} and type {image.dtype}; "
            "expected H x W or H x W x C, uint8, with 1 or 3 channels; convert it first"
        )
    grey = image.reshape(*image.shape[:2], -1).mean(axis=2)
    rows, columns = (max(1, round(MARGIN * side)) for side in grey.shape)
    margin = np.ones(grey.shape, np.bool_)
    margin[rows:-rows, columns:-columns] = False
    paper = np.median(grey[margin])
    darker, brighter = paper - grey.min(), grey.max() - paper
    contrast = max(darker, brighter)
    if contrast < GRAIN * 255:
        return np.zeros(grey.shape, np.float32)
    ink = (paper - grey if darker >= brighter else grey - paper) / contrast
    return np.where(ink < GRAIN, 0, ink).astype(np.float32)


def remove_ruled_lines(ink: Ink) -> Ink:
    """Remove the form's lines, cut-off fragments and dust; the character with its separated pieces stays.

    A line along a border, full or dotted, is erased even where the character touches it. Of the pieces that
    are left, the character is the heaviest when each pixel weighs its distance from the border, together with
    every piece that lies nearer to it than to the border. A character that fills the image was cropped to its
    own ink already, so its straight strokes along a border are not taken for lines.

    Args:
        ink: H x W in [0, 1], 0 for paper.

    Returns:
        H x W, the character's ink as it was and 0 elsewhere; all 0 where there is no character.

    Example:
        >>> page = np.zeros((40, 40), np.float32)
        >>> page[10:30, 20:22] = 1
        >>> ruled = page.copy()
        >>> ruled[::2, :2] = ruled[36, :] = 1
        >>> bool((remove_ruled_lines(ruled) == page).all())
        True
    """
    lines = [_ruled_columns(np.rot90(ink > 0, side)) for side in range(4)]
    unruled = ink.copy()
    for side, line in enumerate(lines):
        np.rot90(unruled, side)[:, line] = 0
    character = _character(unruled)
    framed = all(line.any() for line in lines)
    if character.any() and not framed and _fills(ink):
        return _character(ink)
    return character


def fit(ink: Ink, box: int = 20, size: int = 28) -> Ink:
    """Fit ink into a box and place it by its centre of mass, as MNIST was made (paper, section 6).

    The crop is scaled with anti-aliasing and with its aspect kept. Its strongest ink is set to 1, as it is 254
    or 255 in every MNIST image. It is moved by whole pixels, as in MNIST, so that the centre of mass lies in
    pixel `size // 2`; a move by parts of pixels would blur it. Ink is never moved out of the canvas.

    Args:
        ink: H x W in [0, 1], 0 for paper.
        box: the longest side of the ink, in pixels.
        size: the side of the canvas, in pixels.

    Returns:
        size x size in [0, 1]; all 0 where there is no ink.

    Raises:
        InputError: the box does not fit into the canvas.

    Example:
        >>> page = np.zeros((90, 70), np.float32)
        >>> page[5:65, 10:40] = 1
        >>> fitted = fit(page)
        >>> fitted.shape, int((fitted > 0.5).any(axis=1).sum()), int((fitted > 0.5).any(axis=0).sum())
        ((28, 28), 20, 10)
    """
    if not 0 < box <= size:
        raise InputError(f"found a box of {box} pixels for a canvas of {size}; expected 1 to {size}")
    canvas = np.zeros((size, size), np.float32)
    if not ink.any():
        return canvas
    crop = ink[_box(ink)]
    square = np.zeros((max(crop.shape),) * 2, np.float32)
    square[: crop.shape[0], : crop.shape[1]] = crop
    # MNIST's intensities are averages over areas; of Pillow's filters Hamming comes nearest to that.
    scaled = np.asarray(Image.fromarray(square).resize((box, box), Image.Resampling.HAMMING))
    scaled = scaled[_box(scaled)] / scaled.max()
    height, width = scaled.shape
    row, column = ndimage.center_of_mass(scaled)
    top = min(max(round(size // 2 - row), 0), size - height)
    left = min(max(round(size // 2 - column), 0), size - width)
    canvas[top : top + height, left : left + width] = scaled
    return canvas


def mnist_style(image: NDArray[np.uint8], size: int = 28) -> NDArray[np.uint8]:
    """A raw scan as an MNIST-style image: bright ink on black, without the form, fitted and centred.

    Args:
        image: H x W or H x W x C, uint8, C = 1 or 3; one character with paper around it.
        size: the side of the result, in pixels; the character's longest side is 20/28 of it.

    Returns:
        size x size, uint8. All 0 for a blank image, one without ink or with none but the form's; any other
        image has a pixel of 255.

    Raises:
        InputError: the image is not of that type and shape.

    Example:
        >>> page = np.full((40, 40), 255, np.uint8)
        >>> bool(mnist_style(page).any())  # blank
        False
        >>> page[10:30, 18:22] = 0
        >>> mnist_style(page).shape, int(mnist_style(page).max())
        ((28, 28), 255)
    """
    ink = remove_ruled_lines(foreground(image))
    return np.rint(255 * fit(ink, round(size * 20 / 28), size)).astype(np.uint8)


def _box(ink: Ink) -> tuple[slice, slice]:
    """The smallest box around all ink."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _ruled_columns(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which columns of an H x W mask belong to a line that runs along the left border."""
    height, width = mask.shape
    depth, gap = max(1, round(MARGIN * width)), round(DOT * height)
    # Ink in the next column counts as well: lines are ragged and a little askew.
    near = ndimage.binary_dilation(mask[:, : depth + 1], np.ones((1, 3), np.bool_))[:, :depth]
    # The borders count as ink, so that a dotted line may begin and end with a gap.
    bordered = np.pad(near, ((gap + 1, gap + 1), (0, 0)), constant_values=True)
    joined = ndimage.binary_closing(bordered, np.ones((gap + 1, 1), np.bool_))[gap + 1 : -gap - 1]
    return np.pad(joined.mean(axis=0) >= LINE, (0, width - depth))


def _depth(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """The distance of each pixel from the nearest border in pixels, 1 at the border."""
    height, width = shape
    rows, columns = np.arange(height) + 1, np.arange(width) + 1
    return np.minimum(np.minimum(rows, rows[::-1])[:, np.newaxis], np.minimum(columns, columns[::-1]))


def _pieces(ink: Ink) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """The pieces of ink (H x W, 0 for paper), their numbers from 1, and which of them is the character.

    That is the one with most ink, where ink counts the more the farther it is from the border.
    """
    labels, count = ndimage.label(ink > 0, TOUCHING)
    pieces, numbers = labels.astype(np.int64), np.arange(1, count + 1)
    if not count:
        return pieces, numbers, 0
    return pieces, numbers, int(np.argmax(ndimage.sum_labels(_depth(ink.shape), pieces, numbers))) + 1


def _fills(ink: Ink) -> bool:
    """Whether the character has hardly any paper around it."""
    pieces, _, character = _pieces(ink)
    box = ink[_box(ink * (pieces == character))]
    return all(b >= (1 - MARGIN) * side for b, side in zip(box.shape, ink.shape, strict=True))


def _character(ink: Ink) -> Ink:
    """The character and the pieces that belong to it; all 0 where its largest piece is dust."""
    pieces, numbers, largest = _pieces(ink)
    boxes = ndimage.find_objects(pieces)
    lengths = np.array([max(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in boxes])
    if not largest or lengths[largest - 1] < DOT * max(ink.shape):
        return np.zeros_like(ink)
    # A piece belongs to the character if the gap between them is no wider than the piece is long, nor than
    # the way from the piece to the border: from its near side if it lies within the margin, where a form's
    # lines are, and from its middle if it reaches further in.
    depth = _depth(ink.shape)
    deep = ndimage.maximum(depth, pieces, numbers) > MARGIN * min(ink.shape)
    way = np.where(deep, ndimage.mean(depth, pieces, numbers), ndimage.minimum(depth, pieces, numbers))
    widest = np.minimum(way, lengths)
    belongs = numbers == largest
    for _ in range(LINKS):
        distance = ndimage.distance_transform_edt(~np.isin(pieces, numbers[belongs]))
        near = ndimage.minimum(distance, pieces, numbers) - 1 <= widest
        if not (near & ~belongs).any():
            break
        belongs |= near
    return np.where(np.isin(pieces, numbers[belongs]), ink, 0).astype(np.float32)
