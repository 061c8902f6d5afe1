"""A run's losses and pictures as TensorBoard reads them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mizumashi.errors import InputError
from mizumashi.utils.layout import require_own_way

FOLDER = "tensorboard"
"""Below the run's folder."""


class Board:
    """Writes RUN/tensorboard/ as the run goes on; `tensorboard --logdir RUN` shows it.

    A run that is taken up again goes on in a new file, and what the old ones hold from that step on is dropped by
    TensorBoard itself. These files carry times: of all that a run writes they alone differ from run to run.

    Args:
        run: the run's folder.
        step: the steps that are done.

    Raises:
        InputError: the package tensorboard is missing.
    """

    def __init__(self, run: Path, step: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "found no package tensorboard; expected it for --tensorboard; pip install 'mizumashi[tensorboard]'"
            ) from error
        require_own_way(run / FOLDER)
        self._writer = SummaryWriter(str(run / FOLDER), purge_step=step + 1)
        self._step = step

    def losses(self, losses: Sequence[tuple[float, float]]) -> None:
        """Write those of `losses`, generator's first, that are new: one pair for every step from the first on."""
        for step in range(self._step, len(losses)):
            for name, value in zip(("generator", "discriminator"), losses[step], strict=True):
                self._writer.add_scalar(f"loss/{name}", value, step + 1)
        self._step = max(self._step, len(losses))

    def picture(self, step: int, pixels_HWC: NDArray[np.uint8]) -> None:
        """Write a snapshot's picture."""
        self._writer.add_image("drawn", pixels_HWC, step, dataformats="HWC")

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
