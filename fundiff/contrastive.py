"""How the image-text encoder learns: by telling pairs of picture and caption from one another."""

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from fundiff.draws import Draws
from fundiff.folded import CaptionedPictures
from fundiff.image_text import ImageTextNetwork

SHIFT = 4
"""By how many pixels a training picture is moved at most, in each direction."""


def info_nce(
    similarity: Float[Tensor, "batch batch"], alike: Bool[Tensor, "batch batch"]
) -> Float[Tensor, " batch"]:
    r"""Compute how hard each picture and its caption are to tell from the batch's others.

    .. math::

        \ell_i = -\tfrac12 \log \frac{e^{S_{ii}}}{\sum_{j \in N_i} e^{S_{ij}}}
                 -\tfrac12 \log \frac{e^{S_{ii}}}{\sum_{j \in N_i} e^{S_{ji}}}

    where :math:`N_i` has :math:`i` and every :math:`j` whose caption is another one.

    Args:
        similarity: :math:`S_{ij}`, the scaled cosine of picture :math:`i` and caption :math:`j`.
        alike: Whether the captions :math:`i` and :math:`j` are the same.

    Returns:
        One loss for each pair, at least 0. This is :eq:`eq-info-nce` in the book.

    Source:
        Radford et al. 2021, *Learning transferable visual models from natural language
        supervision*, figure 3; van den Oord et al. 2018, *Representation learning with contrastive
        predictive coding*, eq. 4.
    """
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    masked = similarity.masked_fill(alike & ~own, -torch.inf)
    by_picture, by_caption = (log_softmax(masked, dim=dim).diagonal() for dim in (1, 0))
    return -(by_picture + by_caption) / 2


class ImageTextTask:
    """Tell which captions of a batch belong to which pictures.

    The pictures are mirrored and moved at random, as the draws say. The loss needs the batch as a
    whole, so it is for :func:`fundiff.training.train` without chunks; where several processes train
    together, each one's pairs are told from those of the same process.

    Args:
        network: The network.
        data: The pictures and captions.
        started_from: What the network's weights were read from, for the run's identity.
    """

    def __init__(
        self,
        network: ImageTextNetwork,
        data: CaptionedPictures,
        *,
        started_from: str | None = None,
    ) -> None:
        self.network: nn.Module = network
        self._data, self._started_from = data, started_from

    def identity(self) -> dict[str, object]:
        """Name the data and what the weights started from."""
        return {
            "data": self._data.digest,
            "pictures": len(self._data),
            "started_from": self._started_from,
        }

    def losses(self, network: nn.Module, draws: Draws) -> Float[Tensor, " batch"]:
        """Compute the loss of each pair of picture and caption."""
        pictures, embeddings = self._data.batch(draws.shuffled(len(self._data)))
        _, caption = embeddings.flatten(1).unique(dim=0, return_inverse=True)
        images, texts, scale = network(augmented(pictures, draws).float() / 127.5 - 1, embeddings)
        with torch.autocast(images.device.type, enabled=False):
            similarity = scale * images @ texts.T
        return info_nce(similarity, caption[:, None] == caption)


def augmented(
    pictures: UInt8[Tensor, "batch 3 64 64"], draws: Draws
) -> UInt8[Tensor, "batch 3 64 64"]:
    """Mirror half of the pictures and move each by whole pixels, its edges drawn out.

    Args:
        pictures: The pictures.
        draws: The random numbers, for as many samples.

    Returns:
        The pictures so changed.
    """
    places = torch.arange(64, device=pictures.device)
    moves = (draws.uniform("move", 2) * (2 * SHIFT + 1)).long() - SHIFT
    rows, columns = ((places + move[:, None]).clamp(0, 63) for move in moves.unbind(dim=1))
    columns = torch.where(draws.chance("mirror", 0.5)[:, None], columns.flip(1), columns)
    sample = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    return pictures[sample, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
