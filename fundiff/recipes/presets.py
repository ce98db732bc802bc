"""What a recipe is made of: its presets, what it starts from, its training, what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import nn

from fundiff.models.weights import Card
from fundiff.training.plan import Plan, Task


@dataclass(frozen=True)
class Preset:
    """One length of a recipe.

    Attributes:
        plan: How the network is trained.
        shown: After which steps samples are kept, steps with a report, each with the file's name.
    """

    plan: Plan
    shown: Mapping[int, str] = field(default_factory=dict)

    def lasting(self, steps: int) -> "Preset":
        """Return the preset with another number of steps, over which its rate rises and falls.

        Args:
            steps: How many, a multiple of ``plan.report_every``.

        Returns:
            The preset, which keeps a state at each quarter and no samples on its way.
        """
        every = self.plan.report_every
        plan = replace(
            self.plan,
            steps=steps,
            warmup=min(self.plan.warmup, steps // 10),
            save_every=max(steps // 4 // every, 1) * every,
        )
        return replace(self, plan=plan, shown={})


class Start(NamedTuple):
    """Weights that a run starts from.

    Attributes:
        folder: Where they lie.
        card: Their card.
    """

    folder: Path
    card: Card


class Made(NamedTuple):
    """What is made of a trained network.

    Attributes:
        contents: The files of the folder of weights, by name.
        notes: What was measured and what should be known, for the card.
    """

    contents: dict[str, bytes]
    notes: dict[str, Any]


@runtime_checkable
class Training(Protocol):
    """A recipe's task on its data, and what is drawn and made of its network.

    Attributes:
        task: What the network learns.
        data: What it learns from, with a digest, for the card.
        chunk: How many samples go through the network together; None for a whole step's.
        samples: Draws samples of a network in evaluation, as a PNG; None where it draws nothing.
    """

    @property
    def task(self) -> Task: ...  # noqa: D102

    @property
    def data(self) -> dict[str, Any]: ...  # noqa: D102

    @property
    def chunk(self) -> int | None: ...  # noqa: D102

    @property
    def samples(self) -> Callable[[nn.Module], bytes] | None: ...  # noqa: D102

    def finish(self, network: nn.Module, *, finished: bool) -> Made:
        """Make of a network in evaluation what ships; measure it if the run is finished."""
        ...


Prepare = Callable[[Any, Path | None, Start | None], Training]
"""Makes a recipe's training from a preset, the folder of its data, and what it starts from."""
