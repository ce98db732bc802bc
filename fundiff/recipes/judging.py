"""What the measurements of pictures share: captions to sample, and the judge of what comes out.

The captions are those of real pictures that no network was trained on; the judge is the image-text
encoder, which learned from pictures that the generator never saw.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import safetensors
import safetensors.torch
import torch
from jaxtyping import UInt8
from torch import Tensor

from fundiff.data.pictures import to_uint8
from fundiff.digest import code_digest
from fundiff.files import prepare, write
from fundiff.guidance import Bound, guided
from fundiff.metrics.alignment import r_precision
from fundiff.metrics.distances import frechet_distance, kernel_distance
from fundiff.models.if_model import TextToImage
from fundiff.models.image_text import Captions, Features, ImageTextEncoder, Vectors
from fundiff.models.weights import WeightsError
from fundiff.painters.captioned import PaintedPictures
from fundiff.painters.emoji.dataset import EmojiPictures
from fundiff.painters.emoji.sprites import build
from fundiff.recipes import contrastive
from fundiff.recipes.caption_tasks import CaptionedPictures
from fundiff.sampling import Step, sample
from fundiff.types import Images

CANDIDATES = 100
"""Among how many captions a picture's own has to be found."""

_TOGETHER = 10


@dataclass(frozen=True)
class Row:
    """One set of pictures beside real ones.

    Attributes:
        cosine: The mean cosine of a picture and its caption, by the encoder.
        r_precision: How often a picture's own caption is found among a hundred.
        frechet: The Fréchet distance to other real pictures, on the encoder's features.
        kernel: The kernel distance to them.
    """

    cosine: float
    r_precision: float
    frechet: float
    kernel: float


@dataclass(frozen=True, eq=False)
class Judge:
    """What sampled pictures are held against: real ones that no network has seen.

    Attributes:
        encoder: The image-text encoder.
        captions: The embeddings of the captions that are sampled.
        texts: These captions' unit vectors.
        real: The pictures that they belong to.
        reference: The features of as many other real pictures.
    """

    encoder: ImageTextEncoder
    captions: Captions
    texts: Vectors
    real: Images
    reference: Features

    @classmethod
    def of(
        cls, data: Path, device: torch.device, pictures: int, *, familiar: bool, edition: int
    ) -> "Judge":
        """Paint the real pictures, and describe them.

        Args:
            data: The folder of the sprites.
            device: Where the encoder runs.
            pictures: How many captions there are.
            familiar: Whether the pictures show familiar concepts and the write-up's subjects only.
            edition: Of which edition of the training set they are.

        Raises:
            WeightsError: The encoder's weights are missing or damaged.
            SpriteError: The sprites are missing or damaged.
        """
        encoder = ImageTextEncoder.load(device=device)
        unseen = PaintedPictures(
            data,
            2 * pictures,
            seed=contrastive.UNSEEN_SEED,
            familiar=familiar,
            edition=edition,
            device=device,
        )
        real, captions = _all(unseen)
        return cls(
            encoder,
            captions[:pictures],
            encoder.texts(captions[:pictures]),
            real[:pictures],
            encoder.features(real[pictures:]),
        )

    def ceiling_and_floor(self) -> dict[str, Row]:
        """Measure the real pictures, beside their captions and beside each other's."""
        shuffled = torch.randperm(len(self.texts), generator=torch.Generator().manual_seed(0))
        return {
            "real": self.row(self.real),
            "real, captions shuffled": self.row(self.real, self.texts[shuffled]),
        }

    def row(self, images: Images, texts: Vectors | None = None) -> Row:
        """Measure pictures, one for each caption, beside their captions or beside others.

        R-precision is among 100 captions, or half of the pictures' where that is fewer.
        """
        texts, features = self.texts if texts is None else texts, self.encoder.features(images)
        vectors, generator = self.encoder.images(images), torch.Generator().manual_seed(0)
        among = min(CANDIDATES, len(texts) // 2)
        found = r_precision(vectors, texts, candidates=among, generator=generator)
        return Row(
            cosine=round((vectors * texts).sum(dim=1).mean().item(), 4),
            r_precision=round(found, 4),
            frechet=round(frechet_distance(features, self.reference), 4),
            kernel=round(kernel_distance(features, self.reference), 5),
        )


def painted_set() -> dict[str, str]:
    """Name the set of pictures by the code that makes it of pinned packages."""
    return {"sprites and captions": code_digest(EmojiPictures, build)}


@torch.inference_mode()
def sampled(
    model: TextToImage,
    captions: Captions,
    scale: float,
    kept: Path,
    *,
    step: Step,
    timesteps: Sequence[int],
    interval: tuple[int, int] | None = None,
    say: Callable[[int], object],
) -> Images:
    """Sample a picture for each caption, keeping each batch on the disk.

    Picture ``i`` is the ``i``-th of the seed 0, however it is sampled.

    Args:
        model: The model.
        captions: The captions' embeddings.
        scale: The guidance scale.
        kept: The folder of what was sampled before in this way, and of what is sampled now.
        step: As in :func:`fundiff.sampling.denoise`.
        timesteps: As in :func:`fundiff.sampling.denoise`.
        interval: As in :class:`fundiff.guidance.Guided`.
        say: Is told after each batch how many pictures there are.

    Returns:
        The pictures, rounded to bytes as they are kept, in [-1, 1].
    """
    prepare(kept)
    parts = []
    for first in range(0, len(captions), _TOGETHER):
        path = kept / f"{first:06}.safetensors"
        told = captions[first : first + _TOGETHER]
        pictures = _kept(path)
        if pictures is None:
            cond, x = Bound(model.network, told), model.noise(len(told), first=first)
            denoiser = guided(cond, model.denoiser(), scale=scale, interval=interval)
            x = sample(denoiser, model.schedule, x, timesteps, step=step, seed=0, first=first)
            pictures = as_bytes(x)
            write(path, safetensors.torch.save({"pictures": pictures}))
        parts.append(pictures)
        say(first + len(told))
    return torch.cat(parts).float() / 127.5 - 1


def _kept(path: Path) -> Tensor | None:
    """Read a batch that was sampled before; None where there is none, or it is damaged."""
    try:
        return safetensors.torch.load(path.read_bytes())["pictures"]
    except (FileNotFoundError, KeyError, safetensors.SafetensorError):
        return None


def as_bytes(images: Images) -> UInt8[Tensor, "batch 3 height width"]:
    """Round pictures in [-1, 1] to bytes, on the CPU."""
    return to_uint8(images).permute(0, 3, 1, 2).contiguous().cpu()


class World(TypedDict):
    """What pictures are of, as :class:`fundiff.painters.emoji.dataset.EmojiPictures` takes it."""

    familiar: bool
    edition: int


def world_of(model: TextToImage) -> World:
    """Return what a model's card says it learned from.

    Raises:
        WeightsError: It has no card.
    """
    if model.card is None:
        raise WeightsError(f"{model.name} has no card")
    data = model.card.data
    return World(familiar=data["familiar concepts only"], edition=data.get("edition", 1))


def identity(data: Path, model: TextToImage, *, familiar: bool, edition: int) -> str:
    """Name what samples of unseen captions depend on, as a folder's name."""
    sprites = EmojiPictures(data, seed=contrastive.UNSEEN_SEED).digest[:16]
    world = f"{'familiar' if familiar else 'all'}-{edition}"
    return f"{model.digest}-{model.placement.precision}-{sprites}-{world}-{code_digest(sampled)}"


def _all(data: CaptionedPictures) -> tuple[Images, Captions]:
    pictures, embeddings = data.batch(torch.arange(len(data)))
    return pictures.float() / 127.5 - 1, embeddings
