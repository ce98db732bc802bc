"""Trained networks made faster: normalisations become part of the convolutions before them."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fused(network: nn.Module) -> nn.Module:
    r"""Copy a network, and let each convolution do what the batch normalisation after it did.

    In evaluation a normalisation of batches is a fixed line for each channel, so for weights
    :math:`w` and biases :math:`b` of a convolution, and :math:`\mu, \sigma^2, \gamma, \beta` of the
    normalisation,

    .. math:: w' = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}\, w, \qquad
              b' = \frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}\, (b - \mu) + \beta

    answer the same, up to rounding.

    Args:
        network: The network; it stays as it is. Convolutions and normalisations that follow one
            another in an :class:`torch.nn.Sequential` are taken together.

    Returns:
        The copy, in evaluation, which can't be trained on.
    """
    made = copy.deepcopy(network).eval().requires_grad_(False)
    for block in made.modules():
        if not isinstance(block, nn.Sequential):
            continue
        for i in range(len(block) - 1):
            first, second = block[i], block[i + 1]
            if isinstance(first, nn.Conv2d | nn.ConvTranspose2d) and isinstance(
                second, nn.BatchNorm2d
            ):
                transposed = isinstance(first, nn.ConvTranspose2d)
                block[i] = fuse_conv_bn_eval(first, second, transpose=transposed)
                block[i + 1] = nn.Identity()
    return made.requires_grad_(False)
