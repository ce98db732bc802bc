from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from cards import BLANK, small
from jaxtyping import Int, UInt8
from tasks import losses
from torch import Tensor
from torch.nn.functional import cross_entropy

from fundiff.losses import info_nce
from fundiff.models.image_text import WIDTH, ImageTextEncoder, ImageTextNetwork
from fundiff.models.text_encoder import Embeddings
from fundiff.models.weights import WeightsError, save, weights
from fundiff.recipes.caption_tasks import SHIFT, ImageTextTask, augmented
from fundiff.rng import Draws
from fundiff.training.loop import train
from fundiff.training.plan import Plan
from fundiff.types import Images


def draws(count: int, *, step: int = 0) -> Draws:
    return Draws(
        seed=0, step=step, batch_size=count, first=0, count=count, device=torch.device("cpu")
    )


class Colours:
    """Plain pictures and a made-up caption for each of eight colours."""

    digest = "colours"
    uncond = torch.zeros(1, 77, 384)

    def __init__(self, pictures: int = 16) -> None:
        generator = torch.Generator().manual_seed(0)
        colours = torch.randint(256, (8, 3, 1, 1), generator=generator, dtype=torch.uint8)
        self._pictures = colours.repeat(pictures // 8, 1, 64, 64)
        words = torch.randn(8, 77, 384, generator=generator)
        words[:, 5:] = 0
        self._captions = words.repeat(pictures // 8, 1, 1)

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(
        self, items: Int[Tensor, " batch"]
    ) -> tuple[UInt8[Tensor, "batch 3 64 64"], Embeddings]:
        return self._pictures[items], self._captions[items]


@pytest.fixture
def embeddings() -> Embeddings:
    generator = torch.Generator().manual_seed(1)
    captions = torch.randn(5, 77, 384, generator=generator)
    for caption, tokens in zip(captions, (2, 9, 30, 76, 77), strict=True):
        caption[tokens:] = 0
    return captions


def test_the_judge_gives_features_and_unit_vectors(
    images: Callable[..., Images], embeddings: Embeddings
) -> None:
    encoder, pictures = ImageTextEncoder(small(), together=2), images(5, 3, 64, 64)
    assert encoder.features(pictures).shape == (5, 16)
    for vectors in (encoder.images(pictures), encoder.texts(embeddings)):
        assert vectors.shape == (5, 24)
        assert not vectors.requires_grad
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(5))
    alone = torch.cat([encoder.images(picture[None]) for picture in pictures])
    torch.testing.assert_close(encoder.images(pictures), alone, rtol=0, atol=1e-5)


def test_the_network_that_ships_has_about_three_million_weights() -> None:
    network = ImageTextNetwork()
    assert 2_500_000 < sum(w.numel() for w in network.parameters()) < 3_500_000
    assert network(torch.zeros(1, 3, 64, 64), torch.ones(1, 77, 384))[0].shape == (1, WIDTH)


def test_a_caption_is_the_mean_of_its_tokens(embeddings: Embeddings) -> None:
    """Padding doesn't count: a caption of the same token, once or often, is the same."""
    once, often = torch.zeros(2, 1, 77, 384)
    once[:, :1] = often[:, :40] = embeddings[:1, :1]
    encoder = ImageTextEncoder(small())
    torch.testing.assert_close(encoder.texts(once), encoder.texts(often), rtol=0, atol=1e-6)


def test_the_judge_refuses_what_it_cannot_judge(images: Callable[..., Images]) -> None:
    encoder = ImageTextEncoder(small())
    with pytest.raises(ValueError, match=r"takes pictures \(3, 64, 64\), got \(1, 32, 32\)"):
        encoder.features(images(2, 1, 32, 32))
    with pytest.raises(ValueError, match="an embedding is all zeros"):
        encoder.texts(torch.zeros(1, 77, 384))


def test_the_loss_is_the_symmetric_cross_entropy(generator: torch.Generator) -> None:
    similarity = 5 * torch.randn(7, 7, generator=generator)
    own = torch.arange(7)
    theirs = cross_entropy(similarity, own, reduction="none")
    theirs += cross_entropy(similarity.T, own, reduction="none")
    torch.testing.assert_close(info_nce(similarity, own[:, None] == own), theirs / 2)


def test_pairs_with_the_same_caption_are_no_negatives(generator: torch.Generator) -> None:
    """With captions 0 and 2 alike, picture 0 is told from 1 and 3 alone, and so is caption 0."""
    similarity = torch.randn(4, 4, generator=generator)
    caption = torch.tensor([3, 1, 3, 0])
    losses = info_nce(similarity, caption[:, None] == caption)
    among = torch.tensor([0, 1, 3])
    by_picture = similarity[0, among].softmax(dim=0)[0].log()
    by_caption = similarity[among, 0].softmax(dim=0)[0].log()
    assert losses[0].item() == pytest.approx(-(by_picture + by_caption).item() / 2, rel=1e-5)
    assert info_nce(similarity, torch.ones(4, 4, dtype=torch.bool)).equal(torch.zeros(4))


def test_gradients_are_finite_where_captions_are_alike(generator: torch.Generator) -> None:
    similarity = torch.randn(4, 4, generator=generator, requires_grad=True)
    caption = torch.tensor([0, 0, 0, 1])
    info_nce(similarity, caption[:, None] == caption).sum().backward()
    assert similarity.grad is not None
    assert similarity.grad.isfinite().all()
    assert similarity.grad[0, 1] == 0


def test_the_task_knows_equal_captions() -> None:
    """Of eight captions in two copies each, the loss is what the towers and the mask give."""
    task, network = ImageTextTask(small(), Colours()), small()
    found = losses(task, network, draws(16))
    pictures, captions = Colours().batch(draws(16).shuffled(16))
    images, texts, scale = network(pictures.float() / 127.5 - 1, captions)
    equal = (captions[:, None, 0, 0] == captions[:, 0, 0]).bool()
    assert equal.sum() == 32
    torch.testing.assert_close(found, info_nce(scale * images @ texts.T, equal))


def test_a_network_learns_to_tell_colours(tmp_path: Path) -> None:
    plan = Plan(steps=30, batch_size=16, learning_rate=3e-3, save_every=30)
    *_, report = train(ImageTextTask(small(), Colours()), plan, tmp_path)
    assert report.losses[-5:].mean() < report.losses[:3].mean() / 4


def test_the_run_knows_what_it_started_from() -> None:
    fresh = ImageTextTask(small(), Colours()).identity()
    other = ImageTextTask(small(), Colours(), started_from="abc").identity()
    assert fresh == {"data": "colours", "pictures": 16, "started_from": None}
    assert other != fresh


def test_augmented_pictures_are_moved_and_mirrored() -> None:
    """A picture whose red and green are its rows' and columns' numbers tells where it went."""
    numbers = torch.arange(64, dtype=torch.uint8)
    picture = torch.stack([numbers[:, None].expand(64, 64), numbers.expand(64, 64)] * 2)[:3]
    moved = augmented(picture.expand(200, 3, 64, 64), draws(200)).int()
    rows, columns = moved[:, 0, :, 32], moved[:, 1, 32, :]
    mirrored = columns[:, 0] > columns[:, -1]
    assert 70 < mirrored.sum() < 130
    columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    for places in (rows, columns):
        steps = places[:, 32] - 32
        assert set(steps.tolist()) == set(range(-SHIFT, SHIFT + 1))
        assert places.equal((torch.arange(64) + steps[:, None]).clamp(0, 63).int())
    again = augmented(picture.expand(200, 3, 64, 64), draws(200)).int()
    assert moved.equal(again)
    assert not moved.equal(augmented(picture.expand(200, 3, 64, 64), draws(200, step=1)).int())


def test_weights_come_back(tmp_path: Path, images: Callable[..., Images]) -> None:
    network = ImageTextNetwork()
    card = replace(BLANK, recipe="image-text")
    save(tmp_path / "judge", {"model.safetensors": weights(network, dtype=torch.float32)}, card)
    before, after = ImageTextEncoder(network), ImageTextEncoder.load(tmp_path / "judge")
    pictures = images(2, 3, 64, 64)
    assert after.images(pictures).equal(before.images(pictures))
    save(tmp_path / "small", {"model.safetensors": weights(small())}, card)
    with pytest.raises(WeightsError, match="doesn't fit the network"):
        ImageTextEncoder.load(tmp_path / "small")
