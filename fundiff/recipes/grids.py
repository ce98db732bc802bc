"""The grids of samples that the recipe ``text-to-image`` keeps: every prompt, uncurated."""

import io
from collections.abc import Sequence

import torch
from torch import Tensor

from fundiff.guidance import Bound, guided
from fundiff.models.if_model import PixelNetwork
from fundiff.plots.figures import image_grid
from fundiff.rng import noise
from fundiff.sampling import sample
from fundiff.types import Denoiser, Images


def sample_grid(
    network: PixelNetwork, embeddings: Tensor, *, seeds: int = 4, scale: float = 4.0
) -> Images:
    """Sample every prompt from the same noise, uncurated.

    Args:
        network: The network.
        embeddings: The embeddings of "" and then of the prompts.
        seeds: How many pictures a prompt, the first ones of the seed 0.
        scale: The guidance scale.

    Returns:
        Pictures in rows, ``prompts * seeds``, prompt by prompt.
    """
    x = noise(seeds, 3, 64, 64).to(embeddings.device)
    uncond = Bound(network, embeddings[:1])
    rows = []
    for embedding in embeddings[1:].split(1):
        denoiser: Denoiser = guided(Bound(network, embedding), uncond, scale=scale)
        rows.append(sample(denoiser, network.schedule, x).cpu())
    return torch.cat(rows)


def grid_png(
    network: PixelNetwork, prompts: Sequence[str], embeddings: Tensor, *, seeds: int
) -> bytes:
    """Sample every prompt and draw the samples, a row a prompt where there are several seeds.

    Args:
        network: The network, in evaluation.
        prompts: The prompts.
        embeddings: The embeddings of "" and then of the prompts.
        seeds: How many pictures a prompt.

    Returns:
        The bytes of a PNG.
    """
    samples = sample_grid(network, embeddings, seeds=seeds)
    picture = io.BytesIO()
    if seeds > 1:
        figure = image_grid(samples.split(seeds), row_titles=prompts)
    else:
        figure = image_grid(samples.split(6))
    figure.savefig(picture, format="png")
    return picture.getvalue()
