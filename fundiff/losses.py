"""What networks learn from: losses with one number a sample, and how samples are weighed."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import log_softmax

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
            (0, 1] and, if there is one, the condition, as by :func:`fundiff.networks.bind`.
        schedule: The noise levels, :math:`T` of them.
        x0: The clean images, :math:`n` values each.
        t: The timestep of each.
        eps: The noise :math:`\epsilon` of each.
        condition: The class :math:`c` of each as a one-hot row, zeros for none.

    Returns:
        A mean squared error for each image. This is :eq:`eq-noise-loss` in the book.

    Raises:
        FundiffError: A timestep isn't in the schedule.

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

        \ell = \frac1n \lVert v_\theta(x_\tau, \tau, c) - (x_0 - \epsilon) \rVert^2, \qquad
        x_\tau = (1 - \tau)\, \epsilon + \tau\, x_0

    The arguments have the names of the papers, which call the ends of the line by its times: here
    :math:`x_0` is clean, and their ``x0`` is the noise.

    Args:
        network: :math:`v_\theta`, called with the images on the way, the time and, if there is one,
            the condition.
        x1: The clean images :math:`x_0`, :math:`n` values each.
        time: :math:`\tau`, in [0, 1]: 0 is noise and 1 is clean, the other way round than in DDPM.
        x0: The noise :math:`\epsilon` that each line starts from.
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


def min_snr_weight(
    schedule: NoiseSchedule, t: Times, *, gamma: float = 5.0
) -> Float[Tensor, " batch"]:
    r"""Weigh the loss of a network that predicts the velocity, by the min-SNR rule.

    .. math:: w_t = \frac{\min(\mathrm{SNR}(t),\, \gamma)}{\mathrm{SNR}(t) + 1}

    Args:
        schedule: The noise levels.
        t: The timestep of each sample.
        gamma: :math:`\gamma`, where the weight of the signal is capped.

    Returns:
        One weight a sample. This is in :eq:`eq-min-snr` in the book.

    Raises:
        FundiffError: A timestep isn't in the schedule.

    Source:
        Hang et al. 2023, *Efficient diffusion training via min-SNR weighting*, section 3.4.
    """
    alpha_bar = schedule.at(t).flatten()
    snr = alpha_bar / (1 - alpha_bar)
    return snr.clamp(max=gamma) / (snr + 1)


def info_nce(
    similarity: Float[Tensor, "batch batch"], alike: Bool[Tensor, "batch batch"]
) -> Float[Tensor, " batch"]:
    r"""Compute how hard each picture and its caption are to tell from the batch's others.

    .. math::

        \ell_i = -\tfrac12 \log \frac{e^{\tau S_{ii}}}{\sum_{j \in N_i} e^{\tau S_{ij}}}
                 -\tfrac12 \log \frac{e^{\tau S_{ii}}}{\sum_{j \in N_i} e^{\tau S_{ji}}}

    where :math:`N_i` has :math:`i` and every :math:`j` whose caption is another one.

    Args:
        similarity: :math:`\tau S_{ij}`, the cosine of picture :math:`i` and caption :math:`j` times
            the encoder's scale.
        alike: Whether the captions :math:`i` and :math:`j` are the same.

    Returns:
        One loss for each pair, at least 0. This is :eq:`eq-info-nce` in the book.

    Source:
        Radford et al. 2021, *Learning transferable visual models from natural language
        supervision*, figure 3; van den Oord et al. 2018, *Representation learning with contrastive
        predictive coding*, eq. 4.
    """
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    masked = similarity.masked_fill(alike & ~own, -torch.inf)
    by_picture, by_caption = (log_softmax(masked, dim=dim).diagonal() for dim in (1, 0))
    return -(by_picture + by_caption) / 2
