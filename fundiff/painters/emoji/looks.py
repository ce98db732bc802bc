"""What people look like: of any age and complexion, with hats, beards and glasses."""

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from fundiff.painters.emoji.canvas import Colour, one_of, varied

SKINS: tuple[Colour, ...] = (
    (0.98, 0.85, 0.75),
    (0.95, 0.78, 0.64),
    (0.90, 0.70, 0.54),
    (0.80, 0.58, 0.42),
    (0.66, 0.45, 0.32),
    (0.50, 0.33, 0.24),
)
"""Natural colours of skin."""

HAIRS: tuple[Colour, ...] = (
    (0.12, 0.10, 0.10),
    (0.25, 0.16, 0.11),
    (0.42, 0.26, 0.15),
    (0.62, 0.33, 0.14),
    (0.85, 0.68, 0.36),
)
"""Colours of hair that isn't grey."""

CLOTHES: tuple[Colour, ...] = (
    (0.16, 0.24, 0.45),
    (0.55, 0.14, 0.16),
    (0.16, 0.40, 0.28),
    (0.35, 0.35, 0.40),
    (0.20, 0.45, 0.65),
    (0.85, 0.55, 0.20),
    (0.45, 0.28, 0.50),
    (0.90, 0.88, 0.82),
    (0.30, 0.20, 0.15),
)
"""Colours of clothes."""

_HATS: tuple[Colour, ...] = (
    (0.13, 0.12, 0.13),
    (0.13, 0.12, 0.13),
    (0.38, 0.25, 0.16),
    (0.52, 0.36, 0.22),
    (0.40, 0.40, 0.42),
    (0.17, 0.22, 0.40),
    (0.55, 0.15, 0.15),
    (0.18, 0.35, 0.24),
)


class Hat(Enum):
    """What may be worn on the head."""

    FEDORA = "fedora"
    TOP = "top hat"
    BOWLER = "bowler hat"
    COWBOY = "cowboy hat"
    STRAW = "straw hat"
    BEANIE = "beanie"
    CAP = "cap"


@dataclass(frozen=True)
class Look:
    """What a person looks like.

    Attributes:
        skin: The colour of the skin.
        hair: The colour of hair, brows and beard.
        shirt: The colour of the clothes.
        hat_colour: The colour of the hat.
        wide: Half the head's width.
        tall: Half the head's height.
        old: Whether there are wrinkles and little hair.
        bald: Whether the top of the head is bare.
        long: Whether the hair is long.
        bun: Whether the hair is tied up.
        beard: Whether there is a full beard.
        moustache: Whether there is a moustache.
        glasses: Whether there are glasses.
        apron: Whether an apron is worn over the clothes.
        hat: What is worn on the head.
        smile: Whether the mouth smiles.
    """

    skin: Colour
    hair: Colour
    shirt: Colour
    hat_colour: Colour
    wide: float
    tall: float
    old: bool = False
    bald: bool = False
    long: bool = False
    bun: bool = False
    beard: bool = False
    moustache: bool = False
    glasses: bool = False
    apron: bool = False
    hat: Hat | None = None
    smile: bool = True


def someone(rng: np.random.Generator) -> Look:
    """Return a man's look, drawn at random."""
    hat = varied(rng, one_of(rng, _HATS))
    tone = int(rng.integers(len(SKINS)))
    return Look(
        varied(rng, SKINS[tone], 0.03),
        varied(rng, one_of(rng, HAIRS[: len(HAIRS) - tone] or HAIRS[:1]), 0.03),
        varied(rng, one_of(rng, CLOTHES)),
        hat,
        wide=rng.uniform(0.175, 0.21),
        tall=rng.uniform(0.235, 0.265),
        bald=rng.random() < 0.1,
        beard=rng.random() < 0.3,
        moustache=rng.random() < 0.25,
        glasses=rng.random() < 0.15,
        smile=rng.random() < 0.7,
    )


def old_man(rng: np.random.Generator) -> Look:
    """Return an old man's look: white hair or little of it, often a beard."""
    white = rng.uniform(0.72, 0.95)
    beard = rng.random() < 0.6
    return replace(
        someone(rng),
        hair=(white, white, white * 0.98),
        old=True,
        bald=rng.random() < 0.65,
        beard=beard,
        moustache=beard or rng.random() < 0.6,
        glasses=rng.random() < 0.3,
        smile=rng.random() < 0.4,
    )


def woman(rng: np.random.Generator) -> Look:
    """Return a woman's look: long hair, no beard."""
    return replace(
        someone(rng),
        long=True,
        bald=False,
        beard=False,
        moustache=False,
        wide=rng.uniform(0.16, 0.19),
    )


def barista(rng: np.random.Generator) -> Look:
    """Return a hipster's look: full beard, glasses, a beanie or a bun, an apron."""
    beanie = rng.random() < 0.5
    return replace(
        someone(rng),
        bald=False,
        beard=True,
        moustache=True,
        glasses=rng.random() < 0.85,
        apron=True,
        bun=not beanie,
        hat=Hat.BEANIE if beanie else None,
    )


def hatted(rng: np.random.Generator) -> Look:
    """Return the look of a man wearing a hat."""
    look = old_man(rng) if rng.random() < 0.2 else someone(rng)
    hats = tuple(Hat)[:5] if rng.random() < 0.85 else tuple(Hat)
    hat = one_of(rng, hats)
    colour = varied(rng, (0.88, 0.74, 0.45)) if hat is Hat.STRAW else look.hat_colour
    return replace(look, hat=hat, hat_colour=colour)
