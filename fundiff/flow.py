"""Flow matching: pictures along straight lines from noise, in as many steps as one likes."""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.types import Images

Velocity = Callable[[Images, Float[Tensor, " batch"]], Images]
"""Called on images and the time of each; returns where they are going."""


def conditioned(
    network: Callable[..., Images],
    condition: Float[Tensor, "batch classes"],
    *,
    scale: float = 1.0,
) -> Velocity:
    r"""Guide the velocity of a network towards a class, with one call a step.

    .. math:: v = v_u + s\, (v_c - v_u)

    Args:
        network: Called as ``network(x, time, condition)``.
        condition: The class of each image as a one-hot row.
        scale: :math:`s`: 0 leaves the class out, 1 is the network's own answer.

    Returns:
        The velocity.

    Source:
        Ho and Salimans 2022, *Classifier-free diffusion guidance*, eq. 6, for velocities.
    """

    def velocity(x: Images, time: Float[Tensor, " batch"]) -> Images:
        if scale == 1:
            return network(x, time, condition)
        told = torch.cat([condition, torch.zeros_like(condition)])
        cond, uncond = network(x.repeat(2, 1, 1, 1), time.repeat(2), told).chunk(2)
        guided: Images = uncond + scale * (cond - uncond)
        return guided

    return velocity


def flow(velocity: Velocity, x: Images, *, steps: int) -> Iterator[tuple[float, Images]]:
    r"""Follow a velocity from noise to pictures, by Euler's rule.

    .. math:: x_{\tau + 1/N} = x_\tau + \tfrac1N\, v(x_\tau, \tau)

    Args:
        velocity: The velocity :math:`v`.
        x: Gaussian noise, :math:`\tau = 0`.
        steps: How many steps :math:`N`, each with one call of ``velocity``.

    Yields:
        :math:`\tau` and the images there, the start first, the end at :math:`\tau = 1` last. This
        is :eq:`eq-euler` in the book.

    Raises:
        ValueError: ``steps`` is below 1.

    Source:
        Lipman et al. 2023, *Flow matching for generative modeling*, section 2.
    """
    if steps < 1:
        raise ValueError(f"a flow needs at least 1 step, got {steps}")
    yield 0.0, x
    for step in range(steps):
        time = torch.full((len(x),), step / steps, device=x.device)
        x = x + velocity(x, time) / steps
        yield (step + 1) / steps, x
