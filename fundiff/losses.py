"""What Part B's networks learn from: three losses, each with one number a sample."""

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from fundiff.process import add_noise
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images, Times

Losses = Float[Tensor, " batch"]


def denoising_loss(
    network: Callable[[Images], Images], x: Images, noise: Images, *, sigma: float
) -> Losses:
    r"""How far a network's picture is from the clean one, in one step.

    .. math:: \ell = \frac1n \lVert D_\theta(x + \sigma \epsilon) - x \rVert^2

    Args:
        network: The denoiser :math:`D_\theta`, from noisy to clean images.
        x: The clean images, :math:`n` values each, in [0, 1].
        noise: The Gaussian noise :math:`\epsilon`, of the same shape.
        sigma: The noise level :math:`\sigma`.

    Returns:
        A mean squared error for each image. This is :eq:`eq-denoising-loss` in the book.

    Source:
        Vincent et al. 2010, *Stacked denoising autoencoders*, section 2.
    """
    return _mean_square(network(x + sigma * noise) - x)


def noise_loss(
    network: Callable[..., Images],
    schedule: NoiseSchedule,
    x0: Images,
    t: Times,
    eps: Images,
    condition: Float[Tensor, "batch classes"] | None = None,
) -> Losses:
    r"""How far a network's noise is from the noise that was added.

    .. math::

        \ell = \frac1n \lVert \epsilon - \epsilon_\theta(x_t, \tfrac{t + 1}{T}, c) \rVert^2,
        \qquad x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon

    Args:
        network: :math:`\epsilon_\theta`, called with the noisy images, the time as a fraction in
            (0, 1] and, if there is one, the condition, as by :func:`fundiff.guidance.bind`.
        schedule: The noise levels, :math:`T` of them.
        x0: The clean images, :math:`n` values each.
        t: The timestep of each.
        eps: The noise :math:`\epsilon` of each.
        condition: The class :math:`c` of each as a one-hot row, zeros for none.

    Returns:
        A mean squared error for each image. This is :eq:`eq-noise-loss` in the book.

    Raises:
        ValueError: A timestep isn't in the schedule.

    Source:
        Ho et al. 2020, *Denoising diffusion probabilistic models*, eq. 14.
    """
    time = (t + 1) / schedule.steps
    inputs = (add_noise(schedule, x0, t, eps), time)
    told = inputs if condition is None else (*inputs, condition)
    return _mean_square(eps - network(*told))


def flow_loss(
    network: Callable[..., Images],
    x1: Images,
    time: Float[Tensor, " batch"],
    x0: Images,
    condition: Float[Tensor, "batch classes"] | None = None,
) -> Losses:
    r"""How far a network's velocity is from that of the straight line from noise to data.

    .. math::

        \ell = \frac1n \lVert v_\theta(x_\tau, \tau, c) - (x_1 - x_0) \rVert^2, \qquad
        x_\tau = (1 - \tau)\, x_0 + \tau\, x_1

    Args:
        network: :math:`v_\theta`, called with the images on the way, the time and, if there is one,
            the condition.
        x1: The clean images, :math:`n` values each.
        time: :math:`\tau`, in [0, 1]: 0 is noise and 1 is clean, the other way round than in DDPM.
        x0: The noise that each line starts from.
        condition: The class :math:`c` of each as a one-hot row, zeros for none.

    Returns:
        A mean squared error for each image. This is :eq:`eq-flow-loss` in the book.

    Source:
        Lipman et al. 2023, *Flow matching for generative modeling*, eq. 23, with no noise left at
        the end; Liu et al. 2023, *Flow straight and fast*, eq. 1.
    """
    at = time[:, None, None, None]
    inputs = ((1 - at) * x0 + at * x1, time)
    told = inputs if condition is None else (*inputs, condition)
    return _mean_square(network(*told) - (x1 - x0))


def _mean_square(difference: Images) -> Losses:
    return difference.float().square().flatten(1).mean(dim=1)
