"""Stratified splits, subsets and mixtures: every class keeps its share."""

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.errors import InputError
from mizumashi.utils.seeding import numpy_generator


def stratified_split(images: LabelledImages, test_share: float, seed: int) -> LabelledImages:
    """Split a set without parts into a training and a test part.

    Of each class, `test_share` of the images (rounded, at least one, never all) are drawn for the test part.
    Both parts keep the order that the images had.

    Args:
        images: the set, without parts.
        test_share: in 0 ... 1, exclusive.
        seed: any non-negative integer.

    Raises:
        InputError: the set has parts already, a class has only one image, or the share is out of range.

    Example:
        >>> images = LabelledImages.from_arrays(np.zeros((10, 8, 8)).astype(int), [0, 1] * 5)
        >>> split = stratified_split(images, test_share=0.2, seed=0)
        >>> split.train.counts.tolist(), split.test.counts.tolist()
        ([4, 4], [1, 1])
    """
    _require_one_part(images)
    if not 0 < test_share < 1:
        raise InputError(f"found a test share of {test_share}; expected more than 0 and less than 1")
    counts = images.counts
    _require_counts(images, np.minimum(counts, 1) * 2, "for a training and a test part")
    drawn = np.clip(np.rint(counts * test_share).astype(np.int64), 1, counts - 1)
    test = np.sort(_draw(images.labels, np.maximum(drawn, 0), numpy_generator(seed, "split")))
    train = np.setdiff1d(np.arange(len(images)), test)
    return LabelledImages.from_parts(images.take(train), images.take(test), images.name)


def stratified_subset(
    images: LabelledImages, *, count: int | None = None, per_class: int | None = None, seed: int
) -> LabelledImages:
    """Draw a smaller set without replacement; the images keep their order.

    Args:
        images: the set, without parts.
        count: how many images in all: every class keeps its share, and at least one image.
        per_class: how many images of each class. Give either `count` or `per_class`.
        seed: any non-negative integer.

    Raises:
        InputError: the set has parts, has too few images, or `count` is less than the number of classes.

    Example:
        >>> images = LabelledImages.from_arrays(np.zeros((9, 8, 8)).astype(int), [0, 0, 0, 0, 0, 0, 1, 1, 1])
        >>> stratified_subset(images, count=3, seed=0).counts.tolist()
        [2, 1]
        >>> stratified_subset(images, per_class=3, seed=0).counts.tolist()
        [3, 3]
    """
    _require_one_part(images)
    if (count is None) == (per_class is None):
        raise InputError("found both or neither of count and per_class; expected one of them")
    if count is not None:
        classes = np.count_nonzero(images.counts)
        if not classes <= count <= len(images):
            raise InputError(
                f"{images.name}: found a wish for {count} of {len(images)} images of {classes} classes; "
                f"expected a count from {classes} to {len(images)}"
            )
        wanted = _allocate(images.counts, count)
    else:
        assert per_class is not None
        if per_class < 1:
            raise InputError(f"found a wish for {per_class} images per class; expected at least 1")
        wanted = np.full(len(images.class_names), per_class)
        _require_counts(images, wanted, "per class")
    return images.take(np.sort(_draw(images.labels, wanted, numpy_generator(seed, "subset"))))


def mix(first: LabelledImages, second: LabelledImages, share: float, total: int, seed: int) -> LabelledImages:
    """Mix two sets into one of a given size, in shuffled order: the paper's mixed sets are `share=0.5`.

    `share * total` (rounded) images are drawn from `second` and the rest from `first`, each without
    replacement and with every class keeping the share that it has in its set.

    Args:
        first: a set without parts, for example real images.
        second: a set without parts of the same size, channels and class names, for example generated images.
        share: of the images of `second` in the mixture, in 0 ... 1.
        total: how many images the mixture has.
        seed: any non-negative integer.

    Raises:
        InputError: the sets do not agree, have parts or too few images, or the share is out of range.

    Example:
        >>> real = LabelledImages.from_arrays(np.zeros((6, 8, 8)).astype(int), [0, 1] * 3, name="real")
        >>> drawn = LabelledImages.from_arrays(np.ones((6, 8, 8)).astype(int), [0, 1] * 3, name="gan")
        >>> mixture = mix(real, drawn, share=0.5, total=4, seed=0)
        >>> mixture.name, mixture.counts.tolist(), mixture.images.mean().item()
        ('real+gan', [2, 2], 0.5)
    """
    require_alike(first, second)
    if not 0 <= share <= 1:
        raise InputError(f"found a share of {share}; expected 0 to 1")
    if total < 1:
        raise InputError(f"found a wish for {total} mixed images; expected at least 1")
    from_second = round(share * total)
    drawn: list[LabelledImages] = []
    for part, count in ((first, total - from_second), (second, from_second)):
        _require_one_part(part)
        if count > len(part):
            raise InputError(
                f"{part.name}: found {len(part)} images; expected at least {count} to mix {total} "
                f"with a share of {share}; lower the total or give more images"
            )
        generator = numpy_generator(seed, "mix", len(drawn))
        drawn.append(part.take(_draw(part.labels, _allocate(part.counts, count), generator)))
    pixels = np.concatenate([part.images for part in drawn])
    labels = np.concatenate([part.labels for part in drawn])
    joined = LabelledImages(pixels, labels, first.class_names, f"{first.name}+{second.name}")
    return joined.take(numpy_generator(seed, "mix", "order").permutation(total))


def _allocate(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Share `total` among the classes in proportion to `counts`, each at least 1 where `total` suffices."""
    quota: NDArray[np.float64] = total * counts / max(counts.sum(), 1)
    least = np.minimum(counts, 1) if total >= np.count_nonzero(counts) else np.zeros_like(counts)
    given = np.maximum(np.floor(quota).astype(np.int64), least)
    while given.sum() < total:
        given[np.argmax(quota - given)] += 1
    while given.sum() > total:
        given[np.argmax(np.where(given > least, given - quota, -np.inf))] -= 1
    return given


def _draw(labels: NDArray[np.int64], per_class: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Indices of images drawn without replacement, `per_class[c]` of each class c."""
    chosen = [generator.permutation(np.flatnonzero(labels == c))[:n] for c, n in enumerate(per_class)]
    return np.concatenate(chosen)


def _require_one_part(images: LabelledImages) -> None:
    if images.test_start is not None:
        raise InputError(
            f"{images.name}: found a set with a training and a test part; expected one part, so that no test "
            "image is drawn by accident; give its .train or its .test"
        )


def _require_counts(images: LabelledImages, wanted: NDArray[np.int64], purpose: str) -> None:
    short = np.flatnonzero(images.counts < wanted)
    if len(short):
        label = short[0]
        raise InputError(
            f"{images.name}: found {images.counts[label]} images of class {images.class_names[label]!r}; "
            f"expected at least {wanted[label]} {purpose}; give more images or remove the class"
        )
