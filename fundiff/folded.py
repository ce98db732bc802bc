r"""The bundled model's network and what it learns: the velocity, on folded pixels.

The network sees :math:`2 \times 2` pixels folded into channels, 12 × 32 × 32 instead of
3 × 64 × 64: a permutation, so white noise stays white, and four times fewer places to compute at.
"""

import json
from typing import Protocol, runtime_checkable

import torch
from diffusers import UNet2DConditionModel
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import pixel_unshuffle

from fundiff.draws import Draws
from fundiff.process import add_noise, velocity
from fundiff.schedule import NoiseSchedule
from fundiff.text_encoder import Embeddings
from fundiff.training import min_snr_weight

FOLD = 2


def new_unet(
    channels: tuple[int, ...], *, layers: int, attend: int, dropout: float = 0.0
) -> UNet2DConditionModel:
    """Make an untrained network of IF's kind for folded pictures of 64 pixels a side.

    The second half of its output, the raw variance, is fixed at -1: the posterior's variance.

    Args:
        channels: The channels of each level, from 32 pixels a side down.
        layers: How many residual blocks a level.
        attend: How many levels, from the lowest, attend to the text.
        dropout: The share of activations that training drops.

    Returns:
        The network, its weights drawn from torch's generator.
    """
    plain = len(channels) - attend
    network = UNet2DConditionModel(
        sample_size=64 // FOLD,
        in_channels=3 * FOLD**2,
        out_channels=2 * 3 * FOLD**2,
        block_out_channels=channels,
        layers_per_block=layers,
        down_block_types=("ResnetDownsampleBlock2D",) * plain
        + ("SimpleCrossAttnDownBlock2D",) * attend,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D",) * attend + ("ResnetUpsampleBlock2D",) * plain,
        encoder_hid_dim=384,
        encoder_hid_dim_type="text_proj",
        cross_attention_dim=channels[-1],
        cross_attention_norm="group_norm",
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=32,
        norm_num_groups=16,
        act_fn="gelu",
        dropout=dropout,
    )
    with torch.no_grad():
        half = 3 * FOLD**2
        network.conv_out.weight[half:] = 0
        network.conv_out.bias[half:] = -1
    return network.to(memory_format=torch.channels_last)


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

    def losses(self, network: nn.Module, draws: Draws) -> Float[Tensor, " batch"]:
        """Compute the weighted squared error of the velocity, for each sample."""
        data = self._data
        pictures, captions = data.batch(draws.shuffled(len(data)))
        x0 = pixel_unshuffle(pictures.float() / 127.5 - 1, FOLD)
        left_out = draws.chance("caption", self._caption_dropout)[:, None, None]
        condition = torch.where(left_out, data.uncond, captions)
        t = draws.timesteps(self.schedule.steps)
        eps = draws.normal("eps", *x0.shape[1:])
        x_t = add_noise(self.schedule, x0, t, eps)
        v = network(x_t, t, encoder_hidden_states=condition).sample[:, : x0.shape[1]].float()
        error = (v - velocity(self.schedule, x0, t, eps)).square().flatten(1).mean(dim=1)
        weighted: Tensor = min_snr_weight(self.schedule, t) * error
        return weighted
