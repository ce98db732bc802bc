"""The commands that paint, and those that prepare it.

What is heavy is imported when a command runs, so that help and completion come at once.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fundiff.errors import FundiffError

if TYPE_CHECKING:
    from fundiff.illusions import Illusion
    from fundiff.jobs.order import Order
    from fundiff.plots.animation import Frame
    from fundiff.types import Images

ZOOM = 4
"""How many pixels a side each pixel of a picture has in a GIF."""


def _views() -> list[str]:
    from fundiff.illusions import VIEWS

    return [*VIEWS]


def _splits() -> list[str]:
    from fundiff.illusions import hybrids

    return [*hybrids()]


def _solvers() -> list[str]:
    from fundiff.solvers import SOLVERS

    return [*SOLVERS]


def _dtypes() -> list[str]:
    return ["float32", "bfloat16", "float16"]


Prompt = Annotated[str, typer.Argument(help="what the pictures should show")]
Prompts = Annotated[list[str], typer.Argument(help="what each reading shows, upright or far first")]
Towards = Annotated[str, typer.Option("--prompt", help="what it should show")]
Picture = Annotated[Path, typer.Argument(help="the picture")]
Out = Annotated[Path, typer.Option(help="the PNG file to write")]
Count = Annotated[int, typer.Option(help="how many pictures")]
Seed = Annotated[int, typer.Option(help="the seed of all the pictures")]
Scale = Annotated[float, typer.Option(help="the guidance scale")]
Steps = Annotated[int, typer.Option(help="how many calls of the network")]
Solver = Annotated[str, typer.Option(autocompletion=_solvers, help="such as dpm, ddim")]
Model = Annotated[
    str | None, typer.Option(envvar="FUNDIFF_MODEL", help="a folder or a name on the hub")
]
Dtype = Annotated[
    str | None,
    typer.Option(autocompletion=_dtypes, help="float32, bfloat16 or float16, for the network"),
]
Embeddings = Annotated[Path | None, typer.Option(help="a file that embed wrote")]
Compiled = Annotated[bool, typer.Option("--compile", help="pays for many pictures")]
BestOf = Annotated[int, typer.Option(help="how many to choose from")]
Gif = Annotated[bool, typer.Option("--gif", help="also write how it turns")]


SCALE, STEPS, SOLVER = 4.0, 12, "dpm"
"""How all commands paint unless told otherwise, as an :class:`fundiff.jobs.order.Order` has it."""


def sample(
    prompt: Prompt,
    out: Out,
    count: Count = 1,
    seed: Seed = 0,
    scale: Scale = SCALE,
    steps: Steps = STEPS,
    solver: Solver = SOLVER,
    model: Model = None,
    dtype: Dtype = None,
    embeddings: Embeddings = None,
    compiled: Compiled = False,
) -> None:
    """Paint pictures of a prompt."""
    from fundiff.jobs.order import Order

    order = Order(prompt, seed, count, scale, steps, solver)
    _Job(model, dtype, embeddings, compiled).paint(order, out)


def edit(
    picture: Picture,
    prompt: Towards,
    out: Out,
    i_start: Annotated[
        int | None,
        typer.Option(
            help="the step to start at, the larger, the more is kept",
            show_default="a third of the steps",
        ),
    ] = None,
    count: Count = 1,
    seed: Seed = 0,
    scale: Scale = SCALE,
    steps: Steps = STEPS,
    solver: Solver = SOLVER,
    model: Model = None,
    dtype: Dtype = None,
    embeddings: Embeddings = None,
    compiled: Compiled = False,
) -> None:
    """Edit a picture towards a prompt, by SDEdit."""
    from fundiff.data.pictures import load_picture
    from fundiff.jobs.order import Order

    job = _Job(model, dtype, embeddings, compiled)
    given = load_picture(picture, size=job.model.size)
    begin = steps // 3 if i_start is None else i_start
    order = Order(prompt, seed, count, scale, steps, solver, picture=given, i_start=begin)
    job.paint(order, out)


def inpaint(
    picture: Picture,
    mask: Annotated[Path, typer.Argument(help="white, or marked, where to repaint")],
    prompt: Towards,
    out: Out,
    count: Count = 1,
    seed: Seed = 0,
    scale: Scale = SCALE,
    steps: Steps = STEPS,
    solver: Solver = SOLVER,
    model: Model = None,
    dtype: Dtype = None,
    embeddings: Embeddings = None,
    compiled: Compiled = False,
) -> None:
    """Repaint a part of a picture."""
    from fundiff.data.masks import load_inpainting
    from fundiff.jobs.order import Order

    job = _Job(model, dtype, embeddings, compiled)
    given, where = load_inpainting(picture, mask, size=job.model.size)
    job.say(f"{where.mean():.1%} of the picture is repainted")
    job.paint(Order(prompt, seed, count, scale, steps, solver, picture=given, mask=where), out)


def anagram(
    prompts: Prompts,
    out: Out,
    view: Annotated[
        list[str],
        typer.Option(autocompletion=_views, help="a view after upright, such as flip, rotate-90"),
    ] = ["flip"],  # noqa: B006  # typer takes a copy
    best_of: BestOf = 1,
    gif: Gif = False,
    seed: Seed = 0,
    scale: Scale = SCALE,
    steps: Steps = STEPS,
    solver: Solver = SOLVER,
    model: Model = None,
    dtype: Dtype = None,
    embeddings: Embeddings = None,
    compiled: Compiled = False,
) -> None:
    """Paint a picture that shows more when it is turned: a --view for each prompt but the first."""
    from fundiff.illusions import VIEWS, ByView
    from fundiff.jobs.order import Order
    from fundiff.views import Identity

    require_known(view, VIEWS, "view")
    illusion = ByView((Identity(), *(VIEWS[name] for name in view)))
    first, *others = prompts
    order = Order(
        first, seed, best_of, scale, steps, solver, illusion=illusion, others=tuple(others)
    )
    _Job(model, dtype, embeddings, compiled).choose(order, illusion, out, gif=gif)


def hybrid(
    prompts: Prompts,
    out: Out,
    split: Annotated[
        str, typer.Option(autocompletion=_splits, help="what nearby means, such as blur, colour")
    ] = "blur",
    sigma: Annotated[float, typer.Option(help="the blur's width in pixels")] = 2.0,
    kernel_size: Annotated[int, typer.Option(help="its kernel's side, odd")] = 33,
    best_of: BestOf = 1,
    gif: Gif = False,
    seed: Seed = 0,
    scale: Scale = SCALE,
    steps: Steps = STEPS,
    solver: Solver = SOLVER,
    model: Model = None,
    dtype: Dtype = None,
    embeddings: Embeddings = None,
    compiled: Compiled = False,
) -> None:
    """Paint a picture that shows more from nearby."""
    from fundiff.illusions import hybrids
    from fundiff.jobs.order import Order

    known = hybrids(kernel_size=kernel_size, sigma=sigma)
    require_known([split], known, "split")
    illusion, first, *others = known[split], *prompts
    order = Order(
        first, seed, best_of, scale, steps, solver, illusion=illusion, others=tuple(others)
    )
    _Job(model, dtype, embeddings, compiled).choose(order, illusion, out, gif=gif)


def embed(
    prompts: Annotated[list[str], typer.Argument(help="the prompts")],
    out: Annotated[Path, typer.Option(help="the safetensors file to write")],
    model: Model = None,
) -> None:
    """Encode prompts once, to spare the encoder later."""
    from fundiff.models.if_model import load, save_embeddings

    save_embeddings(load(model), prompts, out)
    print(f"{len(prompts)} prompts are in {out}")


def doctor() -> None:
    """Say what this machine can run, and how."""
    from fundiff.cli.doctor import checkup

    for line in checkup():
        print(line)


def require_known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse names that stand for nothing, and list those that do."""
    known = [*known]
    for name in names:
        if name not in known:
            raise FundiffError(f"there is no {what} {name!r}; known are {', '.join(known)}")


class _Job:
    """A model, and what is painted with it in this process."""

    def __init__(
        self, model: str | None, dtype: str | None, embeddings: Path | None, compiled: bool
    ) -> None:
        import torch
        from accelerate import PartialState

        from fundiff.models.if_model import load

        require_known([dtype] if dtype else [], _dtypes(), "dtype")
        self.where = PartialState()
        self.model = load(
            model,
            device=self.where.device,
            dtype=getattr(torch, dtype) if dtype else None,
            embeddings=embeddings,
            compiled=compiled,
        )

    def say(self, words: str) -> None:
        """Tell the user, in the main process alone."""
        if self.where.is_main_process:
            print(words)

    def paint(self, order: "Order", out: Path) -> None:
        """Paint this process's share of an order, with a progress bar in the main process."""
        from tqdm import tqdm

        from fundiff.jobs.paint import paint

        hidden = None if self.where.is_main_process else True
        share = {"process": self.where.process_index, "processes": self.where.num_processes}
        with tqdm(total=order.count, desc="painting", unit="picture", disable=hidden) as bar:
            for done in paint(self.model, order, out, **share):
                bar.update(done - bar.n)

    def choose(self, order: "Order", illusion: "Illusion", out: Path, *, gif: bool) -> None:
        """Paint an order, keep the best of its pictures, and show how it turns."""
        import torch

        from fundiff.data.pictures import require_png
        from fundiff.jobs.choose import judge, keep, painted, require_keepable
        from fundiff.jobs.order import Order, picture_path
        from fundiff.models.if_model import BUNDLED, load
        from fundiff.models.image_text import ImageTextEncoder
        from fundiff.plots.animation import require_gif_free, save_gif

        require_png(out)
        moving, size = out.with_suffix(".gif"), self.model.size
        if gif:
            require_gif_free(moving)
        illusion.readings[0](torch.zeros(1, 3, size, size))  # refuses what doesn't fit the size
        judges = None
        if order.count > 1:
            require_keepable(self.model, order, out)
            judges = load(BUNDLED, device="cpu").encode(order.prompts)
        self.paint(order, out)
        self.where.wait_for_everyone()
        if not self.where.is_main_process:
            return
        if judges is not None:
            images = painted(order, out, size=size)
            judged = judge(ImageTextEncoder.load(), images, illusion, judges)
            best = int(judged.order()[0])
            keep(self.model, order, out, best)
            print(
                f"the best of {order.count} is {picture_path(out, best, order.count)}: "
                f"alignment {judged.alignment[best]:.2f}, "
                f"concealment {judged.concealment[best]:.2f}"
            )
        if gif:
            (picture,) = painted(Order(order.prompt), out, size=size).split(1)
            save_gif(_frames(picture, illusion), moving)


def _frames(picture: "Images", illusion: "Illusion") -> "list[Frame]":
    from fundiff.illusions import ByView
    from fundiff.plots.animation import fade, turn

    if isinstance(illusion, ByView):
        *others, last = [turn(picture, view, zoom=ZOOM) for view in illusion.views[1:]]
        return [frame for way in others for frame in way + way[::-1]] + last
    faded = fade(picture, illusion.readings[0])
    return [frame.repeat_interleave(ZOOM, -1).repeat_interleave(ZOOM, -2) for frame in faded]
