"""Pictures by the number: one order in blocks that can be stopped and shared.

Each picture's random numbers depend on the seed and the picture's number alone. Pictures are
painted in fixed blocks, one batch each, which any number of processes share out among themselves:
the files are the same however many there are, and what is there already isn't painted again.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from fundiff.data.pictures import save_picture
from fundiff.guidance import guided, thresholded
from fundiff.jobs.order import CHUNK, Order, OrderError, is_painted, picture_path, said_of
from fundiff.models.if_model import TextToImage
from fundiff.process import add_noise
from fundiff.sampling import denoise, keep_outside, noise_like
from fundiff.training.rng import Draws
from fundiff.types import Constraint, Images

BLOCK = 8
"""How many pictures are painted as one batch."""


def paint(
    model: TextToImage, order: Order, out: Path, *, process: int = 0, processes: int = 1
) -> Iterator[int]:
    """Paint this process's share of an order, and write each block when it is done.

    One picture goes to ``out`` itself; several get their numbers between the name and its ending.
    Each PNG says in a text called ``fundiff`` how it was made.

    Args:
        model: The model.
        order: What to paint.
        out: The file to write, which ends in ``.png``.
        process: Which process this is, from 0.
        processes: How many processes share the order.

    Yields:
        After each block, how many pictures are there now that are this process's.

    Raises:
        OrderError: The file isn't called ``.png``, one is there that this order didn't make, or
            the model's walk has no such start.
        OSError: A file can't be written.
    """
    if out.suffix.lower() != ".png":
        raise OrderError(f"pictures are written as PNG: call the file {out.with_suffix('.png')}")
    timesteps = _timesteps(model, order)
    out.parent.mkdir(parents=True, exist_ok=True)
    starts = range(0, order.count, BLOCK)
    blocks = [range(start, min(start + BLOCK, order.count)) for start in starts]
    done = 0
    for block in blocks[process::processes]:
        paths = [picture_path(out, number, order.count) for number in block]
        said = [said_of(model, order, number) for number in block]
        there = [is_painted(path, words) for path, words in zip(paths, said, strict=True)]
        if not all(there):
            images = _paint(model, order, timesteps, block)
            for image, path, words in zip(images.split(1), paths, said, strict=True):
                save_picture(image, path, text={CHUNK: words})
        done += len(block)
        yield done


def _timesteps(model: TextToImage, order: Order) -> list[int]:
    try:
        timesteps = model.schedule.timesteps(stride=order.stride)
    except ValueError as error:
        raise OrderError(str(error)) from error
    if not 0 <= order.i_start < len(timesteps):
        raise OrderError(
            f"the start must be an index from 0 to {len(timesteps) - 1}, got {order.i_start}"
        )
    return timesteps[order.i_start :]


def _paint(model: TextToImage, order: Order, timesteps: list[int], block: range) -> Images:
    generators = [
        torch.Generator().manual_seed(picture_seed(order.seed, number)) for number in block
    ]
    like = torch.empty(1, 3, model.size, model.size, device=model.device)
    x = torch.cat([noise_like(like, generator) for generator in generators])
    constraint = None
    if order.picture is not None:
        picture = order.picture.to(model.device)
        if order.mask is not None:
            constraint = _keep(model, picture, order.mask.to(model.device), generators)
        if order.i_start:
            t = torch.full((len(x),), timesteps[0], device=model.device)
            x = add_noise(model.schedule, picture.expand_as(x), t, x)
    conds, uncond = [model.denoiser(prompt) for prompt in order.prompts], model.denoiser()
    if order.illusion is None:
        denoiser = guided(conds[0], uncond, scale=order.scale)
    else:
        denoiser = order.illusion.guided(conds, uncond, scale=order.scale)
    if model.threshold is not None:
        ratio, most = model.threshold
        denoiser = thresholded(denoiser, model.schedule, ratio=ratio, max_value=most)
    *_, last = denoise(denoiser, model.schedule, x, timesteps, constraint=constraint)
    return last.x


def _keep(
    model: TextToImage, picture: Images, mask: Tensor, generators: list[torch.Generator]
) -> Constraint:
    """Keep what is outside the mask, with each picture's own noise."""
    each = [
        keep_outside(model.schedule, picture, mask, generator=generator) for generator in generators
    ]

    def constrain(x: Images, s: int) -> Images:
        return torch.cat([keep(one, s) for keep, one in zip(each, x.split(1), strict=True)])

    return constrain


def picture_seed(seed: int, number: int) -> int:
    """Return the seed of the generator of one picture's noise.

    Args:
        seed: The order's seed.
        number: The picture's number.

    Returns:
        A number from 0 to 2**63 - 1.
    """
    return Draws(seed, number, 1, 0, 1, torch.device("cpu")).key("picture")
