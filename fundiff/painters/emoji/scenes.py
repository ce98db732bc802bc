"""What pictures show: one emoji, alone or in a place, or two of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from fundiff.painters.emoji import nature
from fundiff.painters.emoji.canvas import Layer, Picture, merged, one_of, placed
from fundiff.painters.emoji.captions import noun
from fundiff.painters.emoji.concepts import Concept

UPRIGHT = frozenset({15, 51, 58, 59, 61, 63, 67, 72, 73, 74, 76})
"""Subgroups that are never mirrored, as letters, digits or sides of the moon may be on them."""

_FAMILIAR = (
    "1f415 1f436 1f431 1f408 1f434 1f40e 1f42e 1f437 1f430 1f981 1f418 1f43b 1f426 1f986 1f41f "
    "1f3e0 1f697 1f68c 1f682 1f6b2 2708 26f5 1f332 1f333 1f334 1f33b 1f339 1f34e 1f34c 1f353 "
    "1f355 1f354 1f382 2615 26bd 1f388 2600 1f319 2b50 2602 1f451 1f4d6 1f511 1f3b8 1f6aa 1fa91 "
    "1f466 1f467 1f468 1f469 1f474 1f475 1f47b 1f916 1f525 2744 26c4 1f3f0 1f680 270f 1f480 2764 "
    "1f600 1f609"
)

FAMILIAR = frozenset(_FAMILIAR.split())
"""Everyday things, shown more often than the others, and more often in pairs."""

SIDES = ("left", "right", "clockwise", "latin", "8", "zzz")
"""Words in the names of what is never mirrored."""


@dataclass(frozen=True)
class Cast:
    """The sprites that may be used, by concept.

    Attributes:
        concepts: What there is, in a fixed order.
        pixels: Premultiplied sprites, channels last.
        drawn: Which of them are drawings or renders of a concept.
        rendered: Which of them are renders.
        stencils: Which of them have one colour.
    """

    concepts: tuple[Concept, ...]
    pixels: UInt8[np.ndarray, "sprites 64 64 4"]
    drawn: Mapping[str, tuple[int, ...]]
    rendered: Mapping[str, tuple[int, ...]]
    stencils: Mapping[str, tuple[int, ...]]

    def sprite(
        self, rng: np.random.Generator, code: str, *, photo: bool = False, stencil: bool = False
    ) -> UInt8[np.ndarray, "64 64 4"]:
        """Return one sprite of a concept: for a photo mostly a render, where there is one."""
        if stencil:
            some = self.stencils[code]
        elif photo and code in self.rendered and rng.random() < 0.7:
            some = self.rendered[code]
        else:
            some = self.drawn[code]
        result: UInt8[np.ndarray, "64 64 4"] = self.pixels[one_of(rng, some)]
        return result


@dataclass(frozen=True)
class Scene:
    """What a style makes a picture of.

    Attributes:
        words: What it shows, with an article.
        back: The place, or None where the style paints what is behind.
        front: The subject, or None where there is only a place.
        parts: The subjects by themselves, where each must be seen.
    """

    words: str
    back: Picture | None
    front: Layer | None
    parts: tuple[Layer, ...] = ()


def single(
    rng: np.random.Generator,
    cast: Cast,
    concept: Concept,
    *,
    photo: bool = False,
    stencil: bool = False,
    words: str = "",
) -> Scene:
    """Show one emoji, large and near the middle."""
    sign = concept.group == 8
    free = not sign and concept.subgroup not in UPRIGHT
    free = free and not any(word in concept.name for word in SIDES)
    sprite = cast.sprite(rng, concept.code, photo=photo, stencil=stencil)
    size = rng.uniform(0.74, 1.0) if rng.random() < 0.92 else rng.uniform(0.55, 0.74)
    reach = max(0.02, (1 - size) / 2)
    front = placed(
        sprite,
        x=0.5 + rng.uniform(-reach, reach),
        y=0.5 + rng.uniform(-reach, reach) * 0.7,
        width=size,
        degrees=rng.normal(0, 5) if not sign and rng.random() < 0.7 else 0.0,
        flip=free and rng.random() < 0.5,
    )
    return Scene(words or noun(rng, concept), None, front)


def couple(
    rng: np.random.Generator, cast: Cast, first: Concept, second: Concept, *, photo: bool = False
) -> Scene:
    """Show two emoji side by side, half the time in a place."""
    layers, size = [], rng.uniform(0.46, 0.54)
    place = rng.integers(4)
    y = 0.68 if place else 0.5
    for x, concept in ((0.27, first), (0.73, second)):
        sprite = cast.sprite(rng, concept.code, photo=photo)
        layers.append(placed(sprite, x=x, y=y + rng.uniform(-0.03, 0.03), width=size))
    left, right = noun(rng, first).split(",")[0], noun(rng, second).split(",")[0]
    joined = (f"{left} and {right}", f"{left} next to {right}", f"{left} with {right}")
    words = joined[int(rng.choice(3, p=(0.7, 0.2, 0.1)))]
    if place == 1:
        return Scene(f"{words} in a meadow", nature.meadow(rng), merged(*layers))
    if place == 2:
        return Scene(f"{words} by the sea", nature.sea(rng), merged(*layers))
    return Scene(words, None if place == 0 else nature.meadow(rng), merged(*layers))


def outdoors(
    rng: np.random.Generator, cast: Cast, concept: Concept, *, photo: bool = False
) -> Scene:
    """Show one emoji in a place that the words name."""
    places = (
        (nature.meadow, "in a meadow"),
        (nature.sea, "by the sea"),
        (nature.sky, "in the sky"),
        (nature.space, "at night"),
    )
    paint, where = one_of(rng, places)
    one = single(rng, cast, concept, photo=photo)
    return Scene(f"{one.words.split(',')[0]} {where}", paint(rng), one.front)
