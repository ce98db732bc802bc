"""What the measurements of weights share: when they are old, and their card."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fundiff.models.weights import Measurement, WeightsError, measured, shipped, verify
from fundiff.recipes.device import device_words


def identities(*names: str) -> dict[str, str]:
    """Say which weights ship, by name.

    Raises:
        WeightsError: There are none of a name, or they are damaged.
    """
    return {name: verify(shipped(name)).identity for name in names}


def is_stale(folder: Path, weights: dict[str, str], data: dict[str, Any]) -> bool:
    """Tell whether results are of other weights, or were measured on other data.

    Args:
        folder: The folder of results.
        weights: The identities of the weights that they should be of, by name.
        data: What they should be measured on.

    Returns:
        True also where there are none, or they are damaged.
    """
    try:
        card = measured(folder)
    except WeightsError:
        return True
    return (card.weights, card.data) != (weights, data)


def measurement(
    name: str,
    title: str,
    *,
    weights: dict[str, str],
    data: dict[str, Any],
    settings: dict[str, Any],
    results: dict[str, Any],
    seconds: float,
) -> Measurement:
    """Make the card of a measurement that has just ended, its files for those who save it."""
    return Measurement(
        name=name,
        title=title,
        weights=weights,
        data=data,
        settings=settings,
        results=results,
        seconds=round(seconds),
        device=device_words(),
        versions={package: version(package) for package in ("torch", "diffusers")},
        date=datetime.now(UTC).date().isoformat(),
        files={},
    )
