"""Dataset cards: a head that the Hugging Face hub reads, text that stays text, and a set that stays the same."""

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt

from mizumashi.data.card import Origin, card_text
from mizumashi.data.formats import Format
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.data.writers import write_images
from mizumashi.errors import InputError
from mizumashi.utils.text import for_terminal

HOSTILE = ("<script>alert(1)</script>", "../../x", "---\nlicense: mit", "a|b", "[x](http://y)", "\u202etxt")
ORIGIN = Origin(
    f"gan@1 of {HOSTILE[0]}",
    "Drawn from a GAN.",
    ((HOSTILE[3], HOSTILE[2]), ("seed", "0")),
    (f"Accuracy on {HOSTILE[0]}: 0.5.",),
)
formats = pytest.mark.parametrize(
    "format",
    [
        pytest.param(
            each, marks=pytest.mark.skipif(each == "parquet" and not find_spec("pyarrow"), reason="no pyarrow")
        )
        for each in get_args(Format)
    ],
)


@pytest.fixture
def images() -> LabelledImages:
    pixels = np.random.default_rng(0).integers(0, 256, (18, 8, 6, 1), dtype=np.uint8)
    return replace(LabelledImages(pixels, np.arange(18) % 6, HOSTILE), test_start=12)


def card_of(path: Path) -> str:
    if path.is_dir():
        return (path / "README.md").read_text(encoding="utf-8")
    with np.load(path, allow_pickle=False) as archive:
        return archive["README.md"].decode()


@formats
@pytest.mark.parametrize("test_start", [None, 12])
def test_every_format_carries_a_card_and_is_read_as_without(format, test_start, images, tmp_path):
    images = replace(images, test_start=test_start)
    path = write_images(images, tmp_path / "home" / "set", format, origin=ORIGIN)
    assert list((tmp_path / "home").iterdir()) == [path]
    assert open_images(path).equals(images)
    assert card_of(path) == card_text(ORIGIN, images.labels, HOSTILE, (8, 6, 1), format, test_start)
    again = write_images(images, tmp_path / "again", format, origin=ORIGIN)
    assert card_of(again) == card_of(path)
    plain = write_images(images, tmp_path / "plain", format)
    if plain.is_dir():
        names = {file.relative_to(plain) for file in plain.rglob("*")}
        assert {file.relative_to(path) for file in path.rglob("*")} == names | {Path("README.md")}


@formats
def test_the_head_is_what_the_hub_takes(format, images):
    hub = pytest.importorskip("huggingface_hub")
    text = card_text(ORIGIN, images.labels, HOSTILE, (8, 6, 1), format, 12)
    found = hub.DatasetCard(text).data.to_dict()
    assert found == yaml.safe_load(text.split("---\n")[1])
    assert found["task_categories"] == ["image-classification"]
    assert found["size_categories"] == ["n<1K"]
    assert found["tags"] == ["mizumashi", "synthetic", "gan"]
    assert "license" not in found
    assert ("configs" in found) == (format in ("parquet", "webdataset"))
    if "configs" in found:
        (config,) = found["configs"]
        assert [entry["split"] for entry in config["data_files"]] == ["train", "test"]


@pytest.mark.parametrize(("count", "category"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**6, "1M<n<10M")])
def test_the_size_category_follows_the_number_of_images(count, category):
    text = card_text(ORIGIN, np.arange(count) % 2, ["a", "b"], (8, 6, 1), "idx")
    assert yaml.safe_load(text.split("---\n")[1])["size_categories"] == [category]


def test_names_stay_text(images):
    text = card_text(ORIGIN, images.labels, HOSTILE, (8, 6, 1), "folder")
    body = text.partition("\n---\n")[2]
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert "<script" not in page
    assert "<a " not in page
    shown = re.findall(r"<td[^>]*>(.*?)</td>", page)
    escaped = [for_terminal(name).replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;") for name in HOSTILE]
    assert [cell for cell in shown if cell in escaped][2:] == escaped  # two of them are facts
    assert page.count("<h1>") == 1


def test_the_card_says_how_many_images_there_are_of_each_class(images):
    text = card_text(ORIGIN, images.labels, HOSTILE, (8, 6, 1), "idx", 12)
    assert "| ../../x | 2 | 1 |" in text
    assert "| in all | 12 | 6 |" in text
    assert "| images | 18, grey, 8 x 6 pixels |" in text
    assert "Never test on them" in text
    real = card_text(replace(ORIGIN, generated="none", tags=()), images.labels, HOSTILE, (8, 6, 1), "idx", 12)
    assert "generated" not in real.partition("## Limits")[2]


@formats
def test_a_set_that_is_not_finished_leaves_no_card(format, images, tmp_path):
    from mizumashi.data.writers import write_stream

    with pytest.raises(InputError, match="found 5 images for 18 labels"):
        write_stream([images.images[:5]], images.labels, HOSTILE, tmp_path / "above" / "set", format, origin=ORIGIN)
    assert list(tmp_path.iterdir()) == []
