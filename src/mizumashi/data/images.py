"""Labelled images: the one currency between all parts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mizumashi.data import limits
from mizumashi.errors import InputError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """A set of images with labels and class names.

    It is a map-style dataset as PyTorch's `DataLoader` understands it: `len(images)` and `images[i]`.

    Args:
        images: N x H x W x C, uint8, C = 1 (grey) or 3 (RGB); `from_arrays` takes looser shapes.
        labels: N, int64, each in 0 ... len(class_names) - 1.
        class_names: the name of each label.
        name: what to call the set in tables and messages.
        test_start: where the source has a training and a test part, the index of the first test image.

    Raises:
        InputError: shapes, types or ranges are not as described.

    Example:
        >>> pixels = np.zeros((4, 28, 28), np.uint8)
        >>> images = LabelledImages.from_arrays(pixels, [0, 1, 0, 1], ["cat", "dog"])
        >>> len(images), images.size, images.channels, images.counts.tolist()
        (4, (28, 28), 1, [2, 2])
        >>> tensor, label = images[1]
        >>> tuple(tensor.shape), label
        ((1, 28, 28), 1)
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str = "images"
    test_start: int | None = None

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3):
            raise InputError(
                f"{self.name}: found images of shape {images.shape} and type {images.dtype}; "
                "expected N x H x W x C, uint8, with 1 or 3 channels"
            )
        if len(images) and not images[0].size:
            raise InputError(
                f"{self.name}: found images of {images.shape[1]}x{images.shape[2]} pixels; expected one pixel at least "
                "each way; leave such images out"
            )
        if labels.shape != (len(images),) or labels.dtype != np.int64:
            raise InputError(
                f"{self.name}: found {labels.size} labels of shape {labels.shape} and type {labels.dtype} "
                f"for {len(images)} images; expected one int64 label for each image"
            )
        limits.require_class_names(self.name, self.class_names)
        if len(set(self.class_names)) != len(self.class_names):
            raise InputError(f"{self.name}: found class names that repeat; expected each name once")
        try:
            "".join(self.class_names).encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{self.name!a}: found a class name that no file can hold ({error}); expected text; rename it"
            ) from error
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(self.class_names):
            raise InputError(
                f"{self.name}: found labels from {labels.min()} to {labels.max()} for "
                f"{len(self.class_names)} class names; expected 0 to {len(self.class_names) - 1}"
            )
        if self.test_start is not None and not 0 < self.test_start < len(images):
            raise InputError(f"{self.name}: found a training or test part without images")

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        labels: ArrayLike,
        class_names: Sequence[str] | None = None,
        name: str = "images",
    ) -> "LabelledImages":
        """Make labelled images from arrays.

        Args:
            images: N x H x W or N x H x W x C, integers in 0 ... 255.
            labels: N integers from 0.
            class_names: by default "0", "1", ... up to the largest label.
            name: what to call the set.

        Raises:
            InputError: the arrays do not describe labelled images.
        """
        pixels, numbers = np.asarray(images), np.asarray(labels)
        if pixels.dtype != np.uint8:
            if pixels.dtype.kind not in "iu" or (pixels.size and not 0 <= pixels.min() <= pixels.max() <= 255):
                raise InputError(f"{name}: found pixels of type {pixels.dtype}; expected whole numbers in 0 ... 255")
            pixels = pixels.astype(np.uint8)
        if pixels.ndim == 3:
            pixels = pixels[..., np.newaxis]
        if numbers.dtype.kind not in "iu":
            raise InputError(f"{name}: found labels of type {numbers.dtype}; expected whole numbers from 0")
        if class_names is None:
            count = int(numbers.max()) + 1 if numbers.size else 0
            limits.require_classes(name, count)
            class_names = [str(label) for label in range(count)]
        return cls(pixels, numbers.astype(np.int64), tuple(class_names), name)

    @classmethod
    def from_parts(cls, train: "LabelledImages", test: "LabelledImages", name: str) -> "LabelledImages":
        """Join a training and a test part into one set that remembers where the test part starts.

        Raises:
            InputError: the parts differ in size, channels or class names.
        """
        require_alike(train, test)
        images = np.concatenate([train.images, test.images])
        labels = np.concatenate([train.labels, test.labels])
        return cls(images, labels, train.class_names, name, test_start=len(train))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> "tuple[torch.Tensor, int]":
        """Image `index` as a float tensor C x H x W in [0, 1], and its label."""
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(self.images[index].transpose(2, 0, 1)))
        return pixels.float() / 255, int(self.labels[index])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.images.shape[1], self.images.shape[2]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        return int(self.images.shape[3])

    @property
    def counts(self) -> NDArray[np.int64]:
        """The number of images of each class, in the order of `class_names`."""
        return np.bincount(self.labels, minlength=len(self.class_names)).astype(np.int64)

    @property
    def train(self) -> "LabelledImages":
        """The source's training part (a view); raises `InputError` where the source has none."""
        return self._part(slice(None, self._boundary()), "train")

    @property
    def test(self) -> "LabelledImages":
        """The source's test part (a view); raises `InputError` where the source has none."""
        return self._part(slice(self._boundary(), None), "test")

    def take(self, indices: ArrayLike) -> "LabelledImages":
        """The images at `indices`, in that order, as a set without parts."""
        chosen = np.asarray(indices, dtype=np.int64)
        return replace(self, images=self.images[chosen], labels=self.labels[chosen], test_start=None)

    def renamed(self, name: str) -> "LabelledImages":
        """The same images under another name."""
        return replace(self, name=name)

    def content_hash(self) -> str:
        """SHA-256 over shape, parts, class names, labels and pixels: equal hashes mean equal sets."""
        digest = hashlib.sha256(repr((self.images.shape, self.test_start, self.class_names)).encode())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """Name, contents' hash, number, size, channels and class names, as JSON takes them."""
        return {
            "name": self.name,
            "sha256": self.content_hash(),
            "count": len(self),
            "size": list(self.size),
            "channels": self.channels,
            "class_names": list(self.class_names),
        }

    def equals(self, other: Any) -> bool:
        """Whether `other` holds the same images, labels, class names and parts; names may differ."""
        return isinstance(other, LabelledImages) and self.content_hash() == other.content_hash()

    def _boundary(self) -> int:
        if self.test_start is None:
            raise InputError(
                f"{self.name}: found one set without a training and a test part; expected both; "
                "put the images into train/ and test/ folders, or split them first"
            )
        return self.test_start

    def _part(self, where: slice, part: str) -> "LabelledImages":
        return replace(
            self,
            images=self.images[where],
            labels=self.labels[where],
            name=f"{self.name} {part}",
            test_start=None,
        )


def require_alike(first: LabelledImages, second: LabelledImages) -> None:
    """Raise `InputError` unless two sets agree in size, channels and class names."""
    ways = {
        "size": "`mizumashi data IMAGES --resize SIZE --out SET` makes a set of another size",
        "channels": "`mizumashi data IMAGES --preprocess mnist-style --out SET` makes a grey set",
        "class_names": "the classes must be the same, in name and order",
    }
    for what, way in ways.items():
        expected, found = getattr(first, what), getattr(second, what)
        if found != expected:
            raise InputError(f"{second.name}: found {what} {found}; expected {expected} as in {first.name}; {way}")
