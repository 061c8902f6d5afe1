"""The user's own classifier: a scikit-learn estimator or a PyTorch network, named as `package.module:name`.

Shapes: N images, D = H x W x C pixels, K classes.
"""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mizumashi.classifiers.classical import Classical, augmented
from mizumashi.classifiers.cnn import CnnConfig, NetworkModel, require_some, train_network
from mizumashi.classifiers.score import Model
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError, nearest
from mizumashi.utils.progress import Progress, silent
from mizumashi.utils.seeding import numpy_generator

LEAST = float(np.finfo(np.float32).eps)
"""The least probability a class is given, as in scikit-learn's `log_loss`: none is impossible, no loss infinite."""

NETWORK = CnnConfig(learning_rate=1e-3, precision="32-true")
"""How own networks are trained: at Adam's customary rate and in full precision, which suit any architecture."""


class Classifier(Protocol):
    """Trains a model on a set."""

    def __call__(
        self,
        images: LabelledImages,
        seed: int,
        *,
        augmentation: Classical | None = None,
        progress: Progress = silent,
    ) -> Model:
        """Train on `images`; equal arguments give equal models."""


@dataclass(frozen=True, eq=False)
class EstimatorModel:
    """A fitted scikit-learn estimator.

    Args:
        estimator: fitted to N x D pixels in [0, 1] and labels.
        classes: K, also those that the training set had no image of.
    """

    estimator: Any
    classes: int

    def logits(self, images: LabelledImages) -> NDArray[np.float32]:
        """The logarithm of each class's probability: N x K.

        Classes that the estimator never saw, and all that it gives less, get the probability `LEAST`. An estimator
        that gives no probabilities is taken to be sure of what it predicts; its cross-entropy then says no more
        than its accuracy does.
        """
        pixels_ND, everyone = _rows(images), np.arange(len(images))
        probabilities_NK = np.zeros((len(images), self.classes))
        if hasattr(self.estimator, "predict_proba"):
            # An estimator has columns only for the labels it saw, in the order of its own `classes_`.
            probabilities_NK[:, self.estimator.classes_] = self.estimator.predict_proba(pixels_ND)
        else:
            probabilities_NK[everyone, self.estimator.predict(pixels_ND)] = 1
        logits: NDArray[np.float32] = np.log(np.maximum(probabilities_NK, LEAST)).astype(np.float32)
        return logits


def custom_classifier(spelling: str) -> Classifier:
    """Find the user's classifier, in the current folder or among what is installed.

    The name may be

    - a scikit-learn classifier: a class that needs no arguments, an instance, or a function without arguments that
      makes one. It is cloned for every training and fitted to pixels in [0, 1], N x D, and labels; each of its
      parameters `random_state` is drawn from the seed. With augmentation it is fitted to every image transformed
      once, in the place of the image itself.
    - a function, or a class, that takes the number of classes, the number of channels and (height, width), and
      makes a `torch.nn.Module` that gives N x K logits for N x C x H x W images in [0, 1]. It is trained by the
      cnn's loop. What it draws from PyTorch's global generator comes from the seed.

    The current folder is put at the end of Python's path, so that nothing in it takes an installed module's place.

    Whoever calls this runs the code that the name leads to: pass only what the user named, never what a file says.

    Args:
        spelling: `package.module:name`.

    Raises:
        InputError: there is no such name, or it is neither of both.

    Example:
        >>> train = custom_classifier("sklearn.neighbors:KNeighborsClassifier")
        >>> images = LabelledImages.from_arrays(np.eye(9, dtype=np.uint8).reshape(9, 3, 3) * 255, np.arange(9) % 3)
        >>> train(images, seed=0).logits(images).shape
        (9, 3)
    """
    found = _load(spelling)
    if not isinstance(found, nn.Module):
        if hasattr(found, "fit"):
            return _estimator(found() if isinstance(found, type) and _takes(found) else found, spelling)
        if _takes(found, "classes", "channels", "size"):
            return partial(_train_network, found, spelling)
        if _takes(found):
            return _estimator(found(), spelling)
    raise _refusal(spelling, found)


def _load(spelling: str) -> Any:
    module_name, colon, name = spelling.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise InputError(
            f"found classifier {spelling!r}; expected package.module:name, such as "
            "sklearn.neighbors:KNeighborsClassifier"
        )
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last: a joblib.py that lies here must not take the library's place
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise InputError(
                f"found no module {error.name!r} for classifier {spelling!r}; expected one that is installed or "
                f"lies in the current folder, {here}"
            ) from error
        raise InputError(
            f"found that {module_name!r} needs the module {error.name!r}; expected it to be there; install it"
        ) from error
    if not hasattr(module, name):
        hint = nearest(name, vars(module))
        raise InputError(f"found no {name!r} in module {module_name!r}{hint}; expected a classifier's name")
    return getattr(module, name)


def _takes(found: Any, *arguments: object) -> bool:
    """Whether it can be called with these positional arguments."""
    try:
        inspect.signature(found).bind(*arguments)
    except (TypeError, ValueError):
        return False
    return True


def _estimator(prototype: Any, spelling: str) -> Classifier:
    from sklearn.base import is_classifier

    try:
        usable = is_classifier(prototype)
    except (AttributeError, TypeError):  # no estimator, or one that does not tell what it is
        usable = False
    if not usable:
        raise _refusal(spelling, prototype)
    return partial(_train_estimator, prototype, spelling)


def _refusal(spelling: str, found: object) -> InputError:
    kind = f"the class {found.__name__}" if isinstance(found, type) else f"an object of type {type(found).__name__}"
    return InputError(
        f"found {kind} as classifier {spelling!r}; expected a scikit-learn classifier, or a function of (classes, "
        "channels, size) that returns a torch.nn.Module"
    )


def _train_estimator(
    prototype: Any,
    spelling: str,
    images: LabelledImages,
    seed: int,
    *,
    augmentation: Classical | None = None,
    progress: Progress = silent,
) -> EstimatorModel:
    from sklearn.base import clone

    require_some(images)
    estimator, generator = clone(prototype), numpy_generator(seed, "own classifier")
    random = [name for name in sorted(estimator.get_params()) if name.split("__")[-1] == "random_state"]
    estimator.set_params(**{name: int(generator.integers(2**31)) for name in random})
    shown = augmented(images, seed, augmentation) if augmentation else images
    with _own_code(spelling):
        estimator.fit(_rows(shown), shown.labels)
    progress(spelling, 1, 1, "")
    return EstimatorModel(estimator, len(images.class_names))


def _train_network(
    make: Callable[[int, int, tuple[int, int]], Any],
    spelling: str,
    images: LabelledImages,
    seed: int,
    *,
    augmentation: Classical | None = None,
    progress: Progress = silent,
) -> NetworkModel:
    require_some(images)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(numpy_generator(seed, "own classifier").integers(2**63)))
        with _own_code(spelling):
            network = make(len(images.class_names), images.channels, images.size)
            _require_network(network, images, spelling)
            return train_network(network, images, seed, NETWORK, augmentation=augmentation, progress=progress)


@torch.no_grad()
def _require_network(network: Any, images: LabelledImages, spelling: str) -> None:
    if not isinstance(network, nn.Module):
        raise InputError(
            f"found that {spelling!r} returned an object of type {type(network).__name__}; expected a torch.nn.Module"
        )
    logits, expected = network.eval()(torch.zeros(2, images.channels, *images.size)), (2, len(images.class_names))
    if tuple(logits.shape) != expected:
        raise InputError(
            f"found that {spelling!r} gives logits of shape {tuple(logits.shape)} for 2 images; expected {expected}, "
            "one for each class"
        )


@contextmanager
def _own_code(spelling: str) -> Iterator[None]:
    """Say of whatever goes wrong that it did so in the user's own classifier."""
    try:
        yield
    except (InputError, FloatingPointError, MemoryError):
        raise
    except Exception as error:  # anything at all: it is not our code
        raise InputError(
            f"found that classifier {spelling!r} fails with {type(error).__name__}: {error}; expected it to train on "
            "these images; mend it or leave it out"
        ) from error


def _rows(images: LabelledImages) -> NDArray[np.float32]:
    return images.images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
