"""The recipe ``image-text``: the encoder that judges the pictures of the bundled model.

It learns from pictures that the generator never saw: painted from the same sprites, with another
seed, so that no picture is shared.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from fundiff.metrics.alignment import r_precision
from fundiff.models.image_text import ImageTextEncoder, ImageTextNetwork
from fundiff.models.weights import load_weights, weights
from fundiff.painters.captioned import PaintedPictures
from fundiff.recipes.caption_tasks import CaptionedPictures, ImageTextTask
from fundiff.recipes.device import device_here
from fundiff.recipes.presets import Made, Preset, Start
from fundiff.recipes.runner import Recipe, seeded
from fundiff.recipes.text_to_image import painted
from fundiff.training.plan import Plan

SEED = 1
"""The seed of the pictures that it learns from; the generator's have the seed 0."""

UNSEEN_SEED = 2
"""The seed of the pictures that it is measured on."""

WORLDS = {"all concepts": False, "familiar concepts": True}
"""What those are about, by whether they keep to familiar concepts and the write-up's subjects."""


@dataclass(frozen=True, kw_only=True)
class JudgePreset(Preset):
    """One length of the training.

    Attributes:
        pictures: How many different pictures the network is trained on.
        unseen: How many other pictures it is measured on, of all concepts and of familiar ones.
        edition: Of which edition of the training set they are.
    """

    pictures: int
    edition: int
    unseen: int


PRESETS = {
    "cpu": JudgePreset(
        pictures=120_000,
        edition=1,
        unseen=2_000,
        plan=Plan(
            steps=5_000,
            batch_size=256,
            learning_rate=1e-3,
            warmup=200,
            decay=0.5,
            betas=(0.9, 0.99),
            clip=1.0,
            ema=0.995,
            report_every=10,
            save_every=100,
        ),
    ),
    "full": JudgePreset(
        pictures=400_000,
        edition=2,
        unseen=2_000,
        plan=Plan(
            steps=4_000,
            batch_size=1_024,
            learning_rate=1e-3,
            warmup=200,
            decay=0.5,
            betas=(0.9, 0.99),
            clip=1.0,
            ema=0.999,
            precision="bf16",
            report_every=50,
            save_every=500,
        ),
    ),
}
"""The presets by name; the network is the same in all of them."""


class JudgeTraining:
    """The image-text task, see :class:`fundiff.recipes.presets.Training` for the rest."""

    chunk = samples = None

    def __init__(self, preset: JudgePreset, data: Path | None, start: Start | None) -> None:
        of = partial(painted, data, edition=preset.edition)
        pictures = of(preset.pictures, familiar=False, seed=SEED)
        self._unseen = {
            world: of(preset.unseen, familiar=familiar, seed=UNSEEN_SEED)
            for world, familiar in WORLDS.items()
        }
        with seeded(preset.plan.seed):
            network = ImageTextNetwork()
        if start is not None:
            load_weights(network, start.folder)
        identity = start and start.card.identity
        self.task = ImageTextTask(network, pictures, started_from=identity)
        self.data = {
            "pictures": preset.pictures,
            "seed": SEED,
            "familiar concepts only": False,
            "edition": preset.edition,
            "sprites and captions": pictures.digest,
        }

    def finish(self, network: nn.Module, *, finished: bool) -> Made:
        """Measure it on pictures that it hasn't seen."""
        trained = ImageTextNetwork()
        trained.load_state_dict(network.state_dict())
        encoder = ImageTextEncoder(trained, device=device_here())
        notes: dict[str, object] = {"R-precision@1 of 100": f"real pictures, seed {UNSEEN_SEED}"}
        for world, unseen in self._unseen.items():
            ceiling, floor = precision_of_real(encoder, unseen)
            notes[world] = {
                "pictures": len(unseen),
                "ceiling": round(ceiling, 4),
                "floor, with shuffled captions": round(floor, 4),
            }
        return Made({"model.safetensors": weights(trained)}, notes)


def precision_of_real(encoder: ImageTextEncoder, data: CaptionedPictures) -> tuple[float, float]:
    """Measure the R-precision of real pictures, with their own captions and with shuffled ones.

    Args:
        encoder: The encoder.
        data: The pictures, which it hasn't seen.

    Returns:
        The share with their own captions, what generated pictures can hope for, and the share with
        each other's, which tells nothing.
    """
    generator = torch.Generator().manual_seed(0)
    parts = [data.batch(items) for items in torch.arange(len(data)).split(encoder.together)]
    images = torch.cat([encoder.images(pictures.float() / 127.5 - 1) for pictures, _ in parts])
    texts = torch.cat([encoder.texts(embeddings) for _, embeddings in parts])
    shuffled = texts[torch.randperm(len(texts), generator=generator).to(texts.device)]
    return (
        r_precision(images, texts, generator=generator),
        r_precision(images, shuffled, generator=generator),
    )


RECIPE = Recipe(
    name="image-text",
    title="an image-text encoder that judges the pictures of the text-to-image model",
    presets=PRESETS,
    prepare=JudgeTraining,
    roots=(ImageTextTask, PaintedPictures, ImageTextNetwork),
    packages=("torch", "transformers"),
)
