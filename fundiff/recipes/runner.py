"""The one runner of all recipes: it trains what ships, or goes on training it, and writes the card.

A recipe has presets: ``full`` for a GPU, ``cpu`` for two cores, which gives a preview. Its data is
made once and kept; its run is kept in slices that survive being stopped; its result is a folder of
weights with a card (see :mod:`fundiff.models.weights`).
"""

import copy
import hashlib
import json
import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from fundiff.digest import code_digest
from fundiff.errors import FundiffError
from fundiff.files import write
from fundiff.models.weights import Card, WeightsError, require_replaceable, save, verify
from fundiff.recipes.device import device_words, spent, suited
from fundiff.recipes.fitting import COPIED, fitted
from fundiff.recipes.presets import Prepare, Preset, Start
from fundiff.training.loop import train
from fundiff.training.plan import Report

KEPT = "full"
"""The preset whose weights no other preset replaces unasked."""

TRIED = 20
"""After how many steps :meth:`Recipe.trial` looks at the weights."""


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
        fit: bool = False,
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
            compiled: Compile what a step computes, which pays on a GPU.
            fit: Make as many steps as fit into ``seconds``, all else included. When most are made,
                a copy of the weights is kept beside ``out``, with ``-80`` after its name.
            say: Is told every report.

        Returns:
            The card of what was written.

        Raises:
            FundiffError: There is no such preset, or no steps fit.
            OccupiedError: The folder to write has something else in it.
            RunError: As :func:`fundiff.training.loop.train`.
            WeightsError: ``init`` isn't a folder of weights, or doesn't fit; or weights that judge
                the samples are missing.
        """
        began, chosen, code = time.monotonic(), self.preset(preset), self.code
        copy_out = out.with_name(f"{out.name}-{100 * COPIED:.0f}")
        for folder in (out, copy_out) if fit else (out,):
            require_replaceable(folder)
        chosen = replace(chosen, plan=suited(chosen.plan, runs))
        first = None if init is None else Start(init, verify(init))
        training = self.prepare(chosen, data, first)
        way: bool | str = compiled
        if fit:
            left = seconds - (time.monotonic() - began)
            chosen, way = fitted(chosen, training, runs, left, compiled=compiled)
            seconds -= time.monotonic() - began

        def written(report: Report, network: nn.Module, out: Path, took: float) -> Card:
            finished = report.step == chosen.plan.steps
            sheets = [runs / name for step, name in chosen.shown.items() if step <= report.step]
            drawn = {path.name: path.read_bytes() for path in sheets if path.is_file()}
            made = training.finish(network.eval(), finished=finished)
            card = Card(
                recipe=self.name,
                preset=preset,
                title=self.title,
                parameters=sum(weight.numel() for weight in network.parameters()),
                plan=asdict(chosen.plan),
                data=training.data,
                code=code,
                started_from=first and first.card.identity,
                steps=report.step,
                pictures=report.step * chosen.plan.batch_size,
                seconds=round(took),
                device=device_words(),
                versions={name: version(name) for name in self.packages},
                date=datetime.now(UTC).date().isoformat(),
                losses=[round(part.mean().item(), 5) for part in report.losses.chunk(200)],
                notes={"finished": finished, "pictures before": _before(first), **made.notes},
                files={},
            )
            return save(out, {**drawn, **made.contents}, card)

        began, copied = time.monotonic(), not fit
        steps = train(
            training.task, chosen.plan, runs, seconds=seconds, compiled=way, chunk=training.chunk
        )
        for report in steps:
            say(report)
            if training.samples is not None and report.step in chosen.shown:
                with evaluated(report.network):
                    write(runs / chosen.shown[report.step], training.samples(report.network))
            if not copied and report.step >= COPIED * chosen.plan.steps:
                copied = True
                written(report, copy.deepcopy(report.network), copy_out, time.monotonic() - began)
        return written(report, report.network, out, spent(runs, time.monotonic() - began))

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
        self.preset(preset)
        try:
            card = verify(folder)
        except WeightsError:
            return True
        if card.preset == KEPT:
            preset = KEPT
        made = card.code == self.code and card.notes.get("finished") and self._is_of(card, preset)
        return not made

    def _is_of(self, card: Card, preset: str) -> bool:
        """Tell whether weights were trained by the plan that a preset has today."""
        aside = {name: card.plan.get(name) for name in ("precision", "save_every")}
        plan = json.loads(json.dumps(asdict(self.preset(preset).plan))) | aside
        return (card.recipe, card.preset, card.plan) == (self.name, preset, plan)

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

        Raises:
            FundiffError: The weights were trained by another plan than their preset has today.
        """
        card = verify(folder)
        if not self._is_of(card, card.preset):
            raise FundiffError(
                f"{folder} isn't what the preset {card.preset} of {self.name} would make today: "
                "train it again, or leave its card as it is"
            )
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
