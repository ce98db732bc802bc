"""The plane of all pictures of two pixels: densities, fields, points and paths, shown as SVG."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgba
from matplotlib.lines import Line2D
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.plots.curves import Plot
from fundiff.plots.style import COLOURS, INK, STYLE
from fundiff.types import Images

_FINE, _COARSE = 121, 17
"""How many places a side a density is drawn at, and a field's arrows."""

_GROUND = LinearSegmentedColormap.from_list(
    "ground", [to_rgba(COLOURS[0], 0), to_rgba(COLOURS[0], 0.75)]
)


@dataclass(frozen=True)
class Panel:
    """One drawing of the plane. What isn't given isn't drawn.

    Attributes:
        title: A line above it.
        density: What the ground is shaded by: a function of pictures, 0 or more, with a number
            for each.
        arrows: A field: a function of pictures that returns where each is drawn to.
        points: Pictures by the name that the legend gives them.
        paths: The stops of some walks, a batch each; what the walks end in is marked.
    """

    title: str
    density: Callable[[Images], Float[Tensor, " batch"]] | None = None
    arrows: Callable[[Images], Images] | None = None
    points: Mapping[str, Images] = field(default_factory=dict)
    paths: Sequence[Images] = ()


def plane(panels: Sequence[Panel], *, reach: float = 1.5) -> Plot:
    """Draw panels side by side: the left pixel across, the right pixel up.

    Args:
        panels: The drawings.
        reach: How far from 0 they show.

    Returns:
        The figure, with one legend for the points of all panels.

    Raises:
        FundiffError: There is no panel, or a picture hasn't two pixels.
    """
    if not panels:
        raise FundiffError("expected at least one panel to draw, got none")
    names = list(dict.fromkeys(name for panel in panels for name in panel.points))
    colours = dict(zip(names, (*COLOURS[1:], COLOURS[0]), strict=False))
    with rc_context(STYLE):
        size = (2.7 * len(panels), 3.0 + (0.3 if len(names) > 1 else 0))
        figure = Plot(figsize=size, layout="constrained")
        for axes, panel in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            _draw(axes, panel, reach, colours)
        if len(names) > 1:
            marks = [
                Line2D([], [], color=colours[name], marker="o", linestyle="") for name in names
            ]
            figure.legend(marks, names, loc="outside lower center", ncols=4)
    return figure


def grid(count: int, reach: float) -> Images:
    """List pictures of two pixels at even distances, ``count`` a side, row by row from below."""
    places = torch.linspace(-reach, reach, count)
    up, across = torch.meshgrid(places, places, indexing="ij")
    return torch.stack([across, up], dim=-1).reshape(-1, 1, 1, 2)


def _draw(axes: Axes, panel: Panel, reach: float, colours: Mapping[str, str]) -> None:
    axes.set(title=panel.title, xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.title.set_fontsize("medium")
    axes.grid(visible=False)
    axes.set_xticks([-1, 0, 1])
    axes.set_yticks([-1, 0, 1])
    if panel.density is not None:
        shade = panel.density(grid(_FINE, reach)).reshape(_FINE, _FINE)
        extent = (-reach, reach, -reach, reach)
        axes.imshow(
            shade.cpu().numpy(),
            origin="lower",
            extent=extent,
            cmap=_GROUND,
            vmin=0,
            interpolation="none",
        )
    if panel.arrows is not None:
        at = grid(_COARSE, 0.94 * reach)
        (x, y), (u, v) = _pixels(at), _pixels(panel.arrows(at))
        axes.quiver(x, y, u, v, color=INK, width=0.005)
    for name, images in panel.points.items():
        x, y = _pixels(images)
        size = 2.5 if len(x) > 200 else 26
        axes.scatter(x, y, size, colours[name], linewidths=0, rasterized=len(x) > 50)
    if panel.paths:
        x, y = (np.stack(along) for along in zip(*map(_pixels, panel.paths), strict=True))
        for i in range(x.shape[1]):
            colour = COLOURS[(i + 1) % len(COLOURS)]
            axes.plot(x[:, i], y[:, i], "-", color=colour, linewidth=0.9)
            axes.plot(x[-1, i], y[-1, i], "o", color=colour, markeredgecolor="white")


def _pixels(images: Images) -> tuple[np.ndarray, np.ndarray]:
    if images[:1].numel() != 2 * len(images[:1]):
        raise FundiffError(f"the plane shows pictures of two pixels, got {[*images.shape[1:]]}")
    first, second = images.detach().cpu().flatten(1).unbind(1)
    return first.numpy(), second.numpy()
