"""A snapshot as an ONNX file: onnxruntime draws the same images."""

import json
from pathlib import Path

import numpy as np
import pytest

from mizumashi.cli.main import main
from mizumashi.data.images import LabelledImages
from mizumashi.errors import InputError
from mizumashi.gan.config import GanConfig
from mizumashi.gan.run import GanRun
from mizumashi.gan.sampling import latents
from mizumashi.gan.training import train

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def trained(images: LabelledImages, folder: Path, precision: str) -> GanRun:
    config = GanConfig(
        steps=60, batch_size=16, latent_size=8, widths=(8, 16, 16), learning_rate=5e-3, precision=precision
    )
    return train(images, folder / precision, config, accelerator="cpu")


@pytest.fixture(scope="module")
def run(blobs: LabelledImages, tmp_path_factory: pytest.TempPathFactory) -> GanRun:
    return trained(blobs, tmp_path_factory.mktemp("runs"), "32-true")


@pytest.fixture(scope="module")
def exported(run: GanRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run.snapshot().export_onnx(tmp_path_factory.mktemp("onnx") / "gan.onnx")


def drawn(path: Path, z: np.ndarray, labels: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (images,) = session.run(None, {"latents": z, "labels": labels})
    return images


@pytest.mark.parametrize("count", [1, 7, 300])
def test_onnxruntime_draws_the_same_images(count: int, run: GanRun, exported: Path):
    labels = np.arange(count) % 3
    images = drawn(exported, latents(np.arange(count), 8, seed=4), labels)
    expected = run.snapshot().sample(labels=labels, seed=4).images
    assert (images.dtype, images.shape) == (np.uint8, expected.shape)
    assert np.abs(images.astype(int) - expected).max() <= 1
    assert expected.std() > 5  # not all alike


def test_latents_and_labels_both_matter(exported: Path):
    z = latents(np.arange(4), 8, seed=0)
    images = drawn(exported, z, np.zeros(4, np.int64))
    assert not np.array_equal(images, drawn(exported, z, np.ones(4, np.int64)))
    assert not np.array_equal(images, drawn(exported, latents(np.arange(4), 8, seed=1), np.zeros(4, np.int64)))


def test_a_run_in_bfloat16_is_exported_in_float32(blobs: LabelledImages, tmp_path: Path):
    snapshot = trained(blobs, tmp_path, "bf16-mixed").snapshot()
    path = snapshot.export_onnx(tmp_path / "gan.onnx")
    labels = np.arange(100) % 3
    images = drawn(path, latents(np.arange(100), 8, seed=0), labels)
    difference = np.abs(images.astype(int) - snapshot.sample(labels=labels).images)
    assert 0 < difference.mean() < 2.55
    model = onnx.load(path)
    assert {tensor.data_type for tensor in model.graph.initializer} <= {
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
    }


def test_the_file_says_what_it_is_and_nothing_of_this_machine(run: GanRun, exported: Path):
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert (json.loads(said["class_names"]), said["step"]) == (["left", "middle", "right"], "60")
    shapes = {
        value.name: [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"latents": ["N", 8], "labels": ["N"], "images": ["N", 16, 16, 1]}
    content = exported.read_bytes()
    assert b".py" not in content
    assert str(run.path.parent).encode() not in content


def test_the_command_writes_the_same_file(run: GanRun, exported: Path, tmp_path: Path, capsys):
    assert main(["export", str(run.path), "--out", str(tmp_path / "new" / "gan.onnx")]) == 0
    assert "step 60; inputs latents and labels, output images" in capsys.readouterr().out
    assert (tmp_path / "new" / "gan.onnx").read_bytes() == exported.read_bytes()
    assert list((tmp_path / "new").iterdir()) == [tmp_path / "new" / "gan.onnx"]
    assert main(["export", str(run.path), "--out", str(exported)]) == 2
    assert "expected a new file's name" in capsys.readouterr().err


def test_without_its_libraries_one_line_says_what_to_install(run: GanRun, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(
        InputError, match=r"found no library onnxscript; ONNX needs it: pip install 'mizumashi\[onnx\]'"
    ):
        run.snapshot().export_onnx(tmp_path / "gan.onnx")
    assert list(tmp_path.iterdir()) == []
