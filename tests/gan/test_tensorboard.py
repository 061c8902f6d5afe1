import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig, Precision
from mizumashi.gan.training import train

TINY = GanConfig(steps=6, snapshots=(2, 6), batch_size=16, latent_size=8, widths=(4, 8, 8), precision="32-true")


def test_tensorboard_reads_the_losses_and_pictures_of_a_run_that_was_stopped(
    blobs: LabelledImages, precision: Precision, tmp_path: Path
):
    tiny, accumulator = (
        replace(TINY, precision=precision),
        pytest.importorskip("tensorboard.backend.event_processing.event_accumulator"),
    )

    def stop(task: str, done: int, total: int, note: str) -> None:
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(blobs, tmp_path / "run", tiny, tensorboard=True, progress=stop)
    run = train(blobs, tmp_path / "run", tiny, tensorboard=True)
    events = accumulator.EventAccumulator(str(run.path / "tensorboard")).Reload()
    for name, losses in run.losses().items():
        found = events.Scalars(f"loss/{name}")
        assert [event.step for event in found] == [1, 2, 3, 4, 5, 6]
        np.testing.assert_allclose([event.value for event in found], losses, rtol=1e-6)
    for event in events.Images("drawn"):
        (tmp_path / "shown.png").write_bytes(event.encoded_image_string)
        kept = Image.open(run.path / "pictures" / f"step-{event.step:06d}.png")
        assert (np.asarray(Image.open(tmp_path / "shown.png").convert("L")) == np.asarray(kept)).all()
    assert [event.step for event in events.Images("drawn")] == [2, 6]


def test_nothing_is_written_for_tensorboard_unasked(blobs: LabelledImages, tmp_path: Path):
    assert not (train(blobs, tmp_path / "run", TINY).path / "tensorboard").exists()


def test_without_the_package_a_line_says_how_to_get_it(
    blobs: LabelledImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"found no package tensorboard; .*; pip install 'mizumashi\[tensorboard\]'"):
        train(blobs, tmp_path / "run", TINY, tensorboard=True)
    assert train(blobs, tmp_path / "run", TINY).finished  # the folder is still good
