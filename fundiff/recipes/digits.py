"""The recipes of Part B: networks for small grey pictures, trained from scratch.

By default they learn from the digits that come with the package; given a folder, from the full
MNIST there, which torchvision downloads if it has to. The card says which.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fundiff import digits as sets
from fundiff.captioned import module_digest
from fundiff.data import to_uint8
from fundiff.digits import Labelled
from fundiff.files import sha256, write
from fundiff.nn.classifiers import LeNet, ResidualClassifier
from fundiff.nn.unet import ClassUNet, TimeUNet, UNet
from fundiff.pretrained import Card, load_weights, save, weights
from fundiff.recipes import digit_scores as score
from fundiff.recipes.common import choose, describe, spent, suited
from fundiff.scratch import ClassifierTask, DenoiserTask, DiffusionTask
from fundiff.sheets import sheet_png
from fundiff.training import Plan, Report, Task, train
from fundiff.types import Images

SIGMA = 0.5
"""The noise level that the denoiser is trained on."""

CODE = (
    "coverage",
    "draws",
    "flow",
    "guidance",
    "losses",
    "nn/blocks",
    "nn/classifiers",
    "nn/unet",
    "process",
    "recipes/digit_scores",
    "sampling",
    "schedule",
    "scratch",
    "training",
)
"""The modules whose code decides the results."""

Load = Callable[[Literal["train", "test"]], Labelled]
Network = Callable[..., Tensor]


@dataclass(frozen=True)
class Preset:
    """One length of a recipe.

    Attributes:
        plan: How the network is trained.
        epoch: How many steps make an epoch.
        shown: After which epochs samples are kept.
    """

    plan: Plan
    epoch: int
    shown: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class DigitRecipe:
    """One of the networks of Part B.

    Attributes:
        name: The recipe's name.
        title: What the network does, in a line.
        network: Makes the network, untrained, for a number of classes.
        task: What it learns, from the network, the pictures and what it started from.
        presets: How long, by name.
        show: What is drawn after some epochs, in [0, 1], from the network and held-out pictures.
        measure: What is measured at the end, as JSON values, from the network, the pictures that
            it was trained on and held-out ones.
        load: The pictures that it is trained on by default.
    """

    name: str
    title: str
    network: Callable[[int], nn.Module]
    task: Callable[[nn.Module, Labelled, str | None], Task]
    presets: dict[str, Preset]
    measure: Callable[[Network, Labelled, Labelled], dict[str, Any]]
    show: Callable[[Network, Labelled], Images] | None = None
    load: Load = sets.digits

    def run(
        self,
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
        """Train the network, or go on training it, and write what is reached.

        Args:
            preset: ``cpu`` or ``full``.
            data: The folder of the full MNIST, or None for the pictures that came with the package.
            runs: Where the run's states lie.
            out: The folder of weights to write.
            seconds: Stop after about so long; call again to go on.
            init: A folder of weights to start from, with a new optimiser.
            compiled: Compile the network, which pays on a GPU.
            say: Is told every report.

        Returns:
            The card of what was written.

        Raises:
            ValueError: There is no such preset.
            RunError: As :func:`fundiff.training.train`.
            WeightsError: ``init`` isn't a folder of weights, or doesn't fit; or the classifiers
                that judge the pictures are missing.
        """
        chosen, code = choose(self.name, self.presets, preset), module_digest(*CODE)
        plan = suited(chosen.plan, runs)
        seen, held_out = (self._load(data, split) for split in ("train", "test"))
        with torch.random.fork_rng():
            torch.manual_seed(plan.seed)
            network = self.network(len(seen.classes)).to(memory_format=torch.channels_last)
        started_from = None
        if init is not None:
            load_weights(network, init)
            started_from = sha256(init / "card.json")
        task = self.task(network, seen, started_from)
        start = time.monotonic()
        for report in train(task, plan, runs, seconds=seconds, compiled=compiled):
            say(report)
            if self.show and report.step in {epoch * chosen.epoch for epoch in chosen.shown}:
                drawn = self.show(score.frozen(report.network), held_out)
                write(runs / _sheet(report.step // chosen.epoch), _png(drawn))
                report.network.train()
        sheets = [_sheet(epoch) for epoch in chosen.shown if epoch * chosen.epoch <= report.step]
        contents = {name: (runs / name).read_bytes() for name in sheets if (runs / name).is_file()}
        training = spent(runs, time.monotonic() - start)
        finished = report.step == plan.steps
        measured = self.measure(score.frozen(report.network), seen, held_out) if finished else {}
        card = describe(
            report,
            plan,
            recipe=self.name,
            preset=preset,
            title=self.title,
            data={"name": seen.name, "title": seen.title, "digest": seen.digest},
            code=code,
            started_from=started_from,
            seconds=training,
            packages=("torch",),
            notes={
                "epoch": chosen.epoch,
                **({"samples-epoch-*.png": "uncurated, after that many epochs"} if sheets else {}),
                **measured,
            },
        )
        return save(out, {"model.safetensors": weights(report.network), **contents}, card)

    def _load(self, data: Path | None, split: Literal["train", "test"]) -> Labelled:
        return self.load(split) if data is None else sets.mnist(split, root=data)


def _sheet(epoch: int) -> str:
    return f"samples-epoch-{epoch:02}.png"


def _png(images: Images) -> bytes:
    pixels = to_uint8(images, low=0.0).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    return sheet_png(pixels, columns=10)


def _epoch(
    steps: int,
    batch_size: int,
    learning_rate: float = 1e-3,
    *,
    report_every: int,
    drop: float = 1.0,
    decay: float = 0.0,
) -> Plan:
    """Plan one epoch; a CPU that isn't fast in bfloat16 takes float32 (see ``suited``)."""
    return Plan(
        steps,
        batch_size,
        learning_rate,
        drop=drop,
        decay=decay,
        precision="bf16",
        report_every=report_every,
        save_every=steps,
    )


def _presets(plan: Plan, *, epochs: int, shown: tuple[int, ...], cpu: Plan) -> dict[str, Preset]:
    """Make the assignment's length for the full MNIST, and a shorter one for two cores.

    Each plan is of one epoch; the rate falls to ``drop`` of itself over all of them.
    """

    def preset(plan: Plan, epochs: int) -> Preset:
        whole = replace(plan, steps=epochs * plan.steps)
        if plan.drop < 1:
            whole = replace(whole, drop=plan.drop ** (1 / epochs), drop_every=plan.steps)
        return Preset(whole, plan.steps, tuple(epoch for epoch in shown if epoch <= epochs))

    return {"cpu": preset(cpu, min(epochs, 15)), "full": preset(plan, epochs)}


_DDPM = _presets(
    _epoch(469, 128, drop=0.1, report_every=67),
    epochs=20,
    shown=(1, 5, 10, 15, 20),
    cpu=_epoch(63, 128, drop=0.1, report_every=9),
)
_CLASSIFIER = _presets(
    _epoch(235, 256, decay=0.5, report_every=47),
    epochs=15,
    shown=(),
    cpu=_epoch(63, 128, decay=0.5, report_every=9),
)


def _class_recipe(name: str, title: str, load: Load, measure: Callable[..., Any]) -> DigitRecipe:
    return DigitRecipe(
        name=name,
        title=title,
        network=lambda classes: ClassUNet(64, classes=classes),
        task=lambda network, data, before: DiffusionTask(
            network, data, classes=True, started_from=before
        ),
        presets=_DDPM,
        show=score.each_class,
        measure=measure,
        load=load,
    )


def _classifier(name: str, title: str, network: Callable[[int], nn.Module]) -> DigitRecipe:
    return DigitRecipe(
        name=name,
        title=title,
        network=network,
        task=lambda network, data, before: ClassifierTask(network, data, started_from=before),
        presets=_CLASSIFIER,
        measure=score.accuracy_held_out,
    )


RECIPES = (
    _classifier(
        "mnist-features",
        "a residual classifier of digits, whose features compare sets of pictures",
        ResidualClassifier,
    ),
    _classifier(
        "mnist-judge",
        "a classifier of digits after LeNet-5, which says what a picture shows",
        LeNet,
    ),
    DigitRecipe(
        name="mnist-denoiser",
        title="a U-Net that makes noisy digits clean in one step",
        network=lambda classes: UNet(128),
        task=lambda network, data, before: DenoiserTask(
            network, data, sigma=SIGMA, started_from=before
        ),
        presets=_presets(
            plan=_epoch(235, 256, 1e-4, report_every=47),
            cpu=_epoch(63, 128, drop=0.1, report_every=9),
            epochs=5,
            shown=(1, 5),
        ),
        show=lambda network, held_out: score.denoised(network, held_out, SIGMA),
        measure=lambda network, seen, held_out: score.restored(network, held_out, SIGMA),
    ),
    DigitRecipe(
        name="mnist-time",
        title="a U-Net that is told the time: a DDPM of digits",
        network=lambda classes: TimeUNet(64),
        task=lambda network, data, before: DiffusionTask(network, data, started_from=before),
        presets=_DDPM,
        show=score.any_class,
        measure=score.unconditional,
    ),
    _class_recipe(
        "mnist-class",
        "a U-Net that is told the time and a class: a DDPM of digits to order",
        sets.digits,
        score.conditional,
    ),
    DigitRecipe(
        name="mnist-flow",
        title="flow matching with the class-conditional U-Net",
        network=lambda classes: ClassUNet(64, classes=classes),
        task=lambda network, data, before: DiffusionTask(
            network, data, objective="velocity", classes=True, started_from=before
        ),
        presets=_DDPM,
        show=score.each_class_by_flow,
        measure=score.flowing,
    ),
    _class_recipe(
        "glyph-class",
        "the same network and training on letters of printed fonts",
        sets.glyphs,
        lambda network, seen, held_out: {},
    ),
)
"""Part B's recipes in the order of training, since the classifiers judge the others."""
