"""Folders in the format of DeepFloyd IF's stage I: what is in them, how they are read and made."""

import copy
import hashlib
import json
import math
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from accelerate import cpu_offload
from diffusers import DDPMScheduler, DiffusionPipeline, IFPipeline, UNet2DConditionModel
from diffusers.utils import logging
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

from fundiff.errors import FundiffError
from fundiff.files import sha256
from fundiff.models.placement import Placement
from fundiff.models.text_encoder import Embeddings, variant
from fundiff.models.weights import Card

PREDICTIONS = ("epsilon", "v_prediction", "sample")


class ModelError(FundiffError):
    """A text-to-image model that can't be used; the message says why and what to do."""


def read_index(source: str) -> dict[str, object]:
    """Read what a pipeline is made of, and refuse what isn't stage I of IF."""
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


def fold_of(name: str, unet: UNet2DConditionModel) -> int:
    """Find how many pixels a side the network sees in one place."""
    into, out = unet.config.in_channels, unet.config.out_channels
    fold = math.isqrt(into // 3)
    if unet.config.class_embed_type is not None or (into == 6 and out == 6):
        raise ModelError(f"{name} is a stage II, which enlarges pictures: name a stage I")
    if into != 3 * fold**2 or out not in (into, 2 * into):
        raise ModelError(
            f"{name} takes {into} channels and returns {out}; stage I takes 3, or 3 times a square "
            "for folded pixels, and returns as many or twice as many"
        )
    return fold


def kept_embeddings(folder: Path) -> dict[str, Embeddings]:
    """Read the embeddings that lie in a folder beside its network, a row for each prompt."""
    if not (folder / "prompts.json").is_file():
        return {}
    prompts = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    rows = safetensors.torch.load((folder / "prompts.safetensors").read_bytes())
    return {prompt: rows[str(row)][None].float() for row, prompt in enumerate(prompts)}


def threshold_of(scheduler: DDPMScheduler) -> tuple[float, float] | None:
    """Return the quantile and the largest value of dynamic thresholding, where a model does it."""
    config = scheduler.config
    if not config.thresholding:
        return None
    return config.dynamic_thresholding_ratio, config.sample_max_value


def digest_of(folder: Path, card: Card | None) -> str:
    """Digest a folder's weights, by its card where it has one."""
    if card is not None:
        return card.identity[:16]
    digests = [sha256(path) for path in sorted((folder / "unet").glob("*.safetensors"))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


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
        ModelError: There is none that can be read.
    """
    try:
        with _quiet():
            return UNet2DConditionModel.from_pretrained(
                source, subfolder="unet", dtype=dtype, variant=variant(source, "unet", dtype)
            )
    except OSError as error:
        raise ModelError(f"{source} has no network that can be read: {error}") from error


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
    with _quiet():
        return UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)


@contextmanager
def _quiet() -> Generator[None, None, None]:
    """Keep diffusers' bars over the shards of a network away; those of fetching it stay."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
