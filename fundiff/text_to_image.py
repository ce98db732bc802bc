"""Text-to-image models in the format of DeepFloyd IF: a U-Net over pixels in a folder."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from diffusers import DDPMScheduler, IFPipeline, UNet2DConditionModel

from fundiff.text_encoder import Embeddings


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
    return UNet2DConditionModel.from_pretrained(folder / "unet", dtype=torch.float32)
