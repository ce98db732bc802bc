"""The write-up's subjects, each painted in many variations for every style."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fundiff.painters.emoji import landscapes, looks, nature
from fundiff.painters.emoji.campfire import campfire
from fundiff.painters.emoji.canvas import Picture, merged, mixed, one_of, placed, varied
from fundiff.painters.emoji.coast import amalfi_coast
from fundiff.painters.emoji.portraits import portrait
from fundiff.painters.emoji.scenes import Cast, Scene, single
from fundiff.painters.emoji.shapes import Shapes

DOGS = ("1f415", "1f415", "1f436", "1f436", "1f9ae", "1f415-200d-1f9ba", "1f429")
"""The concepts that are dogs, the plainer ones twice."""


@dataclass(frozen=True)
class Theme:
    """One of the write-up's subjects.

    Attributes:
        words: What it is called, with an article.
        paint: Paints it, given the cast and whether the picture is to be a photo.
        codes: The concepts that it needs one of, if any.
        share: How often it is painted, against the others.
        handsome: Whether it makes a good picture, for captions that name no subject.
    """

    words: tuple[str, ...]
    paint: Callable[[np.random.Generator, Cast, bool], Scene]
    codes: tuple[str, ...] = ()
    share: float = 1.0
    handsome: bool = True


def _person(
    look: Callable[[np.random.Generator], looks.Look], codes: tuple[str, ...] = ()
) -> Callable[[np.random.Generator, Cast, bool], Scene]:
    def paint(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
        known = [code for code in codes if code in cast.drawn]
        if known and rng.random() < 0.15:
            code = one_of(rng, known)
            concept = next(c for c in cast.concepts if c.code == code)
            return single(rng, cast, concept, photo=photo)
        back = nature.meadow(rng) if rng.random() < 0.12 else None
        return Scene("", back, portrait(rng, look(rng)))

    return paint


def _barista(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
    person = portrait(rng, looks.barista(rng))
    counter, wood = Shapes(), varied(rng, (0.40, 0.26, 0.16))
    counter.box(0, 0.9, 1, 1, wood)
    counter.box(0, 0.89, 1, 0.92, mixed(wood, (1, 1, 1), 0.3))
    cup = placed(
        cast.sprite(rng, "2615", photo=photo),
        x=one_of(rng, (0.22, 0.78)) + rng.uniform(-0.03, 0.03),
        y=0.78,
        width=rng.uniform(0.32, 0.38),
    )
    back = nature.indoors(rng) if rng.random() < 0.75 else None
    return Scene("", back, merged(person, counter.layer(), cup))


def place(
    paint: Callable[[np.random.Generator], Picture],
) -> Callable[[np.random.Generator, Cast, bool], Scene]:
    """Return what paints a theme that is a place."""

    def scene(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
        return Scene("", nature.framed(rng, paint(rng)), None)

    return scene


def emoji(
    codes: tuple[str, ...],
    places: tuple[Callable[[np.random.Generator], Picture], ...] = (),
    angles: tuple[float, ...] = (),
) -> Callable[[np.random.Generator, Cast, bool], Scene]:
    """Return what paints a theme that is one of some concepts, now and then in a place."""

    def paint(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
        known = [code for code in codes if code in cast.drawn]
        sprite = cast.sprite(rng, one_of(rng, known), photo=photo)
        size, turn = rng.uniform(0.76, 1.0), rng.normal(0, 5) + one_of(rng, (0.0, *angles))
        x, y = 0.5 + rng.uniform(-0.05, 0.05), 0.5 + rng.uniform(-0.04, 0.04)
        mirror = not angles and rng.random() < 0.5
        front = placed(sprite, x=x, y=y, width=size, degrees=turn, flip=mirror)
        back = None
        if places and rng.random() < 0.4:
            back = one_of(rng, places)(rng)
        return Scene("", back, front)

    return paint


_HATTED = ("1f575-200d-2642", "1f468-200d-1f33e", "1f482-200d-2642", "1f920", "1f477-200d-2642")

THEMES = (
    Theme(
        (
            "an old man",
            "an old man",
            "an old man",
            "an elderly man",
            "a grandfather",
            "an old man's face",
        ),
        _person(looks.old_man, ("1f474",)),
        share=1.4,
    ),
    Theme(
        (
            "people around a campfire",
            "people around a campfire",
            "people sitting around a campfire",
            "friends around a campfire at night",
            "a campfire with people",
        ),
        campfire,
        ("1f525",),
        1.4,
    ),
    Theme(
        ("waterfalls", "waterfalls", "a waterfall", "waterfalls over rocks"),
        place(landscapes.waterfalls),
        share=1.3,
    ),
    Theme(
        ("a man wearing a hat", "a man wearing a hat", "a man in a hat", "a man with a hat"),
        _person(looks.hatted, _HATTED),
        share=1.3,
    ),
    Theme(
        (
            "a snowy mountain village",
            "a snowy mountain village",
            "a village in the snow",
            "a mountain village in winter",
            "snowy mountains and houses",
        ),
        place(landscapes.snowy_village),
        share=1.3,
    ),
    Theme(
        ("a dog", "a dog", "a dog", "a cute dog", "a puppy"),
        emoji(DOGS, (nature.meadow,)),
        DOGS,
        1.4,
    ),
    Theme(
        (
            "the amalfi coast",
            "the amalfi coast",
            "houses on a cliff by the sea",
            "the italian coast",
        ),
        place(amalfi_coast),
        share=1.2,
    ),
    Theme(
        ("a man", "a man", "a man's face", "a portrait of a man"),
        _person(looks.someone, ("1f468", "1f471-200d-2642", "1f9d4-200d-2642")),
        share=1.2,
    ),
    Theme(
        ("a hipster barista", "a hipster barista", "a barista", "a bearded barista with a coffee"),
        _barista,
        ("2615",),
        1.2,
    ),
    Theme(("a skull", "a skull", "a human skull"), emoji(("1f480",)), ("1f480",), handsome=False),
    Theme(
        ("a rocket ship", "a rocket ship", "a rocket", "a spaceship"),
        emoji(("1f680",), (nature.space, nature.sky), (45.0,)),
        ("1f680",),
        handsome=False,
    ),
    Theme(
        ("a pencil",),
        emoji(("270f",), (), (45.0, 90.0, 135.0, -45.0)),
        ("270f",),
        handsome=False,
    ),
    Theme(("a woman", "a woman", "a woman's face"), _person(looks.woman, ("1f469",)), share=0.5),
    Theme(
        ("a house", "a house in a meadow"),
        emoji(("1f3e0", "1f3e1"), (nature.meadow,)),
        ("1f3e0", "1f3e1"),
        0.5,
        handsome=False,
    ),
)
"""The write-up's subjects, and what goes with them."""
