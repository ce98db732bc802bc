r"""Pictures of which one part is given: inverse problems, and inverse hybrids.

Where :func:`fundiff.sampling.keep_outside` keeps some pixels of a picture, this keeps any linear
part of it, such as its coarse structure or its grey tones, and lets the model make up the rest.
"""

import torch

from fundiff.process import add_noise
from fundiff.sampling import noise_like
from fundiff.schedule import NoiseSchedule
from fundiff.types import Constraint, Images, Part


def keep_part(
    schedule: NoiseSchedule, x0: Images, part: Part, *, generator: torch.Generator
) -> Constraint:
    r"""Keep a part of a given picture, as a constraint for :func:`fundiff.sampling.denoise`.

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
        t = torch.full((len(x),), s, dtype=torch.long, device=x.device)
        given = add_noise(schedule, x0.expand_as(x), t, noise_like(x, generator))
        return x - part(x) + part(given)

    return constrain
