"""The objectives: logits in, losses out.

`log D(x)` of the paper is `logsigmoid(logits)`, and `log(1 - D(x))` is `logsigmoid(-logits)`.
"""

from torch import Tensor
from torch.nn.functional import logsigmoid

from mizumashi.gan.config import Objective


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """What the discriminator minimises: the negative of the paper's eq. 3, for both objectives.

    Args:
        real: logits of real images, any shape.
        generated: logits of generated images, any shape.

    Returns:
        A scalar, at least 0; 2 log 2 = 1.386 where the discriminator cannot tell.

    Example:
        >>> import torch
        >>> round(discriminator_loss(torch.zeros(4), torch.zeros(4)).item(), 3)
        1.386
    """
    return -(logsigmoid(real).mean() + logsigmoid(-generated).mean())


def generator_loss(generated: Tensor, objective: Objective) -> Tensor:
    """What the generator minimises.

    Args:
        generated: logits of generated images, any shape.
        objective: "minimax" is the paper's eq. 2, mean log(1 - D(G(z))), never above 0;
            "non-saturating" is mean -log D(G(z)), never below 0 (Goodfellow et al. 2014, section 3).

    Returns:
        A scalar; at D = 1/2 it is log 2 = 0.693 (non-saturating) or -log 2 (minimax).

    Example:
        >>> import torch
        >>> round(generator_loss(torch.zeros(4), "non-saturating").item(), 3)
        0.693
        >>> round(generator_loss(torch.zeros(4), "minimax").item(), 3)
        -0.693
    """
    if objective == "minimax":
        return logsigmoid(-generated).mean()
    return -logsigmoid(generated).mean()
