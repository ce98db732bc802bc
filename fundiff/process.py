r"""The algebra of diffusion: add noise, estimate what is under it, take one step back.

Every function is a formula. ``t`` is the timestep that the images are at, ``s`` the one to go
to, each a batch of integers with -1 for clean; :math:`\bar\alpha` comes from the schedule.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images, Prediction, Times


def add_noise(schedule: NoiseSchedule, x0: Images, t: Times, eps: Images) -> Images:
    r"""Noise clean images to timestep ``t`` in one go, the forward process.

    .. math:: x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon

    Args:
        schedule: The noise levels.
        x0: Clean images.
        t: The timestep of each.
        eps: Standard Gaussian noise of the same shape.

    Returns:
        The noisy images; at ``t = -1`` the clean ones. This is :eq:`eq-forward` in the book.

    Raises:
        FundiffError: A timestep isn't in the schedule.

    Source:
        Ho et al. 2020, *Denoising diffusion probabilistic models*, eq. 4.
    """
    alpha_bar = schedule.at(t)
    return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * eps


def add_more_noise(
    schedule: NoiseSchedule, x_t: Images, t: Times, s: Times, noise: Images
) -> Images:
    r"""Noise images that are at timestep ``t`` further, to a later ``s``.

    .. math::

        x_{t'} = \sqrt{\bar\alpha_{t'} / \bar\alpha_t}\; x_t
            + \sqrt{1 - \bar\alpha_{t'} / \bar\alpha_t}\; z, \qquad t' \ge t

    Args:
        schedule: The noise levels.
        x_t: Images at timestep ``t``.
        t: The timestep of each, -1 for clean.
        s: The timestep :math:`t'` to go to, nowhere below ``t``.
        noise: :math:`z`, standard Gaussian noise of the same shape.

    Returns:
        The images at timestep ``s``. This is :eq:`eq-more-noise` in the book.

    Raises:
        FundiffError: ``s`` is below ``t`` somewhere, or a timestep isn't in the schedule.

    Source:
        Lugmayr et al. 2022, *RePaint*, eq. 1, over several timesteps at once.
    """
    if (s < t).any():
        raise FundiffError(f"noise can only be added towards a later timestep, got {t} to {s}")
    kept = schedule.at(s) / schedule.at(t)
    return kept.sqrt() * x_t + (1 - kept).sqrt() * noise


def predict_x0(schedule: NoiseSchedule, x_t: Images, t: Times, eps: Images) -> Images:
    r"""Estimate the clean images from the noisy ones and their noise.

    .. math:: \hat x_0 = \frac{x_t - \sqrt{1 - \bar\alpha_t}\, \epsilon}{\sqrt{\bar\alpha_t}}

    The inverse of :func:`add_noise`. An error in ``eps`` comes out
    :math:`\sqrt{1 / \bar\alpha_t - 1}` times as large.

    Args:
        schedule: The noise levels.
        x_t: Noisy images.
        t: The timestep of each.
        eps: The noise in them, as estimated.

    Returns:
        The clean estimate, not clipped to any range. This is :eq:`eq-x0` in the book.

    Raises:
        FundiffError: A timestep isn't in the schedule.

    Source:
        Ho et al. 2020, *Denoising diffusion probabilistic models*, eq. 15.
    """
    alpha_bar = schedule.at(t)
    return (x_t - (1 - alpha_bar).sqrt() * eps) / alpha_bar.sqrt()


def predict_eps(schedule: NoiseSchedule, x_t: Images, t: Times, x0: Images) -> Images:
    r"""Find the noise that turns clean images into the noisy ones.

    .. math:: \epsilon = \frac{x_t - \sqrt{\bar\alpha_t}\, x_0}{\sqrt{1 - \bar\alpha_t}}

    Args:
        schedule: The noise levels.
        x_t: Noisy images.
        t: The timestep of each, 0 or above.
        x0: The clean images, as estimated.

    Raises:
        FundiffError: A timestep is -1, where there is no noise to find, or isn't in the schedule.

    Source:
        Song et al. 2020, *Denoising diffusion implicit models*, eq. 9, solved for the noise.
    """
    if (t < 0).any():
        raise FundiffError(f"a clean image has no noise to find: expected t >= 0, got {t.tolist()}")
    alpha_bar = schedule.at(t)
    return (x_t - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt()


def velocity(schedule: NoiseSchedule, x0: Images, t: Times, eps: Images) -> Images:
    r"""Mix clean images and noise into what a velocity network predicts.

    .. math:: v_t = \sqrt{\bar\alpha_t}\, \epsilon - \sqrt{1 - \bar\alpha_t}\, x_0

    Args:
        schedule: The noise levels.
        x0: Clean images.
        t: The timestep of each.
        eps: Standard Gaussian noise of the same shape.

    Returns:
        The velocity, of variance 1 at every timestep if the images have it. This is
        :eq:`eq-velocity` in the book.

    Raises:
        FundiffError: A timestep isn't in the schedule.

    Source:
        Salimans and Ho 2022, *Progressive distillation*, appendix D.
    """
    alpha_bar = schedule.at(t)
    return alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x0


def v_to_eps(schedule: NoiseSchedule, x_t: Images, t: Times, v: Images) -> Images:
    r"""Find the noise in noisy images from their velocity.

    .. math:: \epsilon = \sqrt{\bar\alpha_t}\, v_t + \sqrt{1 - \bar\alpha_t}\, x_t

    Args:
        schedule: The noise levels.
        x_t: Noisy images.
        t: The timestep of each.
        v: Their velocity, as estimated.

    Raises:
        FundiffError: A timestep isn't in the schedule.

    Source:
        Salimans and Ho 2022, *Progressive distillation*, appendix D.
    """
    alpha_bar = schedule.at(t)
    return alpha_bar.sqrt() * v + (1 - alpha_bar).sqrt() * x_t


def ddim_step(
    schedule: NoiseSchedule,
    x_t: Images,
    prediction: Prediction,
    t: Times,
    s: Times,
    noise: Images | None = None,
    *,
    eta: float = 0.0,
) -> Images:
    r"""Step from ``t`` to ``s`` along the noise that was estimated (DDIM).

    .. math::

        x_s &= \sqrt{\bar\alpha_s}\, \hat x_0
             + \sqrt{1 - \bar\alpha_s - \sigma^2}\; \epsilon_\theta + \sigma z \\
        \sigma^2 &= \eta^2\, \frac{1 - \bar\alpha_s}{1 - \bar\alpha_t}
             \left(1 - \frac{\bar\alpha_t}{\bar\alpha_s}\right)

    With :math:`\eta = 0` nothing random is added. With :math:`\eta = 1` the mean and the variance
    are those of :func:`ddpm_step` without a predicted variance.

    Args:
        schedule: The noise levels.
        x_t: Images at timestep ``t``.
        prediction: What the denoiser said about them; its variance isn't used.
        t: The timestep of each image.
        s: The timestep to go to; -1 for clean.
        noise: Standard Gaussian noise :math:`z`, needed when ``eta`` is above 0.
        eta: How much of the posterior's randomness is kept, from 0 to 1.

    Returns:
        The images at timestep ``s``. This is :eq:`eq-ddim` in the book.

    Raises:
        FundiffError: ``eta`` is out of range, ``noise`` is missing, or a timestep isn't in the
            schedule.

    Source:
        Song et al. 2020, *Denoising diffusion implicit models*, eqs. 12 and 16.
    """
    if not 0 <= eta <= 1:
        raise FundiffError(f"eta must lie between 0 and 1, got {eta}")
    alpha_bar_t, alpha_bar_s = schedule.at(t), schedule.at(s)
    x0 = predict_x0(schedule, x_t, t, prediction.eps)
    if eta == 0:
        return alpha_bar_s.sqrt() * x0 + (1 - alpha_bar_s).sqrt() * prediction.eps
    posterior = (1 - alpha_bar_s) / (1 - alpha_bar_t) * (1 - alpha_bar_t / alpha_bar_s)
    variance = eta**2 * posterior
    direction = (1 - alpha_bar_s - variance).clamp(min=0).sqrt()
    mean = alpha_bar_s.sqrt() * x0 + direction * prediction.eps
    return mean + scaled_noise(variance.sqrt(), s, noise)


def ddpm_step(
    schedule: NoiseSchedule,
    x_t: Images,
    prediction: Prediction,
    t: Times,
    s: Times,
    noise: Images | None,
    *,
    large_variance: bool = False,
) -> Images:
    r"""Draw from the posterior of ``s`` given ``t`` and the clean estimate (DDPM).

    .. math::

        x_s = \frac{\sqrt{\bar\alpha_s}\, \beta}{1 - \bar\alpha_t}\, \hat x_0
            + \frac{\sqrt{\alpha}\, (1 - \bar\alpha_s)}{1 - \bar\alpha_t}\, x_t + \sigma z,
        \qquad \alpha = \frac{\bar\alpha_t}{\bar\alpha_s}, \quad \beta = 1 - \alpha

    The variance is :math:`\tilde\beta = \beta (1 - \bar\alpha_s) / (1 - \bar\alpha_t)`, or
    :math:`\beta` with ``large_variance``. A network with a learned range says where between the
    two, on a log scale, by its raw output :math:`v`, nominally in :math:`[-1, 1]`:

    .. math:: \log \sigma^2 = \tfrac{v + 1}{2} \log \beta + \tfrac{1 - v}{2} \log \tilde\beta

    Neighbours in the grid of timesteps may be any distance apart. Where ``s`` is -1, the result
    is the mean alone, which is the clean estimate.

    Args:
        schedule: The noise levels.
        x_t: Images at timestep ``t``.
        prediction: What the denoiser said; its variance, if there is one, is used.
        t: The timestep of each image.
        s: The timestep to go to, below ``t``; -1 for clean.
        noise: Standard Gaussian noise :math:`z`, needed unless every ``s`` is -1.
        large_variance: Use :math:`\beta` where the prediction has no variance.

    Returns:
        The images at timestep ``s``. This is :eq:`eq-posterior` in the book.

    Raises:
        FundiffError: ``s`` isn't below ``t``, ``noise`` is missing, or a timestep isn't in the
            schedule.

    Source:
        Ho et al. 2020, *Denoising diffusion probabilistic models*, eqs. 6 and 7; Nichol and
        Dhariwal 2021, *Improved denoising diffusion probabilistic models*, eq. 15.
    """
    if (s >= t).any():
        raise FundiffError(
            f"the posterior goes to an earlier timestep, got {t.tolist()} to {s.tolist()}"
        )
    alpha_bar_t, alpha_bar_s = schedule.at(t), schedule.at(s)
    alpha = alpha_bar_t / alpha_bar_s
    beta = 1 - alpha
    beta_tilde = beta * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    x0 = predict_x0(schedule, x_t, t, prediction.eps)
    mean = (
        alpha_bar_s.sqrt() * beta / (1 - alpha_bar_t) * x0
        + alpha.sqrt() * (1 - alpha_bar_s) / (1 - alpha_bar_t) * x_t
    )
    if prediction.variance is not None:
        upper = (prediction.variance + 1) / 2
        lowest = torch.finfo(beta.dtype).tiny
        log_beta_tilde = beta_tilde.clamp(min=lowest).log()
        sigma = (0.5 * (upper * beta.log() + (1 - upper) * log_beta_tilde)).exp()
    else:
        sigma = (beta if large_variance else beta_tilde).sqrt()
    return mean + scaled_noise(sigma, s, noise)


def scaled_noise(
    sigma: Float[Tensor, "batch #channel #height #width"], s: Times, noise: Images | None
) -> Images:
    """Scale the noise that a step adds, which is none on the way to clean.

    Args:
        sigma: The noise's standard deviation.
        s: The timestep to go to; -1 for clean.
        noise: Standard Gaussian noise, or None, which will do where every ``s`` is -1.

    Raises:
        FundiffError: Noise is needed and there is none.
    """
    clean = (s < 0)[:, None, None, None]
    if noise is None:
        if not clean.all():
            raise FundiffError("this step draws noise: pass a seed to the loop, or noise here")
        return torch.zeros_like(sigma)
    return torch.where(clean, 0.0, sigma * noise)
