import json
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.errors import InputError
from mizumashi.gan import training
from mizumashi.gan.config import GanConfig, Objective, Precision
from mizumashi.gan.losses import generator_loss
from mizumashi.gan.run import GanRun
from mizumashi.gan.training import MiniBatches, _Training, train

TINY = GanConfig(steps=6, snapshots=(2, 6), batch_size=16, latent_size=8, widths=(4, 8, 8), precision="32-true")


@pytest.fixture
def tiny(precision: Precision) -> GanConfig:
    return replace(TINY, precision=precision)


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_keeps_its_snapshots_and_every_loss(blobs: LabelledImages, tiny: GanConfig, tmp_path: Path):
    run = train(blobs, tmp_path / "run", tiny)
    assert run.snapshots == [2, 6]
    losses = run.losses()
    assert losses["generator"].shape == losses["discriminator"].shape == (6,)
    assert np.isfinite(losses["generator"]).all()
    assert sorted(tree(tmp_path / "run")) == [
        "config.json",
        "finished.json",
        "log.jsonl",
        "pictures/step-000002.png",
        "pictures/step-000006.png",
        "snapshots/step-000002.safetensors",
        "snapshots/step-000006.safetensors",
    ]


def test_a_picture_shows_what_each_snapshot_draws_for_the_same_latents(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path
):
    run = train(blobs, tmp_path / "run", tiny)
    for step in run.snapshots:
        shown = np.asarray(Image.open(run.path / "pictures" / f"step-{step:06d}.png"))
        drawn = run.snapshot(step).sample(per_class=10, seed=0)
        rows = [np.hstack(list(drawn.images[drawn.labels == label, ..., 0])) for label in range(3)]
        assert (shown == np.vstack(rows)).all()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path
):
    train(blobs, tmp_path / "a", tiny)
    train(blobs, tmp_path / "b", tiny)
    train(blobs, tmp_path / "c", replace(tiny, seed=1))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    snapshot = "snapshots/step-000006.safetensors"
    assert tree(tmp_path / "a")[snapshot] != tree(tmp_path / "c")[snapshot]


@pytest.mark.parametrize("stop_after", [1, 2, 5])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, stop_after: int
):
    def stop(task: str, done: int, total: int, note: str) -> None:
        if done == stop_after:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="stopped after step"):
        train(blobs, tmp_path / "stopped", tiny, progress=stop)
    assert not GanRun(tmp_path / "stopped").finished
    steps: list[int] = []
    train(blobs, tmp_path / "stopped", tiny, progress=lambda task, done, total, note: steps.append(done))
    assert steps[0] == stop_after + 1
    train(blobs, tmp_path / "whole", tiny)
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


@pytest.mark.parametrize(("every", "first"), [(1, 6), (2, 5), (4, 5), (100, 3)])
def test_a_killed_run_goes_on_from_its_last_checkpoint(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, first: int
):
    class Dying(_Training):
        def _step(self, step: int) -> torch.Tensor:
            if step == 5:
                raise RuntimeError("power cut")
            return super()._step(step)

    steps: list[int] = []
    monkeypatch.setattr(training, "_Training", Dying)
    with pytest.raises(RuntimeError, match="power cut"):
        train(blobs, tmp_path / "killed", tiny, checkpoint_every=every)
    monkeypatch.undo()
    train(
        blobs,
        tmp_path / "killed",
        tiny,
        checkpoint_every=3,
        progress=lambda task, done, total, note: steps.append(done),
    )
    train(blobs, tmp_path / "whole", tiny)
    assert steps[0] == first
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


@pytest.mark.parametrize("stop_after", [1, 2, 5, 6])  # 2 and 6 are snapshots, 6 is the last
def test_a_run_that_its_progress_function_stops_goes_on_after_that_step(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, stop_after: int
):
    def stop(task: str, done: int, total: int, note: str) -> None:
        if done == stop_after:
            raise InterruptedError("no longer wanted")

    with pytest.raises(InterruptedError, match="no longer wanted"):
        train(blobs, tmp_path / "stopped", tiny, progress=stop)
    assert not GanRun(tmp_path / "stopped").finished
    steps: list[int] = []
    train(blobs, tmp_path / "stopped", tiny, progress=lambda task, done, total, note: steps.append(done))
    assert steps == list(range(stop_after + 1, 7))
    train(blobs, tmp_path / "whole", tiny)
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


def test_what_resume_says_is_held_to(blobs: LabelledImages, tmp_path: Path):
    with pytest.raises(InputError, match=r"found no GAN run in .* to resume"):
        train(blobs, tmp_path / "run", TINY, resume=True)
    assert not (tmp_path / "run").exists()
    train(blobs, tmp_path / "run", TINY, resume=False)
    before = tree(tmp_path / "run")
    with pytest.raises(InputError, match=r"found a GAN run in .*; expected a new or empty folder"):
        train(blobs, tmp_path / "run", TINY, resume=False)
    assert train(blobs, tmp_path / "run", TINY, resume=True).finished
    assert tree(tmp_path / "run") == before


def test_a_run_goes_on_in_another_folder(blobs: LabelledImages, tiny: GanConfig, tmp_path: Path):
    def stop(task: str, done: int, total: int, note: str) -> None:
        if done == 4:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(blobs, tmp_path / "first", tiny, progress=stop)
    before = tree(tmp_path / "first")
    with pytest.raises(InputError, match=r"config\.seed is 0 there and 1 here"):
        train(blobs, tmp_path / "second", replace(tiny, seed=1), resume=tmp_path / "first")
    with pytest.raises(InputError, match="found no GAN run in"):
        train(blobs, tmp_path / "second", tiny, resume=str(tmp_path / "nowhere"))
    assert not (tmp_path / "second").exists()
    steps: list[int] = []
    train(
        blobs,
        tmp_path / "second",
        tiny,
        resume=tmp_path / "first",
        progress=lambda task, done, total, note: steps.append(done),
    )
    assert steps == [5, 6]
    assert tree(tmp_path / "first") == before
    train(blobs, tmp_path / "whole", tiny)
    assert tree(tmp_path / "second") == tree(tmp_path / "whole")


def test_another_configuration_or_other_images_are_refused_by_name(blobs: LabelledImages, tmp_path: Path):
    train(blobs, tmp_path / "run", TINY)
    before = tree(tmp_path / "run")
    with pytest.raises(InputError, match=r"config\.seed is 0 there and 1 here"):
        train(blobs, tmp_path / "run", replace(TINY, seed=1))
    with pytest.raises(InputError, match=r"images\.count is 240 there and 239 here"):
        train(blobs.take(np.arange(239)), tmp_path / "run", TINY)
    assert tree(tmp_path / "run") == before


def test_a_folder_that_holds_something_else_is_left_alone(blobs: LabelledImages, tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="not empty"):
        train(blobs, tmp_path, TINY)
    assert tree(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_loss_that_is_not_finite_stops_before_the_step_and_keeps_the_checkpoint(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[int] = []

    def failing(logits: torch.Tensor, objective: Objective) -> torch.Tensor:
        calls.append(1)
        return generator_loss(logits, objective) * (float("nan") if len(calls) == 5 else 1.0)

    monkeypatch.setattr("mizumashi.gan.training.generator_loss", failing)
    exacter = "" if tiny.precision == "32-true" else " or with --precision 32-true"
    advice = rf"; train with a lower --learning-rate{exacter}, in a new --out$"
    with pytest.raises(FloatingPointError, match=rf"generator's loss is nan at step 5; .*{advice}"):
        train(blobs, tmp_path / "run", tiny)
    assert GanRun(tmp_path / "run").snapshots == [2]
    train(blobs, tmp_path / "run", tiny)  # the fault has gone: on from step 2
    monkeypatch.undo()
    train(blobs, tmp_path / "whole", tiny)
    assert tree(tmp_path / "run") == tree(tmp_path / "whole")


def test_a_gradient_that_is_not_finite_stops_as_well(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls: list[int] = []

    def failing(logits: torch.Tensor, objective: Objective) -> torch.Tensor:
        calls.append(1)
        nothing = (logits * 0).sum().square().sqrt() if len(calls) == 5 else 0  # its derivative is 0 / 0
        return generator_loss(logits, objective) + nothing

    monkeypatch.setattr("mizumashi.gan.training.generator_loss", failing)
    with pytest.raises(FloatingPointError, match=r"the generator's gradient's norm is nan at step 5; "):
        train(blobs, tmp_path / "run", tiny)
    monkeypatch.undo()
    train(blobs, tmp_path / "run", tiny)
    train(blobs, tmp_path / "whole", tiny)
    assert tree(tmp_path / "run") == tree(tmp_path / "whole")


class _ReadLater(training._Training):
    """Training as on a GPU: losses are left on the device for some steps."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.on_cpu = False


def test_losses_that_are_read_later_are_the_same(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    train(blobs, tmp_path / "whole", tiny)
    monkeypatch.setattr(training, "_Training", _ReadLater)
    reads = []
    monkeypatch.setattr(training, "_GPU_READS_EVERY", 3)
    monkeypatch.setattr(
        _ReadLater, "_read", lambda self: (reads.append(len(self.unread)), super(_ReadLater, self)._read())
    )
    train(blobs, tmp_path / "later", tiny)
    assert max(reads) == 3
    assert tree(tmp_path / "later") == tree(tmp_path / "whole")


def test_a_loss_that_is_read_late_leaves_nothing_of_its_step(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def failing(logits: torch.Tensor, objective: Objective) -> torch.Tensor:
        return generator_loss(logits, objective) * (float("inf") if len(steps) == 3 else 1.0)

    steps: list[int] = []
    monkeypatch.setattr(training, "_Training", _ReadLater)
    monkeypatch.setattr("mizumashi.gan.training.generator_loss", failing)
    with pytest.raises(FloatingPointError, match="generator's loss is inf at step 4"):
        train(blobs, tmp_path / "run", tiny, progress=lambda task, done, total, note: steps.append(done))
    assert steps == [1, 2, 3, 4, 5]  # noticed before step 6 would have written a snapshot
    assert GanRun(tmp_path / "run").snapshots == [2]
    assert len(GanRun(tmp_path / "run").losses()["generator"]) == 2


def test_a_generator_that_draws_the_same_image_is_said_to_have_collapsed(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    still = replace(tiny, learning_rate=1e-12)  # small weights draw grey images
    run = train(blobs, tmp_path / "run", still)
    assert set(run.variation()) == {2, 6}
    assert max(run.variation()[6]) < 0.1
    assert f"collapsed by step 6: in {len(blobs.class_names)} of" in caplog.text


def test_the_test_part_is_never_trained_on(blobs: LabelledImages, tiny: GanConfig, tmp_path: Path):
    train_part, test_part = blobs.take(np.arange(200)), blobs.take(np.arange(200, 240))
    both = LabelledImages.from_parts(train_part, test_part, "both")
    train(both, tmp_path / "both", tiny)
    train(train_part.renamed("both train"), tmp_path / "train", tiny)
    assert tree(tmp_path / "both") == tree(tmp_path / "train")


def test_an_epoch_shows_every_image_at_most_once_and_epochs_differ():
    order = MiniBatches(count=50, batch_size=16, seed=0)
    epochs = [np.concatenate([order[3 * epoch + batch].numpy() for batch in range(3)]) for epoch in range(2)]
    for shown in epochs:
        assert len(set(shown)) == 48
    assert (epochs[0] != epochs[1]).any()
    assert (MiniBatches(50, 16, seed=0)[4].numpy() == epochs[1][16:32]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"snapshots": (2, 7)}, "snapshot at step 7; expected none beyond the last step, 6"),
        ({"snapshots": (4, 2)}, "expected ascending steps"),
        ({"steps": 0, "snapshots": (1,)}, "found steps 0; expected 1 to"),
        ({"batch_size": 1}, "found batch_size 1"),
        ({"batch_size": 300}, "found 240 training images; expected at least one mini-batch of 300"),
        ({"beta1": 1.0}, "found beta1 1.0"),
        ({"widths": (0, 8, 8)}, "found widths"),
        ({"seed": -1}, "found seed -1"),
        ({"learning_rate": float("nan")}, r"found learning_rate nan; expected .* \(--learning-rate\)"),
        ({"precision": "16-mixed"}, "16-mixed on a CPU"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(
    blobs: LabelledImages, tmp_path: Path, change: dict[str, object], message: str
):
    with pytest.raises(InputError, match=message) as caught:
        train(blobs, tmp_path / "run", replace(TINY, **change))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("size", "near"), [((20, 20), "16 and 28"), ((40, 40), "28 and 32"), ((28, 32), "28 and 32")])
def test_other_sizes_are_refused_with_the_nearest(tmp_path: Path, size: tuple[int, int], near: str):
    images = LabelledImages.from_arrays(np.zeros((20, *size), np.uint8), np.arange(20) % 2)
    with pytest.raises(InputError, match=f"the nearest are {near}"):
        train(images, tmp_path / "run", TINY)


def test_one_class_or_an_empty_class_is_refused(tmp_path: Path):
    pixels = np.zeros((20, 16, 16), np.uint8)
    with pytest.raises(InputError, match="found one class"):
        train(LabelledImages.from_arrays(pixels, np.zeros(20, int)), tmp_path / "run", TINY)
    empty = LabelledImages.from_arrays(pixels, np.zeros(20, int), ["cat", "dog"])
    with pytest.raises(InputError, match="no training image of class 'dog'"):
        train(empty, tmp_path / "run", TINY)


def test_auto_takes_bfloat16_where_it_is_fast_and_the_run_says_so(
    blobs: LabelledImages, tmp_path: Path, bfloat16_is_fast: bool
):
    taken: Precision = "bf16-mixed" if bfloat16_is_fast else "32-true"
    auto = train(blobs, tmp_path / "auto", replace(TINY, precision="auto"), accelerator="cpu")
    assert auto.record.config.precision == auto.snapshot().precision == taken
    train(blobs, tmp_path / "named", replace(TINY, precision=taken), accelerator="cpu")
    assert tree(tmp_path / "auto") == tree(tmp_path / "named")


def test_a_decaying_rate_moves_the_weights_less_and_resumes_at_its_place(
    blobs: LabelledImages, tiny: GanConfig, tmp_path: Path
):
    def stop(task: str, done: int, total: int, note: str) -> None:
        if done == 4:
            signal.raise_signal(signal.SIGINT)

    decay = replace(tiny, schedule="decay", snapshots=(3, 6))
    train(blobs, tmp_path / "constant", replace(tiny, snapshots=(3, 6)))
    train(blobs, tmp_path / "decay", decay)
    with pytest.raises(KeyboardInterrupt):
        train(blobs, tmp_path / "stopped", decay, progress=stop)
    train(blobs, tmp_path / "stopped", decay)
    assert tree(tmp_path / "stopped") == tree(tmp_path / "decay")
    weights = {
        (name, step): load_file(tmp_path / name / "snapshots" / f"step-{step:06d}.safetensors")["paint.weight"]
        for name in ("constant", "decay")
        for step in (3, 6)
    }
    assert torch.equal(weights["constant", 3], weights["decay", 3])  # the first half is the same
    # Adam's early steps are as long as the rate: 1, 1, 1 against 1, 2/3, 1/3 of it.
    constant, decayed = ((weights[name, 6] - weights[name, 3]).norm() for name in ("constant", "decay"))
    assert 0.5 < float(decayed / constant) < 0.8


def test_minimax_trains_with_losses_that_are_never_positive(blobs: LabelledImages, tiny: GanConfig, tmp_path: Path):
    run = train(blobs, tmp_path / "run", replace(tiny, objective="minimax"))
    assert (run.losses()["generator"] <= 0).all()
    assert (run.losses()["discriminator"] >= 0).all()


def test_twenty_steps_of_the_papers_gan_reproduce_the_recorded_loss_curve(tmp_path: Path):
    golden = json.loads((Path(__file__).parent / "golden_losses.json").read_text())
    run = train(open_images("digits"), tmp_path / "run", GanConfig(steps=20, precision="32-true"), accelerator="cpu")
    for network, losses in run.losses().items():
        # Rounding differs between machines and thread counts, and a GAN amplifies it from step to step.
        np.testing.assert_allclose(losses[:6], golden[network][:6], rtol=2e-3, err_msg=network)
        np.testing.assert_allclose(losses, golden[network], rtol=5e-2, err_msg=network)
