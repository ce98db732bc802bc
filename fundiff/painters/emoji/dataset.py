"""The training set: any example of it, made on the spot from the seed and its number."""

import os
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from fundiff.errors import FundiffError
from fundiff.painters.emoji.canvas import Picture, contrast, one_of
from fundiff.painters.emoji.captions import caption
from fundiff.painters.emoji.concepts import Concept
from fundiff.painters.emoji.scenes import FAMILIAR, Cast, Scene, couple, outdoors, single
from fundiff.painters.emoji.sources import Kind
from fundiff.painters.emoji.sprites import Part, Sprites, load_sprites
from fundiff.painters.emoji.styles import PHOTO, STYLES, Style
from fundiff.painters.emoji.themes import THEMES

THEMED = 0.27
"""The share of the training examples that show one of the write-up's subjects."""

OFTEN = 2.5
"""How often a familiar concept is drawn, others being drawn at 1."""

RARE = {8: 0.3, 0: 0.7}
"""How often a concept of the groups symbols and faces is drawn, where others are drawn at 1."""

FAINT, TRIES = 0.3, 4
"""The contrast under which another backdrop is tried, and how many are, at most."""

ALIKE = frozenset({30, 58})
"""Families and clock faces, subgroups whose members look alike, drawn a tenth as often."""


class Example(NamedTuple):
    """One picture and what it shows."""

    picture: UInt8[np.ndarray, "3 64 64"]
    caption: str


Painted = tuple[UInt8[np.ndarray, "batch 3 64 64"], tuple[str, ...]]
"""Several pictures, stacked, and their captions."""


class EmojiPictures:
    """Pictures with captions, as many as are asked for.

    Example ``index`` depends on the sprites, the seed and the index alone, whoever makes it, in
    whatever order: its random numbers are Philox's under the key (seed, index).

    Args:
        folder: Where :func:`fundiff.painters.emoji.sprites.build` wrote the sprites.
        seed: Chooses the pictures, from 0 to :math:`2^{64} - 1`.
        part: Which sprites are used. What isn't for training shows single emoji and pairs only.
        length: How many examples there are; the first ones are the same for every length.
        familiar: Show familiar concepts only, and the write-up's subjects: a small world, which a
            small network learns sooner.

    Attributes:
        seed: The seed.
        part: Which sprites are used.
        digest: The sprites' digest, for recipes to pin.

    Raises:
        SpriteError: The sprites are missing or damaged.
        FundiffError: The folder has no sprite of that part, or a number is out of its range.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        seed: int,
        part: Part = Part.TRAIN,
        length: int = 2**20,
        familiar: bool = False,
    ) -> None:
        if not 0 <= seed < 2**64 or not 1 <= length <= 2**63:
            raise FundiffError(
                f"seed must be in [0, 2^64) and length positive, got {seed}, {length}"
            )
        sprites = load_sprites(folder)
        self.seed, self.part, self.digest = seed, part, sprites.digest
        self._length = length
        self._cast = _cast(sprites, part)
        if not self._cast.drawn:
            raise FundiffError(
                f"{folder} has no sprites for {part.name}: build them with that part"
            )
        concepts = [c for c in self._cast.concepts if not familiar or c.code in FAMILIAR]
        self._drawn = _pool(c for c in concepts if c.code in self._cast.drawn)
        if not self._drawn.concepts:
            raise FundiffError(f"{folder} has no familiar concept for {part.name}")
        self._stencils = _pool(c for c in concepts if c.code in self._cast.stencils)
        often = _pool(c for c in self._drawn.concepts if c.code in FAMILIAR)
        self._familiar = often if often.concepts else self._drawn
        known = self._cast.drawn.keys()
        themes = THEMES if part is Part.TRAIN else ()
        self._themes = tuple(t for t in themes if not t.codes or known & set(t.codes))
        self._theme_weights = _cumulative([theme.share for theme in self._themes])
        self._styles = tuple(s for s in STYLES if self._stencils.concepts or not s.stencils)
        self._style_weights = _cumulative([style.share for style in self._styles])

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Example:
        return self.example(index)

    def example(self, index: int) -> Example:
        """Return one example: a picture, ``(3, 64, 64)`` in 0 to 255, and its caption.

        Raises:
            IndexError: There is no such example.
        """
        if not 0 <= index < self._length:
            raise IndexError(f"there are examples 0 to {self._length - 1}, not {index}")
        key = np.array([self.seed, index], np.uint64)
        rng = np.random.Generator(np.random.Philox(key=key))
        style = self._styles[_drawn(rng, self._style_weights)]
        scene = self._scene(rng, style)
        back, ground = scene.back, ""
        if back is None:
            back, ground = self._backdrop(rng, style, scene)
        picture = style.finish(rng, back, scene.front)
        words = caption(rng, scene.words, style.phrases, style.generic, ground=ground)
        pixels = np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
        return Example(pixels, words)

    def batch(self, indices: Sequence[int]) -> Painted:
        """Return several examples: their pictures, stacked, and their captions.

        Raises:
            IndexError: There is no such example.
            FundiffError: There are no indices.
        """
        if not len(indices):
            raise FundiffError("a batch needs at least one index")
        examples = [self.example(int(index)) for index in indices]
        return np.stack([e.picture for e in examples]), tuple(e.caption for e in examples)

    def _scene(self, rng: np.random.Generator, style: Style) -> Scene:
        photo, cast, kind = style is PHOTO, self._cast, rng.random()
        if style.stencils:
            return single(rng, cast, self._stencils.one(rng), stencil=True)
        if self._themes and kind < THEMED:
            theme = self._themes[_drawn(rng, self._theme_weights)]
            scene = theme.paint(rng, cast, photo)
            words = scene.words or one_of(rng, theme.words)
            return Scene(words, scene.back, scene.front)
        if kind > 0.9:
            pool = self._familiar if rng.random() < 0.6 else self._drawn
            return couple(rng, cast, pool.one(rng), pool.one(rng), photo=photo)
        concept = self._drawn.one(rng)
        if kind > 0.84:
            return outdoors(rng, cast, concept, photo=photo)
        return single(rng, cast, concept, photo=photo)

    def _backdrop(
        self, rng: np.random.Generator, style: Style, scene: Scene
    ) -> tuple[Picture, str]:
        """Paint what is behind a subject, again where the subject would hardly be seen."""
        choices = [style.backdrop(rng)]
        while scene.front is not None and len(choices) < TRIES:
            if contrast(choices[-1][0], scene.front) > FAINT:
                return choices[-1]
            choices.append(style.backdrop(rng))
        front = scene.front
        return max(choices, key=lambda choice: 0.0 if front is None else contrast(choice[0], front))


@dataclass(frozen=True)
class _Pool:
    concepts: tuple[Concept, ...]
    shares: tuple[float, ...]

    def one(self, rng: np.random.Generator) -> Concept:
        return self.concepts[_drawn(rng, self.shares)]


def _pool(concepts: Iterable[Concept]) -> _Pool:
    chosen = tuple(concepts)
    return _Pool(chosen, _cumulative([_weight(concept) for concept in chosen]))


def _cast(sprites: Sprites, part: Part) -> Cast:
    chosen = [i for i, sprite in enumerate(sprites.sprites) if sprite.part is part]
    pixels = np.empty((len(chosen), 64, 64, 4), np.uint8)
    found: dict[str, dict[str, list[int]]] = {"drawn": {}, "rendered": {}, "stencils": {}}
    for at, i in enumerate(chosen):
        straight = sprites.pixels[i].astype(np.uint16)
        straight[:3] = (straight[:3] * straight[3] + 127) // 255
        pixels[at] = straight.transpose(1, 2, 0)
        kind, code = sprites.sprites[i].kind, sprites.sprites[i].concept.code
        for name in _USES[kind]:
            found[name].setdefault(code, []).append(at)
    concepts = {sprites.sprites[i].concept.code: sprites.sprites[i].concept for i in chosen}
    frozen: dict[str, Mapping[str, tuple[int, ...]]] = {
        name: {code: tuple(some) for code, some in codes.items()} for name, codes in found.items()
    }
    return Cast(tuple(concepts.values()), pixels, **frozen)


_USES = {
    Kind.ICONS: ("drawn",),
    Kind.RENDERS: ("drawn", "rendered"),
    Kind.STENCILS: ("stencils",),
}


def _weight(concept: Concept) -> float:
    if concept.code in FAMILIAR:
        return OFTEN
    return 0.1 if concept.subgroup in ALIKE else RARE.get(concept.group, 1.0)


def _cumulative(shares: Sequence[float]) -> tuple[float, ...]:
    total = float(sum(shares))
    return tuple(float(x) / total for x in np.cumsum(shares))


def _drawn(rng: np.random.Generator, shares: tuple[float, ...]) -> int:
    return min(bisect_right(shares, rng.random()), len(shares) - 1)


_painter: list[EmojiPictures] = []


def start_painter(folder: Path, seed: int, familiar: bool) -> None:
    """Make this process one that paints; it needs no torch, which takes long to start."""
    _painter[:] = [EmojiPictures(folder, seed=seed, familiar=familiar)]


def paint(indices: Sequence[int]) -> Painted:
    """Return several examples, in a process that paints."""
    return _painter[0].batch(indices)
