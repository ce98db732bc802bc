r"""Pictures with several readings: what makes them of one denoiser a reading, and how each is seen.

An anagram shows something else under each of several views. A hybrid shows something else in each
of several parts, of which the eye takes in one after the other: from afar the first alone, then
the first two together, and from close by all of them.
"""

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
from fundiff.guidance import anagram, factorized, guided
from fundiff.types import Denoiser, Images, Part, View
from fundiff.views import (
    HorizontalFlip,
    InnerCircle,
    Jigsaw,
    Negation,
    PatchPermutation,
    Rotation,
    Skew,
    SquareHinge,
    VerticalFlip,
)

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
"""The views by the names that the command line knows."""


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
