"""The recipes by name, as ``python -m fundiff train`` finds them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from fundiff.captioned import module_digest
from fundiff.pretrained import Card
from fundiff.recipes import digits, image_text, text_to_image
from fundiff.recipes.common import choose, is_stale
from fundiff.training import Plan, Report


@runtime_checkable
class Planned(Protocol):
    """A preset, as far as every recipe's is alike."""

    @property
    def plan(self) -> Plan:
        """How the network is trained."""
        ...


@runtime_checkable
class Run(Protocol):
    """What makes a recipe's weights, or goes on making them."""

    def __call__(
        self,
        preset: str,
        data: Path | None,
        runs: Path,
        out: Path,
        *,
        seconds: float = math.inf,
        init: Path | None = None,
        compiled: bool = False,
        say: Callable[[Report], object] = ...,
    ) -> Card:
        """Train, write the weights that are reached, and return their card."""
        ...


@dataclass(frozen=True)
class Recipe:
    """One of the training runs.

    Attributes:
        name: Its name, and that of the folder of weights that ships.
        run: What makes its weights.
        presets: Its presets by name.
        code: The modules below ``fundiff`` whose code decides the result.
    """

    name: str
    run: Run
    presets: Mapping[str, Planned]
    code: tuple[str, ...]

    def plan(self, preset: str) -> Plan:
        """Return the plan of a preset.

        Raises:
            ValueError: There is no such preset.
        """
        return choose(self.name, self.presets, preset).plan

    def is_stale(self, folder: Path, preset: str) -> bool:
        """Tell whether weights are older than what makes them.

        Args:
            folder: The folder of weights.
            preset: The preset that they should be of.

        Returns:
            True where there are none, they are damaged or unfinished, or the preset or the code
            has changed since.

        Raises:
            ValueError: There is no such preset.
        """
        return is_stale(folder, preset, self.plan(preset), module_digest(*self.code))


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("text-to-image", text_to_image.run, text_to_image.PRESETS, text_to_image.CODE),
        Recipe("image-text", image_text.run, image_text.PRESETS, image_text.CODE),
        *(Recipe(each.name, each.run, each.presets, digits.CODE) for each in digits.RECIPES),
    )
}
"""The recipes by name, in the order in which the project trains them."""
