"""The one sampling loop, and the ways to start or steer it from a given picture.

What is drawn is decided by the denoiser (see :mod:`fundiff.guidance`), how by the step (see
:mod:`fundiff.process`); the loop only walks down the timesteps, and draws the noise.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import index
from reprlib import repr as brief
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.process import add_more_noise, add_noise, ddim_step, predict_x0
from fundiff.rng import Stream, noise
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Estimate, Images, Part, Prediction, State, Times


@runtime_checkable
class Step(Protocol):
    """One update of a sampler, from timestep ``t`` to a less noisy ``s``."""

    def __call__(
        self,
        schedule: NoiseSchedule,
        x_t: Images,
        prediction: Prediction,
        t: Times,
        s: Times,
        noise: Images | None,
    ) -> Images:
        """Take images from ``t`` to ``s`` by what the denoiser said about them.

        ``prediction.last`` is what the step before found, None at the first step and after a way
        up. ``noise`` is standard Gaussian noise for a step that draws some, or None.
        """
        ...


@runtime_checkable
class Constraint(Protocol):
    """What an image has to be like at each timestep."""

    def __call__(
        self, schedule: NoiseSchedule, x: Images, s: Times, noise: Images | None
    ) -> Images:
        """Return the images as they have to be at timestep ``s``, -1 for clean.

        ``noise`` is standard Gaussian noise of their shape, or None where the loop has no seed.
        """
        ...


def denoise(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x: Images,
    timesteps: Sequence[int] | None = None,
    *,
    step: Step = ddim_step,
    constraint: Constraint | None = None,
    seed: int | None = None,
    first: int = 0,
) -> Iterator[State]:
    """Walk images from noise to clean, one timestep after the other.

    At every timestep the denoiser is called once, and ``step`` takes the images to the next one;
    after the last timestep they are clean. Where the next timestep is *larger*, the loop adds
    noise instead, which asks no denoiser: so a list that goes back up and down again resamples,
    as RePaint does.

    Args:
        denoiser: Estimates the noise.
        schedule: The noise levels.
        x: The images to start from, at the level of ``timesteps[0]``, such as
            :func:`fundiff.rng.noise`.
        timesteps: Where to stop on the way; by default those of
            :meth:`fundiff.schedule.NoiseSchedule.timesteps`.
        step: How to get from one timestep to the next.
        constraint: Applied to the start, and after every step at the timestep just reached.
        seed: The seed of the noise that steps and constraint get, as :func:`fundiff.rng.noise`
            draws it; without, one that needs noise raises.
        first: The number of the first image, whose noise depends on it.

    Yields:
        ``State(t, x, x0)`` for each timestep, then ``State(-1, x, x)``. On the way up ``x0`` is the
        estimate made last, or ``x`` where there was none.

    Raises:
        FundiffError: A timestep is out of range or repeated in place, or noise is needed and there
            is no seed; raised when a state is asked for.
    """
    timesteps = _walk(schedule, timesteps)

    def drawn(stream: Stream, number: int) -> Images | None:
        if seed is None:
            return None
        return noise(*x.shape, seed=seed, first=first, stream=stream, step=number).to(x)

    if constraint is not None:
        with torch.no_grad():
            x = constraint(schedule, x, _times(x, timesteps[0]), drawn("constraint", 0))
    x0, last = x, None
    for number, (t, s) in enumerate(pairwise([*timesteps, -1])):
        with torch.no_grad():
            at_t, at_s, z = _times(x, t), _times(x, s), drawn("step", number)
            if s < t:
                prediction = denoiser(x, at_t)
                x0 = predict_x0(schedule, x, at_t, prediction.eps)
                after = step(schedule, x, prediction._replace(last=last), at_t, at_s, z)
                last = Estimate(at_t, x0)
            elif z is not None:
                after, last = add_more_noise(schedule, x, at_t, at_s, z), None
            else:
                raise FundiffError(f"going up from timestep {t} to {s} adds noise: pass a seed")
            if constraint is not None:
                after = constraint(schedule, after, at_s, drawn("constraint", number + 1))
        yield State(t, x, x0)
        x = after
    yield State(-1, x, x)


def sample(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x: Images,
    timesteps: Sequence[int] | None = None,
    *,
    step: Step = ddim_step,
    constraint: Constraint | None = None,
    seed: int | None = None,
    first: int = 0,
) -> Images:
    """Return the clean images that :func:`denoise` of the same arguments ends with."""
    walk = denoise(
        denoiser,
        schedule,
        x,
        timesteps,
        step=step,
        constraint=constraint,
        seed=seed,
        first=first,
    )
    for state in walk:
        x = state.x
    return x


def sdedit(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x0: Images,
    timesteps: Sequence[int] | None = None,
    *,
    i_start: int,
    step: Step = ddim_step,
    constraint: Constraint | None = None,
    seed: int = 0,
    first: int = 0,
) -> Images:
    r"""Edit images by noising them part of the way and denoising them again.

    .. math::

        x_{t_i} = \sqrt{\bar\alpha_{t_i}}\, x_0 + \sqrt{1 - \bar\alpha_{t_i}}\, \epsilon,
        \qquad i = i_{\mathrm{start}}

    Args:
        denoiser: Estimates the noise; what it was told to show is what the edit goes towards.
        schedule: The noise levels.
        x0: Clean images.
        timesteps: The whole walk :math:`t_0 > t_1 > \dots`, as in :func:`denoise`.
        i_start: The index in ``timesteps`` to start at: 0 forgets almost all of the image, a
            larger index keeps more of it.
        step: As in :func:`denoise`.
        constraint: As in :func:`denoise`.
        seed: The seed of the noise that is added, which is the start of a walk from pure noise,
            and of the noise of the steps.
        first: As in :func:`denoise`.

    Returns:
        The edited images. The start is :eq:`eq-sdedit` in the book.

    Raises:
        FundiffError: ``i_start`` isn't an index of ``timesteps``, or as :func:`denoise`.

    Source:
        Meng et al. 2021, *SDEdit*.
    """
    timesteps = _walk(schedule, timesteps)
    if not 0 <= i_start < len(timesteps):
        raise FundiffError(
            f"i_start must be an index from 0 to {len(timesteps) - 1}, got {i_start}"
        )
    left = timesteps[i_start:]
    eps = noise(*x0.shape, seed=seed, first=first).to(x0)
    x = add_noise(schedule, x0, _times(x0, left[0]), eps)
    return sample(
        denoiser, schedule, x, left, step=step, constraint=constraint, seed=seed, first=first
    )


def inpaint(x0: Images, mask: Float[Tensor, "#batch #channel height width"]) -> Constraint:
    r"""Keep what is outside a mask, as a constraint for :func:`denoise`: inpainting.

    .. math::

        x_s \leftarrow m\, x_s + (1 - m)
            \left(\sqrt{\bar\alpha_s}\, x_0 + \sqrt{1 - \bar\alpha_s}\, z\right)

    with fresh noise :math:`z` at every timestep. At :math:`s = -1` what is kept equals the
    original exactly.

    Args:
        x0: The clean original.
        mask: :math:`m`: 1 where to repaint, 0 where to keep; in between blends.

    Returns:
        The constraint. This is :eq:`eq-inpaint` in the book.

    Raises:
        FundiffError: The mask has values outside [0, 1]; or later, the loop has no
            seed, or walks images of another size.

    Source:
        Lugmayr et al. 2022, *RePaint*, eq. 8.
    """
    if not ((mask >= 0) & (mask <= 1)).all():
        raise FundiffError(
            "a mask must lie in [0, 1] (1 repaints, 0 keeps), got values from "
            f"{mask.min().item():.3g} to {mask.max().item():.3g}"
        )

    def constrain(schedule: NoiseSchedule, x: Images, s: Times, noise: Images | None) -> Images:
        kept, m = _noised(schedule, _fitted(x0, x), s, noise), _fitted(mask, x)
        return m * x + (1 - m) * kept

    return constrain


def keep_part(x0: Images, part: Part) -> Constraint:
    r"""Keep a part of a given picture, as a constraint for :func:`denoise`.

    .. math::

        x_s \leftarrow x_s - P x_s + P \left(\sqrt{\bar\alpha_s}\, x_0
            + \sqrt{1 - \bar\alpha_s}\, z\right)

    with fresh noise :math:`z` at every timestep. At :math:`s = -1` the part equals that of
    the picture, up to rounding, where :math:`P` is a projection (:math:`P^2 = P`, such as the grey
    part), and nearly does for others.

    Args:
        x0: The clean picture.
        part: The linear part :math:`P` that is kept.

    Returns:
        The constraint, which raises where the loop has no seed, or walks images of another size.
        This is :eq:`eq-keep-part` in the book.

    Source:
        Geng et al. 2024, *Factorized diffusion*, on hybrids from real images; for a low pass,
        Choi et al. 2021, *ILVR*.
    """

    def constrain(schedule: NoiseSchedule, x: Images, s: Times, noise: Images | None) -> Images:
        return x - part(x) + part(_noised(schedule, _fitted(x0, x), s, noise))

    return constrain


def _fitted(given: Tensor, x: Images) -> Images:
    """Expand a picture or a mask to the images that are walked."""
    try:
        return given.to(x).expand_as(x)
    except RuntimeError as error:
        raise FundiffError(
            f"a constraint of the shape {[*given.shape]} doesn't fit images of {[*x.shape]}"
        ) from error


def _noised(schedule: NoiseSchedule, x0: Images, s: Times, noise: Images | None) -> Images:
    """Bring what is kept to the noise level of the images."""
    if noise is None:
        raise FundiffError("this constraint draws noise: pass a seed to the loop")
    return add_noise(schedule, x0, s, noise)


def _times(x: Images, t: int) -> Times:
    return torch.full((len(x),), t, dtype=torch.long, device=x.device)


def _walk(schedule: NoiseSchedule, timesteps: Sequence[int] | None) -> list[int]:
    if timesteps is None:
        return schedule.timesteps()
    try:
        walk = [index(t) for t in timesteps]
    except TypeError as error:
        raise FundiffError(f"timesteps must be whole numbers, got {brief(timesteps)}") from error
    if not walk:
        raise FundiffError("expected at least one timestep, got none")
    for t in walk:
        if not 0 <= t < schedule.steps:
            raise FundiffError(f"expected timesteps from 0 to {schedule.steps - 1}, got {t}")
    for t, s in pairwise(walk):
        if t == s:
            raise FundiffError(f"timestep {t} follows itself: each step has to go somewhere")
    return walk
