"""The one runner of all recipes: it trains what ships, or goes on training it, and writes the card.

A recipe has presets: ``full`` for a GPU, ``cpu`` for two cores, which gives a preview. Its data is
made once and kept; its run is kept in slices that survive being stopped; its result is a folder of
weights with a card (see :mod:`fundiff.models.weights`).
"""

import hashlib
import json
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from fundiff.digest import code_digest
from fundiff.errors import FundiffError
from fundiff.files import write
from fundiff.models.weights import Card, WeightsError, require_replaceable, save, verify
from fundiff.recipes.device import device_words, spent, suited
from fundiff.training.loop import train
from fundiff.training.plan import Plan, Report, Task

KEPT = "full"
"""The preset whose weights no other preset replaces unasked."""

TRIED = 20
"""After how many steps :meth:`Recipe.trial` looks at the weights."""


@dataclass(frozen=True)
class Preset:
    """One length of a recipe.

    Attributes:
        plan: How the network is trained.
        shown: After which steps samples are kept, steps with a report, each with the file's name.
    """

    plan: Plan
    shown: Mapping[int, str] = field(default_factory=dict)


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


@dataclass(frozen=True, eq=False)
class Recipe:
    """One of the training runs whose weights the project ships.

    Attributes:
        name: Its name, and that of the folder of weights that ships.
        title: What the network does, in a line.
        presets: Its presets by name.
        prepare: Makes its training.
        roots: What defines task, data and network; their code, and all that they use, decides the
            result.
        packages: The packages whose versions matter.
    """

    name: str
    title: str
    presets: Mapping[str, Preset]
    prepare: Prepare
    roots: tuple[Callable[..., object], ...]
    packages: tuple[str, ...] = ("torch",)

    @property
    def code(self) -> str:
        """The digest of the code that decides the result."""
        return code_digest(*self.roots, train)

    def preset(self, name: str) -> Preset:
        """Find a preset.

        Raises:
            FundiffError: There is no such preset.
        """
        if name not in self.presets:
            raise FundiffError(
                f"{self.name} has the presets {', '.join(self.presets)}, not {name!r}"
            )
        return self.presets[name]

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
            data: The folder of the training set; None for the usual one.
            runs: Where the run's states lie.
            out: The folder of weights to write.
            seconds: Stop after about so long; call again to go on.
            init: A folder of weights to start from, with a new optimiser and a new warm-up.
            compiled: Compile the network, which pays on a GPU.
            say: Is told every report.

        Returns:
            The card of what was written.

        Raises:
            FundiffError: There is no such preset.
            OccupiedError: The folder to write has something else in it.
            RunError: As :func:`fundiff.training.loop.train`.
            WeightsError: ``init`` isn't a folder of weights, or doesn't fit; or weights that judge
                the samples are missing.
        """
        chosen, code = self.preset(preset), self.code
        require_replaceable(out)
        plan = suited(chosen.plan, runs)
        first = None if init is None else Start(init, verify(init))
        training = self.prepare(replace(chosen, plan=plan), data, first)
        began = time.monotonic()
        steps = train(
            training.task, plan, runs, seconds=seconds, compiled=compiled, chunk=training.chunk
        )
        for report in steps:
            say(report)
            if training.samples is not None and report.step in chosen.shown:
                with evaluated(report.network):
                    write(runs / chosen.shown[report.step], training.samples(report.network))
        took, finished = spent(runs, time.monotonic() - began), report.step == plan.steps
        sheets = [runs / name for step, name in chosen.shown.items() if step <= report.step]
        drawn = {path.name: path.read_bytes() for path in sheets if path.is_file()}
        made = training.finish(report.network.eval(), finished=finished)
        card = Card(
            recipe=self.name,
            preset=preset,
            title=self.title,
            parameters=sum(weight.numel() for weight in report.network.parameters()),
            plan=asdict(plan),
            data=training.data,
            code=code,
            started_from=first and first.card.identity,
            steps=report.step,
            pictures=report.step * plan.batch_size,
            seconds=round(took),
            device=device_words(),
            versions={name: version(name) for name in self.packages},
            date=datetime.now(UTC).date().isoformat(),
            losses=[round(part.mean().item(), 5) for part in report.losses.chunk(200)],
            notes={"finished": finished, "pictures before": _before(first), **made.notes},
            files={},
        )
        return save(out, {**drawn, **made.contents}, card)

    def is_stale(self, folder: Path, preset: str) -> bool:
        """Tell whether weights are older than what makes them.

        Args:
            folder: The folder of weights.
            preset: The preset that they should be of; weights of the preset ``full`` may always be.

        Returns:
            True where there are none, they are damaged or unfinished, or the preset or the code has
            changed since; its precision, and how often states are saved, are left aside.

        Raises:
            FundiffError: There is no such preset.
        """
        wanted = self.preset(preset).plan
        try:
            card = verify(folder)
        except WeightsError:
            return True
        if card.preset == KEPT:
            preset, wanted = KEPT, self.preset(KEPT).plan
        aside = {name: card.plan.get(name) for name in ("precision", "save_every")}
        plan = json.loads(json.dumps(asdict(wanted))) | aside
        found = card.recipe, card.preset, card.plan, card.code, card.notes.get("finished")
        return found != (self.name, preset, plan, self.code, True)

    def trial(self, data: Path | None = None) -> str:
        """Train for twenty steps of the preset ``cpu``, and return a digest of what is learned.

        On one machine it changes with the result of training, and with nothing else.
        """
        chosen = self.preset("cpu")
        plan = replace(suited(chosen.plan), report_every=TRIED, save_every=TRIED)
        training = self.prepare(replace(chosen, plan=plan), data, None)
        with TemporaryDirectory() as folder:
            report = next(train(training.task, plan, Path(folder), chunk=training.chunk))
        content = hashlib.sha256(report.losses.numpy().tobytes())
        for name, value in sorted(report.network.state_dict().items()):
            content.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return content.hexdigest()

    def stamp(self, folder: Path, data: Path | None = None) -> None:
        """Write the digests of today's code into the card of weights that it would make again.

        For the maintainer who has seen that :meth:`trial` gives what it gave before a change.

        Args:
            folder: The folder of weights.
            data: The folder of the training set; None for the usual one.
        """
        card = verify(folder)
        training = self.prepare(self.preset(card.preset), data, None)
        contents = {name: (folder / name).read_bytes() for name in card.files}
        save(folder, contents, replace(card, code=self.code, data=training.data))


def is_kept(folder: Path) -> bool:
    """Tell whether a folder has whole and finished weights of the preset ``full``."""
    try:
        card = verify(folder)
    except WeightsError:
        return False
    return card.preset == KEPT and bool(card.notes.get("finished"))


@contextmanager
def evaluated(network: nn.Module) -> Generator[None, None, None]:
    """Put a network into evaluation for a while."""
    mode = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(mode)


@contextmanager
def seeded(seed: int) -> Generator[None, None, None]:
    """Let torch's own generator start from a seed for a while, as for new weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def _before(first: Start | None) -> int:
    """Count the pictures that weights have learned from before a run."""
    if first is None:
        return 0
    return first.card.pictures + int(first.card.notes.get("pictures before", 0))
