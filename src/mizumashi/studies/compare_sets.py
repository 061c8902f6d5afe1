"""How good generated images are beside real ones: everything that `mizumashi compare` says."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mizumashi.classifiers.cnn import CnnConfig, train_cnn
from mizumashi.data.images import LabelledImages, require_alike
from mizumashi.data.split import stratified_split
from mizumashi.metrics.fidelity import Fidelity, fidelity, per_class_accuracy
from mizumashi.metrics.memorization import Copies, copies
from mizumashi.metrics.two_sample import TwoSample, two_sample_accuracy
from mizumashi.utils.progress import Progress, silent

HELD_OUT_SHARE = 0.2
"""What is held out of real images without a test part."""


@dataclass(frozen=True, eq=False)
class SetComparison:
    """Generated images beside real ones.

    Args:
        class_names: the name of each label.
        network: SHA-256 of the feature network's weights: scores of different networks cannot be compared.
        generated: fidelity of the generated images, against held-out real ones.
        real: the same of the real training images: what a perfect generator would score.
        told: how well a classifier tells generated from real training images.
        copied: whether generated images are copies of real training images.
        accuracy: for each class, how much of it a network trained on the generated images alone reads in the held-out
            real ones (the classification accuracy score; Ravuri and Vinyals 2019); K numbers.
        real_accuracy: the same of a network trained on the real training images.
    """

    class_names: tuple[str, ...]
    network: str
    generated: Fidelity
    real: Fidelity
    told: TwoSample
    copied: Copies
    accuracy: NDArray[np.float64]
    real_accuracy: NDArray[np.float64]


def compare_sets(
    real: LabelledImages,
    generated: LabelledImages,
    seed: int = 0,
    config: CnnConfig | None = None,
    *,
    progress: Progress = silent,
) -> SetComparison:
    """Compare generated images with real ones.

    Args:
        real: with a training part, that the generator was trained on, and a test part; without parts, a fifth of
            each class is held out, of which the generator may know some.
        generated: images of the same size and classes; their labels count for `accuracy` alone.
        seed: of the networks and of whatever is drawn.
        config: the networks', one for features and one trained on the generated images; by default the classifier's.
        progress: called as networks train.

    Raises:
        InputError: the sets differ in size, channels or classes, or one has fewer than 20 images.
    """
    require_alike(real, generated)
    config = config or CnnConfig()
    parts = real if real.test_start is not None else stratified_split(real, HELD_OUT_SHARE, seed)
    known, held_out = parts.train, parts.test
    network = train_cnn(known, seed, config, progress=_named("network on real images", progress))
    other = train_cnn(generated, seed, config, progress=_named("network on generated images", progress))
    features = network.features(held_out)
    return SetComparison(
        class_names=real.class_names,
        network=weights_hash(network.network.state_dict()),
        generated=fidelity(features, network.features(generated), seed),
        real=fidelity(features, network.features(known), seed),
        told=two_sample_accuracy(known.images, generated.images, seed),
        copied=copies(known.images, held_out.images, generated.images, seed),
        accuracy=per_class_accuracy(held_out.labels, other.logits(held_out).argmax(axis=1), len(real.class_names)),
        real_accuracy=per_class_accuracy(
            held_out.labels, network.logits(held_out).argmax(axis=1), len(real.class_names)
        ),
    )


def weights_hash(state: Mapping[str, object]) -> str:
    """SHA-256 over the names and values of a network's weights."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(np.asarray(value)).tobytes())
    return digest.hexdigest()


def _named(task: str, progress: Progress) -> Progress:
    return lambda _, done, total, note: progress(task, done, total, note)
