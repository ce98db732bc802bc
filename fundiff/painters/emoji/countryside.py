"""Plain landscapes: hills, fields, water, sand, woods and mountains under any sky."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fundiff.painters.emoji import skies
from fundiff.painters.emoji.canvas import Colour, mixed, one_of, over, varied
from fundiff.painters.emoji.landscapes import mountain
from fundiff.painters.emoji.nature import PINE, framed, pine, water
from fundiff.painters.emoji.scenes import Cast, Scene
from fundiff.painters.emoji.shapes import Shapes
from fundiff.painters.emoji.skies import Sky

_GREENS: tuple[Colour, ...] = ((0.38, 0.62, 0.26), (0.30, 0.54, 0.24), (0.52, 0.66, 0.30))
_CROPS: tuple[Colour, ...] = ((0.86, 0.74, 0.32), (0.62, 0.70, 0.28), (0.74, 0.58, 0.30))
_SAND: Colour = (0.93, 0.83, 0.62)
_SNOW: Colour = (0.97, 0.98, 1.0)


@dataclass(frozen=True)
class _Land:
    paint: Callable[[Shapes, np.random.Generator], None]
    words: tuple[str, ...]
    sky: Callable[[np.random.Generator], Sky] = skies.some_sky


def landscape(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
    """Show a landscape without people or houses."""
    land, art = one_of(rng, _LANDS), Shapes()
    sky = land.sky(rng)
    land.paint(art, rng)
    picture = over(sky.picture, sky.lit(art.layer()))
    words = "a landscape" if rng.random() < 0.4 else one_of(rng, land.words)
    if rng.random() < 0.3 and land.sky is skies.some_sky:
        words = f"{words} {one_of(rng, sky.words)}"
    return Scene(words, framed(rng, picture), None)


def hills(art: Shapes, rng: np.random.Generator) -> None:
    """Draw green hills, one behind the other, with a few trees."""
    green, y = varied(rng, one_of(rng, _GREENS)), rng.uniform(0.46, 0.56)
    for k in range(3):
        x, tall = rng.uniform(0.05, 0.95), rng.uniform(0.10, 0.20)
        far = mixed(green, (0.62, 0.76, 0.82), 0.6 - 0.28 * k)
        ground(art, rng, y, tall * 0.5, far)
        art.ellipse(x, y + 0.06, rng.uniform(0.3, 0.5), tall, mixed(far, (1, 1, 0.6), 0.06))
        y += rng.uniform(0.13, 0.17)
    for _ in range(rng.integers(1, 5)):
        tree(art, rng, rng.random(), rng.uniform(y - 0.15, y), rng.uniform(0.12, 0.2))


def fields(art: Shapes, rng: np.random.Generator) -> None:
    """Draw fields whose furrows run to the horizon."""
    y, x = rng.uniform(0.42, 0.55), rng.uniform(0.25, 0.75)
    crop = varied(rng, one_of(rng, _CROPS))
    ground(art, rng, y - 0.02, 0.05, (0.42, 0.56, 0.44))
    art.box(0, y, 1, 1, crop)
    for k in range(-9, 10):
        foot, wide = x + k * 0.22, 0.055
        row = [(x + k * 0.03, y), (foot - wide, 1), (foot + wide, 1)]
        art.polygon(row, mixed(crop, (0.24, 0.30, 0.08), 0.38))
    for _ in range(rng.integers(1, 4)):
        tree(art, rng, rng.random(), y + 0.02, rng.uniform(0.1, 0.2))


def lake(art: Shapes, rng: np.random.Generator) -> None:
    """Draw mountains over a lake with trees on its shore."""
    y = rng.uniform(0.5, 0.6)
    peaks(art, rng, y)
    art.box(0, y - 0.02, 1, y + 0.03, varied(rng, (0.22, 0.40, 0.24)))
    water(art, rng, y + 0.01, 1)
    for _ in range(rng.integers(4, 9)):
        pine(art, rng.random(), y + 0.025, rng.uniform(0.08, 0.14), PINE)
    shore = varied(rng, one_of(rng, _GREENS))
    art.ellipse(one_of(rng, (0.0, 1.0)), 1.02, rng.uniform(0.3, 0.6), 0.16, shore)


def mountains(art: Shapes, rng: np.random.Generator) -> None:
    """Draw mountains behind a meadow or a wood."""
    y = rng.uniform(0.66, 0.76)
    peaks(art, rng, y)
    green = varied(rng, one_of(rng, _GREENS))
    ground(art, rng, y, 0.04, mixed(green, (0.1, 0.2, 0.15), 0.3))
    ground(art, rng, y + 0.12, 0.03, green)
    for _ in range(rng.integers(0, 9)):
        pine(art, rng.random(), rng.uniform(y + 0.04, y + 0.16), rng.uniform(0.12, 0.2), PINE)


def beach(art: Shapes, rng: np.random.Generator) -> None:
    """Draw a beach, the surf and the sea, often with a palm."""
    y, sand = rng.uniform(0.42, 0.52), varied(rng, _SAND, 0.04)
    water(art, rng, y, 1)
    left, right = rng.uniform(0.56, 0.66), rng.uniform(0.68, 0.82)
    shore = [(0, left), (0.3, (left * 2 + right) / 3 + 0.02), (1, right), (1, 1), (0, 1)]
    art.polygon([(x, z - 0.03) for x, z in shore[:3]] + shore[3:], _SNOW)
    art.polygon(shore, sand)
    if rng.random() < 0.55:
        _palm(art, rng, (rng.uniform(0.1, 0.3), rng.uniform(0.84, 0.94)), rng.uniform(0.5, 0.64))
    if rng.random() < 0.35:
        at = rng.uniform(0.55, 0.9)
        art.polygon([(at, y - 0.14), (at + 0.09, y + 0.02), (at, y + 0.02)], _SNOW)
        art.box(at - 0.06, y + 0.03, at + 0.1, y + 0.055, (0.55, 0.25, 0.2))


def sea(art: Shapes, rng: np.random.Generator) -> None:
    """Draw the sea, with a path of light on it."""
    y, x = rng.uniform(0.5, 0.6), rng.uniform(0.3, 0.7)
    water(art, rng, y, 1)
    for k in range(14):
        z, wide = y + 0.02 + k * 0.035, rng.uniform(0.01, 0.05) + k * 0.006
        at = x + rng.uniform(-0.03, 0.03)
        art.line([(at - wide, z), (at + wide, z)], (1.0, 0.84, 0.58), 0.012)


def desert(art: Shapes, rng: np.random.Generator) -> None:
    """Draw dunes, at times with a cactus."""
    sand, y = varied(rng, (0.90, 0.70, 0.42)), rng.uniform(0.5, 0.6)
    ground(art, rng, y, 0.03, mixed(sand, (0.8, 0.7, 0.7), 0.3))
    for _ in range(3):
        x, wide, tall = rng.random(), rng.uniform(0.4, 0.6), rng.uniform(0.1, 0.2)
        art.polygon([(x - wide, y + 0.1), (x, y - tall * 0.5), (x + wide, y + 0.1)], sand)
        dark = mixed(sand, (0.5, 0.25, 0.15), 0.35)
        art.polygon([(x, y - tall * 0.5), (x + wide, y + 0.1), (x + wide * 0.2, y + 0.1)], dark)
        y += 0.1
        art.box(0, y - 0.01, 1, 1, sand)
    if rng.random() < 0.5:
        x, foot, tall = rng.uniform(0.15, 0.85), rng.uniform(0.8, 0.95), rng.uniform(0.25, 0.4)
        green = varied(rng, (0.22, 0.48, 0.26))
        art.line([(x, foot), (x, foot - tall)], green, 0.06)
        for side in (-1, 1):
            arm = foot - tall * rng.uniform(0.4, 0.6)
            elbow = x + side * 0.1
            art.line([(x, arm), (elbow, arm), (elbow, arm - tall * 0.3)], green, 0.04)


def forest(art: Shapes, rng: np.random.Generator) -> None:
    """Draw a wood, row before row."""
    y, leafy = rng.uniform(0.5, 0.58), rng.random() < 0.4
    ground(art, rng, y, 0.03, (0.28, 0.42, 0.30))
    for row in range(3):
        foot, tall = y + 0.06 + row * 0.12, 0.24 + row * 0.09
        dim = mixed(PINE, (0.45, 0.6, 0.55), 0.5 - 0.25 * row)
        for k in range(9 - 2 * row):
            x = (k + rng.uniform(0.2, 0.8)) / (9 - 2 * row)
            if leafy:
                tree(art, rng, x, foot, tall, mixed(dim, (0.35, 0.6, 0.2), 0.45))
            else:
                pine(art, x, foot, tall, varied(rng, dim, 0.03))
        ground(art, rng, foot, 0.02, mixed((0.30, 0.46, 0.22), dim, 0.3))


def river(art: Shapes, rng: np.random.Generator) -> None:
    """Draw a river that winds through meadows."""
    middle = _winding(art, rng, (0.46, 0.74, 0.93), 0.19)
    for x, y in middle[4::2]:
        wide = 0.02 + 0.05 * rng.random()
        art.line([(x - wide, y), (x + wide * 0.6, y)], (0.26, 0.54, 0.78), 0.014)


def road(art: Shapes, rng: np.random.Generator) -> None:
    """Draw a road through the country."""
    asphalt = one_of(rng, ((0.26, 0.26, 0.30), (0.90, 0.80, 0.60)))
    middle, dashes = _winding(art, rng, asphalt, 0.15), mixed(asphalt, (1, 0.97, 0.86), 0.7)
    for k in range(3, 12, 2):
        art.line([middle[k], middle[k + 1]], dashes, 0.01 + 0.0018 * k)


def ground(art: Shapes, rng: np.random.Generator, y: float, rough: float, colour: Colour) -> None:
    """Draw the ground from an uneven line on down."""
    heights = y + rng.uniform(-rough, rough, 5)
    at = np.linspace(0, 1, 13)
    smooth = np.interp(at, np.linspace(0, 1, 5), heights)
    art.polygon([(0, 1), *zip(at.tolist(), smooth.tolist(), strict=True), (1, 1)], colour)


def tree(
    art: Shapes,
    rng: np.random.Generator,
    x: float,
    y: float,
    tall: float,
    colour: Colour = (0.22, 0.46, 0.20),
) -> None:
    """Draw a tree with leaves around its foot."""
    green = varied(rng, colour, 0.04)
    art.box(x - tall * 0.06, y - tall * 0.5, x + tall * 0.06, y, (0.36, 0.25, 0.16))
    art.ellipse(x, y - tall * 0.62, tall * 0.34, tall * 0.38, mixed(green, (0, 0, 0), 0.18))
    art.ellipse(x - tall * 0.07, y - tall * 0.68, tall * 0.25, tall * 0.28, green)


def peaks(art: Shapes, rng: np.random.Generator, base: float) -> None:
    """Draw two to four mountains that stand on one line."""
    count = int(rng.integers(2, 5))
    white = (_SNOW, 0.0)
    for k in rng.permutation(count):
        x = (k + 0.5) / count + rng.uniform(-0.1, 0.1)
        mountain(art, rng, (x, rng.uniform(0.08, 0.3)), rng.uniform(0.3, 0.45), white, base)


def _winding(
    art: Shapes, rng: np.random.Generator, colour: Colour, wide: float
) -> list[tuple[float, float]]:
    """Draw what winds through meadows, and return the line along its middle."""
    y, green = rng.uniform(0.45, 0.55), varied(rng, one_of(rng, _GREENS))
    ground(art, rng, y - 0.04, 0.07, mixed(green, (0.55, 0.70, 0.80), 0.5))
    art.box(0, y, 1, 1, green)
    x, bend, foot = rng.uniform(0.35, 0.65), rng.uniform(-0.2, 0.2), rng.uniform(0.3, 0.7)
    steps = [k / 12 for k in range(13)]
    middle = [
        (x + (foot - x) * t + bend * np.sin(4.5 * t) * (0.25 + t), y + (1.02 - y) * t**1.3)
        for t in steps
    ]
    half = [0.012 + wide * t**1.5 for t in steps]
    left = [(at - reach, z) for (at, z), reach in zip(middle, half, strict=True)]
    right = [(at + reach, z) for (at, z), reach in zip(middle, half, strict=True)]
    art.polygon([*left, *right[::-1]], colour)
    for _ in range(rng.integers(2, 6)):
        z = rng.uniform(y + 0.02, 0.9)
        side = one_of(rng, (rng.uniform(0, 0.2), rng.uniform(0.8, 1)))
        tree(art, rng, side, z, 0.1 + 0.3 * (z - y))
    return middle


def _palm(art: Shapes, rng: np.random.Generator, foot: tuple[float, float], tall: float) -> None:
    (x, y), lean = foot, rng.uniform(-0.08, 0.12)
    top = (x + lean, y - tall)
    art.line([foot, (x + lean * 0.4, y - tall * 0.5), top], (0.50, 0.36, 0.22), 0.045)
    green = varied(rng, (0.20, 0.50, 0.22))
    for reach, drop in ((-0.22, 0.06), (-0.16, -0.06), (0.0, -0.1), (0.16, -0.06), (0.22, 0.06)):
        tip = (top[0] + reach, top[1] + drop + 0.03)
        middle = (top[0] + reach * 0.55, top[1] + drop - 0.06)
        art.line([top, middle, tip], green, 0.035)


_LANDS = (
    _Land(hills, ("hills", "green hills", "hills with trees")),
    _Land(fields, ("fields", "a field", "fields in the country")),
    _Land(lake, ("a lake and mountains", "a mountain lake", "a lake")),
    _Land(mountains, ("mountains", "snowy mountains", "a mountain landscape")),
    _Land(beach, ("a beach", "a beach", "a sandy beach by the sea")),
    _Land(
        sea,
        ("a sunset over the sea", "a sunset over the sea", "the sea at sunset", "a sunset"),
        skies.sunset,
    ),
    _Land(desert, ("a desert", "desert dunes", "sand dunes in a desert")),
    _Land(forest, ("a forest", "a forest", "trees in a forest")),
    _Land(river, ("a river", "a river through meadows", "a river in the country")),
    _Land(road, ("a road", "a country road", "a road through green fields")),
)
