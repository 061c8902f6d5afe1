"""What files of a run or a study say of a set of labelled images."""

from dataclasses import dataclass

from mizumashi.data.images import LabelledImages
from mizumashi.utils.schema import from_json


@dataclass(frozen=True)
class ImagesRecord:
    """A set of labelled images without its images: see `mizumashi.data.images.LabelledImages.describe`.

    Args:
        name: how the set is called.
        sha256: of its contents.
        count: of its images, in all parts.
        size: height and width, in pixels.
        channels: 1 or 3.
        class_names: the name of each label.
    """

    name: str
    sha256: str
    count: int
    size: tuple[int, int]
    channels: int
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, images: LabelledImages) -> "ImagesRecord":
        """The record of a set.

        Example:
            >>> import numpy as np
            >>> record = ImagesRecord.of(LabelledImages.from_arrays(np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]))
            >>> record.count, record.size, record.class_names
            (4, (8, 8), ('0', '1'))
        """
        return from_json(cls, images.describe())
