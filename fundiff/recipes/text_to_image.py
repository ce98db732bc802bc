"""The recipe ``text-to-image``: the bundled text-to-image model."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from fundiff.models.folded_unet import FOLD, new_unet
from fundiff.models.if_format import folder_contents, read_unet
from fundiff.models.if_model import PixelNetwork
from fundiff.models.text_encoder import TextEncoder
from fundiff.painters.captioned import PaintedPictures
from fundiff.recipes.caption_tasks import TextToImageTask
from fundiff.recipes.device import device_here
from fundiff.recipes.grids import grid_png
from fundiff.recipes.presets import Made, Preset, Start
from fundiff.recipes.runner import Recipe, seeded
from fundiff.training.plan import Plan

EMOJI = Path("_build") / "emoji"
"""Where the sprites of the training set are built, unless another place is named."""

PROMPTS = (
    "an oil painting of an old man",
    "an oil painting of people around a campfire",
    "a lithograph of waterfalls",
    "a man wearing a hat",
    "an oil painting of a snowy mountain village",
    "a photo of a dog",
    "a photo of the amalfi coast",
    "a photo of a man",
    "a photo of a hipster barista",
    "a lithograph of a skull",
    "a rocket ship",
    "a pencil",
    "a high quality photo",
    "a high quality picture",
    "a photo of a cat",
    "an oil painting of a cat",
    "a drawing of a house",
    "a cartoon of a cat",
    "a photo of a red apple",
    "a red heart",
    "a lithograph of a dog",
    "a photo of a car",
    "a winking face",
    "a dog and a house",
)
"""The prompts of the uncurated grid, the write-up's and some of the wide world."""

MANY = 50_000
"""From how many pictures on it pays to start processes that paint them."""

ON_CPU = 32
"""How many pictures go through the network together on a CPU, for the memory's sake."""


@dataclass(frozen=True, kw_only=True)
class ModelPreset(Preset):
    """One size of the model.

    Attributes:
        channels: The network's channels at each level.
        layers: Its residual blocks a level.
        attend: How many of its levels attend to the text.
        dropout: Its dropout.
        pictures: How many different pictures it is trained on.
        familiar: Whether they show familiar concepts and the write-up's subjects only.
        edition: Of which edition of the training set they are.
    """

    channels: tuple[int, ...]
    layers: int
    attend: int
    dropout: float
    pictures: int
    familiar: bool
    edition: int

    def lasting(self, steps: int) -> "ModelPreset":
        """Return the preset with another number of steps, and samples as far along its way."""
        plan, every = super().lasting(steps).plan, self.plan.report_every
        places = (step * steps // self.plan.steps // every * every for step in self.shown)
        return replace(self, plan=plan, shown=grids(*(place for place in places if place)))

    @property
    def shape(self) -> dict[str, object]:
        """What the network is made of."""
        return {"channels": self.channels, "layers": self.layers, "attend": self.attend}


def grids(*steps: int) -> dict[int, str]:
    """Name the file of the grid of samples after each of some steps."""
    return {step: f"samples-{step:06}.png" for step in steps}


CPU = ModelPreset(
    channels=(32, 64, 128),
    layers=1,
    attend=1,
    dropout=0.0,
    pictures=24_000,
    familiar=True,
    edition=1,
    plan=Plan(
        steps=6_600,
        batch_size=32,
        learning_rate=1e-3,
        warmup=200,
        decay=0.5,
        betas=(0.9, 0.99),
        clip=1.0,
        ema=0.999,
        report_every=25,
        save_every=250,
    ),
    shown=grids(1_600, 3_300, 5_000),
)
"""The preset ``cpu``."""

PRESETS = {
    "cpu": CPU,
    "full": ModelPreset(
        channels=(128, 192, 256),
        layers=1,
        attend=2,
        dropout=0.0,
        pictures=400_000,
        familiar=False,
        edition=2,
        plan=Plan(
            steps=6_000,
            batch_size=512,
            learning_rate=1e-3,
            warmup=500,
            decay=0.5,
            betas=(0.9, 0.99),
            clip=1.0,
            ema=0.999,
            precision="bf16",
            report_every=50,
            save_every=1_000,
        ),
        shown=grids(350, 700, 1_450, 2_950),
    ),
}
"""The presets by name."""


def painted(
    data: Path | None, pictures: int, *, familiar: bool, edition: int, seed: int = 0
) -> PaintedPictures:
    """Have pictures painted for training, many of them by as many processes as there are cores.

    Args:
        data: The folder of the sprites; None for the one that they are built in.
        pictures: How many.
        familiar: Whether they show familiar concepts and the write-up's subjects only.
        edition: Of which edition of the set.
        seed: Which pictures.

    Returns:
        The pictures with their captions, which are painted when they are needed.
    """
    return PaintedPictures(
        data or EMOJI,
        pictures,
        seed=seed,
        familiar=familiar,
        edition=edition,
        device=device_here(),
        painters=(os.cpu_count() or 1) if pictures >= MANY else 0,
    )


class ModelTraining:
    """The text-to-image task, see :class:`fundiff.recipes.presets.Training` for the rest."""

    def __init__(self, preset: ModelPreset, data: Path | None, start: Start | None) -> None:
        pictures = painted(data, preset.pictures, familiar=preset.familiar, edition=preset.edition)
        with seeded(preset.plan.seed):
            unet = new_unet(**preset.shape, dropout=preset.dropout)  # type: ignore[arg-type]
        if start is not None:
            unet.load_state_dict(read_unet(start.folder).state_dict())
        identity = {**preset.shape, "started_from": start and start.card.identity}
        self.task = TextToImageTask(unet, pictures, identity)
        self.data = {
            "pictures": preset.pictures,
            "familiar concepts only": preset.familiar,
            "edition": preset.edition,
            "sprites and captions": pictures.digest,
        }
        self.chunk = None if device_here() == "cuda" else ON_CPU
        self._embeddings = TextEncoder(device_here())(["", *PROMPTS])

    def samples(self, network: nn.Module, *, seeds: int = 1) -> bytes:
        """Sample every prompt, uncurated."""
        sampler = PixelNetwork(network, self.task.schedule, FOLD, "v_prediction")
        return grid_png(sampler, PROMPTS, self._embeddings, seeds=seeds)

    def finish(self, network: nn.Module, *, finished: bool) -> Made:
        """Make a folder that diffusers loads, and a grid of samples."""
        network.float()
        seeds = 4 if finished else 1
        grid = {"samples.png": self.samples(network, seeds=seeds)}
        folder = folder_contents(network.cpu(), ["", *PROMPTS], self._embeddings.cpu())
        notes = {
            "prediction": "velocity; the variance is the posterior's",
            "samples.png": f"uncurated: seeds 0 to {seeds - 1}, guidance 4, 34 DDIM steps",
            "samples-*.png": "after that many steps: seed 0, the same prompts in the same order",
        }
        return Made({**grid, **folder}, notes)


RECIPE = Recipe(
    name="text-to-image",
    title="a text-to-image pixel-diffusion model in the format of DeepFloyd IF, stage I",
    presets=PRESETS,
    prepare=ModelTraining,
    roots=(TextToImageTask, PaintedPictures, new_unet),
    packages=("torch", "diffusers", "transformers"),
)
