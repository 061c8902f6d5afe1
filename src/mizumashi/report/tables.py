"""Tables of a study, as CSV for machines and Markdown for people."""

import csv
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages


def tidy_csv(recipes: Sequence[str], tests: Sequence[str], numbers: NDArray[np.float64]) -> str:
    """One line for each recipe and test set: mean, standard deviation over seeds (empty for one), seeds.

    Args:
        recipes: R names.
        tests: T names.
        numbers: R x T x S.
    """
    rows = [
        [
            recipe,
            test,
            _exact(values.mean()),
            _exact(values.std(ddof=1)) if len(values) > 1 else "",
            len(values),
        ]
        for recipe, by_test in zip(recipes, numbers, strict=True)
        for test, values in zip(tests, by_test, strict=True)
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["recipe", "test set", "mean", "standard deviation", "seeds"])
    writer.writerows(rows)
    return text.getvalue()


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column to the left, the others to the right.

    Example:
        >>> print(markdown(["recipe", "mnist"], [["real", "0.915"]]))
        | recipe | mnist |
        |:---|---:|
        | real | 0.915 |
    """
    lines = [head, [":---", *["---:"] * (len(head) - 1)], *rows]
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    rule = "|" + "|".join(cells.pop(1)) + "|"
    text = ["| " + " | ".join(line) + " |" for line in cells]
    return "\n".join([text[0], rule, *text[1:]])


def matrix(recipes: Sequence[str], tests: Sequence[str], numbers: NDArray[np.float64]) -> str:
    """Recipes against test sets in Markdown: the mean over seeds and, for several, ± the standard deviation.

    Example:
        >>> print(matrix(["real"], ["mnist"], np.array([[[0.91, 0.92]]])))
        | recipe | mnist |
        |:---|---:|
        | real | 0.915 ± 0.007 |
    """
    rows = [[recipe, *map(spread, by_test)] for recipe, by_test in zip(recipes, numbers, strict=True)]
    return markdown(["recipe", *tests], rows)


def spread(values: NDArray[np.float64]) -> str:
    """Mean and, for several values, the standard deviation: "0.915 ± 0.007"."""
    mean = f"{values.mean():.3f}"
    return f"{mean} ± {values.std(ddof=1):.3f}" if len(values) > 1 else mean


def _exact(value: np.floating) -> str:
    return f"{value:.6f}"


def describe_images(images: LabelledImages) -> str:
    """What a set holds: its size, shape, contents' hash, and the images of each class and part."""
    parts = {"all": images} if images.test_start is None else {"train": images.train, "test": images.test}
    rows = [
        [name, *(str(part.counts[label]) for part in parts.values())] for label, name in enumerate(images.class_names)
    ]
    rows.append(["in all", *(str(len(part)) for part in parts.values())])
    height, width = images.size
    colour = "grey" if images.channels == 1 else "RGB"
    head = f"{images.name}: {len(images)} {colour} images of {height}x{width} pixels"
    return f"{head}\nsha256 {images.content_hash()}\n\n{markdown(['class', *parts], rows)}"
