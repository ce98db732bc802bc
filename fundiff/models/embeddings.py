"""Embeddings of prompts in files: made once, so that a large encoder isn't needed again."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from fundiff.errors import FundiffError
from fundiff.files import require_free, write
from fundiff.models.text_encoder import TOKENS, Embeddings

CACHE = "FUNDIFF_CACHE"
"""The environment variable that names the folder of what is kept between runs."""

Encoder = Callable[[Sequence[str]], Embeddings]


class EmbeddingsError(FundiffError):
    """A file of embeddings can't be used; the message says why."""


def write_embeddings(prompts: Sequence[str], embeddings: Embeddings, path: Path) -> None:
    """Write embeddings in half precision, with their prompts in the file's header.

    Args:
        prompts: The prompts.
        embeddings: A row for each.
        path: The file; one of embeddings that is there is replaced.

    Raises:
        OccupiedError: Something else is there.
        OSError: The file can't be written.
    """
    require_free(path, _has_prompts, kind="a file of embeddings")
    rows = {str(i): row.half().cpu() for i, row in enumerate(embeddings)}
    write(path, safetensors.torch.save(rows, metadata={"prompts": json.dumps(list(prompts))}))


def read_embeddings(path: Path, width: int) -> dict[str, Embeddings]:
    """Read a file of embeddings.

    Args:
        path: The file.
        width: How many numbers a token should have.

    Returns:
        A row for each prompt, float32.

    Raises:
        EmbeddingsError: It isn't such a file, or is for another encoder.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            prompts = json.loads(file.metadata()["prompts"])
            rows = {word: file.get_tensor(str(i))[None] for i, word in enumerate(prompts)}
    except (OSError, KeyError, TypeError, ValueError, safetensors.SafetensorError) as error:
        raise EmbeddingsError(f"{path} should be a file of embeddings: {error}") from error
    for word, row in rows.items():
        if row.shape != (1, TOKENS, width):
            raise EmbeddingsError(
                f"{path} has {[*row.shape[1:]]} numbers for {word!r}, where the model wants "
                f"{[TOKENS, width]}: they are of another encoder"
            )
    return {word: row.float() for word, row in rows.items()}


def _has_prompts(path: Path) -> bool:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return "prompts" in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False


class CachedEncoder:
    """An encoder that is asked once for each prompt, ever: its answers are kept in files.

    Args:
        encoder: The encoder.
        identity: Names the encoder and its weights.
        width: How many numbers a token has.
    """

    def __init__(self, encoder: Encoder, *, identity: str, width: int) -> None:
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        self._encoder, self._width = encoder, width
        self._folder = cache_folder() / "embeddings" / name

    def __call__(self, prompts: Sequence[str]) -> Embeddings:
        """Encode prompts, from the files where they are there.

        Args:
            prompts: The prompts, at least one.

        Returns:
            A row for each, float32.
        """
        found = {prompt: self._read(prompt) for prompt in prompts}
        new = [prompt for prompt, row in found.items() if row is None]
        if new:
            for prompt, row in zip(new, self._encoder(new).cpu().split(1), strict=True):
                found[prompt] = row
                self._keep(prompt, row)
        return torch.cat([row for prompt in prompts if (row := found[prompt]) is not None])

    def _path(self, prompt: str) -> Path:
        return self._folder / f"{hashlib.sha256(prompt.encode()).hexdigest()[:32]}.safetensors"

    def _keep(self, prompt: str, row: Embeddings) -> None:
        content = safetensors.torch.save({"row": row.clone()}, {"prompt": prompt})
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write(self._path(prompt), content)
        except OSError as error:
            warnings.warn(f"the embedding of {prompt!r} can't be kept: {error}", stacklevel=4)

    def _read(self, prompt: str) -> Embeddings | None:
        path = self._path(prompt)
        if not path.is_file():
            return None
        try:
            row = safetensors.torch.load(path.read_bytes())["row"]
        except (KeyError, safetensors.SafetensorError):
            row = None
        if row is None or row.shape != (1, TOKENS, self._width):
            warnings.warn(f"{path} is damaged; {prompt!r} is encoded again", stacklevel=3)
            return None
        return row


def cache_folder() -> Path:
    """Return where things are kept between runs.

    Returns:
        What the environment variable ``FUNDIFF_CACHE`` says, else ``fundiff`` in the user's folder
        for such things.
    """
    chosen = os.environ.get(CACHE)
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fundiff"
