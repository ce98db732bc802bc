"""A drawing of Part B's U-Nets, made from the modules themselves and one run through them."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn

from fundiff.plots.curves import Plot
from fundiff.plots.style import COLOURS, INK

_WIDE, _HIGH = 0.84, 0.62


@dataclass(frozen=True)
class Block:
    """One block of a network, as a run through it found it.

    Attributes:
        name: Its name in the network.
        kind: Its class.
        taken: How many channels it was given.
        channels: How many it returned.
        side: How many pixels a side it returned.
        weights: How many weights it has.
        carried: The name of the block whose output it was given beside that of the block before,
            or None.
    """

    name: str
    kind: str
    taken: int
    channels: int
    side: int
    weights: int
    carried: str | None


def blocks(network: nn.Module, *inputs: Tensor) -> list[Block]:
    """Run a U-Net and note what each block of its trunk was given and returned.

    What a block was given beside the output of the block before was carried over from the last
    block that returned as many channels at the same number of pixels a side.

    Args:
        network: One of :mod:`fundiff.nn.unet`.
        inputs: What to call it with.

    Returns:
        The blocks of its trunk, in the order in which they ran.
    """
    found: list[Block] = []

    def note(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
            taken, side = given[0].shape[1:3]
            extra = taken - found[-1].channels if found else 0
            sources = [b.name for b in found[:-1] if (b.channels, b.side) == (extra, side)]
            carried = sources[-1] if extra else None
            kind = type(module).__name__ if type(module) is not nn.Sequential else "ConvBlock +"
            weights = sum(weight.numel() for weight in module.parameters())
            found.append(Block(name, kind, taken, out.shape[1], out.shape[2], weights, carried))

        return hook

    trunk: nn.Module = network.get_submodule("trunk")
    hooks = [module.register_forward_hook(note(name)) for name, module in trunk.named_children()]
    mode = network.training
    try:
        with torch.no_grad():
            network.eval()(*inputs)
    finally:
        network.train(mode)
        for handle in hooks:
            handle.remove()
    return found


def unet_diagram(network: nn.Module, *inputs: Tensor) -> Plot:
    """Draw a U-Net: its blocks by pixels a side, what is carried across, and what it is told.

    Args:
        network: One of :mod:`fundiff.nn.unet`.
        inputs: What to call it with, to see the shapes.

    Returns:
        The figure.
    """
    found = blocks(network, *inputs)
    levels = sorted({block.side for block in found})
    at = {b.name: (float(x), 1.55 * levels.index(b.side)) for x, b in enumerate(found)}
    told = [name for name, _ in network.named_children() if name != "trunk"]
    figure = Plot(figsize=(8.4, 5.2), layout="constrained", facecolor="none")
    axes = figure.add_subplot()
    axes.axis("off")
    for before, block in zip([None, *found], found, strict=False):
        _box(axes, block, at[block.name])
        if before is not None:
            _arrow(axes, at[before.name], at[block.name], carried=False)
        if block.carried is not None:
            _arrow(axes, at[block.carried], at[block.name], carried=True)
    for place, target in (("low", "unflatten"), ("high", "up1")) if told else ():
        x, y = at[target]
        marks = {"time": "+ time", "condition": "× class"}
        words = "\n".join(
            f"{marks[name]}: {_width(network.get_submodule(f'{name}.{place}'))}"
            for name in told[::-1]
        )
        axes.text(x + 0.5, y - 0.05, words, ha="left", va="center", size=8, color=COLOURS[1])
    axes.set_xlim(-0.6, len(found) - 0.3)
    axes.set_ylim(-0.9, 1.55 * (len(levels) - 1) + 0.8)
    return figure


def _box(axes: Axes, block: Block, at: tuple[float, float]) -> None:
    x, y = at
    corner = (x - _WIDE / 2, y - _HIGH / 2)
    style = "round,pad=0,rounding_size=0.08"
    box = FancyBboxPatch(corner, _WIDE, _HIGH, boxstyle=style, fill=False, edgecolor=COLOURS[0])
    axes.add_patch(box)
    shape = f"{block.channels} × {block.side}²"
    axes.text(x, y + 0.13, block.kind, ha="center", va="center", size=7.5, weight="bold", color=INK)
    axes.text(x, y - 0.12, shape, ha="center", va="center", size=8.5, color=INK)
    weights = f"{block.weights:,}" if block.weights else "no weights"
    axes.text(x, y - _HIGH / 2 - 0.13, weights, ha="center", va="center", size=7, color=INK)


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], *, carried: bool
) -> None:
    (x, y), (to_x, to_y) = start, end
    step = 0 if y == to_y else (1 if to_y > y else -1)
    if carried:
        level = y == to_y
        aside, above, bend = (0.2, _HIGH / 2, -0.08) if level else (_WIDE / 2, 0.1, -0.04)
        tail, head = (x + aside, y + above), (to_x - aside, to_y + above)
        look = {"linestyle": (0, (4, 3)), "color": INK, "connectionstyle": f"arc3,rad={bend}"}
    else:
        tail = (x + _WIDE / 2, y + step * 0.12)
        head = (to_x - _WIDE / 2, to_y - step * 0.12)
        look = {"color": COLOURS[0], "connectionstyle": "arc3,rad=0"}
    axes.annotate("", head, tail, arrowprops={"arrowstyle": "->", "linewidth": 1.2, **look})


def _width(block: nn.Module) -> int:
    (*_, last) = (layer for layer in block.children() if isinstance(layer, nn.Linear))
    return last.out_features
