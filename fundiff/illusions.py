r"""Pictures with several readings: the denoisers that make them, and how each reading is seen.

An anagram shows something else under each of several views. A hybrid shows something else in each
of several parts, of which the eye takes in one after the other: from afar the first alone, then
the first two together, and from close by all of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch

from fundiff.errors import FundiffError
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
class Anagram(Combination):
    r"""A denoiser for which each view of an image shows what its own denoiser wants.

    .. math:: \epsilon = \sum_i w_i\, V_i^{-1}\, \epsilon_i(V_i x_t), \qquad \sum_i w_i = 1

    The raw variances are turned back like the noise, except that a view which negates pixels leaves
    their variance as it is, and averaged with the same weights. That needs views that move or
    negate whole pixels; where one mixes them, a step that asks for the variance gets a wrong one.

    Attributes:
        pairs: Denoisers, each with the view :math:`V_i` under which it sees the image. A view
            has to be orthogonal, or what the denoiser sees isn't white noise.
        weights: One weight a pair, summing to 1.

    Raises:
        FundiffError: There is no pair, or the weights don't fit.

    Source:
        Geng et al. 2024, *Visual anagrams*, eqs. 3 and 4.
    """

    pairs: tuple[tuple[Denoiser, View], ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.pairs:
            raise FundiffError("an anagram needs at least one (denoiser, view) pair, got none")
        if len(self.weights) != len(self.pairs) or not math.isclose(
            sum(self.weights), 1, abs_tol=1e-6
        ):
            raise FundiffError(
                f"expected {len(self.pairs)} weights that sum to 1, got {[*self.weights]}"
            )

    def parts(self, x_t: Images) -> Sequence[Question]:
        """Show each denoiser its view."""
        return [(denoiser, view.apply(x_t)) for denoiser, view in self.pairs]

    def mix(self, x_t: Images, t: Times, answers: Sequence[Prediction]) -> Prediction:
        """Turn every answer back, and average."""
        views = [view for _, view in self.pairs]
        upright = [view.invert(answer.eps) for view, answer in zip(views, answers, strict=True)]
        variances = [
            view.invert(answer.variance) * view.invert(torch.ones_like(answer.variance))
            for view, answer in zip(views, answers, strict=True)
            if answer.variance is not None
        ]
        known = len(variances) == len(answers)
        return Prediction(
            _weighted(self.weights, upright),
            _weighted(self.weights, variances) if known else None,
        )


def anagram(*pairs: tuple[Denoiser, View], weights: Sequence[float] | None = None) -> Anagram:
    """Return :class:`Anagram` of pairs of a denoiser and a view: :eq:`eq-anagram` in the book.

    The weights are equal by default.
    """
    equal = (1 / len(pairs),) * len(pairs) if pairs else ()
    return Anagram(pairs, equal if weights is None else tuple(weights))


@dataclass(frozen=True)
class Factorized(Combination):
    r"""A denoiser for which each part of an image is as its own denoiser wants.

    .. math:: \epsilon = \sum_i P_i\, \epsilon_i(x_t), \qquad \sum_i P_i = 1

    It keeps the variance of the last part.

    Attributes:
        pairs: Denoisers, each with the linear part :math:`P_i` of its estimate that is kept. The
            parts have to sum to the identity, as the splits of :mod:`fundiff.filters` do.

    Raises:
        FundiffError: There is no part.

    Source:
        Geng et al. 2024, *Factorized diffusion*, eq. 5.
    """

    pairs: tuple[tuple[Denoiser, Part], ...]

    def __post_init__(self) -> None:
        if not self.pairs:
            raise FundiffError("a factorized denoiser needs at least one (denoiser, part)")

    def parts(self, x_t: Images) -> Sequence[Question]:
        """Ask every denoiser about the same images."""
        return [(denoiser, x_t) for denoiser, _ in self.pairs]

    def mix(self, x_t: Images, t: Times, answers: Sequence[Prediction]) -> Prediction:
        """Sum the parts of the answers."""
        kept = [part(answer.eps) for (_, part), answer in zip(self.pairs, answers, strict=True)]
        return Prediction(
            _weighted((1.0,) * len(kept), kept), kept_variance(answers, answers[-1].variance)
        )


def factorized(*pairs: tuple[Denoiser, Part]) -> Factorized:
    """Return :class:`Factorized` of pairs of a denoiser and a part: :eq:`eq-factorized`."""
    return Factorized(pairs)


def hybrid(far: Denoiser, near: Denoiser, *, low_pass: Part) -> Factorized:
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
            FundiffError: There isn't one denoiser for each reading.
        """
        ...


@dataclass(frozen=True)
class ByView:
    """A picture that shows something else under each view: an anagram.

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
class ByPart:
    """A picture that shows something else in each of its parts: a hybrid.

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


def hybrids(*, kernel_size: int = 33, sigma: float = 2.0) -> dict[str, ByPart]:
    r"""Return the hybrids of two and three readings by the names that the command line knows.

    Args:
        kernel_size: The side of the blur's kernel in pixels, odd.
        sigma: The standard deviation :math:`\sigma` of the blur in pixels; the triple hybrid has
            :math:`\sigma / 2` beside it.

    Returns:
        Hybrids by distance, by colour, by motion, and by distance of three readings.

    Raises:
        FundiffError: As :class:`fundiff.filters.GaussianBlur`.
    """
    blur, fine = GaussianBlur(kernel_size, sigma), GaussianBlur(kernel_size, sigma / 2)
    return {
        "blur": ByPart(low_and_high(blur)),
        "colour": ByPart(grey_and_colour()),
        "motion": ByPart(motion_and_rest(MotionBlur())),
        "triple": ByPart(three_bands(fine, blur)),
    }


def _require_one_each(conds: Sequence[Denoiser], readings: Sequence[object]) -> None:
    if len(conds) != len(readings):
        raise FundiffError(
            f"expected a denoiser for each of the {len(readings)} readings, got {len(conds)}"
        )
