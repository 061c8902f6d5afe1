"""mizumashi inflates a labelled image set with half-trained GANs, and says whether that helps the classifier.

Example:
    >>> import mizumashi as mz
    >>> digits = mz.open_images("digits")
    >>> len(digits.train), len(digits.test), digits.size
    (1415, 382, (16, 16))
"""

import sys

if sys.argv[:1] == ["-m"] and "mizumashi" in sys.orig_argv and not sys.flags.safe_path:
    del sys.path[0]  # the current folder, which `python -m` puts first: what lies there is data, not a library

import logging
from typing import TYPE_CHECKING, Any

from mizumashi.utils.text import Escaping

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mizumashi.api import evaluate as evaluate
    from mizumashi.api import study as study
    from mizumashi.data.images import LabelledImages as LabelledImages
    from mizumashi.data.preprocess import mnist_style as mnist_style
    from mizumashi.data.readers import open_images as open_images
    from mizumashi.data.resize import resize as resize
    from mizumashi.data.split import mix as mix
    from mizumashi.data.split import stratified_split as stratified_split
    from mizumashi.data.split import stratified_subset as stratified_subset
    from mizumashi.data.writers import write_images as write_images
    from mizumashi.errors import InputError as InputError
    from mizumashi.gan.config import GanConfig as GanConfig
    from mizumashi.gan.run import GanRun as GanRun
    from mizumashi.gan.training import train as train
    from mizumashi.studies.config import StudyConfig as StudyConfig
    from mizumashi.studies.results import StudyResult as StudyResult

_HOMES = {
    "GanConfig": "gan.config",
    "GanRun": "gan.run",
    "InputError": "errors",
    "LabelledImages": "data.images",
    "StudyConfig": "studies.config",
    "StudyResult": "studies.results",
    "evaluate": "api",
    "mix": "data.split",
    "mnist_style": "data.preprocess",
    "open_images": "data.readers",
    "resize": "data.resize",
    "stratified_split": "data.split",
    "stratified_subset": "data.split",
    "study": "api",
    "train": "gan.training",
    "write_images": "data.writers",
}
__all__ = [*_HOMES]

logging.getLogger(__name__).addFilter(Escaping())


def __getattr__(name: str) -> Any:
    # PyTorch takes a second to import; `mizumashi --help` must not wait for it.
    if name not in _HOMES:
        raise AttributeError(f"module 'mizumashi' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mizumashi.{_HOMES[name]}"), name)
