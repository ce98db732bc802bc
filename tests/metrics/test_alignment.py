from collections.abc import Callable

import pytest
import torch
from cards import small
from torch.testing import assert_close

from fundiff.metrics.alignment import alignment, concealment, cosine_scale, similarities
from fundiff.models.image_text import ImageTextEncoder
from fundiff.types import Images
from fundiff.views import Identity, VerticalFlip


def test_similarities_are_cosines_of_each_reading_and_prompt(
    images: Callable[..., Images], generator: torch.Generator
) -> None:
    encoder, pictures = ImageTextEncoder(small()), images(3, 3, 64, 64)
    embeddings = torch.randn(2, 77, 384, generator=generator)
    found = similarities(encoder, pictures, [Identity().apply, VerticalFlip().apply], embeddings)
    assert found.shape == (3, 2, 2)
    flipped = encoder.images(pictures.clamp(-1, 1).flip(2))
    assert_close(found[:, 1, 0], flipped @ encoder.texts(embeddings)[0])


def test_readings_and_prompts_go_in_pairs(images: Callable[..., Images]) -> None:
    encoder = ImageTextEncoder(small())
    with pytest.raises(ValueError, match="two readings or more and a prompt for each, got 1 and 1"):
        similarities(encoder, images(1, 3, 64, 64), [Identity().apply], torch.ones(1, 77, 384))


def test_alignment_is_that_of_the_worst_reading() -> None:
    similarity = torch.tensor([[[0.9, 0.0], [0.1, 0.3]], [[0.2, 1.0], [1.0, 0.8]]])
    assert_close(alignment(similarity), torch.tensor([0.3, 0.2]))


def test_concealment_counts_readings_that_are_told_apart() -> None:
    """Two readings: the softmax of two numbers is the logistic function of their difference."""
    similarity = torch.tensor([[[0.9, 0.1], [0.3, 0.4]]])
    rows = torch.sigmoid(10 * torch.tensor([0.8, 0.1]))
    columns = torch.sigmoid(10 * torch.tensor([0.6, 0.3]))
    expected = torch.cat([rows, columns]).mean()
    assert_close(concealment(similarity, scale=10), expected[None])
    assert_close(concealment(torch.zeros(2, 3, 3), scale=10), torch.full((2,), 1 / 3))
    assert_close(concealment(torch.eye(3)[None], scale=100), torch.ones(1))


def test_the_scale_is_bounded() -> None:
    network = small()
    assert_close(cosine_scale(ImageTextEncoder(network)), 1 / 0.07, rtol=1e-6, atol=0)
    torch.nn.init.constant_(network.log_scale, 9)
    assert cosine_scale(ImageTextEncoder(network)) == 100
