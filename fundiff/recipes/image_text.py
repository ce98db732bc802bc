"""The recipe ``image-text``: the encoder that judges the pictures of the bundled model.

It learns from pictures that the generator never saw: painted from the same sprites, with another
seed, so that no picture is shared.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from fundiff.captioned import PaintedPictures, module_digest
from fundiff.contrastive import ImageTextTask
from fundiff.files import sha256
from fundiff.folded import CaptionedPictures
from fundiff.image_text import ImageTextEncoder, ImageTextNetwork
from fundiff.metrics import r_precision
from fundiff.pretrained import Card, load_weights, save, weights
from fundiff.recipes import text_to_image
from fundiff.recipes.common import EMOJI, choose, describe, device_here, spent, suited
from fundiff.training import Plan, Report, train

SEED = 1
"""The seed of the pictures that it learns from; the generator's have the seed 0."""

UNSEEN_SEED = 2
"""The seed of the pictures that it is measured on."""


@dataclass(frozen=True)
class Preset:
    """One size of a recipe.

    Attributes:
        pictures: How many different pictures the network is trained on.
        unseen: How many other pictures it is measured on.
        familiar: Whether they show familiar concepts and the write-up's subjects only.
        plan: How it is trained.
    """

    pictures: int
    unseen: int
    familiar: bool
    plan: Plan


PRESETS = {
    "cpu": Preset(
        pictures=24_000,
        unseen=2_000,
        familiar=text_to_image.PRESETS["cpu"].familiar,
        plan=Plan(
            steps=1_600,
            batch_size=128,
            learning_rate=1e-3,
            warmup=100,
            decay=0.5,
            betas=(0.9, 0.99),
            clip=1.0,
            ema=0.99,
            report_every=10,
            save_every=200,
        ),
    ),
    "full": Preset(
        pictures=200_000,
        unseen=10_000,
        familiar=text_to_image.PRESETS["full"].familiar,
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

NAME = "image-text"
"""The recipe's name."""

CODE = ("emoji", "captioned", "contrastive", "image_text", "text_encoder", "training", "draws")
"""The modules whose code decides the result."""


def run(
    preset: str,
    data: Path | None,
    runs: Path,
    out: Path,
    *,
    seconds: float = math.inf,
    init: Path | None = None,
    compiled: bool = False,
    say: Callable[[Report], object] = lambda report: None,
) -> Card:
    """Train the image-text encoder, or go on training it, and write what is reached.

    Args:
        preset: ``cpu`` or ``full``.
        data: The folder of the sprites; None for the one that they are built in.
        runs: Where the run's states lie.
        out: The folder of weights to write.
        seconds: Stop after about so long; call again to go on.
        init: A folder of weights to start from, with a new optimiser and a new warm-up.
        compiled: Compile the network, which pays on a GPU.
        say: Is told every report.

    Returns:
        The card of what was written.

    Raises:
        ValueError: There is no such preset.
        RunError: As :func:`fundiff.training.train`.
        WeightsError: ``init`` isn't a folder of weights, or doesn't fit.
    """
    chosen, code = choose(NAME, PRESETS, preset), module_digest(*CODE)
    plan, device = suited(chosen.plan, runs), device_here()

    def paint(pictures: int, seed: int) -> PaintedPictures:
        painters = (os.cpu_count() or 1) if device == "cuda" else 0
        return PaintedPictures(
            data or EMOJI,
            pictures,
            seed=seed,
            familiar=chosen.familiar,
            device=device,
            painters=painters,
        )

    pictures, unseen = paint(chosen.pictures, SEED), paint(chosen.unseen, UNSEEN_SEED)
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        network = ImageTextNetwork()
    started_from = None
    if init is not None:
        load_weights(network, init)
        started_from = sha256(init / "card.json")
    task = ImageTextTask(network, pictures, started_from=started_from)
    start = time.monotonic()
    for report in train(task, plan, runs, seconds=seconds, compiled=compiled):
        say(report)
    seconds_spent = spent(runs, time.monotonic() - start)
    network.load_state_dict(report.network.state_dict())
    ceiling, floor = precision_of_real(ImageTextEncoder(network, device=device), unseen)
    card = describe(
        report,
        plan,
        recipe=NAME,
        preset=preset,
        title="an image-text encoder that judges the pictures of the text-to-image model",
        data={
            "pictures": chosen.pictures,
            "seed": SEED,
            "familiar concepts only": chosen.familiar,
            "sprites and captions": pictures.digest,
        },
        code=code,
        started_from=started_from,
        seconds=seconds_spent,
        packages=("torch", "transformers"),
        notes={
            "R-precision@1 of 100": f"of {chosen.unseen} real pictures of the seed {UNSEEN_SEED}",
            "ceiling": round(ceiling, 4),
            "floor, with shuffled captions": round(floor, 4),
        },
    )
    return save(out, {"model.safetensors": weights(network)}, card)


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
