"""Tensors in, figures out: rows and grids of images, curves, and runs that play and scrub.

Figures are transparent, in ink that reads on white and on near-black, so one file serves a light
and a dark page. Each shows itself as the last value of a notebook cell and can be saved; none
needs pyplot or its global state.
"""

import base64
import hashlib
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from cycler import cycler
from jaxtyping import UInt8
from matplotlib import RcParams, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from fundiff.data import to_uint8
from fundiff.types import Images

INK = "#7a7a7a"
DASHES = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1, 1, 1, 1, 1)))
COLOURS = ("#2f7ec7", "#c8661b", "#2e8b57", "#d1495b", "#8e63c7")
_ADVANCE = 0.6
"""How wide the letters of a title are in the mean, at most, as a share of the font's size."""

_STYLE = RcParams(
    {
        "axes.edgecolor": INK,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.prop_cycle": cycler(color=COLOURS) + cycler(linestyle=DASHES),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "figure.facecolor": "none",
        "font.size": 11,
        "grid.alpha": 0.35,
        "grid.color": INK,
        "grid.linewidth": 0.6,
        "axes.facecolor": "none",
        "legend.frameon": False,
        "legend.handlelength": 2.8,
        "legend.labelcolor": INK,
        "lines.linewidth": 2,
        "savefig.facecolor": "none",
        "svg.hashsalt": "fundiff",
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
)


class Plot(Figure):
    """A figure of lines, shown as SVG."""

    def _repr_svg_(self) -> str:
        buffer = io.StringIO()
        with rc_context(_STYLE):
            self.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()


class Pictures(Figure):
    """A figure of images, shown as PNG with every pixel a whole square."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def image_row(
    images: Images,
    titles: Sequence[str] | None = None,
    *,
    low: float = -1.0,
    high: float = 1.0,
) -> Pictures:
    """Show images side by side.

    Args:
        images: One image a column, grey or RGB.
        titles: One line over each.
        low: The value shown as black.
        high: The value shown as white; values outside are clipped.

    Returns:
        The figure.

    Raises:
        ValueError: The number of titles isn't the number of images, or as :func:`image_grid`.
    """
    return image_grid([images], column_titles=titles, low=low, high=high)


def image_grid(
    rows: Sequence[Images],
    *,
    row_titles: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
    low: float = -1.0,
    high: float = 1.0,
) -> Pictures:
    """Show rows of images of one size.

    Args:
        rows: One batch a row, each with as many images as there are columns, grey or RGB.
        row_titles: A few words beside each row.
        column_titles: One line over each column.
        low: The value shown as black.
        high: The value shown as white; values outside are clipped.

    Returns:
        The figure.

    Raises:
        ValueError: The rows differ in shape, or titles don't fit them.
    """
    if not rows or len({row.shape[:1] + row.shape[2:] for row in rows}) != 1:
        raise ValueError(
            "expected at least one row, all with the same number and size of images, got "
            f"{[[*row.shape] for row in rows]}"
        )
    columns, _, height, width = rows[0].shape
    _require_titles("row", row_titles, len(rows))
    _require_titles("column", column_titles, columns)

    zoom = max(1, min(384 // width, 1440 // (columns * width)))
    cell = (zoom * width, zoom * height)
    gap = max(4, cell[0] // 24)
    font = _font(columns, cell, gap, row_titles or (), column_titles or ())
    lines = [line for title in row_titles or () for line in title.split("\n")]
    left = int(_ADVANCE * font * max(map(len, lines))) + font if lines else 0
    top = 2 * font if column_titles else 0
    size = (
        left + columns * (cell[0] + gap) - gap,
        top + len(rows) * (cell[1] + gap) - gap,
    )
    figure = Pictures(figsize=(size[0] / 100, size[1] / 100), dpi=100, facecolor="none")
    for i, row in enumerate(rows):
        for j, pixels in enumerate(to_uint8(row, low=low, high=high)):
            corner = (left + j * (cell[0] + gap), top + i * (cell[1] + gap))
            _place(figure, pixels, corner, cell)
    for j, title in enumerate(column_titles or ()):
        middle = left + j * (cell[0] + gap) + cell[0] / 2
        _write(figure, title, (middle, top / 2), font, align="center")
    for i, title in enumerate(row_titles or ()):
        middle = top + i * (cell[1] + gap) + cell[1] / 2
        _write(figure, title, (left - font * 0.7, middle), font, align="right")
    return figure


def _font(
    columns: int,
    cell: tuple[int, int],
    gap: int,
    row_titles: Sequence[str],
    column_titles: Sequence[str],
) -> int:
    """Choose a size in pixels that reads alike in a page, to whose width wide figures shrink."""
    fits = [34, columns * (cell[0] + gap) // 48]
    if column_titles:
        fits.append(int((cell[0] + gap) / (_ADVANCE * max(map(len, column_titles)))))
    if row_titles:
        fits.append(cell[1] // (1 + max(title.count("\n") + 1 for title in row_titles)))
    return max(15, min(fits))


def _place(
    figure: Figure,
    pixels: UInt8[Tensor, "height width channel"],
    corner: tuple[float, float],
    cell: tuple[float, float],
) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    axes = figure.add_axes(
        (
            corner[0] / width,
            1 - (corner[1] + cell[1]) / height,
            cell[0] / width,
            cell[1] / height,
        )
    )
    axes.imshow(_rgb(pixels), interpolation="nearest")
    axes.set_axis_off()


def _write(figure: Figure, words: str, at: tuple[float, float], font: float, *, align: str) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    figure.text(
        at[0] / width,
        1 - at[1] / height,
        words,
        color=INK,
        fontsize=0.72 * font,
        ha=align,
        va="center",
    )


def _rgb(pixels: UInt8[Tensor, "height width channel"]) -> np.ndarray:
    return pixels.expand(-1, -1, 3).numpy()


def _require_titles(which: str, titles: Sequence[str] | None, count: int) -> None:
    if titles is not None and len(titles) != count:
        raise ValueError(f"expected {count} {which} titles, got {len(titles)}: {list(titles)}")


def curves(
    x: Sequence[float] | Tensor,
    lines: Mapping[str, Sequence[float] | Tensor],
    *,
    x_label: str,
    y_label: str,
    log_x: bool = False,
    log_y: bool = False,
) -> Plot:
    """Plot one or more curves over a common axis.

    Args:
        x: The common axis.
        lines: The curves, each of the length of ``x``, by the name that the legend gives them.
        x_label: What the axis is, with its unit.
        y_label: What the curves are, with their unit.
        log_x: Use a logarithmic axis.
        log_y: Use a logarithmic axis.

    Returns:
        The figure.

    Raises:
        ValueError: A curve's length isn't that of ``x``.
    """
    for name, y in lines.items():
        if len(y) != len(x):
            raise ValueError(f"the curve {name!r} has {len(y)} points for {len(x)} on the axis")
    figure, axes = _plot(x_label, y_label)
    for name, y in lines.items():
        axes.plot(_numbers(x), _numbers(y), label=name)
    if log_x:
        axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    if len(lines) > 1:
        with rc_context(_STYLE):
            axes.legend()
    return figure


def loss_curve(
    losses: Sequence[float] | Tensor,
    *,
    smoothing: float = 0.98,
    x_label: str = "step",
    y_label: str = "loss",
) -> Plot:
    r"""Plot a training loss on a logarithmic axis: every step, and its running mean.

    .. math:: m_i = a\, m_{i-1} + (1 - a)\, l_i, \qquad \text{divided by } 1 - a^i

    Args:
        losses: The loss :math:`l_i` at every step, above 0.
        smoothing: :math:`a`, in [0, 1); 0 draws the losses alone.
        x_label: What a step is.
        y_label: What the loss is.

    Returns:
        The figure.

    Raises:
        ValueError: There is no loss, one isn't above 0, or ``smoothing`` is out of range.
    """
    values = _numbers(losses)
    if not len(values) or not (values > 0).all():
        raise ValueError("expected at least one loss, all above 0 for the logarithmic axis")
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must lie in [0, 1), got {smoothing}")
    figure, axes = _plot(x_label, y_label)
    steps = np.arange(1, len(values) + 1)
    axes.plot(steps, values, alpha=0.35 if smoothing else 1, linewidth=1)
    if smoothing:
        mean = np.empty_like(values)
        running = 0.0
        for i, value in enumerate(values):
            running = smoothing * running + (1 - smoothing) * value
            mean[i] = running / (1 - smoothing ** (i + 1))
        axes.plot(steps, mean, color=COLOURS[0])
    axes.set_yscale("log")
    return figure


def _plot(x_label: str, y_label: str) -> tuple[Plot, Axes]:
    with rc_context(_STYLE):
        figure = Plot(figsize=(6.4, 3.3), layout="constrained")
        axes = figure.add_subplot()
        axes.set_xlabel(x_label)
        axes.set_ylabel(y_label)
    return figure, axes


def _numbers(values: Sequence[float] | Tensor) -> np.ndarray:
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=float)


@dataclass(frozen=True)
class Animation:
    """Frames that play and scrub in a page, with no server and nothing from outside.

    Attributes:
        frames: The frames, ``(frame, height, width, channel)``, shown last one first until the
            reader plays them or moves the slider.
        labels: One line for each frame.
        alt: What the frames show, in words.
    """

    frames: UInt8[Tensor, "frame height width channel"] = field(repr=False)
    labels: tuple[str, ...]
    alt: str

    def _repr_html_(self) -> str:
        count, height, width, _ = self.frames.shape
        buffer = io.BytesIO()
        strip = self.frames.reshape(1, count * height, width, -1)[0]
        Image.fromarray(_rgb(strip)).save(buffer, format="PNG", optimize=True)
        png = base64.b64encode(buffer.getvalue()).decode()
        name = "fd-" + hashlib.sha256((png + "".join(self.labels)).encode()).hexdigest()[:12]
        return _PLAYER.format(
            name=name,
            alt=html.escape(self.alt, quote=True),
            png=png,
            width=width,
            height=height,
            shown=min(6 * width, 720),
            count=count,
            last=count - 1,
            label=html.escape(self.labels[-1]),
            labels=json.dumps(self.labels).replace("<", "\\u003c"),
        )


def animation(
    frames: Sequence[Images],
    labels: Sequence[str],
    *,
    alt: str,
    low: float = -1.0,
    high: float = 1.0,
) -> Animation:
    """Make a run playable, such as the states of :func:`fundiff.sampling.denoise`.

    Args:
        frames: One batch a frame; the images of a batch stand side by side.
        labels: One line for each frame.
        alt: What the frames show, in words, for readers who can't see them.
        low: The value shown as black.
        high: The value shown as white; values outside are clipped.

    Returns:
        The animation, which shows itself in a notebook or page.

    Raises:
        ValueError: There is no frame, the frames differ in shape, or the labels don't fit them.
    """
    if not frames or len({frame.shape for frame in frames}) != 1:
        raise ValueError(
            "expected at least one frame, all of one shape, got "
            f"{[[*frame.shape] for frame in frames]}"
        )
    _require_titles("frame", labels, len(frames))
    rows = [torch.cat([*to_uint8(frame, low=low, high=high)], dim=1) for frame in frames]
    return Animation(torch.stack(rows), tuple(labels), alt)


_PLAYER = """\
<div class="fd-animation" id="{name}" style="max-width:{shown}px">
<div role="img" aria-label="{alt}" style="aspect-ratio:{width}/{height};\
background:url(data:image/png;base64,{png}) 0 100%/100% {count}00%;image-rendering:pixelated"></div>
<div style="display:flex;gap:.75em;align-items:center;padding-top:.4em">
<button type="button" aria-label="Play" style="min-width:2.5em;min-height:2em">▶</button>
<input type="range" min="0" max="{last}" value="{last}" aria-label="Frame" \
style="flex:1;min-width:4em">
<output style="min-width:5.5em;font-variant-numeric:tabular-nums">{label}</output>
</div>
<script type="application/json">{labels}</script>
</div>
<script>
(() => {{
  for (const root of document.querySelectorAll("#{name}:not([data-ready])")) {{
    root.dataset.ready = "";
    const [picture, button, slider, output] =
      ["[role=img]", "button", "input", "output"].map(part => root.querySelector(part));
    const labels = JSON.parse(root.querySelector("script").textContent);
    const last = labels.length - 1;
    let timer = null;
    const show = frame => {{
      picture.style.backgroundPositionY = last ? 100 * frame / last + "%" : "0";
      slider.value = frame;
      slider.setAttribute("aria-valuetext", labels[frame]);
      output.textContent = labels[frame];
    }};
    const stop = () => {{
      clearInterval(timer);
      timer = null;
      button.textContent = "▶";
      button.setAttribute("aria-label", "Play");
    }};
    button.addEventListener("click", () => {{
      if (timer !== null) return stop();
      button.textContent = "❚❚";
      button.setAttribute("aria-label", "Pause");
      let frame = Number(slider.value) < last ? Number(slider.value) : 0;
      show(frame);
      timer = setInterval(() => frame < last ? show(++frame) : stop(), 120);
    }});
    slider.addEventListener("input", () => {{ stop(); show(Number(slider.value)); }});
    show(last);
  }}
}})();
</script>
"""
