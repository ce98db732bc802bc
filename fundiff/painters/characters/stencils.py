"""The sheet of emoji: drawings in one colour, out of a pinned npm package."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fundiff.data.labelled import Labelled
from fundiff.painters.characters.layout import Placing, placed
from fundiff.painters.characters.splitting import four_to_one, rank
from fundiff.painters.emoji.concepts import read_concepts
from fundiff.painters.emoji.rasters import drawn
from fundiff.painters.emoji.sources import SOURCES, Source

_BY_NAME = {source.name: source for source in SOURCES}

NAMES, ICONS = _BY_NAME["names"], _BY_NAME["fluent-contrast"]
"""The packages of the names and of the drawings."""

GROUPS = {"animals": 3, "food": 4, "travel": 5, "activities": 6, "objects": 7}
"""The number of each class's group, as in emojibase."""


def emoji(
    names: Path, icons: Path, *, each: int = 80, source: Source = ICONS
) -> tuple[Labelled, Labelled]:
    """Draw emoji, each once, and split them four to one, class by class.

    Args:
        names: The tarball of :data:`NAMES`.
        icons: That of ``source``.
        each: How many of a class are kept, the first by rank; a class with fewer gives all.
        source: The set of drawings.

    Returns:
        The emoji to train on, and those held out.

    Raises:
        SourceError: A tarball doesn't hold what it should.
        SpriteError: A drawing can't be drawn, or resvg-py isn't installed.
    """
    groups = {group: label for label, group in enumerate(GROUPS.values())}
    concepts = read_concepts(names)
    wanted = {code: one for code, one in concepts.items() if one.group in groups}
    found: list[list[UInt8[np.ndarray, "28 28"]]] = [[] for _ in GROUPS]
    for code, sprite in drawn(source, icons, {}, wanted):
        if sprite is not None:
            ink = Image.fromarray(np.ascontiguousarray(sprite[3]))
            found[groups[wanted[code].group]].append(placed(ink, Placing()))
    kept = [sorted(of_class, key=rank)[:each] for of_class in found]
    labels = [label for label, of_class in enumerate(kept) for _ in of_class]
    return four_to_one("emoji", [one for of_class in kept for one in of_class], labels)
