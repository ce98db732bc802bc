"""Trained weights, and measurements of them, in folders with a card that says what is in them.

The card, ``card.json``, has the SHA-256 of every other file. A folder is read only if it holds
just these files, unchanged. Weights are safetensors; nothing is ever unpickled.
"""

import glob
import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib.resources import files as package_files
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from fundiff.errors import FundiffError
from fundiff.files import (
    OccupiedError,
    abandoned,
    partial_of,
    prepare,
    require_free,
    sha256,
    sync_folder,
    write,
)

CARD = "card.json"

PICKLES = frozenset({".bin", ".ckpt", ".pickle", ".pkl", ".pt", ".pth"})


class WeightsError(FundiffError):
    """Weights that aren't what their card or their configuration says; the message names them."""


@dataclass(frozen=True)
class Card:
    """What some weights are and what made them.

    Attributes:
        recipe: The recipe's name.
        preset: The recipe's preset.
        title: What the network does, in a line.
        parameters: How many weights it has.
        plan: The plan of the training, by field.
        data: What it was trained on, with the data's digest.
        code: The digest of the code of the recipe and the task.
        started_from: The identity of the weights that the run started from, or None.
        steps: How many steps were made.
        pictures: How many pictures were seen, counting repeats.
        seconds: How long it took.
        device: What it ran on.
        versions: The versions of the packages that matter.
        date: The day on which it ended, ISO 8601, UTC.
        losses: The loss over the run, as means of equal stretches.
        notes: What was measured and what should be known.
        files: The SHA-256 of each file of the folder, by its name.
    """

    recipe: str
    preset: str
    title: str
    parameters: int
    plan: dict[str, Any]
    data: dict[str, Any]
    code: str
    started_from: str | None
    steps: int
    pictures: int
    seconds: float
    device: str
    versions: dict[str, str]
    date: str
    losses: list[float]
    notes: dict[str, Any]
    files: dict[str, str]

    @property
    def identity(self) -> str:
        """What the weights are known by, the digest of the files' digests."""
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Measurement:
    """What was measured of some weights.

    Attributes:
        name: The measurement's name.
        title: What it says, in a line.
        weights: The identity of each of the weights that were used, by name.
        data: What they were measured on, with its digest.
        settings: The numbers that were chosen.
        results: What was found.
        seconds: How long it took.
        device: What it ran on.
        versions: The versions of the packages that matter.
        date: The day on which it ended, ISO 8601, UTC.
        files: The SHA-256 of each file of the folder, by its name.
    """

    name: str
    title: str
    weights: dict[str, str]
    data: dict[str, Any]
    settings: dict[str, Any]
    results: dict[str, Any]
    seconds: float
    device: str
    versions: dict[str, str]
    date: str
    files: dict[str, str]


AnyCard = TypeVar("AnyCard", Card, Measurement)


def save(folder: Path, contents: Mapping[str, bytes], card: AnyCard) -> AnyCard:
    """Write a folder of weights or of a measurement and its card, in place of one that is there.

    Args:
        folder: The folder; it is replaced as a whole, by renames. A link to a folder stays one.
        contents: Its files by name; a name may have folders in it.
        card: The card; its ``files`` are filled in here.

    Returns:
        The card as it was written.

    Raises:
        WeightsError: A name is a pickle's or leads out of the folder.
        OccupiedError: As :func:`require_replaceable`.
        PlaceError: As :func:`require_replaceable`.
        OSError: Something can't be written; the old folder is left.
    """
    for name in contents:
        _require_safe(folder, name)
    require_replaceable(folder)
    folder = folder.resolve()
    prepare(folder.parent)
    new, old = partial_of(folder), partial_of(folder)
    new.mkdir()
    try:
        for name, data in contents.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            write(new / name, data)
        digests = {name: sha256(new / name) for name in sorted(contents)}
        written = replace(card, files=digests)
        text = json.dumps(asdict(written), indent=1, ensure_ascii=False)
        write(new / CARD, text.encode() + b"\n")
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    for left in (old, *abandoned(folder.parent, glob.escape(folder.name))):
        shutil.rmtree(left, ignore_errors=True)
    return written


def require_replaceable(folder: Path) -> None:
    """Refuse to replace a folder with anything in it that no card of this library speaks of.

    Args:
        folder: Where :func:`save` is to write.

    Raises:
        OccupiedError: It isn't a folder, or has something in it, and no card; or it has a card and
            something besides that the card doesn't know.
        PlaceError: Nothing can be written to the folder that it lies in.
    """
    if folder.exists() and not folder.is_dir():
        raise OccupiedError(f"{folder} is there already, and isn't a folder: choose another place")
    require_free(folder, lambda path: (path / CARD).is_file(), kind=f"a folder with a {CARD}")
    if (folder / CARD).is_file():
        try:  # the fields of an older card may differ
            known = {CARD, *json.loads((folder / CARD).read_bytes())["files"]}
        except (KeyError, RecursionError, TypeError, ValueError):
            known = set[str]()
        if strange := sorted(_found(folder).keys() - known):
            raise OccupiedError(
                f"{folder / strange[0]} isn't known to a {CARD} of this library: it is left alone; "
                "move it away, or choose another place"
            )


def verify(folder: Path) -> Card:
    """Read the card of a folder of weights and check that the folder is what it says.

    Args:
        folder: A folder that :func:`save` wrote.

    Returns:
        The card.

    Raises:
        WeightsError: There is no card, or one that can't be read; a file is missing, differs, is a
            pickle, or isn't known to the card.
    """
    return _verified(folder, Card)


def measured(folder: Path) -> Measurement:
    """Read the card of a folder of measurements; argument and errors are those of :func:`verify`.

    Returns:
        The card.
    """
    return _verified(folder, Measurement)


def _verified(folder: Path, kind: type[AnyCard]) -> AnyCard:
    card, found = _read_card(folder, kind), _found(folder)
    found.pop(CARD)
    for name, path in sorted(found.items()):
        _require_safe(folder, name)
        if path.is_symlink() or name not in card.files:
            raise WeightsError(f"{path} isn't known to the folder's card: remove it")
    for name, digest in card.files.items():
        _require_safe(folder, name)
        if name not in found:
            raise WeightsError(f"{folder / name} is missing: fetch the weights again")
        if sha256(found[name]) != digest:
            raise WeightsError(
                f"{folder / name} isn't the file that its card describes: fetch the weights again"
            )
    return card


def shipped(name: str) -> Path:
    """Find the folder of weights that came with the package.

    Args:
        name: The recipe's name.

    Returns:
        The folder.

    Raises:
        WeightsError: The package has no weights of that name.
    """
    root = Path(str(package_files("fundiff"))) / "weights"
    names = sorted(path.parent.name for path in root.glob(f"*/{CARD}"))
    if name not in names:
        raise WeightsError(f"no weights called {name} came with fundiff, only {names}")
    return root / name


def weights(network: nn.Module, *, dtype: torch.dtype = torch.float16) -> bytes:
    """Pack a network's weights and buffers as safetensors.

    Args:
        network: The network.
        dtype: What floating-point numbers are rounded to.

    Returns:
        The file's bytes.
    """
    return safetensors.torch.save(
        {
            name: (value.to(dtype) if value.is_floating_point() else value).cpu().contiguous()
            for name, value in network.state_dict().items()
        }
    )


def load_weights(network: nn.Module, folder: Path, name: str = "model.safetensors") -> Card:
    """Read a network's weights from a folder, after checking it.

    Args:
        network: A network of the same shape; its weights are replaced, in its own precision.
        folder: A folder that :func:`save` wrote.
        name: The file of weights in it.

    Returns:
        The folder's card.

    Raises:
        WeightsError: The folder isn't what its card says, or the weights don't fit the network.
    """
    card = verify(folder)
    if name not in card.files:
        raise WeightsError(f"{folder} has no {name}, only {', '.join(card.files)}")
    try:
        found: dict[str, Tensor] = safetensors.torch.load((folder / name).read_bytes())
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{folder / name} should be a file of weights: {error}") from error
    wanted = network.state_dict()
    misfits = sorted(
        key
        for key in found.keys() | wanted.keys()
        if key not in found or key not in wanted or found[key].shape != wanted[key].shape
    )
    if misfits:
        raise WeightsError(
            f"{folder / name} doesn't fit the network, in {len(misfits)} places such as "
            f"{misfits[0]}"
        )
    network.load_state_dict(found)
    return card


def _read_card(folder: Path, kind: type[AnyCard]) -> AnyCard:
    try:
        values = json.loads((folder / CARD).read_text(encoding="utf-8"))
        names = {field.name for field in fields(kind)}
        if values.keys() != names:
            raise ValueError(f"its fields differ in {', '.join(sorted(values.keys() ^ names))}")
        if wrong := [each.name for each in fields(kind) if not _is_a(values[each.name], each.type)]:
            raise ValueError(f"what it says of {', '.join(wrong)} isn't of the right kind")
        return kind(**values)
    except (OSError, RecursionError, ValueError, AttributeError) as error:
        what = "measurements" if kind.__name__ == Measurement.__name__ else "weights"
        raise WeightsError(
            f"{folder} should be a folder of {what} with a {CARD}: {error}"
        ) from error


def _is_a(value: object, kind: Any) -> bool:  # noqa: ANN401  # a type, of any kind
    """Tell whether a value of JSON is of the kind that a field is annotated with."""
    if isinstance(kind, UnionType):
        return any(_is_a(value, each) for each in get_args(kind))
    if kind in (float, Any):
        return kind is Any or isinstance(value, int | float)
    if not isinstance(value, get_origin(kind) or kind):
        return False
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_is_a(each, get_args(kind)[-1]) for each in inside)


def _found(folder: Path) -> dict[str, Path]:
    """List what is in a folder, links among it, by name."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


def _require_safe(folder: Path, name: str) -> None:
    path = Path(name)
    if path.suffix.lower() in PICKLES:
        raise WeightsError(
            f"{folder / name} is a pickle, which can run code when it is read: only safetensors "
            "are accepted"
        )
    if path.is_absolute() or ".." in path.parts or name in ("", CARD):
        raise WeightsError(f"{name!r} is no name for a file in {folder}")
