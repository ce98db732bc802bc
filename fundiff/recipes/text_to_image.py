"""The recipe ``text-to-image``: the bundled text-to-image model."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from fundiff.captioned import PaintedPictures, module_digest
from fundiff.files import sha256, write
from fundiff.folded import FOLD, TextToImageTask, new_unet
from fundiff.pretrained import Card, save, verify
from fundiff.recipes.common import EMOJI, choose, describe, device_here, spent, suited
from fundiff.recipes.grids import grid_png
from fundiff.text_encoder import TextEncoder
from fundiff.text_to_image import PixelNetwork, folder_contents, read_unet
from fundiff.training import Plan, Report, train

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


@dataclass(frozen=True)
class Preset:
    """One size of a recipe.

    Attributes:
        channels: The network's channels at each level.
        layers: Its residual blocks a level.
        attend: How many of its levels attend to the text.
        dropout: Its dropout.
        pictures: How many different pictures it is trained on.
        familiar: Whether they show familiar concepts and the write-up's subjects only.
        plan: How it is trained.
        shown: After which steps, beside the last, a grid of samples is kept; steps with a report.
    """

    channels: tuple[int, ...]
    layers: int
    attend: int
    dropout: float
    pictures: int
    familiar: bool
    plan: Plan
    shown: tuple[int, ...] = ()


PRESETS = {
    "cpu": Preset(
        channels=(32, 64, 128),
        layers=1,
        attend=1,
        dropout=0.0,
        pictures=24_000,
        familiar=True,
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
        shown=(1_600, 3_300, 5_000),
    ),
    "full": Preset(
        channels=(112, 192, 256),
        layers=2,
        attend=2,
        dropout=0.1,
        pictures=200_000,
        familiar=False,
        plan=Plan(
            steps=8_000,
            batch_size=512,
            learning_rate=1e-3,
            warmup=500,
            decay=0.2,
            betas=(0.9, 0.99),
            clip=1.0,
            ema=0.999,
            precision="bf16",
            report_every=50,
            save_every=1_000,
        ),
        shown=(500, 1_000, 2_000, 4_000),
    ),
}
"""The presets by name."""

NAME = "text-to-image"
"""The recipe's name."""

ON_CPU = 32
"""How many pictures go through the network together on a CPU, for the memory's sake."""

CODE = ("emoji", "captioned", "folded", "text_encoder", "training", "draws", "process", "schedule")
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
    """Train the bundled model, or go on training it, and write what is reached.

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
    on_gpu = device == "cuda"
    painters = (os.cpu_count() or 1) if on_gpu else 0
    pictures = PaintedPictures(
        data or EMOJI, chosen.pictures, familiar=chosen.familiar, device=device, painters=painters
    )
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        unet = new_unet(
            chosen.channels, layers=chosen.layers, attend=chosen.attend, dropout=chosen.dropout
        )
    started_from, before = None, 0
    if init is not None:
        first = verify(init)
        started_from = sha256(init / "card.json")
        before = first.pictures + int(first.notes.get("pictures before", 0))
        unet.load_state_dict(read_unet(init).state_dict())
    shape = {"channels": chosen.channels, "layers": chosen.layers, "attend": chosen.attend}
    task = TextToImageTask(unet, pictures, {**shape, "started_from": started_from})
    embeddings = TextEncoder(device)(["", *PROMPTS])
    start = time.monotonic()
    for report in train(
        task,
        plan,
        runs,
        seconds=seconds,
        compiled=compiled,
        chunk=None if on_gpu else ON_CPU,
    ):
        say(report)
        if report.step in chosen.shown:
            sampler = PixelNetwork(report.network, task.schedule, FOLD, "v_prediction")
            write(runs / _shown(report.step), grid_png(sampler, PROMPTS, embeddings, seeds=1))
    seconds_spent = spent(runs, time.monotonic() - start)
    finished = report.step == plan.steps
    seeds = 4 if finished else 1
    network = report.network.float().eval()
    sampler = PixelNetwork(network, task.schedule, FOLD, "v_prediction")
    grids = [_shown(step) for step in chosen.shown if step < report.step]
    contents = {name: (runs / name).read_bytes() for name in grids if (runs / name).is_file()}
    contents["samples.png"] = grid_png(sampler, PROMPTS, embeddings, seeds=seeds)
    contents |= folder_contents(network.cpu(), ["", *PROMPTS], embeddings.cpu())
    card = describe(
        report,
        plan,
        recipe=NAME,
        preset=preset,
        title="a text-to-image pixel-diffusion model in the format of DeepFloyd IF, stage I",
        data={
            "pictures": chosen.pictures,
            "familiar concepts only": chosen.familiar,
            "sprites and captions": pictures.digest,
        },
        code=code,
        started_from=started_from,
        seconds=seconds_spent,
        packages=("torch", "diffusers", "transformers"),
        notes={
            "pictures before": before,
            "prediction": "velocity; the variance is the posterior's",
            "samples.png": f"uncurated: seeds 0 to {seeds - 1}, guidance 4, 34 DDIM steps",
            "samples-*.png": "after that many steps: seed 0, the same prompts in the same order",
        },
    )
    return save(out, contents, card)


def _shown(step: int) -> str:
    return f"samples-{step:06}.png"
