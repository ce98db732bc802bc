r"""Pictures with several readings: the denoisers that make them, and how each reading is seen.

An anagram shows something else under each of several views. A hybrid shows something else in each
of several parts, of which the eye takes in one after the other: from afar the first alone, then
the first two together, and from close by all of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from fundiff.filters import (
    GaussianBlur,
    MotionBlur,
    grey_and_colour,
    low_and_high,
    motion_and_rest,
    three_bands,
)
from fundiff.guidance import Combination, Question, guided, kept_variance
from fundiff.permutations import InnerCircle, Jigsaw, PatchPermutation, Skew, SquareHinge
from fundiff.types import Denoiser, Images, Part, Prediction, Times, View
from fundiff.views import HorizontalFlip, Negation, Rotation, VerticalFlip


@dataclass(frozen=True)
class _Anagram(Combination):
    pairs: tuple[tuple[Denoiser, View], ...]
    weights: tuple[float, ...]

    def parts(self, x_t: Images) -> Sequence[Question]:
        return [(denoiser, view.apply(x_t)) for denoiser, view in self.pairs]

    def mix(self, x_t: Images, t: Times, answers: Sequence[Prediction]) -> Prediction:
        upright = [
            view.invert(answer.eps) for (_, view), answer in zip(self.pairs, answers, strict=True)
        ]
        variances = [answer.variance for answer in answers if answer.variance is not None]
        known = len(variances) == len(answers)
        return Prediction(
            _weighted(self.weights, upright),
            _weighted(self.weights, variances) if known else None,
        )


def anagram(*pairs: tuple[Denoiser, View], weights: Sequence[float] | None = None) -> Denoiser:
    r"""Denoise so that each view of the image shows what its own denoiser wants.

    .. math:: \epsilon = \sum_i w_i\, V_i^{-1}\, \epsilon_i(V_i x_t), \qquad \sum_i w_i = 1

    Args:
        pairs: Denoisers, each with the view :math:`V_i` under which it sees the image. A view
            has to be orthogonal, or what the denoiser sees isn't white noise.
        weights: One weight a pair, summing to 1; equal by default.

    Returns:
        The combined denoiser; the raw variances are averaged as they are, with the same weights
        and without undoing the views. This is :eq:`eq-anagram` in the book.

    Raises:
        ValueError: There is no pair, or the weights don't fit.

    Source:
        Geng et al. 2024, *Visual anagrams*, eqs. 3 and 4.
    """
    if not pairs:
        raise ValueError("an anagram needs at least one (denoiser, view) pair, got none")
    shares = tuple(weights) if weights is not None else (1 / len(pairs),) * len(pairs)
    if len(shares) != len(pairs) or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise ValueError(f"expected {len(pairs)} weights that sum to 1, got {list(shares)}")
    return _Anagram(pairs, shares)


@dataclass(frozen=True)
class _Factorized(Combination):
    splits: tuple[tuple[Denoiser, Part], ...]

    def parts(self, x_t: Images) -> Sequence[Question]:
        return [(denoiser, x_t) for denoiser, _ in self.splits]

    def mix(self, x_t: Images, t: Times, answers: Sequence[Prediction]) -> Prediction:
        kept = [part(answer.eps) for (_, part), answer in zip(self.splits, answers, strict=True)]
        return Prediction(
            _weighted((1.0,) * len(kept), kept), kept_variance(answers, answers[-1].variance)
        )


def factorized(*parts: tuple[Denoiser, Part]) -> Denoiser:
    r"""Denoise each part of the image as its own denoiser wants.

    .. math:: \epsilon = \sum_i P_i\, \epsilon_i(x_t), \qquad \sum_i P_i = 1

    Args:
        parts: Denoisers, each with the linear part :math:`P_i` of its estimate that is kept. The
            parts have to sum to the identity, as the splits of :mod:`fundiff.filters` do.

    Returns:
        The combined denoiser; it keeps the variance of the last part. This is :eq:`eq-factorized`
        in the book.

    Raises:
        ValueError: There is no part.

    Source:
        Geng et al. 2024, *Factorized diffusion*, eq. 5.
    """
    if not parts:
        raise ValueError("a factorized denoiser needs at least one (denoiser, part), got none")
    return _Factorized(parts)


def hybrid(far: Denoiser, near: Denoiser, *, low_pass: Part) -> Denoiser:
    r"""Show one thing from afar and another from nearby.

    .. math::

        \epsilon = \mathrm{low}(\epsilon_{\mathrm{far}})
                 + \epsilon_{\mathrm{near}} - \mathrm{low}(\epsilon_{\mathrm{near}})

    Args:
        far: The denoiser of the coarse structure.
        near: The denoiser of the detail.
        low_pass: The low pass, such as :class:`fundiff.filters.GaussianBlur`.

    Returns:
        The combined denoiser; it keeps the variance of ``near``. This is :eq:`eq-hybrid` in the
        book.

    Source:
        Geng et al. 2024, *Factorized diffusion*, section 3.3.
    """
    low, high = low_and_high(low_pass)
    return factorized((far, low), (near, high))


def _weighted(weights: Sequence[float], images: Sequence[Images]) -> Images:
    total = weights[0] * images[0]
    for weight, image in zip(weights[1:], images[1:], strict=True):
        total = total + weight * image
    return total


Reading = Callable[[Images], Images]
"""What happens to a picture before it is read, such as a view or a blur."""

VIEWS: dict[str, View] = {
    "flip": VerticalFlip(),
    "mirror": HorizontalFlip(),
    "rotate-90": Rotation(1),
    "rotate-180": Rotation(2),
    "negate": Negation(),
    "jigsaw": Jigsaw(),
    "patches": PatchPermutation(),
    "circle": InnerCircle(),
    "skew": Skew(),
    "hinge": SquareHinge(),
}
"""The views of :mod:`fundiff.views` and :mod:`fundiff.permutations` by their names.

The command line and the tests take all of them; which are scored and shown in the book's tables is
:data:`fundiff.recipes.illusion_scores.SCORED`.
"""


@runtime_checkable
class Illusion(Protocol):
    """A picture that can be read in several ways."""

    @property
    def readings(self) -> tuple[Reading, ...]:
        """How the picture is seen for each reading, in the order of their denoisers."""
        ...

    def guided(self, conds: Sequence[Denoiser], uncond: Denoiser, *, scale: float) -> Denoiser:
        """Make the denoiser whose picture shows everything.

        Args:
            conds: A denoiser for each reading.
            uncond: The denoiser that knows of none.
            scale: The guidance scale.

        Returns:
            The denoiser.

        Raises:
            ValueError: There isn't one denoiser for each reading.
        """
        ...


@dataclass(frozen=True)
class Anagram:
    """A picture that shows something else under each view.

    Each view is guided for itself, with its own unconditional estimate.

    Attributes:
        views: The views, of which the first is often :class:`fundiff.views.Identity`.
    """

    views: tuple[View, ...]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The views."""
        return tuple(view.apply for view in self.views)

    def guided(self, conds: Sequence[Denoiser], uncond: Denoiser, *, scale: float) -> Denoiser:
        """Make the anagram of the guided denoisers."""
        _require_one_each(conds, self.views)
        each = [guided(cond, uncond, scale=scale) for cond in conds]
        return anagram(*zip(each, self.views, strict=True))


@dataclass(frozen=True)
class Hybrid:
    """A picture that shows something else in each of its parts.

    Attributes:
        parts: Linear parts that sum to the identity, the one seen from farthest first.
    """

    parts: tuple[Part, ...]

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The first part, the sum of the first two, and so on to the whole picture."""
        return tuple(_Sum(self.parts[: count + 1]) for count in range(len(self.parts)))

    def guided(self, conds: Sequence[Denoiser], uncond: Denoiser, *, scale: float) -> Denoiser:
        """Guide the factorized denoiser, which is the same as guiding each part."""
        _require_one_each(conds, self.parts)
        pairs = zip(conds, self.parts, strict=True)
        return guided(factorized(*pairs), uncond, scale=scale)


@dataclass(frozen=True)
class _Sum:
    parts: tuple[Part, ...]

    def __call__(self, x: Images) -> Images:
        first, *others = self.parts
        total = first(x)
        for part in others:
            total = total + part(x)
        return total


def hybrids(*, kernel_size: int = 33, sigma: float = 2.0) -> dict[str, Hybrid]:
    r"""Return the hybrids of two and three readings by the names that the command line knows.

    Args:
        kernel_size: The side of the blur's kernel in pixels, odd.
        sigma: The standard deviation :math:`\sigma` of the blur in pixels; the triple hybrid has
            :math:`\sigma / 2` beside it.

    Returns:
        Hybrids by distance, by colour, by motion, and by distance of three readings.

    Raises:
        ValueError: As :class:`fundiff.filters.GaussianBlur`.
    """
    blur, fine = GaussianBlur(kernel_size, sigma), GaussianBlur(kernel_size, sigma / 2)
    return {
        "blur": Hybrid(low_and_high(blur)),
        "colour": Hybrid(grey_and_colour()),
        "motion": Hybrid(motion_and_rest(MotionBlur())),
        "triple": Hybrid(three_bands(fine, blur)),
    }


def _require_one_each(conds: Sequence[Denoiser], readings: Sequence[object]) -> None:
    if len(conds) != len(readings):
        raise ValueError(
            f"expected a denoiser for each of the {len(readings)} readings, got {len(conds)}"
        )
