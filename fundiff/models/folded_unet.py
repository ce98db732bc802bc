r"""The bundled model's network, untrained.

It sees :math:`2 \times 2` pixels folded into channels, 12 × 32 × 32 instead of 3 × 64 × 64: a
permutation, so white noise stays white, and four times fewer places to compute at.
"""

import torch
from diffusers import UNet2DConditionModel

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
