"""Drawing by shares: concepts, of which the everyday ones come oftener, and whatever else."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fundiff.painters.emoji.concepts import Concept
from fundiff.painters.emoji.scenes import FAMILIAR

OFTEN = 2.5
"""How often a familiar concept is drawn, others being drawn at 1."""

RARE = {8: 0.3, 0: 0.7}
"""How often a concept of the groups symbols and faces is drawn, where others are drawn at 1."""

ALIKE = frozenset({30, 58})
"""Families and clock faces, subgroups whose members look alike, drawn a tenth as often."""


@dataclass(frozen=True)
class Pool:
    """Concepts to draw from.

    Attributes:
        concepts: The concepts.
        shares: What they and those before them are drawn for, from 0 to 1.
    """

    concepts: tuple[Concept, ...]
    shares: tuple[float, ...]

    def one(self, rng: np.random.Generator) -> Concept:
        """Draw a concept."""
        return self.concepts[drawn(rng, self.shares)]


def pool(concepts: Iterable[Concept]) -> Pool:
    """Return a pool of some concepts."""
    chosen = tuple(concepts)
    return Pool(chosen, cumulative([_weight(concept) for concept in chosen]))


def cumulative(shares: Sequence[float]) -> tuple[float, ...]:
    """Return shares added up, the last sum being 1."""
    total = float(sum(shares))
    return tuple(float(x) / total for x in np.cumsum(shares))


def drawn(rng: np.random.Generator, shares: tuple[float, ...]) -> int:
    """Draw a number by shares that are added up."""
    return min(bisect_right(shares, rng.random()), len(shares) - 1)


def _weight(concept: Concept) -> float:
    if concept.code in FAMILIAR:
        return OFTEN
    return 0.1 if concept.subgroup in ALIKE else RARE.get(concept.group, 1.0)
