"""The recipe ``scores``: what the bundled model's pictures are worth, by numbers.

The prompts are the captions of real pictures that no network was trained on; the judge is the
image-text encoder, which learned from pictures that the generator never saw.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import UInt8
from torch import Tensor

from fundiff.data.pictures import to_uint8
from fundiff.data.sheets import sheet_png
from fundiff.digest import code_digest
from fundiff.errors import FundiffError
from fundiff.files import write
from fundiff.guidance import Bound, guided
from fundiff.metrics.alignment import r_precision
from fundiff.metrics.distances import frechet_distance, kernel_distance, nearest
from fundiff.models.if_model import TextToImage, load
from fundiff.models.image_text import Captions, Features, ImageTextEncoder
from fundiff.models.weights import Card, Measurement, WeightsError, require_replaceable, save
from fundiff.painters.captioned import PaintedPictures
from fundiff.painters.emoji.dataset import EmojiPictures
from fundiff.painters.emoji.sprites import build
from fundiff.recipes import contrastive, measuring, text_to_image
from fundiff.recipes.caption_tasks import CaptionedPictures
from fundiff.recipes.device import device_here, spent
from fundiff.recipes.measuring import identities, measurement
from fundiff.sampling import sample
from fundiff.types import Images

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

_TOGETHER = 10

_LOOKED_AT = 4_000

_COLUMNS = 6


@dataclass(frozen=True)
class Row:
    """One set of pictures beside real ones.

    Attributes:
        r_precision: How often a picture's own caption is found among a hundred.
        frechet: The Fréchet distance to other real pictures, on the encoder's features.
        kernel: The kernel distance to them.
    """

    r_precision: float
    frechet: float
    kernel: float


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
    encoder = ImageTextEncoder.load(device=device)
    preset = text_to_image.PRESETS[_card(model).preset]
    unseen = PaintedPictures(
        data, 2 * pictures, seed=contrastive.UNSEEN_SEED, familiar=preset.familiar, device=device
    )
    real, captions = _all(unseen)
    texts, images, features = encoder.texts(captions), encoder.images(real), encoder.features(real)
    here, there = slice(pictures), slice(pictures, 2 * pictures)
    rows: dict[str, Row] = {}
    shuffled = texts[here][torch.randperm(pictures, generator=torch.Generator().manual_seed(0))]

    def row(images: Tensor, texts: Tensor, features: Tensor) -> Row:
        generator = torch.Generator().manual_seed(0)
        return Row(
            r_precision=round(r_precision(images, texts, generator=generator), 4),
            frechet=round(frechet_distance(features, reference), 4),
            kernel=round(kernel_distance(features, reference), 5),
        )

    reference = features[there]
    rows["real"] = row(images[here], texts[here], features[here])
    rows["real, captions shuffled"] = row(images[here], shuffled, features[here])
    shown = torch.empty(0)
    for number, scale in enumerate(SCALES):
        kept = runs / f"{_identity(data, model)}-scale-{scale:g}"
        parts = []
        for part in sampled(model, captions[here], scale, kept):
            parts.append(part)
            say(number * pictures + sum(map(len, parts)), len(SCALES) * pictures)
        made = torch.cat(parts).to(device)
        rows[f"{scale:g}"] = row(encoder.images(made), texts[here], encoder.features(made))
        shown = made[: 4 * _COLUMNS] if scale == SHOWN else shown
    training = PaintedPictures(data, preset.pictures, familiar=preset.familiar, device=device)
    known = _features(encoder, training)
    ours, others = nearest(encoder.features(shown), known), nearest(features[here], known)
    neighbours, _ = training.batch(ours.indices.cpu())
    styles, style_words = _examples(data, preset.familiar, STYLES, _begins)
    scenes, scene_words = _examples(data, preset.familiar, SCENES, _has)
    contents = {
        "samples.png": sheet_png(_bytes(shown), columns=_COLUMNS),
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


def painted_set() -> dict[str, str]:
    """Name the set of pictures by the code that makes it of pinned packages."""
    return {"sprites and captions": code_digest(EmojiPictures, build)}


@torch.inference_mode()
def sampled(model: TextToImage, captions: Captions, scale: float, kept: Path) -> Iterator[Images]:
    """Sample a picture for each caption, keeping each batch on the disk.

    Picture ``i`` is the ``i``-th of the seed 0, at every scale.

    Args:
        model: The model.
        captions: The captions' embeddings.
        scale: The guidance scale.
        kept: The folder of what was sampled before, and of what is sampled now.

    Yields:
        The pictures of a batch, rounded to bytes as they are kept, in [-1, 1].
    """
    kept.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(captions), _TOGETHER):
        path = kept / f"{first:06}.safetensors"
        told = captions[first : first + _TOGETHER]
        if not path.is_file():
            denoiser = guided(Bound(model.network, told), model.denoiser(), scale=scale)
            x = sample(denoiser, model.schedule, model.noise(len(told), first=first))
            write(path, safetensors.torch.save({"pictures": _bytes(x)}))
        pictures = safetensors.torch.load(path.read_bytes())["pictures"]
        yield pictures.float() / 127.5 - 1


def _bytes(images: Images) -> UInt8[Tensor, "batch 3 height width"]:
    return to_uint8(images).permute(0, 3, 1, 2).contiguous().cpu()


def _rounded(distances: Tensor) -> list[float]:
    return [round(distance, 4) for distance in distances.tolist()]


def _card(model: TextToImage) -> Card:
    if model.card is None:
        raise WeightsError(f"{model.name} has no card")
    return model.card


def _identity(data: Path, model: TextToImage) -> str:
    sprites = EmojiPictures(data, seed=contrastive.UNSEEN_SEED).digest
    return f"{model.digest}-{model.placement.precision}-{sprites}-{code_digest(sampled)}"


def _all(data: CaptionedPictures) -> tuple[Images, Captions]:
    pictures, embeddings = data.batch(torch.arange(len(data)))
    return pictures.float() / 127.5 - 1, embeddings


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
