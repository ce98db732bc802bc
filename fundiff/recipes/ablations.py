"""The recipe ``variants``: short runs of the bundled model that differ in one choice each.

Every run sees as many pictures as the others, with its own rate's whole rise and fall, and is
measured on the same unseen pictures under the same noise.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from accelerate.state import AcceleratorState
from jaxtyping import Int, UInt8
from torch import Tensor, nn

from fundiff.digest import code_digest
from fundiff.files import write
from fundiff.models.folded_unet import new_unet
from fundiff.models.text_encoder import Embeddings, TextEncoder, padded
from fundiff.models.weights import Measurement, require_replaceable, save
from fundiff.painters.captioned import PaintedPictures
from fundiff.painters.emoji.dataset import EmojiPictures
from fundiff.painters.emoji.sprites import build
from fundiff.recipes import measuring
from fundiff.recipes.caption_tasks import CaptionedPictures, TextToImageTask
from fundiff.recipes.device import device_here, kept, suited
from fundiff.recipes.judging import World
from fundiff.recipes.measuring import measurement
from fundiff.recipes.runner import seeded
from fundiff.recipes.text_to_image import CPU, ON_CPU, RECIPE, ModelPreset
from fundiff.rng import Draws
from fundiff.training.loop import train

NAME = "ablations"
"""The recipe's name."""

PICTURES = 6_400
"""How many pictures each run sees."""

UNSEEN = 512
"""How many unseen pictures each result is measured on."""

UNSEEN_SEED = 3
"""The seed of the pictures that it is measured on; no network learns from them."""


@dataclass(frozen=True)
class Variant:
    """One choice to try.

    Attributes:
        about: What it is a choice of.
        preset: The network and the plan.
        dropout: How often a caption is left out.
        subjects_only: Whether captions lose the words that tell the style.
    """

    about: str
    preset: ModelPreset
    dropout: float = 0.1
    subjects_only: bool = False


def _base() -> ModelPreset:
    """Shorten the preset ``cpu``, in the precision that is fast here."""
    steps = PICTURES // CPU.plan.batch_size
    plan = replace(
        CPU.plan,
        steps=steps,
        warmup=steps // 10,
        ema=0.99,
        report_every=10,
        save_every=50,
    )
    precision = "bf16" if device_here() == "cuda" else suited(plan).precision
    plan = replace(plan, precision=precision)
    return replace(CPU, pictures=PICTURES, plan=plan, shown={})


def _batch(preset: ModelPreset, batch_size: int) -> ModelPreset:
    steps = PICTURES // batch_size
    return replace(
        preset,
        plan=replace(preset.plan, steps=steps, batch_size=batch_size, warmup=steps // 10),
    )


def variants() -> dict[str, Variant]:
    """Return what is tried, by name; the first is the preset ``cpu``, made short."""
    base = _base()

    def plan(**changes: object) -> ModelPreset:
        return replace(base, plan=replace(base.plan, **changes))  # type: ignore[arg-type]

    other = "fp32" if base.plan.precision == "bf16" else "bf16"
    return {
        "as the preset": Variant("the preset", base),
        "another seed": Variant("the preset", plan(seed=1)),
        "rate 5e-4": Variant("the optimiser", plan(learning_rate=5e-4)),
        "rate 2e-3": Variant("the optimiser", plan(learning_rate=2e-3)),
        "rate 4e-3": Variant("the optimiser", plan(learning_rate=4e-3)),
        "β₂ = 0.999": Variant("the optimiser", plan(betas=(0.9, 0.999))),
        "batches of 16": Variant("the batch", _batch(base, 16)),
        "batches of 64": Variant("the batch", _batch(base, 64)),
        "channels 48, 96, 192": Variant("the network", replace(base, channels=(48, 96, 192))),
        "two blocks a level": Variant("the network", replace(base, layers=2)),
        "text at two levels": Variant("the network", replace(base, attend=2)),
        "no caption left out": Variant("the captions", base, dropout=0.0),
        "captions without style": Variant("the captions", base, subjects_only=True),
        f"in {other}": Variant("the precision", plan(precision=other)),
    }


class WithoutStyle:
    """Captioned pictures whose captions say what is shown and not how: "a dog".

    Args:
        folder: The folder of the sprites.
        pictures: The pictures, which stay as they are.
        seed: The pictures' seed.
        familiar: Whether they show familiar concepts only.
        edition: Of which edition of the training set they are.
    """

    def __init__(
        self, folder: Path, pictures: PaintedPictures, *, seed: int, familiar: bool, edition: int
    ) -> None:
        self._source = EmojiPictures(folder, seed=seed, familiar=familiar, edition=edition)
        self._pictures, self._encoder = pictures, TextEncoder(device_here())
        self._kept: dict[int, Tensor] = {}
        self.digest = f"{pictures.digest}-without-style"
        self.uncond: Embeddings = pictures.uncond

    def __len__(self) -> int:
        return len(self._pictures)

    def batch(
        self, items: Int[Tensor, " batch"]
    ) -> tuple[UInt8[Tensor, "batch 3 64 64"], Embeddings]:
        """Return some of the pictures and their shorter captions' embeddings."""
        numbers = items.tolist()
        new = [number for number in dict.fromkeys(numbers) if number not in self._kept]
        words = [subject(self._source.example(number).caption) for number in new]
        self._kept |= dict(zip(new, self._encoder.tokens(words), strict=True))
        pictures, _ = self._pictures.batch(items)
        return pictures, padded([self._kept[number] for number in numbers]).float()


def subject(caption: str) -> str:
    """Return what a caption says is shown: what follows its last "of", all of it without one.

    Args:
        caption: A caption such as "an oil painting of a dog".

    Returns:
        Such as "a dog".
    """
    return caption.rpartition(" of ")[2]


def run(
    data: Path,
    runs: Path,
    out: Path,
    *,
    say: Callable[[int, int], object] = lambda done, of: None,
) -> Measurement:
    """Train each variant, measure it, and write the numbers.

    What was trained before, by a run that was stopped, isn't trained again.

    Args:
        data: The folder of the sprites.
        runs: Where the runs' states and results lie.
        out: The folder to write: the card, whose notes have the numbers.
        say: Is told how many pictures were seen, of how many.

    Returns:
        The card of what was written.

    Raises:
        RunError: As :func:`fundiff.training.loop.train`.
        SpriteError: The sprites are missing or damaged.
        OccupiedError: The folder to write has something else in it.
    """
    require_replaceable(out)
    start, code = time.monotonic(), compared()["code"]
    tried, base = variants(), _base()
    world = World(familiar=base.familiar, edition=base.edition)
    sets = {
        seed: PaintedPictures(data, count, seed=seed, **world, device=device_here())
        for seed, count in ((0, PICTURES), (UNSEEN_SEED, UNSEEN))
    }

    def pictures(variant: Variant, seed: int) -> CaptionedPictures:
        if variant.subjects_only:
            return WithoutStyle(data, sets[seed], seed=seed, **world)
        return sets[seed]

    for seed, painted in sets.items():
        for items in torch.arange(len(painted)).split(ON_CPU):
            pictures(Variant("", base), seed).batch(items)
    rows = {}
    for number, (name, variant) in enumerate(tried.items()):
        folder = runs / f"{code}-{number:02}"

        def heard(pictures: int, number: int = number) -> None:
            say(number * PICTURES + pictures, len(tried) * PICTURES)

        seen, unseen = pictures(variant, 0), pictures(variant, UNSEEN_SEED)
        rows[name] = {"about": variant.about, **_result(variant, seen, unseen, folder, heard)}
    card = measurement(
        NAME,
        "short runs of the text-to-image model that differ in one choice each",
        weights={},
        data=compared(),
        settings={
            **asdict(base.plan),
            "pictures": PICTURES,
            "unseen": UNSEEN,
            "unseen seed": UNSEEN_SEED,
        },
        results={"rows": rows},
        seconds=time.monotonic() - start,
    )
    return save(out, {}, card)


def is_stale(folder: Path) -> bool:
    """Tell whether results are of other variants, pictures or training than today's.

    Args:
        folder: The folder of results.

    Returns:
        True also where there are none, or they are damaged.
    """
    return measuring.is_stale(folder, {}, compared())


def compared() -> dict[str, str]:
    """Name what is compared by the code that paints, varies and trains."""
    roots = (build, *RECIPE.roots, train, variants, WithoutStyle)
    return {"code": code_digest(*roots)}


def _result(
    variant: Variant,
    seen: CaptionedPictures,
    unseen: CaptionedPictures,
    folder: Path,
    say: Callable[[int], object],
) -> dict[str, float | int]:
    """Train and measure one variant, unless that was done."""
    path = folder / "result.json"
    if found := kept(path):
        return dict[str, float | int](found)
    preset = variant.preset
    with seeded(preset.plan.seed):
        unet = new_unet(preset.channels, layers=preset.layers, attend=preset.attend)
    task = TextToImageTask(unet, seen, preset.shape, caption_dropout=variant.dropout)
    network: nn.Module = unet
    AcceleratorState._reset_state()  # else the first run's precision would hold for all
    for report in train(task, preset.plan, folder, chunk=min(ON_CPU, preset.plan.batch_size)):
        network = report.network
        say(report.step * preset.plan.batch_size)
    network.eval()
    own, shuffled = (_loss(network, unseen, of) for of in (0, UNSEEN // 2))
    row = {
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "loss": round(own, 5),
        "loss, captions exchanged": round(shuffled, 5),
    }
    write(path, json.dumps(row).encode())
    return row


class _Exchanged:
    """Pictures with the captions of others."""

    def __init__(self, data: CaptionedPictures, shift: int) -> None:
        self._data, self._shift = data, shift
        self.digest, self.uncond = data.digest, data.uncond

    def __len__(self) -> int:
        return len(self._data)

    def batch(
        self, items: Int[Tensor, " batch"]
    ) -> tuple[UInt8[Tensor, "batch 3 64 64"], Embeddings]:
        pictures, captions = self._data.batch(items)
        if self._shift:
            _, captions = self._data.batch((items + self._shift) % len(self._data))
        return pictures, captions


@torch.no_grad()
def _loss(network: nn.Module, data: CaptionedPictures, shift: int) -> float:
    """Return the mean loss on all pictures, the noise of each the same for every network."""
    task = TextToImageTask(network, _Exchanged(data, shift), {}, caption_dropout=0.0)
    device, parts = torch.device(device_here()), []
    for first in range(0, len(data), ON_CPU):
        count = min(ON_CPU, len(data) - first)
        draws = Draws(UNSEEN_SEED, 0, len(data), first, count, device)
        parts.append(task.losses(network, draws, task.batch(draws)))
    return torch.cat(parts).mean().item()
