"""Images that two sets share: what was trained on must not be tested on."""

from hashlib import blake2b

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError

MOST_SHARED = 0.5
"""The share of a test set that may be known: few images repeat by chance, such as blank ones."""


def require_unseen(known: LabelledImages, test: LabelledImages) -> None:
    """Raise `InputError` if more than half of the test images occur, pixel for pixel, among the known ones.

    Names do not count: the same images under another name, in another order or in another format are found.

    Args:
        known: images that something is trained on, or that are tested on already.
        test: images to test on.

    Example:
        >>> import numpy as np
        >>> pets = LabelledImages.from_arrays(np.arange(256).reshape(4, 8, 8), [0, 1, 0, 1], name="pets")
        >>> require_unseen(pets.take([0, 1]), pets.take([2, 3]))
        >>> try:
        ...     require_unseen(pets, pets.take([2, 3]).renamed("copies"))
        ... except InputError as error:
        ...     print(str(error)[:50])
        copies: found 2 of its 2 images among those of pet
    """
    digests = set(_digests(known))
    seen = sum(digest in digests for digest in _digests(test))
    if seen > MOST_SHARED * len(test):
        raise InputError(
            f"{test.name}: found {seen} of its {len(test)} images among those of {known.name}; expected images to test "
            "on that are not known already; give another set, or one with a training and a test part"
        )


def unseen(known: LabelledImages, images: LabelledImages) -> list[int]:
    """The indices of those images that do not occur, pixel for pixel, among the known ones.

    Example:
        >>> import numpy as np
        >>> pets = LabelledImages.from_arrays(np.arange(256).reshape(4, 8, 8), [0, 1, 0, 1], name="pets")
        >>> unseen(pets.take([1, 2]), pets)
        [0, 3]
    """
    digests = set(_digests(known))
    return [index for index, digest in enumerate(_digests(images)) if digest not in digests]


def _digests(images: LabelledImages) -> list[bytes]:
    return [blake2b(image.tobytes(), digest_size=16).digest() for image in images.images]
