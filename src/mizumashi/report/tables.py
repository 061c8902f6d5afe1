"""Tables of a study, as CSV for machines and Markdown for people."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mizumashi.data.images import LabelledImages
from mizumashi.stats.inference import Interval
from mizumashi.utils.text import for_csv, for_terminal, markdown_table

if TYPE_CHECKING:
    from mizumashi.studies.compare_sets import SetComparison


def tidy_csv(numbers: Mapping[str, tuple[Sequence[str], NDArray[np.float64]]], tests: Sequence[str]) -> str:
    """One line for each classifier, recipe and test set: mean, standard deviation over seeds (empty for one), seeds.

    Args:
        numbers: for each classifier the names of its R recipes, and R x T x S numbers.
        tests: T names.
    """
    rows = [
        [
            classifier,
            recipe,
            test,
            _exact(values.mean()),
            _exact(values.std(ddof=1)) if len(values) > 1 else "",
            len(values),
        ]
        for classifier, (recipes, of_classifier) in numbers.items()
        for recipe, by_test in zip(recipes, of_classifier, strict=True)
        for test, values in zip(tests, by_test, strict=True)
    ]
    return csv_text(["classifier", "recipe", "test set", "mean", "standard deviation", "seeds"], rows)


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A table as CSV.

    Example:
        >>> csv_text(["a", "b"], [[1, "x,y"]])
        'a,b\n1,"x,y"\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([*map(for_csv, row)] for row in (head, *rows))
    return text.getvalue()


def matrix(recipes: Sequence[str], tests: Sequence[str], numbers: NDArray[np.float64]) -> str:
    """Recipes against test sets in Markdown: the mean over seeds and, for several, ± the standard deviation.

    Example:
        >>> print(matrix(["real"], ["mnist"], np.array([[[0.91, 0.92]]])))
        | recipe | mnist |
        |:---|---:|
        | real | 0.915 ± 0.007 |
    """
    rows = [[recipe, *map(spread, by_test)] for recipe, by_test in zip(recipes, numbers, strict=True)]
    return markdown_table(["recipe", *tests], rows)


def points(interval: Interval) -> str:
    """Points of accuracy with the ends of their interval, where there is one.

    Example:
        >>> points(Interval(2.5, -3.9, 8.9)), points(Interval(-0.01, np.nan, np.nan))
        ('+2.5 (-3.9 to +8.9)', '+0.0')
    """
    mean, low, high = (round(number, 1) + 0 for number in interval)  # + 0: no minus before zero
    return f"{mean:+.1f}" if np.isnan(low) else f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def spread(values: NDArray[np.float64]) -> str:
    """Mean and, for several values, the standard deviation: "0.915 ± 0.007"."""
    mean = f"{values.mean():.3f}"
    return f"{mean} ± {values.std(ddof=1):.3f}" if len(values) > 1 else mean


def _exact(value: np.floating) -> str:
    return f"{value:.6f}"


def describe_images(images: LabelledImages) -> str:
    """What a set holds: its size, shape, contents' hash, and the images of each class and part."""
    parts = {"all": images} if images.test_start is None else {"train": images.train, "test": images.test}
    counts = np.stack([part.counts for part in parts.values()], axis=1)
    rows = [[name, *map(str, of_class)] for name, of_class in zip(images.class_names, counts, strict=True)]
    rows.append(["in all", *(str(len(part)) for part in parts.values())])
    height, width = images.size
    colour = "grey" if images.channels == 1 else "RGB"
    head = f"{for_terminal(images.name)}: {len(images)} {colour} images of {height}x{width} pixels"
    return f"{head}\nsha256 {images.content_hash()}\n\n{markdown_table(['class', *parts], rows)}"


def describe_comparison(found: "SetComparison") -> str:
    """What `mizumashi compare` prints: scores, copies, and what each class teaches."""
    scores = ("fid", "kid", "precision", "recall", "density", "coverage")
    rows = [[name, *(f"{getattr(side, name):.4g}" for side in (found.generated, found.real))] for name in scores]
    told, copied = found.told, found.copied
    taught = [
        [name, f"{accuracy:.3f}", f"{real:.3f}"]
        for name, accuracy, real in zip(found.class_names, found.accuracy, found.real_accuracy, strict=True)
    ]
    taught.append(["mean", f"{np.nanmean(found.accuracy):.3f}", f"{np.nanmean(found.real_accuracy):.3f}"])
    return "\n\n".join(
        [
            f"Fidelity of {found.generated.count} images against held-out real ones (feature network sha256 "
            f"{found.network[:16]})",
            markdown_table(["", "generated", "real"], rows),
            f"Told from real: {told.accuracy:.3f} ({told.low:.3f} to {told.high:.3f}; 0.5 where they cannot be told)",
            f"Copies of training images: {100 * copied.share:.1f} % flagged ({100 * copied.low:.1f} to "
            f"{100 * copied.high:.1f}), {100 * copied.expected_share:.1f} % expected by chance, p = "
            f"{copied.p_value:.2g}; {copied.identical} identical",
            "Accuracy on held-out real images of a network trained on",
            markdown_table(["class", "generated", "real"], taught),
        ]
    )
