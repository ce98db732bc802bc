"""Embeddings of prompts in files: made once, so that a large encoder isn't needed again."""

import hashlib
import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from fundiff.errors import FundiffError, FundiffWarning
from fundiff.files import DAMAGE, OccupiedError, PlaceError, parent_of, prepare, require_free, write
from fundiff.models.text_encoder import TOKENS, Embeddings, unknown, unread

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
        PlaceError: Nothing can be written to its folder.
        OSError: The file can't be written.
    """
    require_embeddings_free(path)
    prepare(parent_of(path))
    rows = {str(i): row.half().cpu() for i, row in enumerate(embeddings)}
    write(path, safetensors.torch.save(rows, metadata={"prompts": json.dumps(list(prompts))}))


def require_embeddings_free(path: Path) -> None:
    """Refuse a place for :func:`write_embeddings` where something else lies.

    Args:
        path: The file.

    Raises:
        OccupiedError: Something else is there.
        PlaceError: Nothing can be written to its folder.
    """
    if path.is_dir():
        raise OccupiedError(f"{path} is a folder: name a file in it")
    require_free(path, _has_prompts, kind="a file of embeddings")


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
    except DAMAGE as error:
        raise EmbeddingsError(f"{path} should be a file of embeddings: {error}") from error
    return fitting(rows, width, path)


def fitting(rows: Mapping[str, Tensor], width: int, path: Path) -> dict[str, Embeddings]:
    """Refuse embeddings that a model can't take.

    Args:
        rows: A row for each prompt.
        width: How many numbers a token should have.
        path: Where they were read.

    Returns:
        The rows in float32.

    Raises:
        EmbeddingsError: One has another shape, or a number that isn't finite.
    """
    for word, row in rows.items():
        if row.shape != (1, TOKENS, width):
            raise EmbeddingsError(
                f"{path} has {[*row.shape[1:]]} numbers for {word!r}, where the model wants "
                f"{[TOKENS, width]}: they are of another encoder"
            )
        if not row.isfinite().all():
            raise EmbeddingsError(f"{path} is damaged: numbers for {word!r} aren't finite")
    return {word: row.float() for word, row in rows.items()}


def _has_prompts(path: Path) -> bool:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return "prompts" in (file.metadata() or {})
    except DAMAGE:
        return False


class CachedEncoder:
    """An encoder that is asked once for each prompt, ever: its answers are kept in files.

    A prompt of which not all is read is told of by a warning.

    Args:
        encoder: The encoder.
        tokenizer: Returns what cuts its prompts into tokens, when that is first needed.
        identity: Names the encoder and its weights.
        width: How many numbers a token has.
    """

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Callable[[], PreTrainedTokenizerBase],
        *,
        identity: str,
        width: int,
    ) -> None:
        self._encoder, self._tokenizer, self._width = encoder, tokenizer, width
        self._name = hashlib.sha256(identity.encode()).hexdigest()[:16]

    def __call__(self, prompts: Sequence[str]) -> Embeddings:
        """Encode prompts, from the files where they are there.

        Args:
            prompts: The prompts, at least one.

        Returns:
            A row for each, float32.
        """
        for prompt in prompts:
            if prompt.isascii() and len(prompt) < TOKENS - 2:
                continue  # no character is more than a token, and each is known
            tokenizer = self._tokenizer()
            if rest := unread(tokenizer, prompt):
                said = f"a prompt is read up to {TOKENS} tokens; what isn't read any more: {rest!r}"
                warnings.warn(said, FundiffWarning, stacklevel=3)
            if strange := unknown(tokenizer, prompt):
                said = f"the text encoder doesn't know, and reads as nothing: {', '.join(strange)}"
                warnings.warn(said, FundiffWarning, stacklevel=3)
        found = {prompt: self._read(prompt) for prompt in prompts}
        new = [prompt for prompt, row in found.items() if row is None]
        if new:
            for prompt, row in zip(new, self._encoder(new).cpu().split(1), strict=True):
                found[prompt] = row
                self._keep(prompt, row)
        return torch.cat([row for prompt in prompts if (row := found[prompt]) is not None])

    def _path(self, prompt: str) -> Path:
        digest = hashlib.sha256(prompt.encode()).hexdigest()[:32]
        return cache_folder() / "embeddings" / self._name / f"{digest}.safetensors"

    def _keep(self, prompt: str, row: Embeddings) -> None:
        content = safetensors.torch.save({"row": row.clone()}, {"prompt": prompt})
        try:
            path = self._path(prompt)
            prepare(path.parent)
            write(path, content)
        except (OSError, PlaceError) as error:
            said = f"the embedding of {prompt!r} can't be kept: {error}"
            warnings.warn(said, FundiffWarning, stacklevel=4)

    def _read(self, prompt: str) -> Embeddings | None:
        try:
            path = self._path(prompt)
            row = safetensors.torch.load(path.read_bytes())["row"]
            fitting({prompt: row}, self._width, path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except DAMAGE as error:
            said = f"what is kept of {prompt!r} can't be used ({error}); it is encoded again"
            warnings.warn(said, FundiffWarning, stacklevel=4)
            return None
        return row


def cache_folder() -> Path:
    """Return where things are kept between runs.

    Returns:
        What the environment variable ``FUNDIFF_CACHE`` says, else ``fundiff`` in the user's folder
        for such things.

    Raises:
        FileNotFoundError: The user has no folder.
    """
    chosen = os.environ.get(CACHE)
    try:
        if chosen:
            return Path(chosen).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fundiff"
    except RuntimeError as error:
        raise FileNotFoundError(f"there is no home folder; {CACHE} can name another") from error
