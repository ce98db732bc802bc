"""The bundled model's training data, painted and encoded when it is first needed."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from fundiff.digest import code_digest
from fundiff.models.text_encoder import Embeddings, TextEncoder, TokenEmbeddings, padded
from fundiff.painters.emoji.dataset import EmojiPictures

_PAINTERS_SHARE = 32


class PaintedPictures:
    """Pictures that are painted, and captions that are encoded, when they are first asked for.

    What was made is kept on the device: 12 kB a picture and about as much for its caption.

    Args:
        folder: Where :func:`fundiff.painters.emoji.sprites.build` wrote the sprites.
        pictures: How many pictures there are.
        seed: Which pictures.
        familiar: Show familiar concepts and the write-up's subjects only.
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
        device: torch.device | str = "cpu",
        painters: int = 0,
    ) -> None:
        self._source = EmojiPictures(folder, seed=seed, familiar=familiar)
        named = f"{self._source.digest} {seed} {pictures} {familiar} {code_digest(EmojiPictures)}"
        self.digest = sha256(named.encode()).hexdigest()[:16]
        self._encoder = TextEncoder(device)
        self.uncond: Embeddings = self._encoder([""])
        self._pictures = torch.empty(pictures, 3, 64, 64, dtype=torch.uint8, device=device)
        self._captions: list[str | None] = [None] * pictures
        self._encoded: dict[str, TokenEmbeddings] = {}
        self._pool = None
        if painters:
            self._pool = ProcessPoolExecutor(
                painters, get_context("spawn"), _start_painter, (folder, seed, familiar)
            )

    def __len__(self) -> int:
        return len(self._captions)

    def batch(
        self, items: Int[Tensor, " batch"]
    ) -> tuple[UInt8[Tensor, "batch 3 64 64"], Embeddings]:
        """Return some of the pictures and their captions' embeddings, making what isn't there."""
        numbers = items.tolist()
        self._make([number for number in numbers if self._captions[number] is None])
        words = [self._captions[number] or "" for number in numbers]
        rows = [self._encoded[caption] for caption in words]
        return self._pictures[items.to(self._pictures.device)], padded(rows).float()

    def _make(self, numbers: Sequence[int]) -> None:
        shares = [
            numbers[start : start + _PAINTERS_SHARE]
            for start in range(0, len(numbers), _PAINTERS_SHARE)
        ]
        painted: Iterable[tuple[Tensor, tuple[str, ...]]] = map(self._source.batch, shares)
        if self._pool is not None:
            painted = self._pool.map(_paint, shares)
        for share, (pictures, captions) in zip(shares, painted, strict=True):
            self._pictures[list(share)] = pictures.to(self._pictures.device)
            for number, caption in zip(share, captions, strict=True):
                self._captions[number] = caption
            new = [caption for caption in dict.fromkeys(captions) if caption not in self._encoded]
            for caption, row in zip(new, self._encoder.tokens(new), strict=True):
                self._encoded[caption] = row.half()


_painter: list[EmojiPictures] = []


def _start_painter(folder: Path, seed: int, familiar: bool) -> None:
    torch.set_num_threads(1)
    _painter[:] = [EmojiPictures(folder, seed=seed, familiar=familiar)]


def _paint(numbers: Sequence[int]) -> tuple[Tensor, tuple[str, ...]]:
    return _painter[0].batch(numbers)
