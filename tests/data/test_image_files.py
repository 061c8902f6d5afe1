import numpy as np
import pytest
from PIL import Image

from mizumashi.data.image_files import read_image
from mizumashi.errors import InputError

GREY_RAMP = np.arange(24, dtype=np.uint8).reshape(4, 6) * 10


def grey_palette(tmp_path, save):
    image = Image.new("P", (6, 4))
    image.putpalette([value for grey in range(0, 240, 10) for value in (grey,) * 3])
    image.putdata(list(range(24)))
    image.save(tmp_path / "x.png")
    return GREY_RAMP[..., np.newaxis]


def colour_palette(tmp_path, save):
    image = Image.new("P", (6, 4), 1)
    image.putpalette([0, 0, 0, 200, 10, 20])
    image.save(tmp_path / "x.png")
    return np.full((4, 6, 3), [200, 10, 20], np.uint8)


def one_bit(tmp_path, save):
    Image.fromarray(GREY_RAMP > 100).save(tmp_path / "x.png")
    return np.where(GREY_RAMP > 100, 255, 0)[..., np.newaxis]


def transparent_colour(tmp_path, save):
    save(tmp_path / "x.png", (0, 100, 200, 0), mode="RGBA")
    return np.full((4, 6, 3), 255, np.uint8)


def half_transparent_grey(tmp_path, save):
    save(tmp_path / "x.png", (0, 51), mode="LA")
    return np.full((4, 6, 1), 204, np.uint8)


def colour_key(tmp_path, save):
    save(tmp_path / "x.png", (9, 9, 9), mode="RGB", transparency=(9, 9, 9))
    return np.full((4, 6, 3), 255, np.uint8)


def turned_by_camera(tmp_path, save):
    exif = Image.Exif()
    exif[0x0112] = 6  # the picture is shown turned by 90 degrees clockwise
    save(tmp_path / "x.png", GREY_RAMP, exif=exif)
    return np.rot90(GREY_RAMP, -1)[..., np.newaxis]


@pytest.mark.parametrize(
    "made",
    [
        grey_palette,
        colour_palette,
        one_bit,
        transparent_colour,
        half_transparent_grey,
        colour_key,
        turned_by_camera,
    ],
)
def test_images_are_read_as_a_viewer_shows_them(tmp_path, made, save):
    expected = made(tmp_path, save)
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), expected)


def test_a_jpeg_is_read(tmp_path, save):
    save(tmp_path / "x.jpg", (200, 30, 90), mode="RGB", quality=95)
    assert np.abs(read_image(tmp_path / "x.jpg").astype(int) - [200, 30, 90]).max() < 4


def test_deep_grey_and_animations_are_refused(tmp_path, save):
    deep = save(tmp_path / "deep.png", np.full((4, 6), 300, np.uint16))
    with pytest.raises(InputError, match="more than 8 bits of grey"):
        read_image(deep)
    frames = [Image.new("L", (6, 4), grey) for grey in (0, 255)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="several frames or pages"):
        read_image(tmp_path / "film.gif")
