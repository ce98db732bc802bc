"""Curves over a common axis, shown as SVG."""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.plots.style import MARKS, STYLE

FEW = 8
"""Up to how many places of a logarithmic axis are each marked by their number."""


class Plot(Figure):
    """A figure of lines, shown as SVG."""

    def _repr_svg_(self) -> str:
        buffer = io.StringIO()
        with rc_context(STYLE):
            self.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()


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
        FundiffError: A curve's length isn't that of ``x``.
    """
    for name, y in lines.items():
        if len(y) != len(x):
            raise FundiffError(f"the curve {name!r} has {len(y)} points for {len(x)} on the axis")
    with rc_context(STYLE):
        rows = (len(lines) + 1) // 2 if len(lines) > 1 else 0
        figure = Plot(figsize=(6.4, 3.3 + 0.25 * rows), layout="constrained")
        axes = figure.add_subplot()
        axes.set(xlabel=x_label, ylabel=y_label)
        for name, y in lines.items():
            axes.plot(_numbers(x), _numbers(y), label=name)
        if rows:
            figure.legend(loc="outside lower center", ncols=2)
    if log_x:
        axes.set_xscale("log")
        if len(x) <= FEW:
            axes.set_xticks(_numbers(x), labels=[f"{place:g}" for place in _numbers(x)])
            axes.minorticks_off()
    if log_y:
        axes.set_yscale("log")
    return figure


Points = tuple[Sequence[float], Sequence[float]]
"""The places of some points on the two axes."""


def panels(plots: Mapping[str, Mapping[str, Points]], *, x_label: str) -> Plot:
    """Plot several measures side by side, each over its own points of one axis.

    Args:
        plots: By the name of each measure, its series by theirs; a series has one name, colour,
            dash and mark in all of them.
        x_label: What the common axis is, with its unit.

    Returns:
        The figure, with one legend below.

    Raises:
        FundiffError: There is no measure, or a series has more places than values or fewer.
    """
    if not plots:
        raise FundiffError("expected at least one measure to plot, got none")
    with rc_context(STYLE):
        figure = Plot(figsize=(3.1 * len(plots), 3.6), layout="constrained")
        for axes, (y_label, series) in zip(
            figure.subplots(1, len(plots), squeeze=False)[0], plots.items(), strict=True
        ):
            for mark, (name, (x, y)) in zip(cycle(MARKS), series.items(), strict=False):
                if len(x) != len(y):
                    raise FundiffError(
                        f"{name!r} has {len(y)} values of {y_label} for {len(x)} places"
                    )
                axes.plot(x, y, label=name, marker=mark, markersize=4)
            axes.set(xlabel=x_label, title=y_label)
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3
        )
    return figure


def _numbers(values: Sequence[float] | Tensor) -> np.ndarray:
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=float)
