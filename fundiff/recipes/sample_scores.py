"""The recipe ``scores``: what the bundled model's pictures are worth, by numbers.

The prompts are the captions of real pictures that no network was trained on; the judge is the
image-text encoder, which learned from pictures that the generator never saw.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fundiff.data.sheets import sheet_png
from fundiff.digest import code_digest
from fundiff.errors import FundiffError
from fundiff.jobs.order import Order
from fundiff.metrics.distances import nearest
from fundiff.models.if_model import load
from fundiff.models.image_text import Features, ImageTextEncoder
from fundiff.models.weights import Measurement, require_replaceable, save, verify
from fundiff.painters.emoji.dataset import EmojiPictures
from fundiff.recipes import contrastive, measuring, text_to_image
from fundiff.recipes.device import device_here, spent
from fundiff.recipes.judging import (
    Judge,
    Row,
    World,
    as_bytes,
    identity,
    painted_set,
    sampled,
    world_of,
)
from fundiff.recipes.measuring import identities, measurement
from fundiff.solvers import SOLVERS

NAME = "scores"
"""The recipe's name."""

SCALES = (1.0, 2.0, 4.0, 7.0, 12.0)
"""The guidance scales that are compared."""

SHOWN = 4.0
"""The scale of the samples that are shown, and that two models are compared by."""

BESIDE = "beside"
"""The row of the weights that are compared with, at the scale that is shown."""

NEIGHBOURS = 20_000
"""Among how many training pictures, and as many new ones, the nearest of a sample is sought."""

NEW_SEED = 3
"""The seed of pictures that nobody has seen, to hold the training pictures against."""

STYLES = (
    "a photo of",
    "an oil painting of",
    "a lithograph of",
    "a drawing of",
    "a cartoon of",
    "a watercolor of",
    "an icon of",
)
"""How the captions begin whose pictures are shown as examples of a style."""

SCENES = (
    "people around a campfire",
    "snowy mountain village",
    "amalfi coast",
    "waterfalls",
    "wearing a hat",
    " and a ",
    " background",
)
"""What the captions have in them whose pictures are shown as examples of a scene."""

_LOOKED_AT = 4_000

_COLUMNS = 6


def run(
    data: Path,
    runs: Path,
    out: Path,
    *,
    pictures: int = 500,
    beside: Path | None = None,
    compiled: bool = False,
    say: Callable[[int, int], object] = lambda done, of: None,
) -> Measurement:
    """Sample, measure, and write the numbers and what they were measured on.

    Samples that are there already, from a run that was stopped, aren't made again.

    Args:
        data: The folder of the sprites.
        runs: Where the samples are kept.
        out: The folder to write: the card, whose notes have the numbers, and sheets of pictures.
        pictures: How many pictures are sampled at each guidance scale, and compared with as many
            real ones; at least 200, so that a hundred captions differ.
        beside: A folder of other weights to compare with, such as those before these.
        compiled: As in :func:`fundiff.models.if_model.load`.
        say: Is told how many samples there are, of how many.

    Returns:
        The card of what was written.

    Raises:
        FundiffError: There are fewer than 200 pictures.
        WeightsError: No weights ship, or they are damaged.
        OccupiedError: The folder to write has something else in it.
        SpriteError: The sprites are missing or damaged.
    """
    if pictures < 200:
        raise FundiffError(f"the numbers need at least 200 pictures, got {pictures}")
    require_replaceable(out)
    start, device = time.monotonic(), device_here()
    model = load(text_to_image.RECIPE.name, device=device, compiled=compiled)
    models = [model] if beside is None else [model, load(beside, device=device, compiled=compiled)]
    own_world, before = world_of(model), 0
    solver = SOLVERS[Order.solver]
    way = f"{code_digest(solver.step, solver.timesteps)}-{Order.steps}"
    total = pictures * (len(SCALES) + len(contrastive.WORLDS) * len(models) - 1)
    worlds: dict[str, dict[str, Row]] = {}
    for world, narrow in contrastive.WORLDS.items():
        seen = World(familiar=narrow, edition=own_world["edition"])
        judge = Judge.of(data, model.device, pictures, **seen)
        worlds[world] = judge.ceiling_and_floor()
        for each in models:
            own = each is model and seen == own_world
            for scale in SCALES if own else (SHOWN,):

                def tell(done: int, before: int = before) -> None:
                    say(before + done, total)

                made = sampled(
                    each,
                    judge.captions,
                    scale,
                    runs / f"{identity(data, each, **seen)}-{way}-{scale:g}",
                    timesteps=solver.timesteps(each.schedule, Order.steps),
                    step=solver.step,
                    say=tell,
                ).to(device)
                before += pictures
                worlds[world][f"{scale:g}" if each is model else BESIDE] = judge.row(made)
                if own and scale == SHOWN:
                    samples, real = made, judge.real
    encoder, shown = judge.encoder, samples[: 4 * _COLUMNS]
    training = EmojiPictures(data, seed=0, **own_world)
    known = _features(encoder, training)
    new = _features(encoder, EmojiPictures(data, seed=NEW_SEED, **own_world))
    neighbours, _ = training.batch(nearest(encoder.features(shown), known).indices.tolist())
    styles, style_words = _examples(training, STYLES, _begins)
    scenes, scene_words = _examples(training, SCENES, _has)
    contents = {
        "samples.png": sheet_png(as_bytes(shown), columns=_COLUMNS),
        "neighbours.png": sheet_png(torch.from_numpy(neighbours), columns=_COLUMNS),
        "styles.png": sheet_png(styles, columns=_COLUMNS),
        "scenes.png": sheet_png(scenes, columns=_COLUMNS),
    }
    card = measurement(
        NAME,
        "what the pictures of the text-to-image model are worth",
        weights=identities(text_to_image.RECIPE.name, contrastive.RECIPE.name),
        data=painted_set(),
        settings={
            "pictures": pictures,
            "scales": list(SCALES),
            "own world": next(
                w for w, f in contrastive.WORLDS.items() if f == own_world["familiar"]
            ),
            "steps": Order.steps,
            "solver": Order.solver,
            "beside": beside and verify(beside).identity,
        },
        results={
            "worlds": {
                world: {name: vars(row) for name, row in rows.items()}
                for world, rows in worlds.items()
            },
            "nearer to a training picture": {
                "samples": _nearer(encoder.features(samples), known, new),
                "unseen real pictures": _nearer(encoder.features(real), known, new),
                "of": NEIGHBOURS,
            },
            "captions": {
                "samples.png": f"prompted by the first captions, guidance {SHOWN:g}",
                "neighbours.png": "the nearest training picture of each sample",
                "styles.png": style_words,
                "scenes.png": scene_words,
            },
        },
        seconds=spent(runs, time.monotonic() - start),
    )
    return save(out, contents, card)


def is_stale(folder: Path) -> bool:
    """Tell whether scores are of other weights, or were measured on other pictures.

    Args:
        folder: The folder of scores.

    Returns:
        True also where there are none, or they are damaged.

    Raises:
        WeightsError: There are no weights to score.
    """
    weights = identities(text_to_image.RECIPE.name, contrastive.RECIPE.name)
    return measuring.is_stale(folder, weights, painted_set())


def _nearer(
    features: Features,
    known: Float[Tensor, "real feature"],
    new: Float[Tensor, "real feature"],
) -> float:
    """Return the share whose nearest training picture is nearer than the nearest new one.

    It is a half, but for chance, where nothing was learned by heart: then neither set is special.
    """
    ours, others = nearest(features, known).distances, nearest(features, new).distances
    return round((ours < others).float().mean().item(), 4)


def _features(encoder: ImageTextEncoder, source: EmojiPictures) -> Features:
    """Describe the first pictures, a few at a time for the memory's sake."""
    parts = torch.arange(NEIGHBOURS).split(encoder.together)
    pictures = (torch.from_numpy(source.batch(part.tolist())[0]) for part in parts)
    return torch.cat([encoder.features(some.float() / 127.5 - 1) for some in pictures])


def _begins(caption: str, words: str) -> bool:
    return caption.startswith(words) and " and " not in caption


def _has(caption: str, words: str) -> bool:
    return words in caption


def _examples(
    source: EmojiPictures, kinds: Sequence[str], fits: Callable[[str, str], bool]
) -> tuple[UInt8[Tensor, "picture 3 64 64"], list[list[str]]]:
    """Find the first training pictures of each kind, by their captions."""
    found: dict[str, list[tuple[Tensor, str]]] = {kind: [] for kind in kinds}
    for index in range(_LOOKED_AT):
        if all(len(examples) == _COLUMNS for examples in found.values()):
            break
        picture, caption = source[index]
        for kind, examples in found.items():
            if len(examples) < _COLUMNS and fits(caption, kind):
                examples.append((torch.from_numpy(picture), caption))
    blank = (torch.zeros(3, 64, 64, dtype=torch.uint8), "")
    filled = [examples + [blank] * (_COLUMNS - len(examples)) for examples in found.values()]
    pictures = torch.stack([picture for examples in filled for picture, _ in examples])
    return pictures, [[caption for _, caption in examples] for examples in filled]
