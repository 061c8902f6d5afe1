from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn import functional

from mizumashi.classifiers.classical import Classical
from mizumashi.classifiers.cnn import Cnn, CnnConfig, Precision, suited_steps, train_cnn, train_network
from mizumashi.classifiers.score import score
from mizumashi.data.images import LabelledImages
from mizumashi.data.readers import open_images
from mizumashi.data.split import stratified_subset
from mizumashi.errors import InputError

TINY = CnnConfig(steps=30, batch_size=32, widths=(8, 16, 16), precision="32-true")


@pytest.fixture
def tiny(precision: Precision) -> CnnConfig:
    return replace(TINY, precision=precision)


def linear(images: LabelledImages) -> nn.Module:
    layer = nn.Linear(images.images[0].size, len(images.class_names))
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return nn.Sequential(nn.Flatten(), layer)


def test_the_network_learns_a_pattern(blobs: LabelledImages, tiny: CnnConfig):
    train, test = blobs.take(np.arange(150)), blobs.take(np.arange(150, 240))
    steps: list[tuple[int, int]] = []
    model = train_cnn(train, 0, tiny, progress=lambda task, done, total, note: steps.append((done, total)))
    assert score(model, test).accuracy > 0.98
    assert steps == [(done, 30) for done in range(1, 31)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(blobs: LabelledImages, precision: Precision):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    config = CnnConfig(steps=4, widths=(4, 8, 8), precision=precision)
    one, again, other = (train_cnn(blobs, seed, config, augmentation=Classical()).logits(blobs) for seed in (0, 0, 1))
    assert one.tobytes() == again.tobytes()
    assert (one != other).any()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("height", "width", "channels"), [(16, 16, 1), (28, 28, 1), (32, 32, 3), (64, 64, 3), (8, 8, 1), (20, 33, 3)]
)
def test_images_of_all_sizes_have_logits_and_features(height: int, width: int, channels: int, precision: Precision):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (12, height, width, channels))
    images = LabelledImages.from_arrays(pixels, np.arange(12) % 4, ["a", "b", "c", "d", "never seen"])
    model = train_cnn(images, 0, CnnConfig(steps=2, batch_size=8, widths=(4, 8, 16), precision=precision))
    logits, features = model.logits(images), model.features(images)
    assert (logits.shape, features.shape) == ((12, 5), (12, 16))
    assert logits.dtype == features.dtype == np.float32
    weights, bias = (each.detach().numpy() for each in model.network.judge.parameters())
    np.testing.assert_allclose(features @ weights.T + bias, logits, atol=1e-5)
    alone = np.concatenate([model.logits(images.take([index])) for index in range(12)])
    np.testing.assert_allclose(alone, logits, atol=0.02 if precision == "bf16-mixed" else 1e-5)


def test_the_features_are_those_of_the_layers_one_by_one():
    """The network written out from its weights, at 28 pixels: halved once, two residual blocks, a mean."""
    network = Cnn(1, 3, (28, 28), widths=(2, 3, 4)).eval()
    random = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                values.data.uniform_(0.5, 1.5, generator=random)  # type: ignore[union-attr]
    layers = [
        (module, following)
        for module, following in pairwise(network.modules())
        if isinstance(module, nn.Conv2d) and isinstance(following, nn.BatchNorm2d)
    ]

    def layer(number: int, images: Tensor, stride: int = 1) -> Tensor:
        convolution, norm = layers[number]
        found = functional.conv2d(images, convolution.weight, stride=stride, padding=1)
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        return functional.relu(
            (found - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
        )

    images = torch.rand(2, 1, 28, 28, generator=random)
    with torch.no_grad():
        first = layer(1, layer(0, images, stride=2))
        second = layer(3, functional.max_pool2d(first + layer(2, first), 2))
        expected = (second + layer(4, second)).mean(dim=(2, 3))
        torch.testing.assert_close(network.features(images), expected)
        torch.testing.assert_close(network(images), functional.linear(expected, *network.judge.parameters()))


def test_faint_images_are_learned_as_well_as_strong_ones(blobs: LabelledImages, tiny: CnnConfig):
    faint = LabelledImages.from_arrays(200 + blobs.images // 16, blobs.labels, blobs.class_names)
    assert score(train_cnn(faint, 0, tiny), faint).accuracy > 0.98


def test_a_linear_network_ends_where_scikit_learns_logistic_regression_does(
    blobs: LabelledImages, precision: Precision
):
    rows = blobs.images.reshape(len(blobs), -1) / 255.0
    fitted = LogisticRegression(C=1e6, max_iter=2000).fit(rows, blobs.labels)
    model = train_network(linear(blobs), blobs, 0, CnnConfig(steps=300, precision=precision))
    assert (model.logits(blobs).argmax(axis=1) == fitted.predict(rows)).mean() > 0.99


def test_smoothed_labels_end_at_their_entropy():
    """One image a class: the lowest smoothed loss is reached where the model's probabilities are the labels."""
    images = LabelledImages.from_arrays(np.eye(4, dtype=np.uint8).reshape(4, 2, 2) * 255, np.arange(4))
    config = CnnConfig(steps=1500, batch_size=4, weight_decay=0, label_smoothing=0.2, precision="32-true")
    logits = train_network(linear(images), images, 0, config).logits(images).astype(float)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, 0.05 + 0.8 * np.eye(4), atol=0.01)


def test_classes_that_mirror_each_other_are_told_apart_unless_images_are_flipped(
    blobs: LabelledImages, precision: Precision
):
    config = CnnConfig(steps=60, learning_rate=5e-3, precision=precision)
    upright, flipped = (
        train_network(linear(blobs), blobs, 0, config, augmentation=Classical(flip=flip)).logits(blobs).argmax(axis=1)
        for flip in (False, True)
    )
    middle = blobs.labels == 1
    assert (upright == blobs.labels).mean() > 0.98
    assert (flipped == blobs.labels)[middle].mean() > 0.98
    assert (flipped == blobs.labels)[~middle].mean() < 0.7


def test_a_network_is_shown_every_image_once_an_epoch_as_pytorch_lays_images_out(precision: Precision):
    pixels = np.random.default_rng(0).integers(0, 256, (35, 8, 9, 3))
    images = LabelledImages.from_arrays(pixels, np.arange(35) % 2)
    shown: list[torch.Tensor] = []
    network = linear(images)
    network.register_forward_pre_hook(lambda module, inputs: shown.append(inputs[0]))
    model = train_network(network, images, 0, CnnConfig(steps=7, batch_size=5, precision=precision))
    model.logits(images)
    expected = np.stack([images[index][0].numpy() for index in range(35)])
    *batches, read = shown
    np.testing.assert_array_equal(read.numpy(), expected)
    seen = {image.numpy().tobytes() for batch in batches for image in batch}
    assert seen == {image.tobytes() for image in expected}


def test_sets_that_run_backwards_in_memory_are_read(blobs: LabelledImages):
    mirrored = LabelledImages.from_arrays(blobs.images[:, :, ::-1], 2 - blobs.labels)
    network = train_network(linear(mirrored), mirrored, 0, CnnConfig(steps=60, precision="32-true"))
    assert score(network, mirrored).accuracy > 0.98


def test_mini_batches_run_through_one_permutation_after_another():
    from mizumashi.classifiers.cnn import _Order

    order = _Order(count=7, batch_size=5, seed=0)
    shown = np.concatenate([order[step].numpy() for step in range(7)])
    for epoch in range(5):
        assert sorted(shown[7 * epoch : 7 * epoch + 7]) == list(range(7))
    assert (_Order(7, 5, 0)[3].numpy() == shown[15:20]).all()
    assert sorted(_Order(3, 7, 0)[0].numpy()) in ([0, 0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 2, 2], [0, 0, 1, 1, 2, 2, 2])


def test_small_sets_are_trained_on(blobs: LabelledImages):
    config = replace(TINY, steps=40)
    few = blobs.take(np.arange(21))
    assert score(train_cnn(few, 0, config), blobs).accuracy > 0.9
    only = train_cnn(blobs.take([4]), 0, config)
    assert np.isfinite(only.logits(blobs)).all()
    assert only.logits(blobs.take([4])).argmax() == blobs.labels[4]


def test_both_precisions_read_alike(blobs: LabelledImages):
    exact, rounded = (
        train_cnn(blobs, 0, CnnConfig(steps=30, batch_size=32, widths=(8, 16, 16), precision=precision))
        for precision in ("32-true", "bf16-mixed")
    )
    assert (exact.logits(blobs) != rounded.logits(blobs)).any()
    assert (exact.logits(blobs).argmax(axis=1) == rounded.logits(blobs).argmax(axis=1)).mean() > 0.98
    logits = rounded.logits(blobs)
    assert (logits != torch.tensor(logits).bfloat16().float().numpy()).any()  # bfloat16 would make classes draw


def test_auto_is_bfloat16_where_that_is_fast(blobs: LabelledImages, bfloat16_is_fast: bool):
    taken: Precision = "bf16-mixed" if bfloat16_is_fast else "32-true"
    auto, named = (train_cnn(blobs, 0, replace(TINY, steps=2, precision=each)) for each in ("auto", taken))
    assert auto.half is named.half is bfloat16_is_fast
    assert auto.logits(blobs).tobytes() == named.logits(blobs).tobytes()


def test_a_loss_that_is_not_finite_stops_the_training(blobs: LabelledImages, tiny: CnnConfig):
    network = linear(blobs)
    network[1].weight.data[0, 0] = float("inf")
    with pytest.raises(FloatingPointError, match=r"blobs: the network's loss is nan at step 1; .* lower learning rate"):
        train_network(network, blobs, 0, tiny)


def test_steps_grow_with_the_set_and_show_the_largest_twice():
    assert suited_steps(60_000) * 32 >= 2 * 60_000
    assert suited_steps(10**6) * 32 == pytest.approx(2 * 10**6, rel=1e-3)
    assert suited_steps(20) < suited_steps(100) < suited_steps(1000) < suited_steps(60_000)


def test_sets_and_settings_that_do_not_work_are_one_clear_line(blobs: LabelledImages):
    with pytest.raises(InputError, match="blobs: found no training images"):
        train_cnn(blobs.take([]), 0)
    small = LabelledImages.from_arrays(np.zeros((4, 7, 9), np.uint8), [0, 1, 0, 1])
    with pytest.raises(InputError, match="found images of 7x9 pixels; expected 8 or more a side"):
        train_cnn(small, 0)
    for change in ({"steps": 0}, {"batch_size": 1}, {"learning_rate": float("nan")}, {"widths": (0, 8, 8)}):
        (what,) = change
        with pytest.raises(InputError, match=f"found {what} .*; expected"):
            CnnConfig(**change)


def test_parameters_stay_few():
    assert sum(parameter.numel() for parameter in Cnn(3, 10, (64, 64)).parameters()) < 300_000


@pytest.mark.slow
@pytest.mark.realdata
def test_a_hundred_digits_are_read_better_than_by_softmax_regression(data_folder: Path, precision: Precision):
    mnist = open_images("mnist", data_dir=data_folder)
    few, test = stratified_subset(mnist.train, per_class=10, seed=0), mnist.test.take(np.arange(0, 10_000, 10))
    model = train_cnn(few, 0, CnnConfig(steps=100, precision=precision), augmentation=Classical())
    assert score(model, test).accuracy > 0.9


@pytest.mark.slow
@pytest.mark.realdata
def test_mnist(data_folder: Path, precision: Precision):
    mnist = open_images("mnist", data_dir=data_folder)
    assert score(train_cnn(mnist.train, 0, CnnConfig(precision=precision)), mnist.test).accuracy >= 0.993
