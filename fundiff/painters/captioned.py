"""The bundled model's training data, painted and encoded when it is first needed."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Int, UInt8
from torch import Tensor
from torch.profiler import record_function
from tqdm import tqdm

from fundiff.digest import code_digest
from fundiff.models.text_encoder import TOKENS, Embeddings, TextEncoder
from fundiff.painters.emoji.dataset import EmojiPictures, Painted, paint, start_painter

_PAINTERS_SHARE = 32

_TOGETHER = 2_048

_SHOWN = 64

Part = TypeVar("Part")


class PaintedPictures:
    """Pictures that are painted, and captions that are encoded, when they are first asked for.

    On a GPU all are made at once, so that no step waits for any. What was made is kept on the
    device: 12 kB a picture and about as much for its caption.

    Args:
        folder: Where :func:`fundiff.painters.emoji.sprites.build` wrote the sprites.
        pictures: How many pictures there are.
        seed: Which pictures.
        familiar: Show familiar concepts and the write-up's subjects only.
        edition: Which edition of the set, as in
            :class:`fundiff.painters.emoji.dataset.EmojiPictures`.
        device: Where they are kept.
        painters: How many processes paint; with 0 this one does.

    Attributes:
        digest: The digest of the sprites, of the code that paints, and of the numbers above.
        uncond: The embedding of "".

    Raises:
        SpriteError: The sprites are missing or damaged.
        EncoderError: The text encoder is missing.
    """

    def __init__(
        self,
        folder: Path,
        pictures: int,
        *,
        seed: int = 0,
        familiar: bool = False,
        edition: int = 1,
        device: torch.device | str = "cpu",
        painters: int = 0,
    ) -> None:
        self._source = EmojiPictures(folder, seed=seed, familiar=familiar, edition=edition)
        code = code_digest(EmojiPictures)
        named = f"{self._source.digest} {seed} {pictures} {familiar} {edition} {code}"
        self.digest = sha256(named.encode()).hexdigest()[:16]
        self._encoder = TextEncoder(device)
        self.uncond: Embeddings = self._encoder([""])
        self._pictures = torch.empty(pictures, 3, 64, 64, dtype=torch.uint8, device=device)
        self._left = set(range(pictures))
        self._vectors = torch.zeros(1, TextEncoder.width, dtype=torch.half, device=device)
        self._places: dict[str, tuple[int, int]] = {}
        self._spans = torch.zeros(pictures, 2, dtype=torch.long, device=device)
        self._end, self._longest = 1, 0
        self._pool = None
        if painters:
            self._pool = ProcessPoolExecutor(
                painters, get_context("spawn"), start_painter, (folder, seed, familiar, edition)
            )
        if self._pictures.device.type == "cuda":
            self._make(range(pictures))

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(
        self, items: Int[Tensor, " batch"]
    ) -> tuple[UInt8[Tensor, "batch 3 64 64"], Embeddings]:
        """Return some of the pictures and their captions' embeddings, making what isn't there."""
        items = items.to(self._pictures.device)
        if self._left and (lacking := self._left.intersection(items.tolist())):
            self._make(sorted(lacking))
        first, last = self._spans[items].split(1, dim=1)
        places = first + torch.arange(self._longest, device=items.device)
        embeddings = self.uncond.new_zeros(len(items), TOKENS, TextEncoder.width)
        embeddings[:, : self._longest] = self._vectors[places.where(places < last, 0)]
        return self._pictures[items], embeddings

    def _make(self, numbers: Sequence[int]) -> None:
        captions: list[str] = []
        with record_function("painting"):
            for share, (pictures, words) in self._painted(numbers):
                self._pictures[share] = torch.from_numpy(pictures).to(self._pictures.device)
                captions += words
        with record_function("encoding"):
            new = sorted({*captions} - self._places.keys(), key=lambda words: (len(words), words))
            for start in _progress(range(0, len(new), _TOGETHER), "encoding"):
                self._encode(new[start : start + _TOGETHER])
            spans = torch.tensor([self._places[caption] for caption in captions])
            self._spans[torch.tensor(numbers)] = spans.to(self._spans.device)
        self._left.difference_update(numbers)
        if self._pool is not None and not self._left:
            self._pool.shutdown()
            self._pool = None

    def _painted(self, numbers: Sequence[int]) -> Iterator[tuple[list[int], Painted]]:
        starts = range(0, len(numbers), _PAINTERS_SHARE)
        shares = [list(numbers[start : start + _PAINTERS_SHARE]) for start in starts]
        pool = self._pool
        painted = pool.map(paint, shares) if pool else map(self._source.batch, shares)
        yield from zip(_progress(shares, "painting"), painted, strict=True)

    def _encode(self, captions: Sequence[str]) -> None:
        """Put the vectors of captions after those that are there; the first row stays zeros."""
        for caption, row in zip(captions, self._encoder.tokens(captions), strict=True):
            first, last = self._places[caption] = self._end, self._end + len(row)
            if last > len(self._vectors):
                grown = self._vectors.new_zeros(2 * last, TextEncoder.width)
                grown[:first] = self._vectors[:first]
                self._vectors = grown
            self._vectors[first:last] = row
            self._end, self._longest = last, max(self._longest, len(row))


def _progress(parts: Sequence[Part], what: str) -> Iterable[Part]:
    """Show how far work in many parts is, on a terminal."""
    return tqdm(parts, what, leave=False, disable=None if len(parts) > _SHOWN else True)
