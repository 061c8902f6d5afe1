"""Raw scan -> MNIST-style image: planted lines, moved and scaled digits, and the real faxed ones."""

import gzip
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.datasets import load_digits

from mizumashi.data.preprocess import fit, foreground, mnist_style, remove_ruled_lines
from mizumashi.errors import InputError

Pixels = NDArray[np.uint8]

STROKES = {  # pen strokes of digits as a hand draws them, in a box of 40 x 40
    "0": [[(20, 0), (8, 10), (8, 30), (20, 39), (32, 30), (32, 10), (20, 0)]],
    "1": [[(22, 0), (18, 39)]],
    "2": [[(8, 8), (20, 0), (32, 10), (8, 39), (34, 38)]],
    "4 in two strokes": [[(12, 2), (8, 24), (34, 25)], [(26, 6), (24, 39)]],
    "5 with a detached bar": [[(14, 6), (12, 18), (28, 20), (28, 36), (10, 39)], [(18, 1), (34, 2)]],
    "7": [[(8, 2), (32, 2), (18, 39)]],
}


def drawn(name: str, at: tuple[int, int] = (15, 20), pen: int = 3) -> Pixels:
    """A scan of 70 x 70, dark on bright, of one digit with its box at (column, row)."""
    page = Image.new("L", (70, 70), 255)
    for stroke in STROKES[name]:
        ImageDraw.Draw(page).line([(at[0] + x, at[1] + y) for x, y in stroke], fill=0, width=pen)
    return np.array(page)


def ruled(page: Pixels, side: int, width: int, offset: int = 0, dash: tuple[int, int] = (1, 0)) -> Pixels:
    """The scan with a line along a border: `side` counts from the left by quarter turns, `dash` is (ink, gap)."""
    turned = np.rot90(page, side).copy()
    ink = np.arange(len(turned)) % sum(dash) < dash[0]
    turned[ink, offset : offset + width] = 0
    return np.rot90(turned, -side)


def difference(first: Pixels, second: Pixels) -> float:
    """How much of the ink differs: 0 for equal images, 2 for images without a common pixel."""
    return float(np.abs(first.astype(float) - second).sum() / first.sum())


@pytest.fixture(scope="module")
def scans() -> list[Pixels]:
    """One scan of each handwritten digit of scikit-learn's set, dark on bright, paper around it."""
    digits = load_digits()
    first = [np.flatnonzero(digits.target == digit)[0] for digit in range(10)]
    large = [ndimage.zoom(np.pad(digits.images[i], 1) / 16, 5, order=1) for i in first]
    return [np.rint(255 * (1 - np.pad(image / image.max(), 10))).astype(np.uint8) for image in large]


# ---- ink


def test_ink_is_bright_whatever_the_polarity_channels_and_contrast() -> None:
    page = drawn("2")
    expected = (page == 0).astype(np.float32)
    faint = (200 - 60 * expected).astype(np.uint8)
    for image in (page, 255 - page, page[..., None], np.stack([page] * 3, axis=2), faint, 255 - faint):
        np.testing.assert_array_equal(foreground(image), expected)


def test_bold_ink_and_a_frame_do_not_turn_the_polarity() -> None:
    bold, framed = np.full((70, 70), 255, np.uint8), drawn("0")
    bold[8:-8, 8:-8] = 0  # more ink than paper
    for side in range(4):
        framed = ruled(framed, side, width=3)
    assert foreground(bold)[35, 35] == foreground(framed)[0, 0] == 1
    assert foreground(bold)[0, 0] == foreground(framed)[35, 35] == 0


def test_grain_is_paper(scans: list[Pixels]) -> None:
    grain = np.random.default_rng(0).integers(-8, 9, scans[0].shape)
    grainy = np.clip(scans[0].astype(int) // 2 + 64 + grain, 0, 255).astype(np.uint8)
    np.testing.assert_allclose(foreground(grainy), foreground(scans[0]), atol=0.25)
    assert not foreground(grainy)[scans[0] == 255].any()
    assert not foreground((200 + grain).astype(np.uint8)).any()


@pytest.mark.parametrize("shape", [(5,), (5, 5, 2), (5, 5, 4), (2, 5, 5, 1), (0, 5)])
def test_what_is_no_image_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="expected H x W"):
        foreground(np.zeros(shape, np.uint8))


def test_other_pixel_types_are_refused() -> None:
    with pytest.raises(InputError, match="float64"):
        foreground(np.zeros((5, 5)))  # type: ignore[arg-type]


# ---- fit


@pytest.mark.parametrize("shape", [(60, 30), (30, 60), (40, 40), (57, 9), (5, 11)])
def test_fit_of_a_rectangle(shape: tuple[int, int]) -> None:
    page = np.zeros((100, 90), np.float32)
    page[20 : 20 + shape[0], 7 : 7 + shape[1]] = 1
    fitted = fit(page)
    height, width = (20 * side / max(shape) for side in shape)
    assert fitted.shape == (28, 28)
    assert fitted.dtype == np.float32
    assert fitted.sum(axis=0).max() == pytest.approx(height, rel=0.02)
    assert fitted.sum(axis=1).max() == pytest.approx(width, rel=0.02)
    assert max(np.ptp(np.argwhere(fitted), axis=0) + 1) == 20


@pytest.mark.parametrize("name", STROKES)
def test_fit_does_not_depend_on_place_and_scale(name: str) -> None:
    reference = mnist_style(drawn(name))
    for at in ((14, 14), (20, 25), (16, 17)):
        np.testing.assert_array_equal(mnist_style(drawn(name, at)), reference)
    for scale in (2, 3):
        larger = np.kron(drawn(name), np.ones((scale, scale), np.uint8))
        # Where the centre of mass falls between two pixels, either may be taken.
        moved = [np.roll(mnist_style(larger), shift, (0, 1)) for shift in product((-1, 0, 1), repeat=2)]
        assert min(difference(reference, image) for image in moved) < 0.04


@pytest.mark.parametrize("size", [16, 27, 28, 32, 64])
def test_box_and_centre_of_mass(scans: list[Pixels], size: int) -> None:
    for scan in scans:
        styled = mnist_style(scan, size)
        assert styled.shape == (size, size)
        assert styled.max() == 255
        assert max(np.ptp(np.argwhere(styled), axis=0) + 1) == round(size * 20 / 28)
        assert np.abs(np.subtract(ndimage.center_of_mass(styled), size // 2)).max() < 0.51


def test_centring_cuts_no_ink_off() -> None:
    page = np.zeros((60, 60), np.float32)
    page[50:] = page[:, :2] = 1  # so heavy at one end that centring alone would push the other out
    for turns in range(4):
        fitted = fit(np.rot90(page, turns))
        assert (np.ptp(np.argwhere(fitted), axis=0) + 1).tolist() == [20, 20]
        assert fitted.sum() == pytest.approx(page.sum() / 9, rel=0.02)


def test_fit_refuses_a_box_larger_than_the_canvas() -> None:
    with pytest.raises(InputError, match="found a box of 30 pixels for a canvas of 28"):
        fit(np.ones((5, 5), np.float32), box=30)


# ---- lines


LINES = [
    *({"width": width, "offset": offset} for width, offset in ((1, 0), (1, 2), (2, 0), (4, 2), (8, 0))),
    *({"width": 2, "offset": 1, "dash": dash} for dash in ((2, 2), (3, 2), (12, 5), (20, 9))),
]


@pytest.mark.parametrize("side", range(4), ids=["left", "top", "right", "bottom"])
@pytest.mark.parametrize("line", LINES, ids=str)
def test_lines_at_the_edges_are_removed(scans: list[Pixels], side: int, line: dict[str, int]) -> None:
    for scan in scans + [drawn(name, (15, 15)) for name in STROKES]:
        np.testing.assert_array_equal(mnist_style(ruled(scan, side, **line)), mnist_style(scan))


@pytest.mark.parametrize("side", range(4))
def test_lines_askew_are_removed(scans: list[Pixels], side: int) -> None:
    for scan in scans:
        turned = np.rot90(scan, side).copy()
        for row, column in enumerate(np.linspace(1, 4, len(turned)).round().astype(int)):
            turned[row, column : column + 2] = 0
        np.testing.assert_array_equal(mnist_style(np.rot90(turned, -side)), mnist_style(scan))


@pytest.mark.parametrize("width", [1, 3])
def test_a_frame_is_removed(scans: list[Pixels], width: int) -> None:
    for scan in scans:
        framed = scan
        for side in range(4):
            framed = ruled(framed, side, width)
        np.testing.assert_array_equal(mnist_style(framed), mnist_style(scan))


@pytest.mark.parametrize("dash", [(1, 0), (3, 2)])
@pytest.mark.parametrize("name", STROKES)
def test_of_a_digit_that_runs_into_a_line_only_the_part_on_it_is_lost(name: str, dash: tuple[int, int]) -> None:
    page = drawn(name, (15, 26), pen=4)
    line = ruled(page, 3, width=3, offset=1, dash=dash)
    above = foreground(page)
    assert above[65:].any()
    above[65:] = 0  # the line's rows and one more
    np.testing.assert_array_equal(remove_ruled_lines(foreground(line)), above)


@pytest.mark.parametrize("name", STROKES)
def test_of_a_digit_that_runs_into_a_frame_only_the_part_on_it_is_lost(name: str) -> None:
    page = drawn(name, (15, 28))
    framed = page
    for side in range(4):
        framed = ruled(framed, side, width=3)
    inside = foreground(page)
    assert inside[66:].any()
    inside[66:] = 0  # the frame's rows and one more
    assert (remove_ruled_lines(foreground(framed)) != inside).sum() <= 1  # a crumb of a stroke cut lengthwise


def test_a_bold_stump_of_a_line_is_not_taken_for_the_digit() -> None:
    page = drawn("1", pen=2)
    stump = page.copy()
    stump[30:, :7] = 0
    assert (stump == 0).sum() > 3 * (page == 0).sum()
    np.testing.assert_array_equal(mnist_style(stump), mnist_style(page))


def test_a_stump_of_a_line_next_to_the_digit_is_removed() -> None:
    page = np.full((70, 70), 255, np.uint8)
    page[15:58, 7:9] = 0
    stump = page.copy()
    stump[20:50, 1:4] = 0  # 1 pixel from the border, 3 from the digit
    np.testing.assert_array_equal(mnist_style(stump), mnist_style(page))


def test_pieces_cut_off_from_neighbours_and_dust_are_removed(scans: list[Pixels]) -> None:
    for scan in scans:
        spoilt = scan.copy()
        spoilt[20:32, -5:] = 0  # a neighbour's stroke
        spoilt[4:6, 3:5] = spoilt[-9, -9] = 0  # dust
        np.testing.assert_array_equal(mnist_style(spoilt), mnist_style(scan))


# ---- what must survive


@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("column", [0, 1, 4, 8])
def test_a_thin_one_near_an_edge_survives(column: int, dotted: bool) -> None:
    for turns in range(4):
        page = np.full((70, 64), 255, np.uint8)
        page[15:58, column + 6 * dotted : column + 6 * dotted + 2] = 0
        expected = mnist_style(np.pad(page, 30, constant_values=255))
        spoilt = ruled(page, 0, width=2, dash=(2, 2)) if dotted else page
        np.testing.assert_array_equal(mnist_style(np.rot90(spoilt, turns)), mnist_style(np.rot90(page, turns)))
        np.testing.assert_array_equal(mnist_style(page), expected)


@pytest.mark.parametrize("at", [(2, 15), (15, 3), (28, 15), (15, 29), (15, 31), (1, 29)])
@pytest.mark.parametrize("name", STROKES)
def test_no_piece_of_a_digit_near_an_edge_is_lost(name: str, at: tuple[int, int]) -> None:
    ink = foreground(drawn(name, at))
    np.testing.assert_array_equal(remove_ruled_lines(ink), ink)


def test_a_stroke_broken_by_the_scan_survives_at_the_border() -> None:
    page = np.full((70, 70), 255, np.uint8)
    page[20:, 34:36] = 0
    page[40:42] = 255
    page[54:57] = 255
    np.testing.assert_array_equal(remove_ruled_lines(foreground(page)), foreground(page))


@pytest.mark.parametrize("name", ["0", "2", "4 in two strokes", "7"])
def test_a_digit_cropped_to_its_ink_keeps_its_strokes(name: str) -> None:
    ink = foreground(drawn(name))
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    np.testing.assert_array_equal(remove_ruled_lines(cropped), cropped)


# ---- blank


def blank_pages() -> dict[str, Pixels]:
    paper = np.full((70, 60), 255, np.uint8)
    dusty = paper.copy()
    dusty[10:12, 40:42] = dusty[50, 20] = dusty[33:36, 5] = 0
    cornered = ruled(ruled(paper, 0, width=3), 3, width=2, offset=4)
    lined = {f"line {side} {dash}": ruled(paper, side, 2, 1, dash) for side in range(4) for dash in ((1, 0), (2, 2))}
    return {"white": paper, "black": 255 - paper, "dust": dusty, "two lines": cornered, **lined}


@pytest.mark.parametrize("page", blank_pages().values(), ids=list(blank_pages()))
def test_a_blank_page_gives_no_ink(page: Pixels) -> None:
    assert not mnist_style(page).any()


def test_tiny_images() -> None:
    assert not mnist_style(np.zeros((1, 1), np.uint8)).any()
    assert mnist_style(load_digits().images[0].astype(np.uint8) * 15).any()


# ---- real data


def read_idx(path: Path) -> Pixels:
    data = gzip.decompress(path.read_bytes())
    shape = np.frombuffer(data, ">i4", count=data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


@pytest.mark.realdata
def test_mnist_is_in_mnist_style_already(data_folder: Path) -> None:
    images = read_idx(data_folder / "mnist" / "t10k-images-idx3-ubyte.gz")[:2000]
    again = np.array([mnist_style(image) for image in images])
    # Only what is fainter than paper grain (32 of 255) may go; where that was the outermost pixel, the fit moves.
    same = np.abs(again.astype(int) - images).max(axis=(1, 2)) <= 32
    assert same.mean() > 0.95


@pytest.mark.realdata
@pytest.mark.parametrize("side", range(4))
def test_lines_around_mnist_digits_are_removed(data_folder: Path, side: int) -> None:
    images = read_idx(data_folder / "mnist" / "t10k-images-idx3-ubyte.gz")[:250]
    for number, image in enumerate(images):
        scan = 255 - np.kron(np.pad(image, 3), np.ones((3, 3), np.uint8))
        line = ruled(scan, side, width=1 + number % 5, offset=number % 2, dash=((1, 0), (3, 2), (15, 4))[number % 3])
        np.testing.assert_array_equal(mnist_style(line), mnist_style(scan), str(number))


@pytest.mark.realdata
def test_softmax_regression_from_mnist_reads_the_faxed_digits(data_folder: Path) -> None:
    paths = sorted((data_folder / "faxocr" / "numbers").glob("*.png"))
    faxed = np.array([mnist_style(np.array(Image.open(path).convert("RGB"))) for path in paths])
    labels = np.array([int(path.name[0]) for path in paths])
    assert len(faxed) == 1861
    assert faxed.any(axis=(1, 2)).all()

    images = read_idx(data_folder / "mnist" / "train-images-idx3-ubyte.gz").reshape(-1, 784)
    targets = np.eye(10, dtype=np.float32)[read_idx(data_folder / "mnist" / "train-labels-idx1-ubyte.gz")]
    weights, bias = np.zeros((784, 10), np.float32), np.zeros(10, np.float32)
    order = np.random.default_rng(0).permuted(np.tile(np.arange(60000), (2, 1)), axis=1).ravel()
    for batch in order[:100_000].reshape(1000, 100):
        pixels = images[batch] / np.float32(255)
        scores = np.exp(pixels @ weights + bias)
        error = (scores / scores.sum(axis=1, keepdims=True) - targets[batch]) / 100
        weights -= 0.5 * pixels.T @ error
        bias -= 0.5 * error.sum(axis=0)
    read = (faxed.reshape(-1, 784) / 255 @ weights + bias).argmax(axis=1)
    assert (read == labels).mean() >= 0.85  # 0.898 with a standard deviation of 0.011 over ten seeds; 0.52 as cut out
