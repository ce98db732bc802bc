"""Tall buildings from the ground up: bell and clock towers, churches, lighthouses and others."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fundiff.painters.emoji.canvas import merged, mixed, one_of, over, varied
from fundiff.painters.emoji.scenes import Cast, Scene
from fundiff.painters.emoji.sites import (
    BLACK,
    LAMP,
    PANE,
    ROOFS,
    WHITE,
    Site,
    around,
    before,
    shore,
)
from fundiff.painters.emoji.skies import some_sky


def tall_building(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
    """Show a tall building from the ground up, among trees and low houses or alone."""
    tower, site, sky = one_of(rng, _TOWERS), Site(rng), some_sky(rng)
    if tower.by_sea:
        shore(site)
    else:
        around(site)
    tower.paint(site)
    if not tower.by_sea:
        before(site)
    layer = sky.lit(site.art.layer())
    if sky.dark:
        layer = merged(layer, site.lamps.layer())
    picture = over(sky.picture, layer)
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, :, ::-1])
    words = one_of(rng, tower.words)
    if rng.random() < 0.3:
        words = f"{words} {one_of(rng, sky.words)}"
    return Scene(words, picture, None)


def _bell_tower(site: Site) -> None:
    rng, x = site.rng, site.x
    half, belfry = rng.uniform(0.095, 0.145), rng.uniform(0.13, 0.18)
    under = site.top + rng.uniform(0.14, 0.26) + belfry
    site.block(under, site.foot, half, site.wall, end=rng.uniform(0.9, 1.0))
    _courses(site, under, half)
    for y in np.arange(under + 0.14, site.foot - 0.06, rng.uniform(0.13, 0.2)):
        site.window(x - half * 0.25, float(y), half * 0.13, 0.05)
    site.block(under - belfry, under, half, mixed(site.wall, WHITE, 0.12))
    count = one_of(rng, (1, 2, 2, 3))
    for k in range(count):
        at = x + half * (k - (count - 1) / 2) * 1.7 / count
        site.window(at, under - 0.015, half * 0.52 / count, belfry * 0.6)
    site.ledge(under - 0.01, half)
    site.cap(under - belfry, half)
    site.ledge(under - belfry - 0.012, half)


def _clock_tower(site: Site) -> None:
    rng, x = site.rng, site.x
    half = rng.uniform(0.105, 0.15)
    under = site.top + rng.uniform(0.16, 0.3)
    site.block(under, site.foot, half, site.wall)
    _courses(site, under + 0.3, half)
    for y in (0.42, 0.58):
        for side in (-0.45, 0.3):
            site.window(x + half * side, under + y, half * 0.14, 0.07)
    site.cap(under, half)
    site.ledge(under - 0.01, half)
    site.ledge(under + 0.24, half, tall=0.018)
    size, y, hour = half * 0.72, under + 0.125, rng.uniform(0, 6.28)
    for art in (site.art, site.lamps):
        art.ellipse(x, y, size * 1.16, size * 1.16, (0.30, 0.26, 0.24))
        art.ellipse(x, y, size, size, WHITE)
        for turn, reach in ((hour, 0.55), (hour * 12, 0.82)):
            tip = (x + size * reach * np.sin(turn), y - size * reach * np.cos(turn))
            art.line([(x, y), tip], BLACK, 0.018)


def _church(site: Site) -> None:
    rng = site.rng
    side, half, wall = one_of(rng, (-1, 1)), rng.uniform(0.09, 0.12), site.wall
    far, eaves = site.x + side * rng.uniform(0.36, 0.46), site.foot - rng.uniform(0.18, 0.24)
    left, right = min(site.x, far), max(site.x, far)
    site.art.box(left, eaves, right, site.foot, mixed(wall, BLACK, 0.1))
    roof = [(left, eaves), (left + 0.04, eaves - 0.16), (right - 0.04, eaves - 0.16)]
    site.art.polygon([*roof, (right + 0.02, eaves)], site.roof)
    for k in range(3):
        site.window(left + (right - left) * (0.25 + 0.27 * k), site.foot - 0.04, 0.022, 0.09)
    under = site.top + rng.uniform(0.26, 0.34)
    site.block(under, site.foot, half, wall)
    site.window(site.x, under + 0.15, half * 0.3, 0.09)
    site.window(site.x, under + 0.36, half * 0.18, 0.08)
    site.window(site.x, site.foot, half * 0.42, 0.1)
    x, top, dim = site.x, site.top, mixed(site.roof, BLACK, 0.28)
    site.art.polygon([(x - half * 1.1, under), (x, top), (x + half * 1.1, under)], site.roof)
    site.art.polygon([(x + half * 0.3, under), (x, top), (x + half * 1.1, under)], dim)
    site.art.line([(x, top - 0.055), (x, top + 0.02)], (0.85, 0.7, 0.3), 0.016)
    site.art.line([(x - 0.022, top - 0.03), (x + 0.022, top - 0.03)], (0.85, 0.7, 0.3), 0.014)


def _lighthouse(site: Site) -> None:
    rng, x, half = site.rng, site.x, site.rng.uniform(0.1, 0.14)
    under, end = site.top + 0.2, rng.uniform(0.58, 0.7)
    band = one_of(rng, ((0.82, 0.16, 0.14), (0.82, 0.16, 0.14), (0.16, 0.24, 0.50), BLACK, WHITE))
    count = int(rng.integers(4, 8))
    tall = (site.foot - under) / count
    for k in range(count):
        low, high = 1 - (1 - end) * (1 - k / count), 1 - (1 - end) * (1 - (k + 1) / count)
        colour = WHITE if k % 2 else varied(rng, band, 0.02)
        y = under + k * tall
        site.block(y, y + tall + 0.004, half * high, colour, end=low / high)
    site.window(x - half * 0.15, site.foot - 0.18, 0.018, 0.05)
    site.window(x, site.foot, half * 0.26, 0.09)
    lamp, roof = half * end * 0.68, band if band != WHITE else (0.8, 0.2, 0.16)
    site.block(under - 0.1, under, lamp, (0.98, 0.93, 0.66))
    for bar in (x - lamp * 0.4, x + lamp * 0.4):
        site.art.box(bar - 0.006, under - 0.1, bar + 0.006, under, PANE)
    site.lamps.box(x - lamp, under - 0.1, x + lamp, under, (1, 0.96, 0.7))
    for side in (-1, 1):
        far = x + side * 0.6
        beam = [(x + side * lamp, under - 0.05), (far, under - 0.13), (far, under + 0.01)]
        site.lamps.polygon(beam, (0.62, 0.60, 0.46))
    site.art.dome(x, under - 0.1, lamp * 1.25, 0.09, roof)
    site.art.box(x - half * end * 1.3, under - 0.005, x + half * end * 1.3, under + 0.02, PANE)


def _skyscraper(site: Site) -> None:
    rng, x, half = site.rng, site.x, site.rng.uniform(0.12, 0.18)
    glass = ((0.36, 0.56, 0.72), (0.52, 0.60, 0.66), (0.72, 0.68, 0.62), (0.30, 0.42, 0.52))
    wall = varied(rng, one_of(rng, glass), 0.05)
    steps = int(rng.integers(1, 4))
    top, tall = site.top + 0.04, site.foot - site.top - 0.04
    for k in reversed(range(steps)):
        site.block(top + tall * 0.22 * k, site.foot, half * (0.6 + 0.4 * (k + 1) / steps), wall)
    if rng.random() < 0.4:
        site.art.line([(x, top - 0.1), (x, top + 0.01)], PANE, 0.014)
    pane = mixed(wall, (0.12, 0.16, 0.28), 0.62) if rng.random() < 0.7 else mixed(wall, WHITE, 0.6)
    for y in np.arange(top + 0.04, site.foot - 0.04, rng.uniform(0.045, 0.065)):
        step = min(steps - 1, int((y - top) / (tall * 0.22)))
        reach = half * (0.6 + 0.4 * (step + 1) / steps) * 0.84
        for at in np.linspace(x - reach, x + reach - 0.026, 4 + step):
            site.art.box(at, y, at + 0.026, y + 0.024, pane)
            if rng.random() < 0.6:
                site.lamps.box(at, y, at + 0.026, y + 0.024, LAMP)


def _keep(site: Site) -> None:
    rng, x, half = site.rng, site.x, site.rng.uniform(0.13, 0.19)
    site.wall = varied(rng, one_of(rng, ((0.58, 0.56, 0.54), (0.66, 0.58, 0.48))), 0.04)
    under = site.top + rng.uniform(0.14, 0.2)
    for side in (-1, 1):
        site.art.box(
            min(x, x + side * 0.5), site.foot - 0.2, max(x, x + side * 0.5), site.foot, site.wall
        )
        for k in range(4):
            at = x + side * (half + 0.03 + k * 0.085)
            site.art.box(at - 0.02, site.foot - 0.24, at + 0.02, site.foot - 0.19, site.wall)
    site.block(under, site.foot, half, mixed(site.wall, WHITE, 0.1), end=0.94)
    _courses(site, under, half * 0.95)
    site.battlements(under, half)
    for y, at in ((0.16, -0.3), (0.32, 0.2), (0.32, -0.45)):
        site.window(x + half * at, under + y, half * 0.09, 0.08)
    site.window(x - half * 0.1, site.foot, half * 0.3, 0.1)
    if rng.random() < 0.7:
        site.art.line([(x, site.top - 0.03), (x, under - 0.03)], BLACK, 0.012)
        flag = [(x, site.top - 0.03), (x + 0.12, site.top + 0.005), (x, site.top + 0.04)]
        site.art.polygon(flag, varied(rng, one_of(rng, ROOFS), 0.05))


def _courses(site: Site, top: float, half: float) -> None:
    """Draw the joints between courses of stone."""
    joint = mixed(site.wall, BLACK, 0.16)
    for y in np.arange(top + 0.05, site.foot, site.rng.uniform(0.045, 0.07)):
        site.art.box(site.x - half * 0.9, y, site.x + half * 0.9, y + 0.008, joint)


@dataclass(frozen=True)
class _Tower:
    paint: Callable[[Site], None]
    words: tuple[str, ...]
    by_sea: bool = False


_TOWERS = (
    _Tower(_bell_tower, ("a tower", "a tower", "a tall tower", "a bell tower", "a bell tower")),
    _Tower(_bell_tower, ("a tower", "a tower", "a tall tower", "a tall building", "a bell tower")),
    _Tower(_clock_tower, ("a tower", "a tall tower", "a clock tower", "a clock tower")),
    _Tower(
        _church,
        ("a church tower", "a church tower", "a church with a tower", "a tower"),
    ),
    _Tower(_lighthouse, ("a lighthouse", "a lighthouse", "a lighthouse by the sea"), by_sea=True),
    _Tower(_skyscraper, ("a tall building", "a skyscraper", "a tower in a city", "a tower")),
    _Tower(_keep, ("a castle tower", "a stone tower", "a tower", "the tower of a castle")),
)
