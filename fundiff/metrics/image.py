"""How close images are to a reference, image by image."""

from jaxtyping import Float
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from fundiff.errors import FundiffError
from fundiff.types import Images


def psnr(x: Images, reference: Images, *, data_range: float = 2.0) -> Float[Tensor, " batch"]:
    r"""How close images are to a reference, as a peak signal-to-noise ratio.

    .. math:: \mathrm{PSNR} = 10 \log_{10} \frac{R^2}{\mathrm{mean}\,(x - y)^2}

    Args:
        x: The images.
        reference: What they should be, :math:`y`.
        data_range: :math:`R`, the distance of the largest from the smallest possible value: 2
            for images in [-1, 1], 1 for images in [0, 1].

    Returns:
        Decibels for each image, infinite where it equals the reference. This is :eq:`eq-psnr`
        in the book.
    """
    return peak_signal_noise_ratio(
        x, reference, data_range=data_range, reduction="none", dim=(1, 2, 3)
    )


def ssim(x: Images, reference: Images, *, data_range: float = 2.0) -> Float[Tensor, " batch"]:
    r"""How much structure images share with a reference: structural similarity.

    .. math::

        \mathrm{SSIM} = \mathrm{mean}\;
        \frac{(2 \mu_x \mu_y + c_1)(2 \sigma_{xy} + c_2)}
             {(\mu_x^2 + \mu_y^2 + c_1)(\sigma_x^2 + \sigma_y^2 + c_2)}

    with means, variances and covariance in a Gaussian window of 11 × 11 pixels and
    :math:`\sigma = 1.5`, over all windows that lie inside the image, :math:`c_1 = (0.01 R)^2` and
    :math:`c_2 = (0.03 R)^2`.

    Args:
        x: The images, at least 11 pixels a side.
        reference: What they should be.
        data_range: :math:`R`: 2 for images in [-1, 1], 1 for images in [0, 1].

    Returns:
        One number for each image, 1 where it equals the reference. This is :eq:`eq-ssim` in the
        book.

    Raises:
        FundiffError: An image is smaller than the window.

    Source:
        Wang et al. 2004, *Image quality assessment*, eq. 13.
    """
    if min(x.shape[-2:]) < 11:
        raise FundiffError(f"SSIM needs at least 11 pixels a side, got {[*x.shape[-2:]]}")
    _, similarity = structural_similarity_index_measure(
        x, reference, data_range=data_range, reduction="none", return_full_image=True
    )
    return similarity[..., 5:-5, 5:-5].flatten(1).mean(dim=1)
