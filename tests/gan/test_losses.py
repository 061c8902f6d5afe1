import numpy as np
import torch
from scipy.special import expit

from mizumashi.gan.losses import discriminator_loss, generator_loss

REAL = np.array([2.0, -0.5, 0.3])
GENERATED = np.array([-1.0, 0.7, 4.0])


def test_discriminator_loss_is_the_papers_equation_3_with_its_sign_turned():
    equation_3 = np.mean(np.log(expit(REAL)) + np.log(1 - expit(GENERATED)))
    loss = discriminator_loss(torch.tensor(REAL), torch.tensor(GENERATED))
    np.testing.assert_allclose(loss.item(), -equation_3, rtol=1e-12)


def test_minimax_is_the_papers_equation_2():
    equation_2 = np.mean(np.log(1 - expit(GENERATED)))
    np.testing.assert_allclose(generator_loss(torch.tensor(GENERATED), "minimax").item(), equation_2, rtol=1e-12)


def test_non_saturating_loss_is_minus_log_d():
    expected = -np.mean(np.log(expit(GENERATED)))
    loss = generator_loss(torch.tensor(GENERATED), "non-saturating")
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-12)


def test_losses_stay_finite_where_the_logarithm_alone_would_not():
    far = torch.tensor([-1e4, 1e4])
    for loss in (
        discriminator_loss(far, far),
        generator_loss(far, "minimax"),
        generator_loss(far, "non-saturating"),
    ):
        assert torch.isfinite(loss)
