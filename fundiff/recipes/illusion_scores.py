"""The recipe ``illusions``: how well pictures with several readings work, beside what doesn't try.

For the write-up's pairs of prompts, and for two triples, under every view and every split; for a
dozen more pairs upside down, and for the first ones with far and near exchanged: the scores of many
seeds, and those of pictures that show one prompt alone, none, or all of them without a view, as
seen in the same ways.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fundiff.data.sheets import sheet_png
from fundiff.digest import code_digest, digest_of
from fundiff.errors import FundiffError
from fundiff.illusions import VIEWS, ByView, Illusion, hybrids
from fundiff.jobs.choose import Judged, judge, painted
from fundiff.jobs.order import Order
from fundiff.jobs.paint import paint
from fundiff.models.if_model import load
from fundiff.models.image_text import ImageTextEncoder
from fundiff.models.weights import Measurement, require_replaceable, save
from fundiff.recipes import contrastive, measuring, text_to_image
from fundiff.recipes.device import device_here, spent
from fundiff.recipes.judging import as_bytes
from fundiff.recipes.measuring import identities, measurement
from fundiff.types import Images
from fundiff.views import Identity

NAME = "illusions"
"""The recipe's name."""

PAIRS = (
    ("an oil painting of an old man", "an oil painting of people around a campfire"),
    ("a lithograph of waterfalls", "a man wearing a hat"),
    ("an oil painting of a snowy mountain village", "a photo of a dog"),
)
"""The write-up's pairs of prompts."""

MORE_PAIRS = (
    ("a lithograph of a skull", "a lithograph of waterfalls"),
    ("a lithograph of a skull", "a lithograph of a dog"),
    ("a photo of a man", "a rocket ship"),
    ("a photo of a man", "a photo of a car"),
    ("a photo of a hipster barista", "a photo of a dog"),
    ("an oil painting of an old man", "an oil painting of a snowy mountain village"),
    ("an oil painting of a snowy mountain village", "a man wearing a hat"),
    ("a photo of the amalfi coast", "a photo of a dog"),
    ("a red heart", "a photo of a red apple"),
    ("a red heart", "a winking face"),
    ("a rocket ship", "a pencil"),
    ("a drawing of a house", "a lithograph of a skull"),
)
"""More pairs, which are scored upside down."""

TRIPLES = tuple(zip(*PAIRS, strict=True))
"""Three prompts for three readings, the first ones of the pairs and the second ones."""

SCORED = (
    *("flip", "rotate-90", "rotate-180", "negate", "jigsaw"),
    *("patches", "circle", "skew", "hinge"),
)
"""The views that are scored, by their names in :data:`fundiff.illusions.VIEWS`."""

BEST = 3
"""How many pictures of a row the sheet has of the best, and then of the first, as they came."""

SEEDS = 24
"""How many pictures a row has, unless another number is asked for."""

ALONE, NOTHING, TOGETHER = "one prompt alone", "no prompt", "without views"
"""The baselines, which are each prompt's own pictures, those of no prompt, and a mean of all."""


@dataclass(frozen=True)
class Subject:
    """One row: some prompts, and how one picture should show them all.

    Attributes:
        prompts: What each reading should show.
        name: What the view or split is called.
        illusion: The view or split.
    """

    prompts: tuple[str, ...]
    name: str
    illusion: Illusion

    @property
    def kind(self) -> str:
        """``anagram`` or ``hybrid``."""
        return "anagram" if isinstance(self.illusion, ByView) else "hybrid"

    def order(self, seeds: int) -> Order:
        """Order its pictures."""
        first, *others = self.prompts
        return Order(first, count=seeds, illusion=self.illusion, others=tuple(others))

    def baselines(self, seeds: int) -> dict[str, list[Order]]:
        """Order the pictures of its baselines, as many of each."""
        together = ByView((Identity(),) * len(self.prompts))
        each = seeds // len(self.prompts)
        return {
            ALONE: [Order(prompt, count=each) for prompt in self.prompts],
            NOTHING: [Order("", count=seeds, scale=1.0)],
            TOGETHER: [Subject(self.prompts, TOGETHER, together).order(seeds)],
        }


def subjects() -> list[Subject]:
    """List the rows: anagrams by view, hybrids by split, and what only one of them is tried on."""
    first, splits = Identity(), hybrids()
    views = {name: ByView((first, VIEWS[name])) for name in SCORED}
    three = ByView((first, VIEWS["rotate-90"], VIEWS["rotate-180"]))
    kinds: tuple[Mapping[str, Illusion], ...] = ({**views, "three views": three}, splits)
    rows = [
        Subject(prompts, name, illusion)
        for kind in kinds
        for name, illusion in kind.items()
        for prompts in (PAIRS if len(illusion.readings) == 2 else TRIPLES)
    ]
    rows += [Subject(prompts, "flip", views["flip"]) for prompts in MORE_PAIRS]
    return rows + [Subject(prompts[::-1], "blur", splits["blur"]) for prompts in PAIRS]


def run(
    runs: Path,
    out: Path,
    *,
    seeds: int = SEEDS,
    compiled: bool = False,
    say: Callable[[int, int], object] = lambda done, of: None,
) -> Measurement:
    """Paint, score, and write the scores and some of the pictures.

    Pictures that are there already, from a run that was stopped, aren't painted again.

    Args:
        runs: Where the pictures are kept.
        out: The folder to write: the card, whose notes have the scores, and a sheet of pictures.
        seeds: How many pictures a row has, at least 20.
        compiled: As in :func:`fundiff.models.if_model.load`.
        say: Is told how many pictures there are, of how many.

    Returns:
        The card of what was written.

    Raises:
        FundiffError: There are fewer than 20 seeds.
        WeightsError: No weights ship, or they are damaged.
        OccupiedError: The folder to write has something else in it.
    """
    if seeds < 20:
        raise FundiffError(f"the scores need at least 20 seeds, got {seeds}")
    require_replaceable(out)
    start, device = time.monotonic(), device_here()
    model = load(text_to_image.RECIPE.name, device=device, compiled=compiled)
    encoder = ImageTextEncoder.load(device=device)
    kept = runs / f"{model.digest}-{model.placement.precision}-{code_digest(paint)}"
    rows = subjects()
    orders = {_file(order): order for row in rows for order in _orders(row, seeds)}
    total, before = sum(order.count for order in orders.values()), 0
    for name, order in orders.items():
        for done in paint(model, order, kept / name):
            say(before + done, total)
        before += order.count

    def seen(row: Subject, *orders: Order) -> tuple[Images, Judged]:
        images = torch.cat([painted(o, kept / _file(o), size=model.size) for o in orders])
        return images, judge(encoder, images, row.illusion, model.encode(row.prompts))

    notes, tiles = [], []
    for row in rows:
        images, judged = seen(row, row.order(seeds))
        best = judged.order()[:BEST]
        tiles.append(torch.cat([images[best], images[:BEST]]))
        notes.append(
            {
                "kind": row.kind,
                "name": row.name,
                "prompts": list(row.prompts),
                "best": best.tolist(),
                "alignment": _rounded(judged.alignment),
                "concealment": _rounded(judged.concealment),
                "readings": _rounded(judged.similarity.diagonal(dim1=1, dim2=2).mean(dim=0)),
                "baselines": {
                    name: {
                        "alignment": _rounded(others.alignment),
                        "concealment": _rounded(others.concealment),
                    }
                    for name, orders_ in row.baselines(seeds).items()
                    for _, others in [seen(row, *orders_)]
                },
            }
        )
    card = measurement(
        NAME,
        "how well pictures with several readings work",
        weights=identities(text_to_image.RECIPE.name, contrastive.RECIPE.name),
        data=ordered(seeds),
        settings={
            "seeds": seeds,
            "scale": Order.scale,
            "steps": Order.steps,
            "solver": Order.solver,
        },
        results={"pictures": total, "rows": notes},
        seconds=spent(kept, time.monotonic() - start),
    )
    return save(
        out, {"pictures.png": sheet_png(as_bytes(torch.cat(tiles)), columns=2 * BEST)}, card
    )


def is_stale(folder: Path, *, seeds: int = SEEDS) -> bool:
    """Tell whether scores are of other weights, or of other prompts, views and splits.

    Args:
        folder: The folder of scores.
        seeds: How many pictures a row should have.

    Returns:
        True also where there are none, or they are damaged.

    Raises:
        WeightsError: There are no weights to score.
    """
    weights = identities(text_to_image.RECIPE.name, contrastive.RECIPE.name)
    return measuring.is_stale(folder, weights, ordered(seeds))


def ordered(seeds: int) -> dict[str, str]:
    """Name all that is painted by a digest of the orders."""
    orders = [_file(order) for row in subjects() for order in _orders(row, seeds)]
    return {"orders": digest_of(orders)}


def _orders(row: Subject, seeds: int) -> list[Order]:
    return [row.order(seeds), *(o for orders in row.baselines(seeds).values() for o in orders)]


def _file(order: Order) -> str:
    """Name an order by what it says, so that rows share the pictures that they have in common."""
    said = json.dumps(order.words(), sort_keys=True) + f" {order.count}"
    return f"{digest_of([said])}.png"


def _rounded(numbers: Tensor) -> list[float]:
    return [round(number, 4) for number in numbers.tolist()]
