"""The states of a training run on disk: whichever moment it is stopped at, the last one is whole.

A state is a safetensors file and, written after it, a manifest with its SHA-256. A state counts
when its manifest is there and true. Two are kept, so that one that was damaged later has one
before it.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
from filelock import FileLock, Timeout
from torch import Tensor

from fundiff.errors import FundiffError, FundiffWarning
from fundiff.files import prepare, sha256, write

KEPT = 2


class RunError(FundiffError):
    """A training run that can't go on as it is; the message says why and what to do."""


class Checkpoints:
    """The states of one run, in one folder that one process at a time may use.

    Args:
        folder: Where they lie; made if it isn't there.
        identity: What the run is, as JSON values by name. A folder belongs to one identity.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self.identity = json.loads(json.dumps(identity))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder alone, and clear away what a kill in the middle of a write left there.

        Raises:
            RunError: Another process holds it.
            PlaceError: Nothing can be written to it.
        """
        prepare(self.folder)
        lock = FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise RunError(
                f"another process trains in {self.folder}: wait for it, or give another folder"
            ) from error
        try:
            for left in self.folder.glob(".step-*.partial"):
                left.unlink()
            yield
        finally:
            lock.release()

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """Keep a state, and forget all but the last ones.

        Args:
            step: How many steps have been made.
            tensors: Everything that the next step depends on.

        Raises:
            RunError: It can't be written, as on a full disk; the states before it are untouched.
        """
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        path = self._path(step)
        try:
            write(path, safetensors.torch.save(whole))
            manifest = {"step": step, "sha256": sha256(path), "identity": self.identity}
            write(path.with_suffix(".json"), json.dumps(manifest, indent=1).encode())
        except OSError as error:
            raise RunError(
                f"the state after step {step} can't be written to {self.folder} ({error}): mend "
                f"that and start again, which goes on from {self._last() or 'the beginning'}"
            ) from error
        for old in self._paths()[KEPT:]:
            old.unlink(missing_ok=True)
            old.with_suffix(".safetensors").unlink(missing_ok=True)

    def load(self) -> tuple[int, dict[str, Tensor]] | None:
        """Read the last state that is whole; one that isn't is passed over with a warning.

        Returns:
            How many steps had been made, and the tensors; None where there is no state yet.

        Raises:
            RunError: The folder belongs to another run, or no state in it is whole.
        """
        damaged = []
        for path in self._paths():
            try:
                manifest = json.loads(path.read_bytes())
                step, found = manifest["step"], dict(manifest["identity"])
                if self._path(step).stem != path.stem:
                    raise ValueError(f"it says that it is of step {step}")
                tensors = path.with_suffix(".safetensors")
                if sha256(tensors) != manifest["sha256"]:
                    raise ValueError("its SHA-256 differs")
                loaded = safetensors.torch.load(tensors.read_bytes())
            except (OSError, ValueError, KeyError, TypeError) as error:
                damaged.append(f"{path.stem} ({error})")
                continue
            self._require_same(found)
            if damaged:
                warnings.warn(
                    f"passed over what is damaged in {self.folder}: {'; '.join(damaged)}; going on "
                    f"from {path.stem}",
                    FundiffWarning,
                    stacklevel=2,
                )
            return int(step), loaded
        if damaged:
            raise RunError(
                f"no state in {self.folder} is whole: {'; '.join(damaged)}; remove the folder to "
                "start again"
            )
        return None

    def _require_same(self, found: Mapping[str, Any]) -> None:
        names = sorted(found.keys() | self.identity.keys())
        changed = [
            f"{name}: {found.get(name)!r} became {self.identity.get(name)!r}"
            for name in names
            if found.get(name) != self.identity.get(name)
        ]
        if changed:
            raise RunError(
                f"{self.folder} belongs to another run ({'; '.join(changed)}): give another "
                "folder, or remove this one"
            )

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:08d}.safetensors"

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.json"), reverse=True)

    def _last(self) -> str | None:
        return next((path.stem for path in self._paths()), None)
