import pytest
import torch
from torch import nn

from mizumashi.gan.config import SIZES
from mizumashi.gan.networks import Discriminator, Generator, Shape, folded, initialise


def shape(size: int = 28, channels: int = 1, classes: int = 10) -> Shape:
    return Shape(size, channels, classes, latent_size=20, widths=(8, 16, 32))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "classes"), [(1, 10), (3, 2)])
def test_every_size_channel_and_class_count_fits_both_networks(size: int, channels: int, classes: int):
    wanted = shape(size, channels, classes)
    labels = torch.tensor([0, classes - 1, 1])
    images = Generator(wanted)(torch.randn(3, 20), labels)
    assert images.shape == (3, channels, size, size)
    assert images.abs().max() <= 1
    assert Discriminator(wanted)(images, labels).shape == (3,)


@pytest.mark.parametrize("network", [Generator(shape()), Discriminator(shape())])
def test_there_are_four_convolution_layers(network: nn.Module):
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)]
    assert len(layers) == 4


def test_the_first_layer_is_a_transposed_convolution_from_one_pixel():
    generator = Generator(shape())
    inputs = torch.randn(2, 30)
    weight = generator.project.weight.reshape(32, 7, 7, 30).permute(3, 0, 1, 2)
    by_convolution = nn.functional.conv_transpose2d(inputs[:, :, None, None], weight)
    torch.testing.assert_close(generator.project(inputs).unflatten(1, (32, 7, 7)), by_convolution)


@pytest.mark.parametrize("size", SIZES)
def test_the_discriminator_sees_every_pixel(size: int):
    discriminator = Discriminator(shape(size)).eval()
    image = torch.zeros(1, 1, size, size, requires_grad=True)
    (gradient,) = torch.autograd.grad(discriminator(image, torch.tensor([0])).sum(), image)
    assert (gradient != 0).float().mean() > 0.99


def test_the_label_goes_into_both_networks():
    torch_generator = torch.Generator().manual_seed(0)
    generator, discriminator = Generator(shape()).eval(), Discriminator(shape()).eval()
    initialise(generator, torch_generator)
    initialise(discriminator, torch_generator)
    images = generator(torch.zeros(2, 20), torch.tensor([3, 7]))
    assert not torch.equal(images[0], images[1])
    logits = discriminator(torch.zeros(2, 1, 28, 28), torch.tensor([3, 7]))
    assert logits[0] != logits[1]


def test_weights_start_from_the_normal_distribution_of_the_dcgan():
    generator = Generator(shape())
    initialise(generator, torch.Generator().manual_seed(0))
    assert generator.project.weight.mean().abs() < 1e-3
    assert generator.project.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert (generator.norm1.weight.mean() - 1).abs() < 0.02
    assert (generator.paint.bias == 0).all()


def test_folding_the_normalisation_changes_nothing_but_rounding():
    generator = Generator(shape())
    initialise(generator, torch.Generator().manual_seed(0))
    for _ in range(3):  # give the running statistics something to say
        generator(torch.randn(32, 20) * 2 + 1, torch.arange(32) % 10)
    generator.eval()
    latents, labels = torch.randn(16, 20), torch.arange(16) % 10
    quick = folded(generator)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    torch.testing.assert_close(quick(latents, labels), generator(latents, labels), rtol=0, atol=1e-5)
