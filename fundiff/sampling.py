"""The one sampling loop, and the two ways to start or steer it from a given picture.

What is drawn is decided by the denoiser (see :mod:`fundiff.guidance`), how by the step (see
:mod:`fundiff.process`); the loop only walks down the timesteps.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.process import add_more_noise, add_noise, ddim_step, predict_x0
from fundiff.schedule import NoiseSchedule
from fundiff.types import Constraint, Denoiser, Images, Part, Prediction, State, Times


def noise_like(x: Images, generator: torch.Generator) -> Images:
    """Draw standard Gaussian noise on the CPU and move it to where ``x`` is.

    Args:
        x: Images whose shape, dtype and device the noise takes.
        generator: A CPU generator, so that a seed gives the same noise on every device.

    Raises:
        ValueError: The generator lives on another device.
    """
    if generator.device.type != "cpu":
        raise ValueError(
            f"expected a CPU generator, got one on {generator.device}: noise is drawn on the "
            "CPU and moved, so that a seed means the same everywhere"
        )
    return torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)


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

        ``noise`` is standard Gaussian noise for a step that draws some, or None.
        """
        ...


def denoise(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x: Images,
    timesteps: Sequence[int],
    *,
    step: Step = ddim_step,
    constraint: Constraint | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[State]:
    """Walk images from noise to clean, one timestep after the other.

    At every timestep the denoiser is called once, and ``step`` takes the images to the next one;
    after the last timestep they are clean. Where the next timestep is *larger*, the loop adds
    noise instead, which asks no denoiser: so a list that goes back up and down again resamples,
    as RePaint does.

    Args:
        denoiser: Estimates the noise.
        schedule: The noise levels.
        x: The images to start from, at the level of ``timesteps[0]``.
        timesteps: Where to stop on the way, such as
            :meth:`fundiff.schedule.NoiseSchedule.timesteps` lists.
        step: How to get from one timestep to the next.
        constraint: Called on the start with ``timesteps[0]``, and after every step with the
            timestep just reached, -1 at the end.
        generator: A CPU generator. With one, noise is drawn at every step and passed on, also
            when the step makes no use of it; without, a step that needs noise raises.

    Returns:
        An iterator of ``State(t, x, x0)`` for each timestep, then ``State(-1, x, x)``. On the way
        up ``x0`` is the estimate made last, or ``x`` where there was none.

    Raises:
        ValueError: A timestep is out of range or repeated in place, or noise is needed and there
            is no generator.
    """
    _require_timesteps(schedule, timesteps)
    return _denoise(denoiser, schedule, x, timesteps, step, constraint, generator)


def _denoise(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x: Images,
    timesteps: Sequence[int],
    step: Step,
    constraint: Constraint | None,
    generator: torch.Generator | None,
) -> Iterator[State]:
    if constraint is not None:
        x = constraint(x, timesteps[0])
    x0 = x
    for t, s in pairwise([*timesteps, -1]):
        with torch.no_grad():
            at_t, at_s = _times(x, t), _times(x, s)
            noise = None if generator is None else noise_like(x, generator)
            if s < t:
                prediction = denoiser(x, at_t)
                x0 = predict_x0(schedule, x, at_t, prediction.eps)
                after = step(schedule, x, prediction, at_t, at_s, noise)
            elif noise is not None:
                after = add_more_noise(schedule, x, at_t, at_s, noise)
            else:
                raise ValueError(f"going up from timestep {t} to {s} adds noise: pass a generator")
            if constraint is not None:
                after = constraint(after, s)
        yield State(t, x, x0)
        x = after
    yield State(-1, x, x)


def sdedit(
    denoiser: Denoiser,
    schedule: NoiseSchedule,
    x0: Images,
    timesteps: Sequence[int],
    *,
    i_start: int,
    generator: torch.Generator,
    step: Step = ddim_step,
    constraint: Constraint | None = None,
) -> Iterator[State]:
    """Edit images by noising them part of the way and denoising them again.

    Args:
        denoiser: Estimates the noise; what it was told to show is what the edit goes towards.
        schedule: The noise levels.
        x0: Clean images.
        timesteps: The whole walk, from noisy to clean.
        i_start: The index in ``timesteps`` to start at: 0 forgets almost all of the image, a
            larger index keeps more of it.
        generator: A CPU generator, for the noise that is added and for the steps.
        step: As in :func:`denoise`.
        constraint: As in :func:`denoise`.

    Returns:
        The states of :func:`denoise` over ``timesteps[i_start:]``. The start is :eq:`eq-sdedit`
        in the book.

    Raises:
        ValueError: ``i_start`` isn't an index of ``timesteps``, or as :func:`denoise`.

    Source:
        Meng et al. 2021, *SDEdit*.
    """
    if not 0 <= i_start < len(timesteps):
        raise ValueError(f"i_start must be an index from 0 to {len(timesteps) - 1}, got {i_start}")
    _require_timesteps(schedule, timesteps)
    start = add_noise(schedule, x0, _times(x0, timesteps[i_start]), noise_like(x0, generator))
    return denoise(
        denoiser,
        schedule,
        start,
        timesteps[i_start:],
        step=step,
        constraint=constraint,
        generator=generator,
    )


def keep_outside(
    schedule: NoiseSchedule,
    x0: Images,
    mask: Float[Tensor, "#batch #channel height width"],
    *,
    generator: torch.Generator,
) -> Constraint:
    r"""Keep what is outside a mask, as a constraint for :func:`denoise`: inpainting.

    .. math::

        x_s \leftarrow m\, x_s + (1 - m)
            \left(\sqrt{\bar\alpha_s}\, x_0 + \sqrt{1 - \bar\alpha_s}\, \epsilon\right)

    with fresh noise :math:`\epsilon` at every call. At :math:`s = -1` what is kept equals the
    original exactly.

    Args:
        schedule: The noise levels.
        x0: The clean original.
        mask: :math:`m`: 1 where to repaint, 0 where to keep; in between blends.
        generator: A CPU generator for the noise.

    Returns:
        The constraint. This is :eq:`eq-inpaint` in the book.

    Raises:
        ValueError: The mask has values outside [0, 1].

    Source:
        Lugmayr et al. 2022, *RePaint*, eq. 8.
    """
    if not ((mask >= 0) & (mask <= 1)).all():
        raise ValueError(
            "a mask must lie in [0, 1] (1 repaints, 0 keeps), got values from "
            f"{mask.min().item():.3g} to {mask.max().item():.3g}"
        )

    def constrain(x: Images, s: int) -> Images:
        kept = add_noise(schedule, x0.expand_as(x), _times(x, s), noise_like(x, generator))
        return mask * x + (1 - mask) * kept

    return constrain


def keep_part(
    schedule: NoiseSchedule, x0: Images, part: Part, *, generator: torch.Generator
) -> Constraint:
    r"""Keep a part of a given picture, as a constraint for :func:`denoise`.

    .. math::

        x_s \leftarrow x_s - P x_s + P \left(\sqrt{\bar\alpha_s}\, x_0
            + \sqrt{1 - \bar\alpha_s}\, \epsilon\right)

    with fresh noise :math:`\epsilon` at every call. At :math:`s = -1` the part equals that of the
    picture, up to rounding, where :math:`P` is a projection (:math:`P^2 = P`, such as the grey
    part), and nearly does for others.

    Args:
        schedule: The noise levels.
        x0: The clean picture.
        part: The linear part :math:`P` that is kept.
        generator: A CPU generator for the noise.

    Returns:
        The constraint. This is :eq:`eq-keep-part` in the book.

    Source:
        Geng et al. 2024, *Factorized diffusion*, on hybrids from real images; for a low pass,
        Choi et al. 2021, *ILVR*.
    """

    def constrain(x: Images, s: int) -> Images:
        given = add_noise(schedule, x0.expand_as(x), _times(x, s), noise_like(x, generator))
        return x - part(x) + part(given)

    return constrain


def resampling(timesteps: Sequence[int], *, jump: int, times: int) -> list[int]:
    """List the timesteps of a walk that goes over each stretch of its way several times.

    Counted from the end of the list, every ``jump`` stops the walk goes back up by ``jump`` stops
    and comes down again, until it has gone that stretch ``times`` times. On the way up
    :func:`denoise` adds noise; on each way down the network can bring new and old parts of a
    picture together.

    Args:
        timesteps: The plain walk, from noisy to clean.
        jump: How many stops it goes back up, at least 1.
        times: How often each stretch is walked down; 1 gives the plain walk.

    Raises:
        ValueError: ``jump`` or ``times`` is below 1.

    Source:
        Lugmayr et al. 2022, *RePaint*, section 4.2, whose jumps up are taken at once here.
    """
    if jump < 1 or times < 1:
        raise ValueError(f"jump and times must be at least 1, got {jump} and {times}")
    last = len(timesteps) - 1
    left = dict.fromkeys(range(0, last + 1 - jump, jump), times - 1)
    walk, level = [], last + 1
    while level > 0:
        level -= 1
        walk.append(timesteps[last - level])
        if left.get(level):
            left[level] -= 1
            level += jump
            walk.append(timesteps[last - level])
    return walk


def _times(x: Images, t: int) -> Times:
    return torch.full((len(x),), t, dtype=torch.long, device=x.device)


def _require_timesteps(schedule: NoiseSchedule, timesteps: Sequence[int]) -> None:
    if not timesteps:
        raise ValueError("expected at least one timestep, got none")
    for t in timesteps:
        if not 0 <= t < schedule.steps:
            raise ValueError(f"expected timesteps from 0 to {schedule.steps - 1}, got {t}")
    for t, s in pairwise(timesteps):
        if t == s:
            raise ValueError(f"timestep {t} follows itself: each step has to go somewhere")
