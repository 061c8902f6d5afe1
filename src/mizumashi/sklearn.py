"""A GAN among imbalanced-learn's over-samplers: rows in, rows out.

It is meant for rows of pixels. Other rows are drawn as pictures, which a GAN of convolutions learns worse than
methods that are made for tables, SMOTE to begin with.
"""

import math
import tempfile
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from imblearn.over_sampling.base import BaseOverSampler
from numpy.typing import NDArray
from PIL import Image
from scipy import sparse
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval

from mizumashi.data.image_files import as_picture
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import SIZES, GanConfig
from mizumashi.gan.presets import fast
from mizumashi.gan.training import train


class GANSampler(BaseOverSampler):  # type: ignore[misc]
    """Over-sample classes with images that a label-conditional GAN draws.

    A GAN is trained on all rows, anew at every call, in a temporary folder that goes again; then it draws what each
    class lacks. That takes minutes on real images with the default configuration.

    What a row is:

    - Pixels, where `image_shape` is given, or where there are 256, 784, 1,024 or 4,096 features: a grey image of 16,
      28, 32 or 64 pixels a side, row by row. All features share one scale, from the least to the greatest value in X.
      Images of other sizes up to 64 x 64 are brought to the nearest size above for training, and back.
    - Anything else is a table, of at most 4,096 features: each is scaled by its own least and greatest value and
      painted over an equal run of an image's pixels, whose mean is read back. This is there so that a pipeline runs;
      expect little of it.

    Drawn values lie between the least and the greatest of X, in steps of 1/255 of the range in pixels. Rows that were
    there come first and stay as they are.

    Args:
        sampling_strategy: as for every over-sampler of imbalanced-learn.
        random_state: as scikit-learn has it; decides weights, order and latents. `config.seed` is not used.
        config: the GAN's; by default `mizumashi.gan.presets.fast()`. The batch is no larger than X.
        stage: the training step to draw from; by default the last of `config`.
        image_shape: height, width and, for RGB, 3, of the image that a row is.
        accelerator: Lightning Fabric's name for the device.

    Attributes:
        sampling_strategy_: how many rows were added to each class.

    Raises:
        InputError: X does not fit `image_shape`, or the GAN cannot be trained on it; it is a ValueError.

    Example:
        >>> X = np.random.default_rng(0).random((30, 256))
        >>> y = np.array(["cat"] * 20 + ["dog"] * 10)
        >>> tiny = GanConfig(steps=1, batch_size=8, latent_size=4, widths=(2, 2, 2), precision="32-true")
        >>> X_more, y_more = GANSampler(config=tiny, random_state=0).fit_resample(X, y)
        >>> X_more.shape, (y_more == "dog").sum().item()
        ((40, 256), 20)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseOverSampler._parameter_constraints,
        "config": [GanConfig, None],
        "stage": [Interval(Integral, 1, None, closed="left"), None],
        "image_shape": [tuple, list, None],
        "accelerator": [str],
    }

    def __init__(
        self,
        *,
        sampling_strategy: Any = "auto",
        random_state: Any = None,
        config: GanConfig | None = None,
        stage: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        accelerator: str = "auto",
    ) -> None:
        super().__init__(sampling_strategy=sampling_strategy)
        self.random_state = random_state
        self.config = config
        self.stage = stage
        self.image_shape = image_shape
        self.accelerator = accelerator

    def _fit_resample(self, X: Any, y: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        classes, labels = np.unique(y, return_inverse=True)
        counts = [self.sampling_strategy_.get(value, 0) for value in classes.tolist()]
        wanted = np.repeat(np.arange(len(classes)), counts)
        random = check_random_state(self.random_state)
        seeds = random.randint(2**31 - 1, size=2).tolist()
        if not len(wanted):
            return X.copy(), y.copy()
        thin: bool = sparse.issparse(X)
        rows = X.toarray() if thin else X
        pictures = _Pictures.of(rows, self.image_shape)
        drawn = pictures.rows(self._draw(pictures.paint(rows), labels, wanted, *seeds))
        if np.issubdtype(X.dtype, np.integer):
            drawn = np.rint(drawn)
        drawn = drawn.astype(X.dtype)
        more = sparse.vstack([X, sparse.csr_matrix(drawn)], format=X.format) if thin else np.concatenate([X, drawn])
        return more, np.concatenate([y, classes[wanted].astype(y.dtype)])

    def _draw(
        self, images: NDArray[np.uint8], labels: NDArray[Any], wanted: NDArray[Any], gan_seed: int, seed: int
    ) -> NDArray[np.uint8]:
        """Train on images, N x S x S x C, and draw one for each label that is wanted."""
        config = self.config or fast()
        config = replace(config, seed=gan_seed, batch_size=min(config.batch_size, len(images)))
        if self.stage is not None:
            # What comes after the stage does not matter, unless the learning rate looks ahead.
            steps = self.stage if config.schedule == "constant" else config.steps
            config = replace(config, steps=steps, snapshots=(self.stage,))
        known = LabelledImages.from_arrays(images, labels, name="X")
        with tempfile.TemporaryDirectory(prefix="mizumashi-") as folder:
            run = train(known, f"{folder}/run", config, accelerator=self.accelerator)
            return run.snapshot().sample(labels=wanted, seed=seed).images

    def _more_tags(self) -> dict[str, Any]:
        return {"X_types": ["2darray", "sparse", "dataframe"]}


@dataclass(frozen=True)
class _Pictures:
    """How rows become images, and images rows.

    Args:
        shape: H x W x C where rows are pixels; None where they are not.
        side: of the images that the GAN is trained on.
        low: D, what becomes 0.
        span: D, what becomes 255 above it; 1 where a feature does not vary.
    """

    shape: tuple[int, int, int] | None
    side: int
    low: NDArray[np.float64]
    span: NDArray[np.float64]

    @classmethod
    def of(cls, rows: NDArray[Any], image_shape: tuple[int, ...] | None) -> "_Pictures":
        features = rows.shape[1]
        shape = _shape(features, image_shape)
        least = max(shape[:2]) if shape else math.ceil(math.sqrt(features))
        side = next((size for size in SIZES if size >= least), None)
        if side is None:
            raise InputError(
                f"X: found {features} features"
                + (f", images of {shape[0]} x {shape[1]} pixels" if shape else "")
                + f"; expected at most {SIZES[-1]} x {SIZES[-1]}: make the images smaller, or use fewer features"
            )
        whole = rows.astype(np.float64)
        low, high = whole.min(axis=0), whole.max(axis=0)
        if shape:
            low, high = np.full_like(low, low.min()), np.full_like(high, high.max())
        with np.errstate(over="ignore"):  # told below
            span = np.where(high > low, high - low, 1.0)
        if not np.isfinite(span).all():
            raise InputError("X: found values whose range is no finite number; expected a narrower one; scale X first")
        return cls(shape, side, low, span)

    def paint(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        """N x D rows as N x S x S x C images."""
        scaled = np.rint((rows.astype(np.float64) - self.low) / self.span * 255).astype(np.uint8)
        if self.shape is None:
            return scaled[:, self._feature_of_pixel()].reshape(-1, self.side, self.side, 1)
        return _resized(scaled.reshape(-1, *self.shape), self.side, self.side)

    def rows(self, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """N x S x S x C images as N x D rows."""
        if self.shape is None:
            starts = np.searchsorted(self._feature_of_pixel(), np.arange(len(self.low)))
            pixels = images.reshape(len(images), -1).astype(np.float64)
            counts = np.diff([*starts, pixels.shape[1]])
            values = np.add.reduceat(pixels, starts, axis=1) / counts
        else:
            values = _resized(images, *self.shape[:2]).reshape(len(images), -1).astype(np.float64)
        return self.low + values / 255 * self.span

    def _feature_of_pixel(self) -> NDArray[np.int64]:
        pixels = self.side**2
        return np.arange(pixels) * len(self.low) // pixels


def _shape(features: int, given: tuple[int, ...] | None) -> tuple[int, int, int] | None:
    """H x W x C of the image that a row is, or None where it is none."""
    if given is None:
        return next(((size, size, 1) for size in SIZES if size**2 == features), None)
    shape = tuple(given) if len(given) == 3 else (*given, 1)
    right = len(shape) == 3 and all(int(number) == number > 0 for number in shape)
    if not right or shape[2] not in (1, 3) or math.prod(shape) != features:
        raise InputError(
            f"found image_shape {tuple(given)} for {features} features; expected height, width and, for RGB, 3, whose "
            "product is the number of features"
        )
    return int(shape[0]), int(shape[1]), int(shape[2])


def _resized(images: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    if images.shape[1:3] == (height, width):
        return images
    pictures = (as_picture(image).resize((width, height), Image.Resampling.BICUBIC) for image in images)
    return np.stack([np.asarray(picture) for picture in pictures]).reshape(-1, height, width, images.shape[3])
