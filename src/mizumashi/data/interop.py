"""Labelled images from and to what other libraries hold in memory: lists of Pillow images, Hugging Face datasets."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from mizumashi.data.image_files import as_picture, image_pixels, png_bytes, read_image
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.utils.extras import optional

if TYPE_CHECKING:
    from datasets import Dataset


def from_pil(
    pictures: Iterable[Image.Image],
    labels: ArrayLike,
    class_names: Sequence[str] | None = None,
    name: str = "images",
) -> LabelledImages:
    """Make labelled images of Pillow images of one size, read as `mizumashi.open_images` reads files.

    Args:
        pictures: N images, all grey or all in colour.
        labels: N integers from 0.
        class_names: by default "0", "1", ... up to the largest label.
        name: what to call the set.

    Raises:
        InputError: there are none, or their sizes, colour modes or labels do not fit together.

    Example:
        >>> images = from_pil([Image.new("L", (3, 2), 7), Image.new("1", (3, 2))], [1, 0], ["cat", "dog"])
        >>> images.images.shape, [picture.size for picture in to_pil(images)]
        ((2, 2, 3, 1), [(3, 2), (3, 2)])
    """
    arrays = []
    for index, picture in enumerate(pictures):
        if picture.mode.startswith(("I", "F")):
            raise InputError(f"{name}: found image {index} of mode {picture.mode}; expected 8 bits; convert it first")
        arrays.append(image_pixels(picture))
    return _stacked(arrays, labels, class_names, name)


def to_pil(images: LabelledImages) -> list[Image.Image]:
    """The images as Pillow images of mode L or RGB, in their order; their labels are `images.labels`."""
    return [as_picture(image) for image in images.images]


def from_hugging_face(dataset: "Dataset", *, image: str = "image", label: str = "label") -> LabelledImages:
    """Make labelled images of one split of a Hugging Face dataset (pip install 'mizumashi[hub]').

    Args:
        dataset: a split, such as `datasets.load_dataset("mnist")["train"]`.
        image: the name of the column of images, of the type `datasets.Image`.
        label: the name of the column of labels: whole numbers, named where its type is `datasets.ClassLabel`.

    Raises:
        InputError: `datasets` is not installed, or the columns are not as described.

    Example:
        `LabelledImages.from_parts(from_hugging_face(d["train"]), from_hugging_face(d["test"]), "mnist")` joins two
        splits.
    """
    datasets = optional("datasets", "hub", "a Hugging Face dataset")
    kind = dataset.features.get(image)
    if not isinstance(kind, datasets.Image) or label not in dataset.features:
        raise InputError(
            f"found the columns {', '.join(dataset.features)}; expected {image!r}, of images, and {label!r}; name them "
            "with image= and label="
        )
    rows = dataset.cast_column(image, datasets.Image(decode=False))
    arrays = [
        read_image(Path(row[image]["path"] or f"row {index}"), row[image]["bytes"]) for index, row in enumerate(rows)
    ]
    names = getattr(dataset.features[label], "names", None)
    return _stacked(arrays, dataset[label][:], names, str(dataset.info.dataset_name or "images"))


def to_hugging_face(images: LabelledImages) -> "Dataset":
    """The images as a Hugging Face dataset of one split, with the columns image and label, in their order.

    Raises:
        InputError: `datasets` is not installed.
    """
    datasets = optional("datasets", "hub", "a Hugging Face dataset")
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list(images.class_names)))
    encoded: Iterator[dict[str, Any]] = ({"bytes": png_bytes(image), "path": None} for image in images.images)
    found: Dataset = datasets.Dataset.from_dict(
        {"image": list(encoded), "label": images.labels.tolist()}, features=features
    )
    return found


def _stacked(
    arrays: Sequence[np.ndarray], labels: ArrayLike, class_names: Sequence[str] | None, name: str
) -> LabelledImages:
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) != 1:
        raise InputError(
            f"{name}: found {len(shapes)} sizes or colour modes, {shapes[:2]} (height, width, channels); expected one"
        )
    return LabelledImages.from_arrays(np.stack(arrays), labels, class_names, name)
