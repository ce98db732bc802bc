"""Pictures by the number: one order in blocks that can be stopped and shared.

Each picture's noise depends on the seed and the picture's number alone. Pictures are painted in
fixed blocks, one batch each, which any number of processes share out among themselves: the files
are the same however many there are, and what is there already isn't painted again.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from fundiff.data.pictures import require_png, save_picture
from fundiff.files import parent_of, prepare
from fundiff.guidance import Thresholded, guided
from fundiff.jobs.order import CHUNK, Order, OrderError, is_painted, picture_path, said_of
from fundiff.models.if_model import TextToImage
from fundiff.sampling import inpaint, sample, sdedit
from fundiff.solvers import SOLVERS
from fundiff.types import Denoiser, Images

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
        OrderError: One is there that this order didn't make, or the model's walk has no such start.
        FundiffError: The file isn't called ``.png``, or the schedule has no such number of steps.
        PlaceError: Nothing can be written to the file's folder.
        OSError: A file can't be written.
    """
    require_png(out)
    timesteps = _timesteps(model, order)
    for folder in {parent_of(picture_path(out, i, order.count)) for i in range(order.count)}:
        prepare(folder)
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
    timesteps = SOLVERS[order.solver].timesteps(model.schedule, order.steps)
    if not 0 <= order.i_start < len(timesteps):
        raise OrderError(
            f"the start must be an index from 0 to {len(timesteps) - 1}, got {order.i_start}"
        )
    return timesteps


def _paint(model: TextToImage, order: Order, timesteps: list[int], block: range) -> Images:
    conds, uncond = [model.denoiser(prompt) for prompt in order.prompts], model.denoiser()
    denoiser: Denoiser
    if order.illusion is None:
        denoiser = guided(conds[0], uncond, scale=order.scale)
    else:
        denoiser = order.illusion.guided(conds, uncond, scale=order.scale)
    if model.threshold is not None:
        denoiser = Thresholded(denoiser, model.schedule, *model.threshold)
    constraint = None
    if order.picture is not None and order.mask is not None:
        constraint = inpaint(order.picture, order.mask)
    walk: Callable[..., Images] = sample
    x = model.noise(len(block), order.seed, first=block.start)
    if order.picture is not None and order.i_start:
        walk = partial(sdedit, i_start=order.i_start)
        x = order.picture.to(model.device).expand_as(x)
    return walk(
        denoiser,
        model.schedule,
        x,
        timesteps,
        step=SOLVERS[order.solver].step,
        constraint=constraint,
        seed=order.seed,
        first=block.start,
    )
