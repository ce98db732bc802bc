"""The look of figures: transparent, in ink that reads on white and on near-black."""

from cycler import cycler
from matplotlib import RcParams

INK = "#7a7a7a"

DASHES = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 1, 1, 1, 1, 1)), (0, (8, 2.5)))

MARKS = ("o", "s", "^", "D", "v", "P")

COLOURS = ("#2f7ec7", "#c8661b", "#2e8b57", "#d1495b", "#8e63c7", "#12969c")

STYLE = RcParams(
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
