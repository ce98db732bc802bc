"""The shapes, values and protocols that every other module speaks in.

Images are ``float`` tensors of shape ``(batch, channel, height, width)``; in Part A of the book
they are RGB in :math:`[-1, 1]`. Timesteps are integers from 0 (almost clean) to
:math:`T - 1` (almost pure noise), one for each image of a batch; :math:`-1` means clean.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Int
from torch import Tensor

Images = Float[Tensor, "batch channel height width"]
"""A batch of images, ``(batch, channel, height, width)``."""

Times = Int[Tensor, " batch"]
"""A timestep for each image of a batch, ``(batch,)``; -1 means clean."""

Part = Callable[[Images], Images]
"""A linear map of images to images, such as a filter; the parts of a split sum to the identity."""


class Estimate(NamedTuple):
    """What was thought to be under the noise, and where.

    Attributes:
        t: The timestep of each image when it was estimated.
        x0: The clean estimate.
    """

    t: Times
    x0: Images


class Prediction(NamedTuple):
    """What a network says about one batch of noisy images.

    Attributes:
        eps: The estimated noise.
        variance: The raw output :math:`v` from which a learned variance is interpolated (see
            :func:`fundiff.process.ddpm_step`), or None where the network has none.
        last: What the step before found, for steps that look back, such as
            :func:`fundiff.solvers.dpm_step`; the loop adds it. None at the first step.
    """

    eps: Images
    variance: Images | None = None
    last: Estimate | None = None


class State(NamedTuple):
    """One frame of a sampling run.

    Attributes:
        t: The timestep that ``x`` is at; -1 means clean.
        x: The images.
        x0: The clean estimate made from ``x``.
    """

    t: int
    x: Images
    x0: Images


@runtime_checkable
class Denoiser(Protocol):
    """Anything that estimates the noise in a batch of noisy images."""

    def __call__(self, x_t: Images, t: Times) -> Prediction:
        """Estimate the noise in ``x_t``.

        Args:
            x_t: Noisy images.
            t: The timestep of each.

        Returns:
            The estimated noise, with the raw variance where there is one.
        """
        ...


@runtime_checkable
class Network(Protocol):
    """A network behind denoisers: like a :class:`Denoiser`, with a condition for each image."""

    def __call__(self, x_t: Images, t: Times, condition: Tensor | None) -> Prediction:
        """Estimate the noise in ``x_t`` given a condition.

        Args:
            x_t: Noisy images.
            t: The timestep of each.
            condition: What each image should show, ``(batch, ...)``, or None.

        Returns:
            The estimated noise, with the raw variance where there is one.
        """
        ...


@runtime_checkable
class View(Protocol):
    """An orthogonal map of images with its inverse, which keeps white noise white."""

    def apply(self, x: Images) -> Images:
        """Show the images under this view."""
        ...

    def invert(self, x: Images) -> Images:
        """Undo :meth:`apply`, exactly."""
        ...
