"""The label-conditional DCGAN: four convolution layers in the generator and four in the discriminator.

The label goes into both (the paper, section 2): one-hot beside the latent, and as one plane per class beside
the image. Batch normalisation follows every layer except the generator's last and the discriminator's first and
last; the discriminator's non-linearity is LeakyReLU 0.2; weights start from N(0, 0.02) (Radford et al. 2015,
section 3).

Shapes: N images, K classes, C channels, S pixels a side, Z the latent's length.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

# For each image size: the side after the generator's first layer, and the factors of the other three.
_GROWTH: dict[int, tuple[int, tuple[int, int, int]]] = {
    16: (4, (2, 2, 1)),
    28: (7, (2, 2, 1)),
    32: (4, (2, 2, 2)),
    64: (8, (2, 2, 2)),
}


class Shape(NamedTuple):
    """What the two networks must agree on."""

    size: int
    channels: int
    classes: int
    latent_size: int
    widths: tuple[int, int, int]


class Generator(nn.Module):
    """Latents and labels to images.

    The first layer is a transposed convolution from 1x1 to the first side, written as the `Linear` it is.

    Example:
        >>> generator = Generator(Shape(28, 1, 10, 100, (64, 128, 256)))
        >>> generator(torch.zeros(2, 100), torch.tensor([3, 7])).shape
        torch.Size([2, 1, 28, 28])
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        side, factors = _GROWTH[shape.size]
        narrow, middle, wide = shape.widths
        self.project = nn.Linear(shape.latent_size + shape.classes, wide * side * side, bias=False)
        self.project_norm = nn.BatchNorm2d(wide)
        self.grow1 = _up(wide, middle, factors[0], bias=False)
        self.norm1 = nn.BatchNorm2d(middle)
        self.grow2 = _up(middle, narrow, factors[1], bias=False)
        self.norm2 = nn.BatchNorm2d(narrow)
        self.paint = _up(narrow, shape.channels, factors[2], bias=True)
        self.side = side

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Draw images.

        Args:
            latents: N x Z, standard normal.
            labels: N, integers.

        Returns:
            N x C x S x S in [-1, 1].
        """
        labels_NK = one_hot(labels, self.shape.classes).to(latents.dtype)
        hidden = self.project(torch.cat([latents, labels_NK], dim=1))
        hidden = hidden.unflatten(1, (-1, self.side, self.side))
        # As the next layer's gradient will lie: PyTorch's backward passes crawl where the layouts differ.
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        hidden = self.project_norm(hidden).relu()
        hidden = self.norm1(self.grow1(hidden)).relu()
        hidden = self.norm2(self.grow2(hidden)).relu()
        painted: Tensor = self.paint(hidden).tanh()
        return painted


class Discriminator(nn.Module):
    """Images and labels to logits: above 0 for real.

    Example:
        >>> discriminator = Discriminator(Shape(28, 1, 10, 100, (64, 128, 256)))
        >>> discriminator(torch.zeros(2, 1, 28, 28), torch.tensor([3, 7])).shape
        torch.Size([2])
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        narrow, middle, wide = shape.widths
        sides = [shape.size]
        for _ in range(3):
            sides.append((sides[-1] + 1) // 2)
        self.look = _down(shape.channels + shape.classes, narrow, sides[0], bias=True)
        self.shrink1 = _down(narrow, middle, sides[1], bias=False)
        self.norm1 = nn.BatchNorm2d(middle)
        self.shrink2 = _down(middle, wide, sides[2], bias=False)
        self.norm2 = nn.BatchNorm2d(wide)
        self.judge = nn.Conv2d(wide, 1, sides[3])

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Judge images.

        Args:
            images: N x C x S x S in [-1, 1].
            labels: N, integers.

        Returns:
            N logits.
        """
        labels_NK = one_hot(labels, self.shape.classes).to(images.dtype)
        planes = labels_NK[:, :, None, None].expand(-1, -1, *images.shape[2:])
        hidden = _leak(self.look(torch.cat([images, planes], dim=1)))
        hidden = _leak(self.norm1(self.shrink1(hidden)))
        hidden = _leak(self.norm2(self.shrink2(hidden)))
        logits: Tensor = self.judge(hidden)
        return logits.flatten()


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw every weight from N(0, 0.02) and every normalisation scale from N(1, 0.02); biases become 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
            mean = 1.0 if isinstance(module, nn.BatchNorm2d) else 0.0
            nn.init.normal_(module.weight, mean, 0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()


def folded(generator: Generator) -> Generator:
    """A copy of the generator for drawing: its running statistics folded into the weights.

    The images are the same up to rounding, several times faster.
    """
    result = copy.deepcopy(generator).eval()
    norm = copy.deepcopy(result.project_norm)
    norm.num_features = result.project.out_features
    for values in ("weight", "bias", "running_mean", "running_var"):
        setattr(norm, values, _each_pixel(getattr(norm, values), result.side))
    result.project = fuse_linear_bn_eval(result.project, norm)
    result.grow1 = fuse_conv_bn_eval(result.grow1, result.norm1, transpose=True)
    result.grow2 = fuse_conv_bn_eval(result.grow2, result.norm2, transpose=True)
    for norm_name in ("project_norm", "norm1", "norm2"):
        setattr(result, norm_name, nn.Identity())
    return result


def _each_pixel(values: Tensor, side: int) -> Tensor:
    repeated = values.detach().repeat_interleave(side * side)
    return nn.Parameter(repeated) if isinstance(values, nn.Parameter) else repeated


def _up(inputs: int, outputs: int, factor: int, *, bias: bool) -> nn.ConvTranspose2d:
    kernel = 4 if factor == 2 else 3
    return nn.ConvTranspose2d(inputs, outputs, kernel, factor, padding=1, bias=bias)


def _down(inputs: int, outputs: int, side: int, *, bias: bool) -> nn.Conv2d:
    # An odd side needs a kernel of 3: with 4 the last row and column would be left out.
    return nn.Conv2d(inputs, outputs, 4 - side % 2, stride=2, padding=1, bias=bias)


def _leak(hidden: Tensor) -> Tensor:
    return nn.functional.leaky_relu(hidden, 0.2)
