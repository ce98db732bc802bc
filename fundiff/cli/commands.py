"""The commands on pictures with several readings, and what commands have in common.

For :mod:`fundiff.cli.main`.
"""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from tqdm import tqdm

from fundiff.illusions import VIEWS, Anagram, Hybrid, Illusion, hybrids
from fundiff.jobs.choose import judge, keep, painted
from fundiff.jobs.order import Order, OrderError, picture_path
from fundiff.jobs.paint import paint
from fundiff.models.if_model import BUNDLED, TextToImage, load
from fundiff.models.image_text import ImageTextEncoder
from fundiff.plots.animation import Frame, fade, require_gif_free, save_gif, turn
from fundiff.recipes import illusion_scores
from fundiff.types import Images
from fundiff.views import Identity

ZOOM = 4
"""How many pixels a side each pixel of a picture has in a GIF."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def add_illusions(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands ``anagram``, ``hybrid`` and ``illusions``.

    Args:
        commands: Where to add them; each sets ``run``.
    """
    anagram = commands.add_parser("anagram", help="paint a picture that shows more when turned")
    anagram.add_argument("prompts", nargs="+", help="upright, then for each view")
    anagram.add_argument(
        "--view", nargs="+", choices=[*VIEWS], default=["flip"], help="the views after upright"
    )
    anagram.set_defaults(illusion=_anagram)
    hybrid = commands.add_parser("hybrid", help="paint a picture that shows more from nearby")
    hybrid.add_argument("prompts", nargs="+", help="what is seen from afar, then what from nearby")
    hybrid.add_argument("--split", choices=[*hybrids()], default="blur", help="what nearby means")
    hybrid.add_argument("--sigma", type=float, default=2.0, help="the blur's width in pixels")
    hybrid.add_argument("--kernel-size", type=int, default=33, help="its kernel's side, odd")
    hybrid.set_defaults(illusion=_hybrid)
    for command in (anagram, hybrid):
        command.add_argument("--best-of", type=int, default=1, help="how many to choose from")
        command.add_argument("--gif", action="store_true", help="also write how it turns")
        command.set_defaults(run=_paint)
        add_painting_options(command)
    scoring = commands.add_parser("illusions", help="score the bundled model's illusions")
    scoring.add_argument("--seeds", type=int, default=24, help="how many pictures of each")
    add_measuring_options(scoring, illusion_scores.NAME)
    scoring.set_defaults(run=_score)


def add_painting_options(command: argparse.ArgumentParser) -> None:
    """Add the options of every command that paints.

    Args:
        command: The command.
    """
    command.add_argument("--seed", type=int, default=0, help="the seed of all the pictures")
    command.add_argument("--scale", type=float, default=7.0, help="the guidance scale")
    command.add_argument("--stride", type=int, default=30, help="timesteps a step")
    command.add_argument("--embeddings", type=Path, help="a file that embed wrote")
    command.add_argument("--model", help="a folder or a name on the hub; $FUNDIFF_MODEL")
    command.add_argument("--dtype", choices=[*_DTYPES], help="the network's precision")
    command.add_argument("--compile", action="store_true", help="pays for many pictures")
    command.add_argument("--out", type=Path, required=True, help="the PNG file to write")


def add_measuring_options(command: argparse.ArgumentParser, name: str) -> None:
    """Add the options of every command that measures what the project ships.

    Args:
        command: The command.
        name: The name of its results.
    """
    command.add_argument("--if-stale", action="store_true", help="only if the results are old")
    command.add_argument("--runs", type=Path, default=Path("_build") / "runs")
    command.add_argument("--out", type=Path, default=Path("_build") / "weights" / name)


def measure(
    options: argparse.Namespace,
    name: str,
    is_stale: Callable[[Path], bool],
    run: Callable[..., object],
) -> None:
    """Measure unless the results are up to date, with a progress bar.

    Args:
        options: The options, see :func:`add_measuring_options`.
        name: The name of the results.
        is_stale: Tells whether the results in a folder are old.
        run: Takes the folder of what a stopped run has made, that of the results, and ``say``,
            which is told how many pictures there are, of how many.
    """
    if options.if_stale and not is_stale(options.out):
        print(f"{options.out} is up to date")
        return
    with tqdm(desc=name, unit="picture", disable=None) as bar:

        def say(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        run(options.runs / name, options.out, say=say)
    print(f"the results are in {options.out}")


def model_of(options: argparse.Namespace, where: PartialState) -> TextToImage:
    """Load the model that a command's options name, where this process runs.

    Args:
        options: The options.
        where: This process.

    Returns:
        The model.
    """
    return load(
        options.model,
        device=where.device,
        dtype=_DTYPES.get(options.dtype),
        embeddings=options.embeddings,
        compiled=options.compile,
    )


def paint_order(model: TextToImage, order: Order, out: Path, where: PartialState) -> None:
    """Paint this process's share of an order, with a progress bar in the main process.

    Args:
        model: The model.
        order: The order.
        out: The PNG file to write.
        where: This process.
    """
    hidden = None if where.is_main_process else True
    share = {"process": where.process_index, "processes": where.num_processes}
    with tqdm(total=order.count, desc="painting", unit="picture", disable=hidden) as bar:
        for done in paint(model, order, out, **share):
            bar.update(done - bar.n)


def _anagram(options: argparse.Namespace) -> Anagram:
    return Anagram((Identity(), *(VIEWS[name] for name in options.view)))


def _hybrid(options: argparse.Namespace) -> Hybrid:
    return hybrids(kernel_size=options.kernel_size, sigma=options.sigma)[options.split]


def _paint(options: argparse.Namespace) -> None:
    where = PartialState()
    if options.gif:
        require_gif_free(options.out.with_suffix(".gif"))
    model = model_of(options, where)
    try:
        illusion: Illusion = options.illusion(options)
        illusion.readings[0](torch.zeros(1, 3, model.size, model.size))
    except ValueError as error:
        raise OrderError(str(error)) from error
    first, *others = options.prompts
    order = Order(
        prompt=first,
        seed=options.seed,
        count=options.best_of,
        scale=options.scale,
        stride=options.stride,
        illusion=illusion,
        others=tuple(others),
    )
    judges = load(BUNDLED, device="cpu").encode(order.prompts) if order.count > 1 else None
    paint_order(model, order, options.out, where)
    where.wait_for_everyone()
    if not where.is_main_process:
        return
    if judges is not None:
        images = painted(order, options.out, size=model.size)
        judged = judge(ImageTextEncoder.load(), images, illusion, judges)
        best = int(judged.order()[0])
        keep(model, order, options.out, best)
        print(
            f"the best of {order.count} is {picture_path(options.out, best, order.count)}: "
            f"alignment {judged.alignment[best]:.2f}, concealment {judged.concealment[best]:.2f}"
        )
    if options.gif:
        (picture,) = painted(Order(first), options.out, size=model.size).split(1)
        save_gif(_frames(picture, illusion), options.out.with_suffix(".gif"))


def _frames(picture: Images, illusion: Illusion) -> list[Frame]:
    if isinstance(illusion, Anagram):
        *others, last = [turn(picture, view, zoom=ZOOM) for view in illusion.views[1:]]
        return [frame for way in others for frame in way + way[::-1]] + last
    faded = fade(picture, illusion.readings[0])
    return [frame.repeat_interleave(ZOOM, -1).repeat_interleave(ZOOM, -2) for frame in faded]


def _score(options: argparse.Namespace) -> None:
    is_stale = partial(illusion_scores.is_stale, seeds=options.seeds)
    measuring = partial(illusion_scores.run, seeds=options.seeds)
    measure(options, illusion_scores.NAME, is_stale, measuring)
