r"""How well pictures show what they should: pictures beside captions, by an image-text encoder.

A picture with :math:`n` readings, under views or filters :math:`V_i`, is compared with what each
reading should show: the matrix :math:`S`, of which :func:`alignment` and :func:`concealment` are
two summaries.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from fundiff.errors import FundiffError
from fundiff.illusions import Reading
from fundiff.models.image_text import ImageTextEncoder
from fundiff.types import Images


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
        FundiffError: There are fewer than two candidates, the two don't have the same shape, or a
            picture has too few captions that differ from its own.

    Source:
        Xu et al. 2018, *AttnGAN*, section 4, with R = 1; Park et al. 2021, *Benchmark for
        compositional text-to-image synthesis*, with an image-text encoder.
    """
    if candidates < 2:
        raise FundiffError(f"R-precision needs at least 2 candidates, got {candidates}")
    if images.shape != texts.shape or not len(images):
        raise FundiffError(
            f"each picture needs its own caption's vector, got {tuple(images.shape)} and "
            f"{tuple(texts.shape)}"
        )
    hits = 0.0
    for i, (image, text) in enumerate(zip(images, texts, strict=True)):
        others = ((texts - text).abs().amax(dim=1) > 1e-5).nonzero().flatten()
        if len(others) < candidates - 1:
            raise FundiffError(
                f"picture {i} has {len(others)} captions that differ from its own, which is too "
                f"few for {candidates} candidates: give more pictures or ask for fewer candidates"
            )
        drawn = torch.randperm(len(others), generator=generator)[: candidates - 1]
        compared = torch.cat([text[None], texts[others[drawn.to(others.device)]]])
        scores = compared @ image
        best = scores == scores.max()
        hits += (best[0] / best.sum()).item()
    return hits / len(images)


Similarities = Float[Tensor, "batch reading prompt"]


def similarities(
    encoder: ImageTextEncoder,
    images: Images,
    readings: Sequence[Reading],
    embeddings: Float[Tensor, "reading 77 384"],
) -> Similarities:
    r"""Compare every reading of some pictures with every prompt.

    .. math:: S_{ij} = f(V_i x)^\top g_j

    Args:
        encoder: What turns readings and prompts into the unit vectors :math:`f` and :math:`g_j`.
        images: The pictures :math:`x`, in [-1, 1]; their readings are scaled to 64 pixels a side.
        readings: The :math:`V_i`.
        embeddings: The prompts' embeddings, one for each reading, in their order.

    Returns:
        Cosines, for each picture a row a reading and a column a prompt. This is
        :eq:`eq-readings` in the book.

    Raises:
        FundiffError: There are fewer than two readings, or not as many prompts.
    """
    if len(readings) < 2 or len(readings) != len(embeddings):
        raise FundiffError(
            "expected two readings or more and a prompt for each, got "
            f"{len(readings)} and {len(embeddings)}"
        )
    texts = encoder.texts(embeddings)
    seen = [reading(images).clamp(-1, 1) for reading in readings]
    read = [encoder.images(interpolate(x, size=(64, 64), mode="nearest")) for x in seen]
    return torch.stack(read, dim=1) @ texts.T


def alignment(similarity: Similarities) -> Float[Tensor, " batch"]:
    r"""How well the worst reading shows its prompt.

    .. math:: A = \min_i S_{ii}

    Args:
        similarity: :math:`S`, from :func:`similarities`.

    Returns:
        A cosine for each picture. This is :eq:`eq-alignment` in the book.

    Source:
        Geng et al. 2024, *Visual anagrams*, section 4.2.
    """
    return similarity.diagonal(dim1=1, dim2=2).amin(dim=1)


def concealment(similarity: Similarities, *, scale: float) -> Float[Tensor, " batch"]:
    r"""How surely each reading is told from the others, and hides what they show.

    .. math::

        C = \frac1{2n} \operatorname{tr}\!\left(\operatorname{softmax}_{\mathrm{rows}}(\tau S)
        + \operatorname{softmax}_{\mathrm{columns}}(\tau S)\right)

    Args:
        similarity: :math:`S`, from :func:`similarities`.
        scale: :math:`\tau`, the scale of the encoder's cosines, from :func:`cosine_scale`.

    Returns:
        A share for each picture, 1 where every reading shows its own prompt alone, and
        :math:`1/n` where they can't be told apart. This is :eq:`eq-concealment` in the book.

    Source:
        Geng et al. 2024, *Visual anagrams*, section 4.2, where both directions are averaged.
    """
    scaled = scale * similarity
    both = torch.stack([scaled.softmax(dim=2), scaled.softmax(dim=1)]).mean(dim=0)
    return both.diagonal(dim1=1, dim2=2).mean(dim=1)


def cosine_scale(encoder: ImageTextEncoder) -> float:
    """Return the scale of an encoder's cosines that it was trained with, at most 100."""
    return encoder.network.log_scale.exp().clamp(max=100).item()
