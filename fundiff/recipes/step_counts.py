"""The recipe ``steps``: what fewer calls of the network cost, by solver.

The same captions from the same noise, by each solver in some numbers of steps, with guidance at all
noise levels or in an interval of them. The judge is that of :mod:`fundiff.recipes.judging`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fundiff.data.sheets import sheet_png
from fundiff.digest import code_digest
from fundiff.errors import FundiffError
from fundiff.guidance import Guided, batches
from fundiff.models.if_model import TextToImage, load
from fundiff.models.weights import Measurement, require_replaceable, save
from fundiff.recipes import contrastive, measuring, text_to_image
from fundiff.recipes.device import device_here, spent
from fundiff.recipes.judging import (
    Judge,
    as_bytes,
    identity,
    painted_set,
    sampled,
    world_of,
)
from fundiff.recipes.measuring import identities, measurement
from fundiff.schedule import NoiseSchedule
from fundiff.solvers import GRIDS, SOLVERS

NAME = "steps"
"""The recipe's name."""

SCALE, STRONG = 4.0, 7.0
"""The guidance scale, and a stronger one."""

LEVELS = (0.28, 5.42)
"""Where guidance in an interval begins and ends, as noise over signal, by Kynkäänniemi et al."""

PICTURES = 500
"""How many captions are sampled in each way, unless another number is asked for."""

COLUMNS = 8
"""How many pictures of a row the sheet has, those of the first captions."""


@dataclass(frozen=True)
class Way:
    """One way to sample.

    Attributes:
        solver: A name in :data:`fundiff.solvers.SOLVERS`.
        steps: In how many steps.
        grid: Where they stop, a name in :data:`fundiff.solvers.GRIDS`.
        limited: Whether guidance is limited to an interval.
        scale: The guidance scale.
    """

    solver: str
    steps: int
    grid: str = "time"
    limited: bool = False
    scale: float = SCALE

    @property
    def name(self) -> str:
        """What the results are called."""
        grid = f", evenly in {self.grid}" if self.grid != "time" else ""
        limits = ", in an interval" if self.limited else ""
        scale = f", guidance {self.scale:g}" if self.scale != SCALE else ""
        return f"{self.solver}, {self.steps}{grid}{limits}{scale}"


WAYS = (
    *(Way("ddim", steps) for steps in (34, 16, 12, 8)),
    *(Way("dpm", steps, grid) for grid in ("time", "log-SNR") for steps in (16, 12, 8)),
    Way("ddpm", 34),
    Way("ddim", 34, limited=True),
    Way("dpm", 12, "log-SNR", limited=True),
    *(Way("ddim", steps, scale=STRONG) for steps in (34, 16)),
    *(Way("dpm", steps, "log-SNR", scale=STRONG) for steps in (16, 12)),
)
"""All that is compared, with the first of the same guidance."""


def interval(schedule: NoiseSchedule) -> tuple[int, int]:
    """Return the lowest and the highest timestep that are guided in an interval."""
    level = (1 / schedule.alpha_bar - 1).sqrt()
    inside = ((level > LEVELS[0]) & (level <= LEVELS[1])).nonzero()
    return int(inside.min()), int(inside.max())


def run(
    data: Path,
    runs: Path,
    out: Path,
    *,
    pictures: int = PICTURES,
    compiled: bool = False,
    say: Callable[[int, int], object] = lambda done, of: None,
) -> Measurement:
    """Sample in every way, measure, and write the numbers and some of the pictures.

    Samples that are there already, from a run that was stopped, aren't made again.

    Args:
        data: The folder of the sprites.
        runs: Where the samples are kept.
        out: The folder to write: the card, whose notes have the numbers, and a sheet of pictures.
        pictures: How many captions are sampled in each way, at least 50.
        compiled: As in :func:`fundiff.models.if_model.load`.
        say: Is told how many samples there are, of how many.

    Returns:
        The card of what was written.

    Raises:
        FundiffError: There are fewer than 50 pictures.
        WeightsError: No weights ship, or they are damaged.
        OccupiedError: The folder to write has something else in it.
        SpriteError: The sprites are missing or damaged.
    """
    if pictures < 50:
        raise FundiffError(f"the numbers need at least 50 pictures, got {pictures}")
    require_replaceable(out)
    start = time.monotonic()
    model = load(text_to_image.RECIPE.name, device=device_here(), compiled=compiled)
    limits, world = interval(model.schedule), world_of(model)
    judge = Judge.of(data, model.device, pictures, **world)
    rows: dict[str, dict[str, object]] = {"real": vars(judge.row(judge.real))}
    base: dict[float, Tensor] = {}
    tiles = []
    of = identity(data, model, **world)
    for number, way in enumerate(WAYS):
        guided_at = limits if way.limited else None

        def tell(done: int, before: int = number * pictures) -> None:
            say(before + done, len(WAYS) * pictures)

        step, grid = SOLVERS[way.solver].step, GRIDS[way.grid]
        timesteps = grid(model.schedule, way.steps)
        made = sampled(
            model,
            judge.captions,
            way.scale,
            runs / f"{of}-{code_digest(step, grid)}-{way.name}",
            timesteps=timesteps,
            step=step,
            interval=guided_at,
            say=tell,
        )
        cosines = (judge.encoder.images(made) * judge.texts).sum(dim=1)
        base.setdefault(way.scale, cosines)
        rows[way.name] = {
            "calls": way.steps,
            "looks": looks(model, timesteps, guided_at),
            "difference": paired(cosines - base[way.scale]),
            **vars(judge.row(made)),
        }
        tiles.append(made[:COLUMNS])
    card = measurement(
        NAME,
        "what fewer calls of the text-to-image model cost",
        weights=identities(text_to_image.RECIPE.name, contrastive.RECIPE.name),
        data=measured_on(),
        settings={"pictures": pictures, "interval": list(limits)},
        results={"rows": rows},
        seconds=spent(runs, time.monotonic() - start),
    )
    return save(out, {"pictures.png": sheet_png(as_bytes(torch.cat(tiles)), columns=COLUMNS)}, card)


def is_stale(folder: Path) -> bool:
    """Tell whether the numbers are of other weights, or were measured on other pictures or ways.

    Args:
        folder: The folder of results.

    Returns:
        True also where there are none, or they are damaged.

    Raises:
        WeightsError: There are no weights to sample.
    """
    weights = identities(text_to_image.RECIPE.name, contrastive.RECIPE.name)
    return measuring.is_stale(folder, weights, measured_on())


def measured_on() -> dict[str, str]:
    """Name the pictures, and the ways in which they are sampled."""
    return {**painted_set(), "ways": "; ".join(way.name for way in WAYS)}


def looks(model: TextToImage, timesteps: list[int], limits: tuple[int, int] | None) -> int:
    """Count how often the network looks at each picture on a guided walk."""
    leaf, x = model.denoiser(), model.noise(1)
    guided = Guided(leaf, leaf, SCALE, limits)
    return sum(sum(batches(guided, x, torch.tensor([t]))) for t in timesteps)


def paired(differences: Tensor) -> list[float]:
    """Return the mean of paired differences, and half the width of its 95 % interval."""
    spread = differences.std() / len(differences) ** 0.5
    return [round(number, 4) for number in (differences.mean().item(), 1.96 * spread.item())]
