"""The best of many pictures with several readings, by what the image-text encoder says of them."""

from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fundiff.data.pictures import load_picture
from fundiff.files import write
from fundiff.illusions import Illusion
from fundiff.jobs.order import Order, is_painted, picture_path, said_of
from fundiff.metrics.alignment import (
    Similarities,
    alignment,
    concealment,
    cosine_scale,
    similarities,
)
from fundiff.models.if_model import TextToImage
from fundiff.models.image_text import ImageTextEncoder
from fundiff.types import Images


class Judged(NamedTuple):
    """What the encoder says of some pictures.

    Attributes:
        similarity: The cosines of every reading and prompt.
        alignment: How well the worst reading of each shows its prompt.
        concealment: How surely the readings of each are told apart.
    """

    similarity: Similarities
    alignment: Float[Tensor, " batch"]
    concealment: Float[Tensor, " batch"]

    def order(self) -> Int[Tensor, " batch"]:
        """Number the pictures from the one of the highest alignment to the lowest."""
        return self.alignment.argsort(descending=True)


def judge(
    encoder: ImageTextEncoder,
    images: Images,
    illusion: Illusion,
    embeddings: Float[Tensor, "reading 77 384"],
) -> Judged:
    """Score pictures with several readings.

    Args:
        encoder: The judge.
        images: The pictures, in [-1, 1].
        illusion: What says how each reading is seen.
        embeddings: The prompts' embeddings by the bundled model's encoder, one for each reading.

    Returns:
        The scores.

    Raises:
        FundiffError: As :func:`fundiff.metrics.alignment.similarities`.
    """
    similarity = similarities(encoder, images, illusion.readings, embeddings)
    scale = cosine_scale(encoder)
    return Judged(similarity, alignment(similarity), concealment(similarity, scale=scale))


def painted(order: Order, out: Path, *, size: int) -> Images:
    """Read the pictures of an order that :func:`fundiff.jobs.paint.paint` has painted.

    Args:
        order: The order.
        out: The file that it was given.
        size: The pictures' width and height.

    Returns:
        All of them, in [-1, 1].

    Raises:
        PictureError: One is missing or can't be read.
    """
    paths = [picture_path(out, number, order.count) for number in range(order.count)]
    return torch.cat([load_picture(path, size=size) for path in paths])


def require_keepable(model: TextToImage, order: Order, out: Path) -> None:
    """Refuse a file that :func:`keep` would replace and that the order didn't make.

    Raises:
        OrderError: It is there and isn't of this order.
    """
    is_painted(out, *(said_of(model, order, number) for number in range(order.count)))


def keep(model: TextToImage, order: Order, out: Path, number: int) -> None:
    """Copy one of an order's pictures to the file that has no number.

    Args:
        model: The model that painted them.
        order: The order, of several pictures.
        out: The file; one that is there is replaced if the order made it.
        number: The picture's number.

    Raises:
        OrderError: The file is there and isn't of this order.
        OSError: A file can't be read or written.
    """
    require_keepable(model, order, out)
    write(out, picture_path(out, number, order.count).read_bytes())
