"""What the recipes share: the choice of a preset, a run's time and device, and its card."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from fundiff.files import write
from fundiff.machine import bf16_is_fast
from fundiff.pretrained import Card, WeightsError, verify
from fundiff.training import Plan, Report

EMOJI = Path("_build") / "emoji"
"""Where the training set of the bundled model is built, unless another place is named."""

Preset = TypeVar("Preset")


def choose(recipe: str, presets: Mapping[str, Preset], preset: str) -> Preset:
    """Find a preset of a recipe.

    Args:
        recipe: The recipe's name.
        presets: Its presets.
        preset: The name of one.

    Returns:
        The preset.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in presets:
        raise ValueError(f"{recipe} has the presets {', '.join(presets)}, not {preset!r}")
    return presets[preset]


def suited(plan: Plan, runs: Path) -> Plan:
    """Fit a plan's precision to the machine: bfloat16 on a CPU only where that is fast.

    Args:
        plan: The plan, for a GPU.
        runs: Where the run's states lie; what the first slice chose holds for the others.

    Returns:
        The plan as it is on a GPU, else in the precision of this run.
    """
    if device_here() == "cuda":
        return plan
    path = runs / "precision.json"
    if not path.is_file():
        runs.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps("bf16" if bf16_is_fast() else "fp32").encode())
    return replace(plan, precision=json.loads(path.read_bytes()))


def device_here() -> str:
    """Say where a recipe runs: ``cuda`` where there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_words() -> str:
    """Describe the device in words, for the card."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"


def spent(runs: Path, seconds: float) -> float:
    """Add up the seconds of a run's slices, in a file beside its states.

    Args:
        runs: Where the run's states lie.
        seconds: How long the slice took that has just ended.

    Returns:
        The seconds of all slices.
    """
    path = runs / "seconds.json"
    before = json.loads(path.read_bytes()) if path.is_file() else 0.0
    write(path, json.dumps(before + seconds).encode())
    return float(before + seconds)


def describe(
    report: Report,
    plan: Plan,
    *,
    recipe: str,
    preset: str,
    title: str,
    data: dict[str, Any],
    code: str,
    started_from: str | None,
    seconds: float,
    packages: tuple[str, ...],
    notes: dict[str, Any],
) -> Card:
    """Make the card of what a run has reached, its files for :func:`fundiff.pretrained.save`.

    Args:
        report: The run's last report.
        plan: How it was trained.
        recipe: The recipe's name.
        preset: The preset's name.
        title: What the network does, in a line.
        data: What it was trained on, with the data's digest.
        code: The digest of the recipe's code, from before the run.
        started_from: The digest of the card of the weights that it started from, or None.
        seconds: How long it took.
        packages: The packages whose versions matter.
        notes: What was measured and what should be known, beside whether the run is finished.

    Returns:
        The card.
    """
    return Card(
        recipe=recipe,
        preset=preset,
        title=title,
        parameters=sum(weight.numel() for weight in report.network.parameters()),
        plan=asdict(plan),
        data=data,
        code=code,
        started_from=started_from,
        steps=report.step,
        pictures=report.step * plan.batch_size,
        seconds=round(seconds),
        device=device_words(),
        versions={name: version(name) for name in packages},
        date=datetime.now(UTC).date().isoformat(),
        losses=[round(part.mean().item(), 5) for part in report.losses.chunk(200)],
        notes={"finished": report.step == plan.steps, **notes},
        files={},
    )


def is_stale(folder: Path, preset: str, plan: Plan, code: str) -> bool:
    """Tell whether a recipe's weights are older than what makes them.

    Args:
        folder: The folder of weights.
        preset: The preset that they should be of.
        plan: The preset's plan.
        code: The digest of the recipe's code.

    Returns:
        True where there are none, they are damaged or unfinished, or the preset, its precision
        left aside, or the code has changed since.
    """
    try:
        card = verify(folder)
    except WeightsError:
        return True
    wanted = json.loads(json.dumps(asdict(plan))) | {"precision": card.plan.get("precision")}
    return not (
        card.preset == preset
        and card.plan == wanted
        and card.code == code
        and card.notes["finished"]
    )
