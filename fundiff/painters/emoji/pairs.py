"""Pairs: two emoji side by side, any two of them or two that can be told."""

import re

import numpy as np

from fundiff.painters.emoji.canvas import contrast, merged, one_of, placed
from fundiff.painters.emoji.captions import SYNONYMS, tidied, with_article
from fundiff.painters.emoji.concepts import Concept
from fundiff.painters.emoji.nature import meadow
from fundiff.painters.emoji.pools import Pool
from fundiff.painters.emoji.scenes import Cast, Scene, couple

PETS = ("1f415", "1f436", "1f431", "1f408")
"""The animals that are shown with what stands at home, more often than any other two things."""

HOMES = ("1f3e0", "1f3e0", "1f333", "1f332", "1f697")
"""What stands at home."""

_PLAIN = {
    "1f332": "tree",
    "1f333": "tree",
    "26c4": "snowman",
    "26bd": "ball",
    "2708": "plane",
    "1f682": "train",
    "1f4d6": "book",
}

_NO_THINGS = frozenset({*range(11), *range(15, 23), 30, 31, 58})
"""Subgroups of faces, hands, parts of bodies, families and hours."""

_TRIES = 8


def any_couple(
    rng: np.random.Generator, cast: Cast, often: Pool, known: Pool, photo: bool
) -> Scene:
    """Show any two emoji side by side, mostly familiar ones."""
    some = often if rng.random() < 0.6 else known
    return couple(rng, cast, some.one(rng), some.one(rng), photo=photo)


def pair(rng: np.random.Generator, cast: Cast, often: Pool, known: Pool, photo: bool) -> Scene:
    """Show two different things apart from one another, in the order of the words."""
    first, second = _two(rng, often, known)
    size, y = rng.uniform(0.45, 0.5), rng.uniform(0.5, 0.68)
    parts = tuple(
        placed(
            cast.sprite(rng, concept.code, photo=photo),
            x=x,
            y=y + rng.uniform(-0.02, 0.02),
            width=size,
        )
        for x, concept in ((0.25, first), (0.75, second))
    )
    left, right = with_article(plain_name(first)), with_article(plain_name(second))
    words = (
        f"{left} and {right}",
        f"{left} next to {right}",
        f"{left} on the left and {right} on the right",
    )[int(rng.choice(3, p=(0.7, 0.18, 0.12)))]
    if rng.random() < 0.3:
        back = meadow(rng)
        if min(contrast(back, part) for part in parts) > 0.2:
            told = f"{words} in a meadow" if rng.random() < 0.6 else words
            return Scene(told, back, merged(*parts))
    return Scene(words, None, merged(*parts), parts)


def plain_name(concept: Concept) -> str:
    """Return the plainest word for a concept, without an article."""
    short = SYNONYMS.get(concept.code, (re.sub(" face$", "", tidied(concept.name)),))[0]
    return _PLAIN.get(concept.code, short)


def _two(rng: np.random.Generator, often: Pool, known: Pool) -> tuple[Concept, Concept]:
    """Draw two concepts that don't look alike; of a tiny pool, which may lack such, any two."""
    by_code = {concept.code: concept for concept in often.concepts}
    pets = [by_code[code] for code in PETS if code in by_code]
    homes = [by_code[code] for code in HOMES if code in by_code]
    if pets and homes and rng.random() < 0.35:
        pet, home = one_of(rng, pets), one_of(rng, homes)
        return (pet, home) if rng.random() < 0.5 else (home, pet)
    some = often if rng.random() < 0.8 else known
    first, second = some.one(rng), some.one(rng)
    for _ in range(_TRIES):
        if _no_thing(first):
            first = some.one(rng)
        if _no_thing(second) or plain_name(first) == plain_name(second):
            second = some.one(rng)
    return first, second


def _no_thing(concept: Concept) -> bool:
    """Return whether a concept is a symbol, a face or the like, and nothing beside another."""
    return concept.group == 8 or concept.subgroup in _NO_THINGS
