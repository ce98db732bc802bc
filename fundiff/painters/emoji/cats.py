"""Cats painted from a few shapes: a head, or a cat that sits and looks at us."""

from dataclasses import dataclass

import numpy as np

from fundiff.painters.emoji.canvas import Colour, mixed, one_of, varied
from fundiff.painters.emoji.nature import meadow
from fundiff.painters.emoji.scenes import Cast, Scene
from fundiff.painters.emoji.shapes import Shapes

_DARK: Colour = (0.09, 0.08, 0.09)
_WHITE: Colour = (0.97, 0.96, 0.94)
_PINK: Colour = (0.93, 0.60, 0.60)
_EYES: tuple[Colour, ...] = (
    (0.52, 0.76, 0.30),
    (0.93, 0.76, 0.24),
    (0.40, 0.66, 0.86),
    (0.86, 0.56, 0.18),
)


@dataclass(frozen=True)
class Coat:
    """What a cat's fur looks like.

    Attributes:
        words: What such a cat is called.
        fur: The fur's colour.
        stripes: That of the stripes, if there are any.
        muzzle: That of muzzle, chest and paws.
        ears: That of the ears, where it's another than the fur's.
    """

    words: tuple[str, ...]
    fur: Colour
    stripes: Colour | None = None
    muzzle: Colour | None = None
    ears: Colour | None = None


COATS = (
    Coat(("a black cat",), (0.16, 0.15, 0.17)),
    Coat(("a black and white cat",), (0.17, 0.16, 0.18), None, _WHITE),
    Coat(("a grey cat",), (0.55, 0.57, 0.61), None, (0.72, 0.73, 0.76)),
    Coat(("a grey tabby cat", "a tabby cat"), (0.60, 0.59, 0.58), (0.28, 0.27, 0.28), _WHITE),
    Coat(
        ("a brown tabby cat", "a tabby cat"),
        (0.62, 0.47, 0.32),
        (0.30, 0.20, 0.13),
        (0.92, 0.85, 0.74),
    ),
    Coat(("an orange cat", "an orange tabby cat"), (0.93, 0.62, 0.26), (0.74, 0.38, 0.12), _WHITE),
    Coat(("an orange cat", "a ginger cat"), (0.92, 0.58, 0.24), None, (0.99, 0.88, 0.72)),
    Coat(("a white cat",), (0.94, 0.93, 0.91), None, (0.99, 0.98, 0.97)),
    Coat(("a siamese cat",), (0.93, 0.86, 0.74), None, (0.42, 0.32, 0.27), (0.36, 0.27, 0.23)),
)
"""Coats that cats have."""


def cat(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
    """Show a cat's head, or a cat that sits."""
    coat, art = one_of(rng, COATS), Shapes()
    coat = Coat(coat.words, varied(rng, coat.fur, 0.04), coat.stripes, coat.muzzle, coat.ears)
    x = 0.5 + rng.uniform(-0.03, 0.03)
    if rng.random() < 0.55:
        size = rng.uniform(0.88, 1.08)
        head(art, rng, coat, (x, 0.55 + rng.uniform(-0.02, 0.03)), size)
        words = one_of(rng, ("a cat", "a cat", "a cat's face", "a cat's head", "a kitten"))
    else:
        _sitting(art, rng, coat, x)
        words = one_of(rng, ("a cat", "a cat", "a sitting cat", "a kitten"))
    if rng.random() < 0.3:
        words = one_of(rng, coat.words)
    return Scene(words, meadow(rng) if rng.random() < 0.2 else None, art.layer())


def head(
    art: Shapes, rng: np.random.Generator, coat: Coat, at: tuple[float, float], size: float
) -> None:
    """Draw a cat's head, seen from the front."""
    (x, y), dim = at, mixed(coat.fur, _DARK, 0.25)
    wide, tall = 0.36 * size * rng.uniform(0.96, 1.06), 0.30 * size * rng.uniform(0.96, 1.04)
    tip, ear = tall * rng.uniform(1.34, 1.5), coat.ears or coat.fur
    for side in (-1, 1):
        outer = [
            (x + side * wide * 0.96, y - tall * 0.1),
            (x + side * wide * 0.86, y - tip),
            (x + side * wide * 0.16, y - tall * 0.86),
        ]
        inner = [
            (x + side * wide * 0.84, y - tall * 0.45),
            (x + side * wide * 0.79, y - tip * 0.84),
            (x + side * wide * 0.38, y - tall * 0.78),
        ]
        art.polygon(outer, mixed(ear, _DARK, 0.12))
        art.polygon(inner, mixed(_PINK, ear, 0.25))
    art.ellipse(x, y, wide, tall, coat.fur)
    for side in (-1, 1):
        cheek = [
            (x + side * wide * 0.75, y - tall * 0.05),
            (x + side * wide * 1.1, y + tall * 0.5),
            (x + side * wide * 0.5, y + tall * 0.86),
        ]
        art.polygon(cheek, coat.fur)
    if coat.stripes is not None:
        _stripes(art, coat.stripes, at, wide, tall)
    muzzle = coat.muzzle or mixed(coat.fur, _WHITE, 0.16)
    if coat.ears is not None:
        art.ellipse(x, y + tall * 0.3, wide * 0.5, tall * 0.62, mixed(muzzle, coat.fur, 0.25))
    elif coat.muzzle is not None:
        blaze = [(x, y - tall * 0.75), (x + wide * 0.3, y + tall * 0.4)]
        art.polygon([*blaze, (x - wide * 0.3, y + tall * 0.4)], muzzle)
    for side in (-1, 1):
        art.ellipse(x + side * wide * 0.2, y + tall * 0.52, wide * 0.26, tall * 0.28, muzzle)
    art.ellipse(x, y + tall * 0.72, wide * 0.2, tall * 0.2, muzzle)
    _face(art, rng, coat, at, wide, tall, dim)


def _stripes(
    art: Shapes, colour: Colour, at: tuple[float, float], wide: float, tall: float
) -> None:
    x, y = at
    for k in (-1, 0, 1):
        top, foot = (x + k * wide * 0.24, y - tall * 0.96), (x + k * wide * 0.16, y - tall * 0.48)
        art.line([top, foot], colour, wide * 0.1)
    for side in (-1, 1):
        for down in (0.12, 0.38):
            edge, tip = x + side * wide * 0.98, x + side * wide * 0.66
            art.line(
                [(edge, y + tall * down), (tip, y + tall * (down + 0.06))], colour, wide * 0.09
            )


def _face(
    art: Shapes,
    rng: np.random.Generator,
    coat: Coat,
    at: tuple[float, float],
    wide: float,
    tall: float,
    dim: Colour,
) -> None:
    (x, y), iris = at, varied(rng, one_of(rng, _EYES), 0.05)
    narrow, apart = rng.uniform(0.35, 0.7), wide * rng.uniform(0.42, 0.47)
    eye = wide * rng.uniform(0.19, 0.23)
    for side in (-1, 1):
        ex, ey = x + side * apart, y - tall * 0.06
        art.ellipse(ex, ey, eye * 1.14, eye * 1.1, mixed(dim, _DARK, 0.75))
        art.ellipse(ex, ey, eye, eye * 0.96, iris)
        art.ellipse(ex, ey, eye * narrow, eye * 0.86, _DARK)
        art.ellipse(ex - eye * 0.25, ey - eye * 0.35, eye * 0.24, eye * 0.24, (1, 1, 1))
    nose = y + tall * 0.26
    tip = (x, nose + tall * 0.19)
    art.polygon([(x - wide * 0.13, nose), (x + wide * 0.13, nose), tip], (0.88, 0.46, 0.48))
    line = _DARK if sum(coat.muzzle or coat.fur) > 1.4 else mixed(coat.fur, _WHITE, 0.55)
    art.line([tip, (x, nose + tall * 0.28)], line, 0.016)
    for side in (-1, 1):
        art.arc(
            (x + side * wide * 0.13, nose + tall * 0.26),
            (wide * 0.13, tall * 0.15),
            (0, 180),
            line,
            0.018,
        )
    hair = _WHITE if sum(coat.fur) < 1.0 else mixed(coat.fur, _DARK, 0.6)
    for side in (-1, 1):
        for k in (-1, 0, 1):
            root = (x + side * wide * 0.36, y + tall * (0.48 + 0.08 * k))
            end = (x + side * wide * 1.24, y + tall * (0.46 + 0.24 * k))
            art.line([root, end], hair, 0.011)


def _sitting(art: Shapes, rng: np.random.Generator, coat: Coat, x: float) -> None:
    dim, foot = mixed(coat.fur, _DARK, 0.25), rng.uniform(0.91, 0.96)
    size = rng.uniform(0.62, 0.7)
    side = one_of(rng, (-1, 1))
    light = coat.muzzle if coat.muzzle and not coat.ears else mixed(coat.fur, _WHITE, 0.2)
    tail = [(x + side * t, foot - h) for t, h in ((0.1, 0.04), (0.3, 0.05), (0.37, 0.16))]
    curl = rng.random() < 0.5
    art.line([*tail, (x + side * (0.33 if curl else 0.42), foot - 0.3)], coat.ears or dim, 0.075)
    art.ellipse(x, foot - 0.15, 0.255, 0.165, coat.fur)
    art.polygon(
        [
            (x - 0.15, foot - 0.5),
            (x + 0.15, foot - 0.5),
            (x + 0.23, foot - 0.12),
            (x - 0.23, foot - 0.12),
        ],
        coat.fur,
    )
    if coat.stripes is not None:
        for k in range(3):
            for edge in (-1, 1):
                y = foot - 0.34 + 0.09 * k
                reach = 0.19 + 0.022 * k
                ends = [(x + edge * reach, y), (x + edge * (reach - 0.09), y + 0.015)]
                art.line(ends, coat.stripes, 0.032)
    art.ellipse(x, foot - 0.34, 0.12, 0.17, light)
    for edge in (-1, 1):
        art.ellipse(x + edge * 0.17, foot - 0.035, 0.1, 0.05, dim)
        art.box(
            x + edge * 0.075 - 0.055, foot - 0.24, x + edge * 0.075 + 0.055, foot - 0.03, coat.fur
        )
        art.ellipse(x + edge * 0.08, foot - 0.03, 0.075, 0.042, coat.ears or light)
    art.line([(x, foot - 0.22), (x, foot - 0.02)], dim, 0.018)
    head(art, rng, coat, (x, foot - 0.575), size)
