"""The dataset card of a generated set: what made it, from what, and what it is not good for."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.formats import Format
from mizumashi.utils.text import for_markdown, for_yaml, markdown_table

CARD = "README.md"
"""The card's name in a set's folder, and in an NPZ file, which is a zip archive."""

_LONGEST = 200  # characters of a name or fact

_SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6), ("1M<n<10M", 10**7))

_SPLITS = {
    "parquet": {"train": "data/train-*.parquet", "test": "data/test-*.parquet"},
    "webdataset": {"train": "train-*.tar", "test": "test-*.tar"},
}

_OPENED = {
    "idx": "`mizumashi.open_images(FOLDER)`, or any reader of MNIST's files",
    "idx.gz": "`mizumashi.open_images(FOLDER)`, or any reader of MNIST's files",
    "folder": '`mizumashi.open_images(FOLDER)`, `datasets.load_dataset("imagefolder", data_dir=FOLDER)`, or '
    "`torchvision.datasets.ImageFolder(FOLDER)`; the last two name classes by their folders",
    "npz": f"`mizumashi.open_images(FILE)`, or `numpy.load(FILE)`, where this page is the member {CARD}",
    "parquet": "`mizumashi.open_images(FOLDER)`, or `datasets.load_dataset(FOLDER)`",
    "webdataset": "`mizumashi.open_images(FOLDER)`, or the library webdataset: each sample has a `png` and a `cls`",
}

_BEGINNINGS = {"all": "These images are generated", "some": "A part of these images is generated"}

_LIMITS = """\
- **{beginning}.** A program made them after real ones: nothing in them was observed. Early stages of a GAN are
  half-learned on purpose.
- **Never test on them.** A score on generated images says how well a classifier knows what made them. Test on real
  images that had no part in making these.
- **The label of a generated image is what was asked for**, not what somebody saw in it.
- **They may copy training images.** Treat them with the care that the real images need; persons and secrets in those
  may be in these. `mizumashi compare REAL GENERATED` looks for copies.
- **They are no fairer than the real images**: what those lack or have wrong, these lack or have wrong as well."""

_LICENCE = "- The licence is not known here: it depends on that of the real images."


@dataclass(frozen=True)
class Origin:
    """What a dataset card says that the images do not show.

    Args:
        title: the set in a few words, such as `gan@600 of digits`.
        made: a sentence or two: what made the set.
        facts: names and values, such as the source's hash and the seeds.
        scores: what is known of its quality, a sentence each.
        generated: how many of the images are: all, some or none.
        tags: what the hub shall find the set by.
    """

    title: str
    made: str
    facts: tuple[tuple[str, str], ...]
    scores: tuple[str, ...] = ()
    generated: Literal["all", "some", "none"] = "all"
    tags: tuple[str, ...] = ("synthetic", "gan")


def card_text(
    origin: Origin,
    labels: NDArray[np.int64],
    class_names: Sequence[str],
    shape: tuple[int, ...],
    format: Format,
    test_start: int | None = None,
) -> str:
    r"""The card: Markdown behind a YAML head as the Hugging Face hub reads it. It has no date: equal sets, equal cards.

    What is of unknown origin stays text, in the head as in the page.

    Args:
        origin: what made the set.
        labels: N, each in 0 ... len(class_names) - 1.
        class_names: the name of each label.
        shape: an image's: H x W x C.
        format: the set's.
        test_start: where the set has parts, the index of the first test image.

    Source:
        The head's fields: the Hugging Face hub's documentation of dataset cards.

    Example:
        >>> origin = Origin("gan@600 of pets", "Drawn from a GAN.", (("GAN's seed", "0"),))
        >>> text = card_text(origin, np.array([0, 1]), ["cat", "<i>"], (8, 8, 1), "idx")
        >>> print("\n".join(text.splitlines()[:5]))
        ---
        task_categories:
        - image-classification
        size_categories:
        - n<1K
        >>> r"| \<i> | 1 |" in text
        True
    """
    parts = {"images": labels} if test_start is None else {"train": labels[:test_start], "test": labels[test_start:]}
    counts = [np.bincount(part, minlength=len(class_names)) for part in parts.values()]
    rows = [
        [_short(name), *(str(count[label]) for count in counts)]
        for label, name in enumerate(class_names)
        if any(count[label] for count in counts)
    ]
    rows.append(["in all", *(str(len(part)) for part in parts.values())])
    height, width, channels = shape
    facts = [
        ("written by", f"mizumashi {version('mizumashi')}"),
        ("images", f"{len(labels)}, {'grey' if channels == 1 else 'RGB'}, {height} x {width} pixels"),
        *origin.facts,
    ]
    limits = [_LIMITS.format(beginning=_BEGINNINGS[origin.generated])] if origin.generated != "none" else []
    scores = [f"- {for_markdown(_short(score, 1000))}" for score in origin.scores]
    paragraphs = [
        _head(len(labels), list(parts), format, origin.tags),
        f"# {for_markdown(_short(origin.title))}",
        for_markdown(_short(origin.made, 1000)),
        f"Open it with {_OPENED[format]}.",
        "## What made it",
        markdown_table(["what", "value"], [[_short(name), _short(value)] for name, value in facts]),
        "## Images of each class",
        markdown_table(["class", *parts], rows),
        "## Scores",
        "\n".join(scores) or "None are known: no classifier has been trained on this set here.",
        "## Limits",
        "\n".join([*limits, _LICENCE]),
    ]
    return "\n\n".join(paragraphs) + "\n"


def _head(count: int, parts: Sequence[str], format: Format, tags: Sequence[str]) -> str:
    size = next((name for name, end in _SIZES if count < end), "10M<n<100M")
    lines = ["task_categories:", "- image-classification", "size_categories:", f"- {size}", "tags:", "- mizumashi"]
    lines += [f"- {for_yaml(tag)}" for tag in tags]
    if format in _SPLITS:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split in parts if len(parts) == 2 else ["train"]:
            lines += [f"  - split: {split}", f"    path: {_SPLITS[format][split]}"]
    return "\n".join(["---", *lines, "---"])


def _short(text: str, most: int = _LONGEST) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."
