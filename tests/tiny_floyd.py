"""Pipelines of the shape of DeepFloyd IF's two stages, with random weights, in folders."""

from pathlib import Path

import torch
from diffusers import DDPMScheduler, IFPipeline, IFSuperResolutionPipeline, UNet2DConditionModel
from transformers import T5Config, T5EncoderModel, T5Tokenizer

WORDS = [
    "a",
    "an",
    "of",
    "photo",
    "dog",
    "man",
    "rocket",
    "ship",
    "oil",
    "painting",
    "high",
    "quality",
    "old",
    "picture",
]
WIDTH = 24


def text() -> tuple[T5Tokenizer, T5EncoderModel]:
    """A tokenizer of a few words and every letter, and an encoder of two layers."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)]
    whole = [(f"\u2581{word}", -2.0) for word in WORDS]
    letters = [(letter, -5.0) for letter in "\u2581abcdefghijklmnopqrstuvwxyz"]
    tokenizer = T5Tokenizer(vocab=[*special, *whole, *letters], extra_ids=0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=3
    )
    return tokenizer, T5EncoderModel(config).eval()


def unet(stage: int) -> UNet2DConditionModel:
    """A network of IF's blocks; stage II sees the small picture too, and how noisy that is."""
    return UNet2DConditionModel(
        sample_size=32,
        in_channels=3 * stage,
        out_channels=6,
        layers_per_block=1,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        down_block_types=("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        cross_attention_dim=32,
        encoder_hid_dim=WIDTH,
        encoder_hid_dim_type="text_proj",
        addition_embed_type="text",
        addition_embed_type_num_heads=2,
        cross_attention_norm="group_norm",
        resnet_time_scale_shift="scale_shift",
        class_embed_type="timestep" if stage == 2 else None,
        attention_head_dim=8,
        act_fn="gelu",
    ).eval()


def stage_one(folder: Path, *, encoder: bool = True) -> None:
    """Save a stage I, with its text encoder or without."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer, text_encoder = text()
        network = unet(1)
    IFPipeline(
        tokenizer=tokenizer if encoder else None,
        text_encoder=text_encoder if encoder else None,
        unet=network,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def stage_two(folder: Path) -> None:
    """Save a stage II."""
    tokenizer, text_encoder = text()
    IFSuperResolutionPipeline(
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        unet=unet(2),
        scheduler=scheduler(),
        image_noising_scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        watermarker=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)


def scheduler() -> DDPMScheduler:
    """IF's scheduler."""
    return DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="epsilon",
        variance_type="learned_range",
        thresholding=True,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.5,
    )
