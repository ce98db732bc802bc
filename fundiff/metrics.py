"""Numbers for what the figures show."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

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
        ValueError: An image is smaller than the window.

    Source:
        Wang et al. 2004, *Image quality assessment*, eq. 13.
    """
    if min(x.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs at least 11 pixels a side, got {[*x.shape[-2:]]}")
    _, similarity = structural_similarity_index_measure(
        x, reference, data_range=data_range, reduction="none", return_full_image=True
    )
    return similarity[..., 5:-5, 5:-5].flatten(1).mean(dim=1)


def r_precision(
    images: Float[Tensor, "sample width"],
    texts: Float[Tensor, "sample width"],
    *,
    candidates: int = 100,
    generator: torch.Generator,
) -> float:
    r"""How often a picture's own caption fits it best, among others drawn at random.

    .. math::

        R = \frac1N \sum_i \frac{[\,s_{ii} = m_i\,]}{|\{j \in C_i : s_{ij} = m_i\}|},
        \qquad m_i = \max_{j \in C_i} s_{ij}, \quad s_{ij} = u_i^\top v_j

    where :math:`C_i` has :math:`i` and ``candidates - 1`` others, drawn without replacement from
    those whose caption is another one. So captions that score the same share the hit, and an
    encoder that can't tell captions apart scores ``1 / candidates``.

    Args:
        images: The pictures' vectors :math:`u_i`, of length 1 where cosines are meant.
        texts: The vectors :math:`v_i` of each picture's own caption. Two that differ by no more
            than rounding, 1e-5 in every number, are the same caption.
        candidates: How many captions each picture is compared with, its own included.
        generator: Draws the others; on the CPU.

    Returns:
        A share from 0 to 1. This is :eq:`eq-r-precision` in the book, which doesn't share hits.

    Raises:
        ValueError: There are fewer than two candidates, the two don't have the same shape, or a
            picture has too few captions that differ from its own.

    Source:
        Xu et al. 2018, *AttnGAN*, section 4, with R = 1; Park et al. 2021, *Benchmark for
        compositional text-to-image synthesis*, with an image-text encoder.
    """
    if candidates < 2:
        raise ValueError(f"R-precision needs at least 2 candidates, got {candidates}")
    if images.shape != texts.shape or not len(images):
        raise ValueError(
            f"each picture needs its own caption's vector, got {tuple(images.shape)} and "
            f"{tuple(texts.shape)}"
        )
    hits = 0.0
    for i, (image, text) in enumerate(zip(images, texts, strict=True)):
        others = ((texts - text).abs().amax(dim=1) > 1e-5).nonzero().flatten()
        if len(others) < candidates - 1:
            raise ValueError(
                f"picture {i} has {len(others)} captions that differ from its own, which is too "
                f"few for {candidates} candidates: give more pictures or ask for fewer candidates"
            )
        drawn = torch.randperm(len(others), generator=generator)[: candidates - 1]
        compared = torch.cat([text[None], texts[others[drawn.to(others.device)]]])
        scores = compared @ image
        best = scores == scores.max()
        hits += (best[0] / best.sum()).item()
    return hits / len(images)


def frechet_distance(
    features: Float[Tensor, "sample feature"], reference: Float[Tensor, "real feature"]
) -> float:
    r"""How far two sets of features are apart as Gaussians: FID, on whatever features.

    .. math::

        d^2 = \lVert \mu - \mu_r \rVert^2
        + \operatorname{tr}\!\left(\Sigma + \Sigma_r - 2 (\Sigma \Sigma_r)^{1/2}\right)

    with means and unbiased covariances, in double precision. Few samples make it larger, so compare
    sets of the same size, beside the distance of two real ones.

    Args:
        features: The features of some pictures, one row a picture.
        reference: Those of real ones.

    Returns:
        A number, at least 0 up to rounding, in the features' units squared. This is
        :eq:`eq-frechet` in the book.

    Raises:
        ValueError: A set has fewer than two rows, or the rows differ in length.

    Source:
        Heusel et al. 2017, *GANs trained by a two time-scale update rule*, eq. 6.
    """
    _require_comparable(features, reference, least=2)
    (mean, cov), (mean_r, cov_r) = _moments(features), _moments(reference)
    values, vectors = torch.linalg.eigh(cov)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ cov_r @ root).clamp(min=0).sqrt().sum()
    apart = (mean - mean_r).square().sum()
    return float(apart + cov.trace() + cov_r.trace() - 2 * overlap)


def kernel_distance(
    features: Float[Tensor, "sample feature"], reference: Float[Tensor, "real feature"]
) -> float:
    r"""How far two sets of features are apart by a cubic kernel: KID, on whatever features.

    .. math::

        \mathrm{MMD}^2 = \frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)}
        + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)}
        - \frac{2 \sum_{i, j} k(x_i, y_j)}{n m},
        \qquad k(x, y) = \left(\frac{x^\top y}{d} + 1\right)^3

    over all rows at once, in double precision. It has no bias, whatever the number of samples: for
    two sets from the same distribution it is 0 on average, so it may be negative.

    Args:
        features: The features :math:`x_i` of some pictures, one row of length :math:`d` a picture.
        reference: Those of real ones, :math:`y_j`.

    Returns:
        A number, without units for features without units. This is :eq:`eq-kernel` in the
        book.

    Raises:
        ValueError: A set has fewer than two rows, or the rows differ in length.

    Source:
        Bińkowski et al. 2018, *Demystifying MMD GANs*, section 4; Gretton et al. 2012, *A kernel
        two-sample test*, eq. 3.
    """
    _require_comparable(features, reference, least=2)
    x, y = features.double(), reference.double()
    within = _kernel(x, x).fill_diagonal_(0).sum() / (len(x) * (len(x) - 1))
    within_r = _kernel(y, y).fill_diagonal_(0).sum() / (len(y) * (len(y) - 1))
    return float(within + within_r - 2 * _kernel(x, y).mean())


class Nearest(NamedTuple):
    """The nearest rows of a reference.

    Attributes:
        distances: How far they are.
        indices: Which they are.
    """

    distances: Float[Tensor, " sample"]
    indices: Int[Tensor, " sample"]


def nearest(
    features: Float[Tensor, "sample feature"],
    reference: Float[Tensor, "real feature"],
    *,
    together: int = 256,
) -> Nearest:
    r"""Find the nearest neighbours of some features, to see whether a model repeats its training.

    .. math:: d_i = \min_j \lVert x_i - y_j \rVert

    A model that remembers pictures makes some that are nearer to the training set than new real
    pictures are: compare the distances of generated to training pictures with those of unseen real
    ones to training pictures.

    Args:
        features: The features :math:`x_i`, one row a picture.
        reference: Those of the training set, :math:`y_j`.
        together: How many rows are compared with the reference at once, for the memory's sake.

    Returns:
        For each row the Euclidean distance of its nearest neighbour, in the features' units and
        exactly 0 for a copy, and which it is, the first of several.

    Raises:
        ValueError: A set is empty, or the rows differ in length.

    Source:
        Meehan et al. 2020, *A non-parametric test to detect data-copying in generative models*.
    """
    _require_comparable(features, reference, least=1)
    exact = "donot_use_mm_for_euclid_dist"
    parts = [
        torch.cdist(part, reference, compute_mode=exact).min(dim=1)
        for part in features.split(together)
    ]
    distances, indices = (torch.cat(column) for column in zip(*parts, strict=True))
    return Nearest(distances, indices)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.double().mean(dim=0)
    centred = x.double() - mean
    return mean, centred.T @ centred / (len(x) - 1)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _require_comparable(features: Tensor, reference: Tensor, *, least: int) -> None:
    if min(len(features), len(reference)) < least or features.shape[1] != reference.shape[1]:
        raise ValueError(
            f"expected two sets of at least {least} rows of the same length, got "
            f"{tuple(features.shape)} and {tuple(reference.shape)}"
        )
