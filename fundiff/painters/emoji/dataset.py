"""The training set: any example of it, made on the spot from the seed and its number."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from fundiff.errors import FundiffError
from fundiff.painters.emoji.canvas import Picture, contrast, one_of
from fundiff.painters.emoji.captions import caption
from fundiff.painters.emoji.editions import EDITIONS
from fundiff.painters.emoji.pools import cumulative, drawn, pool
from fundiff.painters.emoji.scenes import FAMILIAR, Cast, Scene, outdoors, single
from fundiff.painters.emoji.sources import Kind
from fundiff.painters.emoji.sprites import Part, Sprites, load_sprites
from fundiff.painters.emoji.styles import PHOTO, STYLES, Style

FAINT, TRIES = 0.3, 4
"""The contrast under which another backdrop is tried, and how many are, at most."""


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
        edition: Which of :data:`fundiff.painters.emoji.editions.EDITIONS`; weights keep the one
            that they learned from.

    Attributes:
        seed: The seed.
        part: Which sprites are used.
        digest: The sprites' digest, for recipes to pin.

    Raises:
        SpriteError: The sprites are missing or damaged.
        FundiffError: The folder has no sprite of that part, a number is out of its range, or
            there is no such edition.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        seed: int,
        part: Part = Part.TRAIN,
        length: int = 2**20,
        familiar: bool = False,
        edition: int = 1,
    ) -> None:
        if not 0 <= seed < 2**64 or not 1 <= length <= 2**63:
            raise FundiffError(
                f"seed must be in [0, 2^64) and length positive, got {seed}, {length}"
            )
        if edition not in EDITIONS:
            raise FundiffError(f"expected an edition among {[*EDITIONS]}, found {edition}")
        self._edition = EDITIONS[edition]
        sprites = load_sprites(folder)
        self.seed, self.part, self.digest = seed, part, sprites.digest
        self._length = length
        self._cast = _cast(sprites, part)
        if not self._cast.drawn:
            raise FundiffError(
                f"{folder} has no sprites for {part.name}: build them with that part"
            )
        concepts = [c for c in self._cast.concepts if not familiar or c.code in FAMILIAR]
        self._drawn = pool(c for c in concepts if c.code in self._cast.drawn)
        if not self._drawn.concepts:
            raise FundiffError(f"{folder} has no familiar concept for {part.name}")
        self._stencils = pool(c for c in concepts if c.code in self._cast.stencils)
        often = pool(c for c in self._drawn.concepts if c.code in FAMILIAR)
        self._familiar = often if often.concepts else self._drawn
        known = self._cast.drawn.keys()
        themes = self._edition.themes if part is Part.TRAIN else ()
        self._themes = tuple(t for t in themes if not t.codes or known & set(t.codes))
        self._theme_weights = cumulative([theme.share for theme in self._themes])
        self._styles = tuple(s for s in STYLES if self._stencils.concepts or not s.stencils)
        self._style_weights = cumulative([style.share for style in self._styles])

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
        style = self._styles[drawn(rng, self._style_weights)]
        scene, share = self._scene(rng, style)
        back, ground = scene.back, ""
        if back is None:
            back, ground = self._backdrop(rng, style, scene)
        picture = style.finish(rng, back, scene.front)
        words = caption(rng, scene.words, style.phrases, style.generic, ground=ground, share=share)
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

    def _scene(self, rng: np.random.Generator, style: Style) -> tuple[Scene, float]:
        """Paint what is shown, and say how often its caption leaves the subject out."""
        photo, cast, kind = style is PHOTO, self._cast, rng.random()
        edition, share = self._edition, self._edition.generic
        if style.stencils:
            return single(rng, cast, self._stencils.one(rng), stencil=True), share
        if self._themes and kind < edition.themed:
            theme = self._themes[drawn(rng, self._theme_weights)]
            scene = theme.paint(rng, cast, photo)
            if theme.handsome:
                share = edition.handsome
            return replace(scene, words=scene.words or one_of(rng, theme.words)), share
        if kind > 0.9:
            return edition.couple(rng, cast, self._familiar, self._drawn, photo), share
        concept = self._drawn.one(rng)
        if kind > 0.84:
            return outdoors(rng, cast, concept, photo=photo), share
        return single(rng, cast, concept, photo=photo), share

    def _backdrop(
        self, rng: np.random.Generator, style: Style, scene: Scene
    ) -> tuple[Picture, str]:
        """Paint what is behind a subject, again where the subject would hardly be seen."""
        parts = scene.parts or (() if scene.front is None else (scene.front,))

        def seen(choice: tuple[Picture, str]) -> float:
            return min((contrast(choice[0], part) for part in parts), default=1.0)

        choices = [style.backdrop(rng)]
        while seen(choices[-1]) <= FAINT and len(choices) < TRIES:
            choices.append(style.backdrop(rng))
        return max(choices, key=seen)


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


_painter: list[EmojiPictures] = []


def start_painter(folder: Path, seed: int, familiar: bool, edition: int) -> None:
    """Make this process one that paints; it needs no torch, which takes long to start."""
    _painter[:] = [EmojiPictures(folder, seed=seed, familiar=familiar, edition=edition)]


def paint(indices: Sequence[int]) -> Painted:
    """Return several examples, in a process that paints."""
    return _painter[0].batch(indices)


def captions(indices: Sequence[int]) -> tuple[str, ...]:
    """Return the captions of several examples, in a process that paints."""
    return paint(indices)[1]
