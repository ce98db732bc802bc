r"""What networks learn from captioned pictures: the velocity of noise, and which caption is whose.

The text-to-image network sees :math:`2 \times 2` pixels folded into channels, see
:mod:`fundiff.models.folded_unet`.
"""

import json
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from fundiff.losses import info_nce, min_snr_weight
from fundiff.models.folded_unet import FOLD
from fundiff.models.image_text import ImageTextNetwork
from fundiff.models.text_encoder import Embeddings
from fundiff.process import add_noise, velocity
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule


@runtime_checkable
class CaptionedPictures(Protocol):
    """Pictures with encoded captions, ready to train on.

    Attributes:
        digest: The digest of what they are made from.
        uncond: The embedding of "", float32, one row.
    """

    digest: str
    uncond: Embeddings

    def __len__(self) -> int:
        """Say how many pictures there are."""
        ...

    def batch(
        self, items: Int[Tensor, " batch"]
    ) -> tuple[UInt8[Tensor, "batch 3 64 64"], Embeddings]:
        """Return some of the pictures in bytes, and their captions' embeddings in float32."""
        ...


class TextToImageTask:
    """Predict the velocity of noised pictures from their captions.

    Args:
        unet: The network.
        data: The pictures and captions.
        shape: What the network was made of, for the run's identity.
        caption_dropout: How often the caption is left out.
    """

    def __init__(
        self,
        unet: nn.Module,
        data: CaptionedPictures,
        shape: dict[str, object],
        *,
        caption_dropout: float = 0.1,
    ) -> None:
        self.network = unet
        self.schedule = NoiseSchedule.cosine()
        self._data, self._shape, self._caption_dropout = data, shape, caption_dropout

    def identity(self) -> dict[str, object]:
        """Name the data, the network's shape and the caption dropout."""
        return {
            "data": self._data.digest,
            "pictures": len(self._data),
            "network": json.loads(json.dumps(self._shape)),
            "caption_dropout": self._caption_dropout,
        }

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        """Fetch pictures and the embeddings of their captions."""
        self.schedule = self.schedule.to(draws.device)
        return self._data.batch(draws.shuffled(len(self._data)))

    def losses(
        self, network: nn.Module, draws: Draws, batch: tuple[Tensor, ...]
    ) -> Float[Tensor, " batch"]:
        """Compute the weighted squared error of the velocity, for each sample."""
        pictures, captions = batch
        x0 = pixel_unshuffle(pictures.float() / 127.5 - 1, FOLD)
        left_out = draws.chance("caption", self._caption_dropout)[:, None, None]
        condition = torch.where(left_out, self._data.uncond, captions)
        t = draws.timesteps(self.schedule.steps)
        eps = draws.normal("eps", *x0.shape[1:])
        x_t = add_noise(self.schedule, x0, t, eps)
        v = network(x_t, t, encoder_hidden_states=condition).sample[:, : x0.shape[1]].float()
        error = (v - velocity(self.schedule, x0, t, eps)).square().flatten(1).mean(dim=1)
        weighted: Tensor = min_snr_weight(self.schedule, t) * error
        return weighted


SHIFT = 4
"""By how many pixels a training picture is moved at most, in each direction."""


class ImageTextTask:
    """Tell which captions of a batch belong to which pictures.

    The pictures are mirrored and moved at random, as the draws say. The loss needs the batch as a
    whole, so it is for :func:`fundiff.training.loop.train` without chunks; where several processes
    train together, each one's pairs are told from those of the same process.

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

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        """Fetch pictures and the embeddings of their captions."""
        return self._data.batch(draws.shuffled(len(self._data)))

    def losses(
        self, network: nn.Module, draws: Draws, batch: tuple[Tensor, ...]
    ) -> Float[Tensor, " batch"]:
        """Compute the loss of each pair of picture and caption."""
        pictures, embeddings = batch
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
