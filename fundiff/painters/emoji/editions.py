"""Editions of the training set: what weights learned from stays, and a better one comes beside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from fundiff.painters.emoji.buildings import tall_building
from fundiff.painters.emoji.cats import cat
from fundiff.painters.emoji.countryside import landscape
from fundiff.painters.emoji.nature import meadow
from fundiff.painters.emoji.pairs import any_couple, pair
from fundiff.painters.emoji.pools import Pool
from fundiff.painters.emoji.scenes import Cast, Scene
from fundiff.painters.emoji.themes import THEMES, Theme, emoji


@dataclass(frozen=True)
class Edition:
    """What a training set is made of.

    Attributes:
        themes: The subjects that are painted in many variations.
        themed: The share of the examples that show one of them.
        couple: Shows two emoji, given the familiar concepts and all.
        handsome: How often a caption of a handsome theme leaves the subject out.
        generic: How often any other caption does.
    """

    themes: tuple[Theme, ...]
    themed: float
    couple: Callable[[np.random.Generator, Cast, Pool, Pool, bool], Scene]
    handsome: float
    generic: float


CATS = ("1f431", "1f431", "1f408", "1f408", "1f63a")
"""The concepts that are cats, the plainer ones twice."""

NEWCOMERS = (
    Theme(("a cat",), cat, share=1.8),
    Theme(("a cat", "a cat", "a cat", "a cute cat"), emoji(CATS, (meadow,)), CATS, 1.0),
    Theme(("a tower",), tall_building, share=2.6),
    Theme(("a landscape",), landscape, share=2.6),
    Theme(
        ("a winking face", "a winking face", "a winking emoji"),
        emoji(("1f609",)),
        ("1f609",),
        0.6,
        handsome=False,
    ),
    Theme(("a pencil",), emoji(("270f",)), ("270f",), 1.5, handsome=False),
    Theme(("a red heart", "a heart"), emoji(("2764",)), ("2764",), 0.3, handsome=False),
    Theme(("a red apple", "an apple"), emoji(("1f34e",)), ("1f34e",), 0.3, handsome=False),
    Theme(("a car",), emoji(("1f697",)), ("1f697",), 0.3, handsome=False),
)
"""The themes of the second edition that the first one lacks; its pencils aren't turned."""

EDITIONS: Mapping[int, Edition] = MappingProxyType(
    {
        1: Edition(THEMES, 0.27, any_couple, handsome=0.05, generic=0.05),
        2: Edition(
            (*(theme for theme in THEMES if theme.words != ("a pencil",)), *NEWCOMERS),
            0.44,
            pair,
            handsome=0.13,
            generic=0.0,
        ),
    }
)
"""The editions by number; what one paints never changes."""
