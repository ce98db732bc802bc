"""Styles with a meaning: each turns the same scene into another kind of picture.

A style has a backdrop, for subjects that bring no place of their own, and a finish, which makes
the picture from a scene. Pictures are in :math:`[0, 1]`, as everywhere in this package.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fundiff.painters.emoji import backdrops
from fundiff.painters.emoji.canvas import (
    SIDE,
    Layer,
    Picture,
    Tone,
    blur,
    clouds,
    column,
    glow,
    grey,
    grid,
    one_of,
    over,
    plain,
    varied,
)
from fundiff.painters.emoji.ink import (
    edges,
    hatched,
    outline,
    painted,
    saturated,
    soft_step,
    stretched,
)


@dataclass(frozen=True)
class Style:
    """One kind of picture.

    Attributes:
        name: What it is called.
        phrases: Captions, with ``{}`` for the subject.
        generic: Captions that leave the subject out.
        backdrop: Paints what is behind a subject, and says which colour it is, if one.
        finish: Makes the picture from what is behind and, if anything is, what is in front.
        share: How often it is used, against the others.
        stencils: Whether subjects come from the sets of one colour.
    """

    name: str
    phrases: tuple[str, ...]
    generic: tuple[str, ...]
    backdrop: Callable[[np.random.Generator], tuple[Picture, str]]
    finish: Callable[[np.random.Generator, Picture, Layer | None], Picture]
    share: float = 1.0
    stencils: bool = False


def _as_is(rng: np.random.Generator, back: Picture, front: Layer | None) -> Picture:
    return back if front is None else over(back, front)


def _photo(rng: np.random.Generator, back: Picture, front: Layer | None) -> Picture:
    side = one_of(rng, (-1.0, 1.0))
    if front is None:
        relief = 0.93 + 0.14 * clouds(rng, 12)
        out = saturated(blur(back, 0.5), 0.88) * relief
    else:
        alpha = front[3]
        form = blur(alpha, 4.0)
        down, right = np.gradient(form)
        light = 1 + 2.4 * (down * 0.8 + right * 0.6 * side)
        shaded = np.concatenate([np.clip(saturated(front[:3], 0.92) * light, 0, alpha), front[3:]])
        out = blur(back, 1.5) * (1 - 0.55 * _shadow(alpha, side))
        out = over(out, shaded)
    y, x = grid()
    fall = 1.05 - 0.45 * ((x - 0.5 + 0.12 * side) ** 2 + (y - 0.45) ** 2)
    out = np.clip(out * fall, 0, 1)
    result: Picture = out * out * (3 - 2 * out) * 0.35 + out * 0.65
    return result


def _shadow(alpha: Tone, side: float) -> Tone:
    rows = np.flatnonzero(alpha.max(1) > 0.5)
    if not len(rows) or rows[-1] >= SIDE - 2:
        return blur(alpha, 3.0) * 0.5
    columns = np.flatnonzero(alpha[max(0, rows[-1] - 12) :].max(0) > 0.5)
    middle, wide = columns.mean() / SIDE, max(8, len(columns)) / SIDE
    return glow(float(middle) - 0.03 * side, float(rows[-1]) / SIDE, float(wide) * 0.6, flat=0.22)


def _oil(rng: np.random.Generator, back: Picture, front: Layer | None) -> Picture:
    flat = _as_is(rng, back, front)
    warm = saturated(flat, 1.12) * column((1.04, 0.97, 0.86)) + column((0.03, 0.01, -0.01))
    y, x = grid()
    fall = 1.04 - 0.5 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    return np.clip(painted(rng, np.clip(warm, 0, 1)) * fall, 0, 1)


def _lithograph(rng: np.random.Generator, back: Picture, front: Layer | None) -> Picture:
    flat = _as_is(rng, back, front)
    tone = stretched(blur(grey(flat), 0.3)) ** 0.75
    if front is not None:
        within = grey(front[:3]) / np.maximum(front[3], 0.05)
        shown = within[front[3] > 0.5]
        low, high = map(float, np.quantile(shown, (0.03, 0.97)) if len(shown) else (0, 1))
        own = np.clip((within - low) / max(high - low, 0.2), 0, 1) ** 0.7
        tone = tone * (1 - front[3]) + own * front[3]
    wanted = 0.9 * np.clip(1 - tone, 0, 1) ** 1.3
    lines = hatched(rng, wanted)
    ink = 0.55 * lines + 0.45 * wanted + 0.3 * wanted**3
    ink = np.maximum(ink, np.clip(edges(flat) * 1.1, 0, 0.9))
    if front is not None:
        ink = np.maximum(ink, 0.9 * outline(front[3], 0.6))
    ink = np.clip(ink, 0, 1)
    paper, black = varied(rng, (0.94, 0.89, 0.78), 0.03), varied(rng, (0.14, 0.12, 0.11), 0.03)
    result: Picture = column(paper) + (column(black) - column(paper)) * ink
    return result


def _drawing(rng: np.random.Generator, back: Picture, front: Layer | None) -> Picture:
    flat = _as_is(rng, back, front)
    tone = stretched(blur(grey(flat), 0.6))
    lines = np.clip(edges(flat) * 1.2, 0, 1)
    if front is not None:
        lines = np.maximum(lines, outline(front[3], 0.5))
    shade = np.clip(0.75 - tone, 0, 1) * (0.42 + 0.38 * hatched(rng, np.full_like(tone, 0.5)))
    lead = np.clip(0.85 * lines + shade, 0, 1)
    sheet = plain((0.985, 0.985, 0.975))
    if rng.random() < 0.3:
        sheet = 1 - (1 - saturated(flat, 1.1)) * 0.42
    return sheet * (1 - lead) + column((0.22, 0.22, 0.25)) * lead


def _cartoon(rng: np.random.Generator, back: Picture, front: Layer | None) -> Picture:
    def bold(x: Picture) -> Picture:
        levels = saturated(np.clip(x, 0, 1), 1.3) * 5
        low = np.floor(levels)
        result: Picture = np.clip((low + soft_step(levels - low, 0.5, 0.2)) / 5, 0, 1)
        return result

    if front is None:
        lines = soft_step(edges(blur(back, 0.4)), 0.5, 0.25)
        return bold(back) * (1 - 0.85 * lines)
    alpha = front[3]
    colours = front[:3] / np.maximum(alpha, 1e-3)
    around = outline(alpha, 1.5)
    out = back * (1 - around) + column((0.06, 0.05, 0.08)) * around
    result: Picture = out * (1 - alpha) + bold(colours) * alpha
    return result


def _watercolour(rng: np.random.Generator, back: Picture, front: Layer | None) -> Picture:
    flat = _as_is(rng, back, front)
    wet = blur(flat, 0.55)
    pooled = blur(flat, 2.2) - wet
    wash = 0.78 + 0.3 * clouds(rng, 9)
    pigment = (1 - wet) * 0.86 * wash + np.clip(pooled, 0, 1) * 0.5
    y, x = grid()
    ragged = np.maximum(np.abs(x - 0.5), np.abs(y - 0.5)) + 0.09 * clouds(rng, 10)
    pigment = saturated(pigment, 1.15) * (1 - soft_step(ragged, 0.5, 0.05))
    result: Picture = np.clip(column((0.99, 0.985, 0.965)) - pigment, 0, 1)
    return result


PLAIN = Style(
    "plain",
    ("{}", "{}", "{}", "a picture of {}", "an emoji of {}", "an image of {}"),
    ("a picture", "a high quality picture"),
    backdrops.coloured,
    _as_is,
    1.6,
)

PHOTO = Style(
    "photo",
    (
        "a photo of {}",
        "a photo of {}",
        "a photo of {}",
        "a photograph of {}",
        "a high quality photo of {}",
    ),
    ("a high quality photo", "a high quality photo", "a photo", "a high quality picture"),
    backdrops.studio,
    _photo,
    2.2,
)

OIL = Style(
    "oil painting",
    ("an oil painting of {}", "an oil painting of {}", "{}, oil on canvas", "a painting of {}"),
    ("an oil painting", "a painting"),
    backdrops.varnished,
    _oil,
    1.8,
)

LITHOGRAPH = Style(
    "lithograph",
    ("a lithograph of {}", "a lithograph of {}", "{}, lithograph", "a black and white print of {}"),
    ("a lithograph",),
    backdrops.printed,
    _lithograph,
    1.4,
)

DRAWING = Style(
    "drawing",
    ("a drawing of {}", "a pencil drawing of {}", "a sketch of {}"),
    ("a drawing", "a sketch"),
    backdrops.blank,
    _drawing,
)

CARTOON = Style(
    "cartoon",
    ("a cartoon of {}", "a cartoon of {}", "{}, cartoon"),
    ("a cartoon",),
    backdrops.flat,
    _cartoon,
)

WATERCOLOUR = Style(
    "watercolor",
    ("a watercolor of {}", "a watercolor painting of {}"),
    ("a watercolor", "a painting"),
    backdrops.tinted,
    _watercolour,
    0.8,
)

ICON = Style(
    "icon",
    ("an icon of {}", "a black and white icon of {}", "a symbol of {}"),
    ("an icon",),
    backdrops.blank,
    _as_is,
    0.5,
    stencils=True,
)

STYLES = (PLAIN, PHOTO, OIL, LITHOGRAPH, DRAWING, CARTOON, WATERCOLOUR, ICON)
"""All styles."""
