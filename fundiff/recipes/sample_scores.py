"""The recipe ``scores``: what the bundled model's pictures are worth, by numbers.

The prompts are the captions of real pictures that no network was trained on; the judge is the
image-text encoder, which learned from pictures that the generator never saw.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from fundiff.data.sheets import sheet_png
from fundiff.errors import FundiffError
from fundiff.metrics.distances import nearest
from fundiff.models.if_model import load
from fundiff.models.image_text import Features, ImageTextEncoder
from fundiff.models.weights import Measurement, require_replaceable, save
from fundiff.painters.captioned import PaintedPictures
from fundiff.painters.emoji.dataset import EmojiPictures
from fundiff.process import ddim_step
from fundiff.recipes import contrastive, measuring, text_to_image
from fundiff.recipes.caption_tasks import CaptionedPictures
from fundiff.recipes.device import device_here, spent
from fundiff.recipes.judging import (
    Judge,
    as_bytes,
    identity,
    painted_set,
    preset_of,
    sampled,
)
from fundiff.recipes.measuring import identities, measurement

NAME = "scores"
"""The recipe's name."""

SCALES = (1.0, 2.0, 4.0, 7.0, 12.0)
"""The guidance scales that are compared."""

SHOWN = 4.0
"""The scale of the samples whose nearest neighbours are shown."""

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
    model = load(text_to_image.RECIPE.name, device=device)
    judge, preset = Judge.of(data, model, pictures), preset_of(model)
    encoder, real = judge.encoder, judge.real
    shuffled = torch.randperm(pictures, generator=torch.Generator().manual_seed(0))
    rows = {"real": judge.row(real)}
    rows["real, captions shuffled"] = judge.row(real, judge.texts[shuffled])
    shown = torch.empty(0)
    for number, scale in enumerate(SCALES):
        kept = runs / f"{identity(data, model)}-scale-{scale:g}"
        parts = []
        for part in sampled(model, judge.captions, scale, kept, step=ddim_step):
            parts.append(part)
            say(number * pictures + sum(map(len, parts)), len(SCALES) * pictures)
        made = torch.cat(parts).to(device)
        rows[f"{scale:g}"] = judge.row(made)
        shown = made[: 4 * _COLUMNS] if scale == SHOWN else shown
    training = PaintedPictures(data, preset.pictures, familiar=preset.familiar, device=device)
    known = _features(encoder, training)
    ours, others = nearest(encoder.features(shown), known), nearest(encoder.features(real), known)
    neighbours, _ = training.batch(ours.indices.cpu())
    styles, style_words = _examples(data, preset.familiar, STYLES, _begins)
    scenes, scene_words = _examples(data, preset.familiar, SCENES, _has)
    contents = {
        "samples.png": sheet_png(as_bytes(shown), columns=_COLUMNS),
        "neighbours.png": sheet_png(neighbours, columns=_COLUMNS),
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
            "steps": len(model.schedule.timesteps()),
        },
        results={
            "rows": {name: vars(row) for name, row in rows.items()},
            "nearest": {
                "samples": _rounded(ours.distances),
                "unseen real pictures": _rounded(others.distances),
                "training pictures": len(training),
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


def _rounded(distances: Tensor) -> list[float]:
    return [round(distance, 4) for distance in distances.tolist()]


def _features(encoder: ImageTextEncoder, data: CaptionedPictures) -> Features:
    """Describe all pictures, a few at a time for the memory's sake."""
    parts = torch.arange(len(data)).split(encoder.together)
    return torch.cat([encoder.features(data.batch(i)[0].float() / 127.5 - 1) for i in parts])


def _begins(caption: str, words: str) -> bool:
    return caption.startswith(words) and " and " not in caption


def _has(caption: str, words: str) -> bool:
    return words in caption


def _examples(
    data: Path, familiar: bool, kinds: Sequence[str], fits: Callable[[str, str], bool]
) -> tuple[UInt8[Tensor, "picture 3 64 64"], list[list[str]]]:
    """Find the first training pictures of each kind, by their captions."""
    source = EmojiPictures(data, seed=0, familiar=familiar)
    found: dict[str, list[tuple[Tensor, str]]] = {kind: [] for kind in kinds}
    for index in range(_LOOKED_AT):
        if all(len(examples) == _COLUMNS for examples in found.values()):
            break
        picture, caption = source[index]
        for kind, examples in found.items():
            if len(examples) < _COLUMNS and fits(caption, kind):
                examples.append((picture, caption))
    blank = (torch.zeros(3, 64, 64, dtype=torch.uint8), "")
    filled = [examples + [blank] * (_COLUMNS - len(examples)) for examples in found.values()]
    pictures = torch.stack([picture for examples in filled for picture, _ in examples])
    return pictures, [[caption for _, caption in examples] for examples in filled]
