"""A snapshot as an ONNX file: the generator without mizumashi and without PyTorch."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import torch

from mizumashi.gan.sampling import Drawing, Snapshot
from mizumashi.utils import files
from mizumashi.utils.extras import optional

_USED = ("onnx", "onnxscript")


def export_onnx(snapshot: Snapshot, path: str | Path) -> Path:
    """Write a snapshot as an ONNX file.

    Its inputs are `latents` (N x Z, float32) and `labels` (N, int64, from 0); its output is `images` (N x S x S x C,
    uint8). N is any number. The file's metadata has the class names (JSON), the step and mizumashi's version.

    For the latents of `mizumashi.gan.sampling.latents` and the same labels the images are those of `Snapshot.sample`,
    up to 1 of 255 in float32. The file always computes in float32, while a run with precision "bf16-mixed" draws in
    bfloat16 here: of an MNIST run, a pixel then differed by 0.1 to 0.2 of 255 on average, and by 6 at most.

    Equal snapshots give equal files with the same versions of the libraries.

    Args:
        snapshot: the generator.
        path: a new file.

    Returns:
        The path.

    Raises:
        InputError: the extra `onnx` is not installed, the snapshot is damaged, or there is something at `path`.

    Example:
        ```
        session = onnxruntime.InferenceSession("gan.onnx")
        z = latents(np.arange(10), 100, seed=0)
        (images,) = session.run(None, {"latents": z, "labels": np.arange(10)})
        ```
    """
    path = Path(path)
    files.require_new_file(path)
    for module in _USED:
        optional(module, "onnx", "ONNX")
    drawing = Drawing(snapshot.generator).eval()
    example = torch.zeros(2, snapshot.shape.latent_size), torch.zeros(2, dtype=torch.int64)
    count = {0: torch.export.Dim("N")}
    with _quiet():
        program = torch.onnx.export(
            drawing,
            example,
            input_names=["latents", "labels"],
            output_names=["images"],
            dynamic_shapes={"latents": count, "labels": count},
            dynamo=True,
            verbose=False,
        )
    assert program is not None, "the exporter for torch.export gives a program"
    for node in program.model.graph:
        node.metadata_props.clear()  # lines and paths of this installation
    program.model.metadata_props.update(
        {
            "class_names": json.dumps(snapshot.class_names, ensure_ascii=False),
            "step": str(snapshot.step),
            "mizumashi": version("mizumashi"),
        }
    )
    with files.atomic_file(path) as temporary:
        program.save(temporary, external_data=False)
    return path


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch's exporter says of PyTorch itself, and of torchvision, which is not in use."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
            warnings.filterwarnings("ignore", "# The axis name: N will not be used", UserWarning)  # it is, for both
            yield
    finally:
        logger.setLevel(before)
