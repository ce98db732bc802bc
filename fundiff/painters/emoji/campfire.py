"""People around a campfire: figures of a few shapes, lit by the flames."""

import numpy as np

from fundiff.painters.emoji.canvas import glow, mixed, one_of, over, placed, varied
from fundiff.painters.emoji.looks import CLOTHES, HAIRS, SKINS
from fundiff.painters.emoji.nature import camp_night, framed
from fundiff.painters.emoji.scenes import Cast, Scene
from fundiff.painters.emoji.shapes import Shapes


def campfire(rng: np.random.Generator, cast: Cast, photo: bool) -> Scene:
    """Show people who sit around a fire at night."""
    back, art = camp_night(rng), Shapes()
    if rng.random() < 0.3:
        x = one_of(rng, (0.14, 0.86))
        cloth = varied(rng, (0.85, 0.5, 0.2))
        art.polygon([(x - 0.2, 0.68), (x, 0.4), (x + 0.2, 0.68)], cloth)
        art.polygon([(x - 0.06, 0.68), (x, 0.5), (x + 0.06, 0.68)], mixed(cloth, (0, 0, 0), 0.6))
    behind = rng.integers(0, 3)
    for i in range(behind):
        x = 0.5 + (i - (behind - 1) / 2) * 0.26
        _sitter(art, rng, (x, 0.68), rng.uniform(0.23, 0.25), 0.0)
    sides = rng.integers(1, 3, size=2) if behind else np.array((2, 2))
    for side, count in zip((-1.0, 1.0), sides, strict=True):
        for i in reversed(range(count)):
            x, y = 0.5 + side * (0.31 + 0.12 * i), 0.92 - 0.09 * i * rng.uniform(0.8, 1.2)
            _sitter(art, rng, (x, y), rng.uniform(0.32, 0.36), -side)
    for tilt in (-1, 1):
        art.line([(0.34, 0.9 + tilt * 0.025), (0.66, 0.9 - tilt * 0.025)], (0.36, 0.2, 0.1), 0.05)
    flame = placed(
        cast.sprite(rng, "1f525", photo=photo),
        x=0.5,
        y=0.68,
        width=rng.uniform(0.34, 0.4),
        height=rng.uniform(0.44, 0.54),
        flip=rng.random() < 0.5,
    )
    light = glow(0.5, 0.72, rng.uniform(0.42, 0.52))
    warm = np.array((1.25, 0.85, 0.45), np.float32)[:, None, None]
    lit = over(back, art.layer()) * (0.72 + 0.6 * light * warm) + 0.12 * light * warm
    return Scene("", framed(rng, over(np.clip(lit, 0, 1), flame), low=True), None)


def _sitter(
    art: Shapes, rng: np.random.Generator, at: tuple[float, float], size: float, facing: float
) -> None:
    (x, y), shirt = at, varied(rng, CLOTHES[rng.integers(1, len(CLOTHES) - 1)])
    shirt = mixed(shirt, (1, 0.8, 0.6), 0.15)
    tone = int(rng.integers(len(SKINS)))
    skin, trousers = SKINS[tone], varied(rng, (0.25, 0.27, 0.38))
    hair = HAIRS[rng.integers(max(1, len(HAIRS) - tone))]
    knee = (x + facing * size * 0.5, y - size * 0.34)
    art.ellipse(x, y - size * 0.42, size * 0.3, size * 0.5, shirt)
    if facing:
        art.line([(x, y), knee, (knee[0] + facing * size * 0.12, y + 0.02)], trousers, size * 0.26)
        hand = (x + facing * size * 0.55, y - size * 0.5)
        art.line([(x, y - size * 0.68), hand], mixed(shirt, (0, 0, 0), 0.2), size * 0.16)
        art.ellipse(*hand, size * 0.09, size * 0.09, skin)
    else:
        art.ellipse(x, y, size * 0.5, size * 0.16, trousers)
    head = (x + facing * size * 0.08, y - size * 1.08)
    art.ellipse(
        head[0] - facing * size * 0.06, head[1] - size * 0.05, size * 0.27, size * 0.29, hair
    )
    art.ellipse(
        head[0] + facing * size * 0.05, head[1] + size * 0.04, size * 0.22, size * 0.23, skin
    )
    if rng.random() < 0.3:
        art.dome(
            head[0],
            head[1] - size * 0.04,
            size * 0.29,
            size * 0.3,
            varied(rng, (0.75, 0.25, 0.2), 0.2),
        )
    if not facing:
        for side in (-1, 1):
            art.ellipse(
                head[0] + side * size * 0.09, head[1] + size * 0.04, 0.011, 0.013, (0.1, 0.08, 0.08)
            )
