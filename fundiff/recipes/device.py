"""Where a recipe runs, in which precision, and how long it has taken."""

import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from fundiff.files import prepare, write
from fundiff.models.placement import bf16_is_fast
from fundiff.training.plan import Plan


def device_here() -> str:
    """Say where a recipe runs: ``cuda`` where there is a GPU, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_words() -> str:
    """Describe the device in words, for the card."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"


def suited(plan: Plan, runs: Path | None = None) -> Plan:
    """Fit a plan's precision to the machine: bfloat16 on a CPU only where that is fast.

    Args:
        plan: The plan, for a GPU.
        runs: Where the run's states lie, if anywhere; what the first slice chose holds for the
            others, also on another machine.

    Returns:
        The plan as it is on a GPU, else in the precision of this run.
    """
    if device_here() == "cuda":
        return plan
    chosen: Literal["bf16", "fp32"] = "bf16" if bf16_is_fast() else "fp32"
    if runs is not None:
        path = runs / "precision.json"
        before = kept(path)
        if before in ("bf16", "fp32"):
            return replace(plan, precision=before)
        prepare(runs)
        write(path, json.dumps(chosen).encode())
    return replace(plan, precision=chosen)


def spent(runs: Path, seconds: float) -> float:
    """Add up the seconds of a run's slices, in a file beside its states.

    Args:
        runs: Where the run's states lie.
        seconds: How long the slice took that has just ended.

    Returns:
        The seconds of all slices.
    """
    path = runs / "seconds.json"
    before = kept(path)
    total = seconds + (before if isinstance(before, int | float) else 0.0)
    write(path, json.dumps(total).encode())
    return total


def kept(path: Path) -> Any:  # noqa: ANN401  # JSON is anything
    """Read what a slice of a run has kept; None where there is nothing, or it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
