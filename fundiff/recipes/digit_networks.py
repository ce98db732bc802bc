"""The recipes of Part B: networks for small grey pictures, trained from scratch.

By default they learn from the digits that come with the package; given a folder, from the full
MNIST there, which torchvision downloads if it has to. The card says which.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fundiff.data import digits as sets
from fundiff.data.labelled import Labelled, Split
from fundiff.data.pictures import to_uint8
from fundiff.data.sheets import sheet_png
from fundiff.models.placement import frozen
from fundiff.models.weights import load_weights, weights
from fundiff.nn.classifiers import LeNet, ResidualClassifier
from fundiff.nn.unet import ClassUNet, TimeUNet, UNet
from fundiff.recipes import digit_scores as score
from fundiff.recipes.digit_tasks import ClassifierTask, DenoiserTask, DiffusionTask
from fundiff.recipes.presets import Made, Preset, Start
from fundiff.recipes.runner import Recipe, seeded
from fundiff.training.plan import Plan, Task
from fundiff.types import Images

SIGMA = 0.5
"""The noise level that the denoiser is trained on."""

Network = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True)
class DigitPreset(Preset):
    """One length of a recipe.

    Attributes:
        epoch: How many steps make an epoch.
    """

    epoch: int


@dataclass(frozen=True, eq=False)
class Design:
    """What one of the networks is, learns, draws and is measured by.

    Attributes:
        network: Makes the network, untrained.
        task: What it learns, from the network and the pictures; and ``started_from``.
        measure: What is measured at the end, as JSON values, from the network, the pictures that
            it was trained on and held-out ones.
        draw: What is drawn after some epochs, in [0, 1], from the network and held-out pictures.
        load: The pictures that it is trained on by default.
    """

    network: Callable[[], nn.Module]
    task: Callable[..., Task]
    measure: Callable[[Network, Labelled, Labelled], dict[str, Any]]
    draw: Callable[[Network, Labelled], Images] | None = None
    load: Callable[[Split], Labelled] = sets.digits


class DigitTraining:
    """The task of a design, see :class:`fundiff.recipes.presets.Training` for the rest."""

    chunk = None

    def __init__(
        self, design: Design, preset: DigitPreset, data: Path | None, start: Start | None
    ) -> None:
        load = design.load if data is None else partial(sets.mnist, root=data)
        self._design, self._epoch = design, preset.epoch
        self._seen, self._held_out = load("train"), load("test")
        with seeded(preset.plan.seed):
            network = design.network().to(memory_format=torch.channels_last)
        if start is not None:
            load_weights(network, start.folder)
        identity = start and start.card.identity
        self.task: Task = design.task(network, self._seen, started_from=identity)
        seen = self._seen
        self.data = {"name": seen.name, "title": seen.title, "digest": seen.digest}

    def samples(self, network: nn.Module) -> bytes:
        """Draw a sheet of pictures."""
        assert self._design.draw is not None  # noqa: S101  # only those have sheets in their presets
        images = self._design.draw(frozen(network), self._held_out)
        pixels = to_uint8(images, low=0.0).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
        return sheet_png(pixels, columns=10)

    def finish(self, network: nn.Module, *, finished: bool) -> Made:
        """Measure a network whose training is finished."""
        content, notes = weights(network), {}
        if finished:
            notes = self._design.measure(frozen(network), self._seen, self._held_out)
        return Made({"model.safetensors": content}, {"epoch": self._epoch, **notes})


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


def _presets(
    plan: Plan, *, epochs: int, cpu: Plan, shown: tuple[int, ...] = ()
) -> dict[str, Preset]:
    """Make the assignment's length for the full MNIST, and a shorter one for two cores.

    Each plan is of one epoch; the rate falls to ``drop`` of itself over all of them.
    """

    def preset(plan: Plan, epochs: int) -> Preset:
        whole = replace(plan, steps=epochs * plan.steps)
        if plan.drop < 1:
            whole = replace(whole, drop=plan.drop ** (1 / epochs), drop_every=plan.steps)
        names = {n * plan.steps: f"samples-epoch-{n:02}.png" for n in shown if n <= epochs}
        return DigitPreset(plan=whole, epoch=plan.steps, shown=names)

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


def _recipe(name: str, title: str, presets: dict[str, Preset], design: Design) -> Recipe:
    roots = (design.network, design.task)
    return Recipe(name, title, presets, partial(DigitTraining, design), roots)


def _to_order(measure: Callable[..., dict[str, Any]], load: Callable[[Split], Labelled]) -> Design:
    task = partial(DiffusionTask, classes=True)
    return Design(partial(ClassUNet, 64), task, measure, score.each_class, load)


RECIPES = (
    _recipe(
        "mnist-features",
        "a residual classifier of digits, whose features compare sets of pictures",
        _CLASSIFIER,
        Design(ResidualClassifier, ClassifierTask, score.accuracy_held_out),
    ),
    _recipe(
        "mnist-judge",
        "a classifier of digits after LeNet-5, which says what a picture shows",
        _CLASSIFIER,
        Design(LeNet, ClassifierTask, score.accuracy_held_out),
    ),
    _recipe(
        "mnist-denoiser",
        "a U-Net that makes noisy digits clean in one step",
        _presets(
            plan=_epoch(235, 256, 1e-4, report_every=47),
            cpu=_epoch(63, 128, drop=0.1, report_every=9),
            epochs=5,
            shown=(1, 5),
        ),
        Design(
            partial(UNet, 128),
            partial(DenoiserTask, sigma=SIGMA),
            partial(score.restored, sigma=SIGMA),
            partial(score.denoised, sigma=SIGMA),
        ),
    ),
    _recipe(
        "mnist-time",
        "a U-Net that is told the time: a DDPM of digits",
        _DDPM,
        Design(partial(TimeUNet, 64), DiffusionTask, score.unconditional, score.any_class),
    ),
    _recipe(
        "mnist-class",
        "a U-Net that is told the time and a class: a DDPM of digits to order",
        _DDPM,
        _to_order(score.conditional, sets.digits),
    ),
    _recipe(
        "mnist-flow",
        "flow matching with the class-conditional U-Net",
        _DDPM,
        Design(
            partial(ClassUNet, 64),
            partial(DiffusionTask, objective="velocity", classes=True),
            score.flowing,
            score.each_class_by_flow,
        ),
    ),
    _recipe(
        "glyph-class",
        "the same network and training on letters of printed fonts",
        _DDPM,
        _to_order(lambda network, seen, held_out: {}, sets.glyphs),
    ),
)
"""Part B's recipes in the order of training, since the classifiers judge the others."""
