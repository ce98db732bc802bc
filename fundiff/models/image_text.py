r"""A small image-text encoder that judges generated pictures: a CLIP of the project's own.

Two towers take a picture and a caption to unit vectors of the same width, which are close where the
caption belongs to the picture. The picture's features, one layer below, are what
:func:`fundiff.metrics.distances.frechet_distance` and its kin compare sets of pictures by.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize, pixel_unshuffle

from fundiff.errors import FundiffError
from fundiff.models.text_encoder import TextEncoder
from fundiff.models.weights import load_weights, shipped
from fundiff.types import Images

FOLD = 4
"""How many pixels a side the image tower sees folded into one place."""

CHANNELS = (96, 192, 256)
"""The channels of the image tower at 16, 8 and 4 places a side."""

WIDTH = 128
"""How long the unit vectors are."""

Captions = Float[Tensor, "batch 77 384"]

Features = Float[Tensor, "batch feature"]

Vectors = Float[Tensor, "batch vector"]


class ImageTextNetwork(nn.Module):
    r"""The two towers and the scale :math:`\tau` of their cosines, learned as its logarithm.

    Args:
        channels: The image tower's channels at each level, multiples of 8; the last is the number
            of features.
        width: How long the unit vectors are.
    """

    def __init__(self, channels: Sequence[int] = CHANNELS, width: int = WIDTH) -> None:
        super().__init__()
        levels = [_Level(a, b) for a, b in pairwise(channels)]
        self.trunk = nn.Sequential(
            nn.Conv2d(3 * FOLD**2, channels[0], 3, padding=1),
            _Residual(channels[0]),
            *levels,
            nn.GroupNorm(8, channels[-1]),
            nn.SiLU(),
        ).to(memory_format=torch.channels_last)
        self.image_head = nn.Linear(channels[-1], width)
        self.text_tower = nn.Sequential(
            nn.LayerNorm(TextEncoder.width),
            nn.Linear(TextEncoder.width, 4 * width),
            nn.SiLU(),
            nn.Linear(4 * width, width),
        )
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def features(self, images: Images) -> Features:
        """Return the last layer below the unit vectors, its mean over the picture."""
        folded = pixel_unshuffle(images, FOLD).contiguous(memory_format=torch.channels_last)
        features: Tensor = self.trunk(folded).float().mean(dim=(2, 3))
        return features

    def images(self, images: Images) -> Vectors:
        """Return the unit vectors of pictures."""
        return normalize(self.image_head(self.features(images)).float(), dim=1)

    def texts(self, embeddings: Captions) -> Vectors:
        """Return the unit vectors of captions: of the mean of their tokens' embeddings."""
        tokens = embeddings.any(dim=2).sum(dim=1, keepdim=True)
        return normalize(self.text_tower(embeddings.sum(dim=1) / tokens).float(), dim=1)

    def forward(
        self, images: Images, embeddings: Captions
    ) -> tuple[Vectors, Vectors, Float[Tensor, ""]]:
        """Return both kinds of unit vectors, and the scale of their cosines, at most 100."""
        scale = self.log_scale.exp().clamp(max=100)
        return self.images(images), self.texts(embeddings), scale


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(8, channels),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Images) -> Images:
        out: Tensor = x + self.body(x)
        return out


class _Level(nn.Sequential):
    """Half the pixels a side, then a residual block."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(nn.Conv2d(channels, out, 3, stride=2, padding=1), _Residual(out))


class ImageTextEncoder:
    """The trained encoder, frozen: a judge of pictures and of how they fit their captions.

    Args:
        network: The trained network.
        device: Where it runs.
        together: How many pictures or captions go through it together.
    """

    def __init__(
        self,
        network: ImageTextNetwork,
        *,
        device: torch.device | str = "cpu",
        together: int = 256,
    ) -> None:
        self.network = network.float().eval().to(device)
        self.device, self.together = torch.device(device), together

    @classmethod
    def load(
        cls, folder: Path | None = None, *, device: torch.device | str = "cpu"
    ) -> "ImageTextEncoder":
        """Read an encoder from a folder of weights, after checking it.

        Args:
            folder: The folder; by default the weights that came with the package.
            device: Where it runs.

        Returns:
            The encoder.

        Raises:
            WeightsError: There are none, the folder isn't what its card says, or the weights don't
                fit the network.
        """
        network = ImageTextNetwork()
        load_weights(network, shipped("image-text") if folder is None else folder)
        return cls(network, device=device)

    def features(self, images: Images) -> Features:
        """Describe pictures by the layer below the unit vectors.

        Args:
            images: RGB of 64 pixels a side, in [-1, 1].

        Returns:
            256 numbers a picture, without units, on the encoder's device.

        Raises:
            FundiffError: The pictures have another size.
        """
        return self._each(self.network.features, _checked(images))

    def images(self, images: Images) -> Vectors:
        """Encode pictures.

        Args:
            images: RGB of 64 pixels a side, in [-1, 1].

        Returns:
            A unit vector a picture, on the encoder's device.

        Raises:
            FundiffError: The pictures have another size.
        """
        return self._each(self.network.images, _checked(images))

    def texts(self, embeddings: Captions) -> Vectors:
        """Encode captions.

        Args:
            embeddings: What :class:`fundiff.models.text_encoder.TextEncoder` returns for them:
                zeros after the last token.

        Returns:
            A unit vector a caption, on the encoder's device.

        Raises:
            FundiffError: An embedding has no token.
        """
        if not embeddings.any(dim=2).any(dim=1).all():
            raise FundiffError(
                "an embedding is all zeros: encode the captions, also the empty one, by TextEncoder"
            )
        return self._each(self.network.texts, embeddings)

    @torch.no_grad()
    def _each(self, encode: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
        return torch.cat([encode(part.to(self.device)) for part in inputs.split(self.together)])


def _checked(images: Images) -> Images:
    if images.shape[1:] != (3, 64, 64):
        raise FundiffError(f"the encoder takes pictures (3, 64, 64), got {tuple(images.shape[1:])}")
    return images
