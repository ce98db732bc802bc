"""Plain networks as denoisers: what they are told, and how their answers become noise."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from fundiff.guidance import Bound
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Images, Prediction, Times


@dataclass(frozen=True)
class _FractionOfTime:
    network: Callable[..., Tensor]
    schedule: NoiseSchedule

    def __call__(self, x_t: Images, t: Times, condition: Tensor | None) -> Prediction:
        time = (t + 1) / self.schedule.steps
        inputs = (x_t, time) if condition is None else (x_t, time, condition)
        return Prediction(self.network(*inputs))


def bind(
    network: Callable[..., Tensor], schedule: NoiseSchedule, condition: Tensor | None = None
) -> Denoiser:
    r"""Make a denoiser of a plain network that is told the time as a fraction.

    The network is called as ``network(x_t, time)`` or ``network(x_t, time, condition)``, with
    ``time`` :math:`= (t + 1) / T` in (0, 1], and returns the noise.

    Args:
        network: A network such as :class:`torch.nn.Module`; two denoisers that are bound to the
            same network and schedule are called as one batch when combined.
        schedule: The schedule that the network was trained on.
        condition: A class for each image as one-hot rows, shape ``(1, classes)`` or
            ``(batch, classes)``, zeros for none. None where every part has none.

    Returns:
        The denoiser.
    """
    return Bound(_FractionOfTime(network, schedule), condition)


@dataclass(frozen=True)
class _Velocity:
    network: Callable[..., Tensor]
    schedule: NoiseSchedule

    def __call__(self, x_t: Images, t: Times, condition: Tensor | None) -> Prediction:
        alpha_bar = self.schedule.at(t)
        whole = alpha_bar.sqrt() + (1 - alpha_bar).sqrt()
        x, tau = x_t / whole, alpha_bar.sqrt() / whole
        inputs = (x, tau.flatten()) if condition is None else (x, tau.flatten(), condition)
        return Prediction(x - tau * self.network(*inputs))


def bind_flow(
    network: Callable[..., Tensor], schedule: NoiseSchedule, condition: Tensor | None = None
) -> Denoiser:
    r"""Make a denoiser of a network of flow matching, which tells the velocity.

    .. math::

        \epsilon = x_\tau - \tau\, v(x_\tau, \tau), \qquad
        \tau = \frac{\sqrt{\bar\alpha_t}}{\sqrt{\bar\alpha_t} + \sqrt{1 - \bar\alpha_t}}, \quad
        x_\tau = \frac{x_t}{\sqrt{\bar\alpha_t} + \sqrt{1 - \bar\alpha_t}}

    On its straight line :math:`x_\tau = \tau x_0 + (1 - \tau) \epsilon` the velocity is
    :math:`v = x_0 - \epsilon`. The network is called as ``network(x, tau)`` or
    ``network(x, tau, condition)``.

    Args:
        network: As in :func:`bind`, but it returns the velocity.
        schedule: Any schedule, such as :meth:`fundiff.schedule.NoiseSchedule.flow`.
        condition: As in :func:`bind`.

    Returns:
        The denoiser. This is :eq:`eq-flow-eps` in the book.

    Source:
        Lipman et al. 2023, *Flow matching for generative modeling*, section 4.1.
    """
    return Bound(_Velocity(network, schedule), condition)
