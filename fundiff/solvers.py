r"""Steps of a higher order, and where to stop on the way: as good a picture for fewer calls.

Sampling without noise follows a curve, the solution of a differential equation in the noise level.
A step of :func:`fundiff.process.ddim_step` goes along its tangent, with an error that falls with
the step; a step of order 2 also knows how the tangent turns, and its error falls with the square.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.process import ddim_step, ddpm_step, predict_eps, predict_x0, scaled_noise
from fundiff.sampling import Step
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Images, Prediction, Times


def dpm_step(
    schedule: NoiseSchedule,
    x_t: Images,
    prediction: Prediction,
    t: Times,
    s: Times,
    noise: Images | None = None,
    *,
    eta: float = 0.0,
) -> Images:
    r"""Step from ``t`` to ``s`` along the line through two clean estimates (DPM-Solver++ 2M).

    .. math::

        x_s &= \frac{\sigma_s}{\sigma_t}\, e^{-\eta h}\, x_t
             + \alpha_s \left(1 - e^{-(1 + \eta) h}\right) D
             + \sigma_s \sqrt{1 - e^{-2 \eta h}}\; z \\
        D &= \hat x_0 + \frac{h}{2 h'} \left(\hat x_0 - \hat x_0'\right),
        \qquad h = \lambda_s - \lambda_t, \quad h' = \lambda_t - \lambda_{t'}, \quad
        \lambda = \log \frac{\alpha}{\sigma}

    with :math:`\alpha = \sqrt{\bar\alpha}` and :math:`\sigma = \sqrt{1 - \bar\alpha}`;
    :math:`\hat x_0'` was estimated at :math:`t'`, one step before. With no step before, and to
    clean, :math:`D = \hat x_0`: with :math:`\eta = 0` that is :func:`fundiff.process.ddim_step`.

    Args:
        schedule: The noise levels.
        x_t: Images at timestep ``t``.
        prediction: What the denoiser said about them, and what the step before found; its variance
            isn't used.
        t: The timestep of each image.
        s: The timestep to go to, below ``t``; -1 for clean.
        noise: Standard Gaussian noise :math:`z`, needed when ``eta`` is above 0.
        eta: How much noise is taken away and drawn anew on the way, from 0, the differential
            equation without noise, to 1, the one with noise (SDE-DPM-Solver++).

    Returns:
        The images at timestep ``s``. This is :eq:`eq-dpm` in the book.

    Raises:
        FundiffError: ``eta`` is out of range, ``s`` isn't below ``t``, the estimate before isn't
            from a later timestep, ``noise`` is missing, or a timestep isn't in the schedule.

    Source:
        Lu et al. 2022, *DPM-Solver++*, algorithm 2 and, for ``eta`` of 1, eq. 18; in between as
        k-diffusion has it.
    """
    if not 0 <= eta <= 1:
        raise FundiffError(f"eta must lie between 0 and 1, got {eta}")
    _require_before(s, t)
    alpha_bar_t, alpha_bar_s = schedule.at(t), schedule.at(s)
    h = _log_snr(alpha_bar_s) - _log_snr(alpha_bar_t)
    estimate = predict_x0(schedule, x_t, t, prediction.eps)
    if prediction.last is not None:
        before = prediction.last
        _require_before(t, before.t)
        h_before = _log_snr(alpha_bar_t) - _log_snr(schedule.at(before.t))
        ahead = torch.where(h.isinf(), 0.0, h / h_before / 2)
        estimate = estimate + ahead * (estimate - before.x0)
    sigma_t, sigma_s = (1 - alpha_bar_t).sqrt(), (1 - alpha_bar_s).sqrt()
    kept = sigma_s / sigma_t * torch.exp(-eta * h) if eta else sigma_s / sigma_t
    gone = -torch.expm1(-(1 + eta) * h)
    mean = kept * x_t + alpha_bar_s.sqrt() * gone * estimate
    if eta == 0:
        return mean
    sigma = sigma_s * (-torch.expm1(-2 * eta * h)).sqrt()
    return mean + scaled_noise(sigma, s, noise)


@dataclass(frozen=True)
class Heun:
    r"""A step that looks twice, at its start and where a first step would end, and takes the mean.

    .. math::

        x_s = \frac{\sigma_s}{\sigma_t}\, x_t + \alpha_s \left(1 - e^{-h}\right)
            \tfrac12 \left(\hat x_0(x_t, t) + \hat x_0(\tilde x_s, s)\right)

    with the letters of :func:`dpm_step`; :math:`\tilde x_s` is where
    :func:`fundiff.process.ddim_step` leads. The last step, to clean, looks once. It looks at
    nothing that other steps found; its price is a second call, which the loop doesn't count. This
    is :eq:`eq-heun` in the book.

    Attributes:
        denoiser: The denoiser that the loop asks too.

    Source:
        Heun's rule, as in Karras et al. 2022, *Elucidating the design space*, algorithm 1, but for
        the clean estimate, since an error of the noise is :math:`\sigma / \alpha` times as large
        in it: Lu et al. 2022, *DPM-Solver++*, algorithm 1 with :math:`r = 1`.
    """

    denoiser: Denoiser

    def __call__(
        self,
        schedule: NoiseSchedule,
        x_t: Images,
        prediction: Prediction,
        t: Times,
        s: Times,
        noise: Images | None = None,
    ) -> Images:
        """Take images from ``t`` to ``s``.

        Args:
            schedule: The noise levels.
            x_t: Images at timestep ``t``.
            prediction: What the denoiser said about them.
            t: The timestep of each image.
            s: The timestep to go to; -1 for clean, for all of the images or for none.
            noise: Not used.

        Raises:
            FundiffError: A timestep isn't in the schedule.
        """
        there = ddim_step(schedule, x_t, prediction, t, s)
        if (s < 0).all():
            return there
        ahead = predict_x0(schedule, there, s, self.denoiser(there, s).eps)
        mean = (predict_x0(schedule, x_t, t, prediction.eps) + ahead) / 2
        eps = predict_eps(schedule, x_t, t, mean)
        return ddim_step(schedule, x_t, Prediction(eps), t, s)


def even_timesteps(schedule: NoiseSchedule, count: int, *, start: int | None = None) -> list[int]:
    """List timesteps at even distances, from where the default walk starts.

    Args:
        schedule: The noise levels.
        count: How many timesteps, from 1 to ``start + 1``; as many as in
            :meth:`fundiff.schedule.NoiseSchedule.timesteps`, they are the same.
        start: The first; by default that of the default walk, 990 of 1000.

    Returns:
        The timesteps in falling order, from ``start`` to 0.

    Raises:
        FundiffError: ``count`` or ``start`` is out of range.
    """
    return schedule.timesteps(
        count=count, start=schedule.timesteps()[0] if start is None else start
    )


def log_snr_timesteps(
    schedule: NoiseSchedule, count: int, *, start: int | None = None
) -> list[int]:
    r"""List timesteps at even distances in the logarithm of the signal-to-noise ratio.

    .. math::

        \lambda_i = \lambda_{\mathrm{start}}
            + \frac{i}{n - 1} \left(\lambda_0 - \lambda_{\mathrm{start}}\right),
        \qquad \lambda = \tfrac12 \log \mathrm{SNR}

    each rounded to the nearest timestep, or to the next one below where that is taken.

    Args:
        schedule: The noise levels.
        count: How many timesteps :math:`n`, from 1 to ``start + 1``.
        start: As in :func:`even_timesteps`.

    Returns:
        The timesteps in falling order, from ``start`` to 0.

    Raises:
        FundiffError: ``count`` or ``start`` is out of range.

    Source:
        Lu et al. 2022, *DPM-Solver*, section 3.4.
    """
    return _spaced(schedule, count, start, lambda lambdas: lambdas)


def karras_timesteps(
    schedule: NoiseSchedule, count: int, *, rho: float = 7.0, start: int | None = None
) -> list[int]:
    r"""List timesteps at even distances in a root of the noise level, as Karras et al. have it.

    .. math::

        \sigma_i = \left(\sigma_{\mathrm{start}}^{1/\rho} + \frac{i}{n - 1}
            \left(\sigma_0^{1/\rho} - \sigma_{\mathrm{start}}^{1/\rho}\right)\right)^{\rho},
        \qquad \sigma = \sqrt{1 / \bar\alpha - 1}

    each rounded to the nearest timestep, or to the next one below where that is taken.

    Args:
        schedule: The noise levels.
        count: How many timesteps :math:`n`, from 1 to ``start + 1``.
        rho: :math:`\rho`, above 0: the larger, the more of them are at little noise.
        start: As in :func:`even_timesteps`.

    Returns:
        The timesteps in falling order, from ``start`` to 0.

    Raises:
        FundiffError: ``count``, ``rho`` or ``start`` is out of range.

    Source:
        Karras et al. 2022, *Elucidating the design space*, eq. 5.
    """
    if not rho > 0:
        raise FundiffError(f"rho must be above 0, got {rho}")
    return _spaced(schedule, count, start, lambda lambdas: (-lambdas / rho).exp())


Grid = Callable[..., list[int]]
"""A function of a schedule and a number of steps, such as :func:`even_timesteps`."""

GRIDS: Mapping[str, Grid] = {
    "time": even_timesteps,
    "log-SNR": log_snr_timesteps,
    "Karras": karras_timesteps,
}
"""The grids above by the names that tables and figures give them."""


@dataclass(frozen=True)
class Solver:
    """A way to go from noise to clean in any number of steps.

    Attributes:
        step: One step.
        timesteps: Where it should stop on the way.
    """

    step: Step
    timesteps: Grid


SOLVERS: Mapping[str, Solver] = {
    "ddim": Solver(ddim_step, even_timesteps),
    "ddpm": Solver(ddpm_step, even_timesteps),
    "dpm": Solver(dpm_step, log_snr_timesteps),
    "dpm-sde": Solver(partial(dpm_step, eta=1.0), log_snr_timesteps),
}
"""The solvers that need nothing but what the loop gives them, by the command line's names."""

Axis = Callable[[Float[Tensor, " steps"]], Float[Tensor, " steps"]]


def _spaced(schedule: NoiseSchedule, count: int, start: int | None, axis: Axis) -> list[int]:
    """List timesteps at even distances on an axis that runs with the log-SNR, or against it."""
    first = even_timesteps(schedule, count, start=start)[0]
    places = axis(schedule.snr().double().log() / 2)[: first + 1]
    marks = torch.linspace(places[first].item(), places[0].item(), count, dtype=torch.float64)
    nearest = (places - marks[:, None]).abs().argmin(dim=1).tolist()
    timesteps: list[int] = []
    for left, t in zip(range(count - 1, -1, -1), nearest, strict=True):
        timesteps.append(max(left, min(t, timesteps[-1] - 1) if timesteps else t))
    return timesteps


def _log_snr(alpha_bar: Float[Tensor, "batch 1 1 1"]) -> Float[Tensor, "batch 1 1 1"]:
    return (alpha_bar / (1 - alpha_bar)).log() / 2


def _require_before(s: Times, t: Times) -> None:
    if (s >= t).any():
        raise FundiffError(
            f"this step goes to an earlier timestep, got {t.tolist()} to {s.tolist()}"
        )
