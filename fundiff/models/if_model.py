r"""Text-to-image models in the format of DeepFloyd IF: the bundled one, a folder, or the hub's.

One class for all of them. Whatever the network sees and predicts, pixels folded into channels, the
velocity, three channels of variance, a denoiser of it takes pictures and returns the noise in them,
in float32.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import cast

import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from fundiff.files import sha256
from fundiff.guidance import Bound
from fundiff.models.embeddings import (
    CachedEncoder,
    Encoder,
    read_embeddings,
    require_embeddings_free,
    write_embeddings,
)
from fundiff.models.if_format import (
    PREDICTIONS,
    ModelError,
    commit_of,
    digest_of,
    fold_of,
    kept_embeddings,
    minilm,
    placed,
    read_index,
    read_network,
    reading,
    size_of,
    threshold_of,
)
from fundiff.models.placement import Placement, place, this_machine
from fundiff.models.text_encoder import (
    Embeddings,
    T5Encoder,
    TextEncoder,
    encoder_identity,
    t5_size,
)
from fundiff.models.weights import CARD, Card, shipped, verify
from fundiff.process import predict_eps, v_to_eps
from fundiff.rng import noise
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images, Prediction, Times

MODEL = "FUNDIFF_MODEL"
"""The environment variable that names the model which is loaded by default."""

BUNDLED = "text-to-image"
"""The name of the model that ships."""


@dataclass(frozen=True, eq=False)
class PixelNetwork:
    """A diffusers network, as the library's denoisers want a network.

    Attributes:
        unet: The network.
        schedule: The schedule that it was trained on.
        fold: How many pixels a side it sees folded into channels.
        predicts: What it predicts: ``epsilon``, ``v_prediction`` or ``sample``.
        dtype: The precision that it computes in.
    """

    unet: nn.Module
    schedule: NoiseSchedule
    fold: int = 1
    predicts: str = "epsilon"
    dtype: torch.dtype = torch.float32

    def __call__(self, x_t: Images, t: Times, condition: Tensor | None) -> Prediction:
        """Estimate the noise, in float32."""
        if condition is None:
            raise ModelError("a text-to-image network needs an embedding; that of '' means no text")
        folded = pixel_unshuffle(x_t, self.fold).to(self.dtype)
        told = condition.to(self.dtype)
        output: Tensor = self.unet(folded, t, encoder_hidden_states=told).sample
        unfolded = pixel_shuffle(output.float(), self.fold)
        predicted, *variance = unfolded.split(x_t.shape[1], dim=1)
        x_t = x_t.float()
        if self.predicts == "v_prediction":
            predicted = v_to_eps(self.schedule, x_t, t, predicted)
        elif self.predicts == "sample":
            predicted = predict_eps(self.schedule, x_t, t, predicted)
        return Prediction(predicted, *variance)


@dataclass(frozen=True, eq=False)
class TextToImage:
    """A text-to-image model.

    Attributes:
        name: What it was loaded by: a folder, or a name on the hub.
        network: Its network.
        size: The width and height of its pictures.
        width: How many numbers its encoder gives a token.
        placement: Where it runs, and in which precision.
        digest: What its weights are known by: their card's identity, their digest, or the commit.
        threshold: The quantile and the largest value of dynamic thresholding, where the model's
            own sampler does it, for :class:`fundiff.guidance.Thresholded`.
        card: The card of its weights, where it has one.
        embeddings: The digest of the file of embeddings that it was given, if any.
        compiled: Whether its network is compiled, which changes the last bits.
    """

    name: str
    network: PixelNetwork
    size: int
    width: int
    placement: Placement
    digest: str
    threshold: tuple[float, float] | None
    card: Card | None
    _encoder: Encoder
    _known: dict[str, Embeddings] = field(repr=False)
    embeddings: str | None = None
    compiled: bool = False

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self.placement.device

    @property
    def schedule(self) -> NoiseSchedule:
        """The schedule that the network was trained on."""
        return self.network.schedule

    def encode(self, prompts: Sequence[str]) -> Embeddings:
        """Encode prompts; the encoder is loaded only for those that weren't encoded before.

        Args:
            prompts: The prompts, lower-cased and stripped before they are read; "" is the
                unconditional one.

        Returns:
            One row of 77 vectors a prompt, float32, on the model's device.

        Raises:
            ModelError: The model has no encoder for a prompt that it doesn't know.
            EncoderError: The bundled model's encoder isn't installed.
        """
        words = [prompt.lower().strip() for prompt in prompts]
        for word in words:
            if word.encode(errors="ignore").decode() != word:
                raise ModelError(f"expected a prompt in UTF-8, found: {word!a}")
        new = [word for word in dict.fromkeys(words) if word not in self._known]
        if new:
            self._known.update(zip(new, self._encoder(new).cpu().split(1), strict=True))
        return torch.cat([self._known[word] for word in words]).to(self.device)

    def noise(self, count: int = 1, seed: int = 0, *, first: int = 0) -> Images:
        """Draw the noise that a walk starts from, on the model's device.

        Args:
            count: How many pictures.
            seed: The seed; picture ``i`` depends on it and on ``i`` alone.
            first: The number of the first picture.

        Returns:
            The noise, see :func:`fundiff.rng.noise`.
        """
        drawn = noise(count, 3, self.size, self.size, seed=seed, first=first)
        return drawn.to(self.device)

    def denoiser(self, prompt: str = "") -> Bound:
        """Make the denoiser that is told a prompt.

        Args:
            prompt: What the pictures should show; "" for no text.

        Returns:
            The denoiser.

        Raises:
            ModelError: As :meth:`encode`.
            EncoderError: As :meth:`encode`.
        """
        return Bound(self.network, self.encode([prompt]))


def load(
    name: str | Path | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    embeddings: Path | None = None,
    compiled: bool = False,
) -> TextToImage:
    """Load a text-to-image model in IF's format.

    Args:
        name: A folder, a name on the hub such as ``DeepFloyd/IF-I-M-v1.0``, or ``text-to-image``
            for the bundled model; by default what the environment variable ``FUNDIFF_MODEL`` says,
            else the bundled model.
        device: Where it runs; by default the GPU where there is one.
        dtype: The precision of its network; by default what
            :func:`fundiff.models.placement.place` chooses.
        embeddings: A file of :func:`save_embeddings`, whose prompts then need no encoder.
        compiled: Compile its network, once for each shape of a batch. That takes half a minute on
            two cores and then saves a quarter of the time, so it pays from a hundred pictures.

    Returns:
        The model.

    Raises:
        ModelError: There is no such model, it may not be fetched, it isn't stage I in IF's format,
            or a part of it is missing, damaged or a pickle.
        EmbeddingsError: The embeddings aren't for it.
        MemoryShortageError: It doesn't fit this machine.
        WeightsError: The folder has a card, and isn't what the card says.
    """
    name = str(name or os.environ.get(MODEL) or BUNDLED)
    source = str(shipped(name)) if name == BUNDLED else name
    folder, where = Path(source), None if device is None else torch.device(device)
    card = verify(folder) if (folder / CARD).is_file() else None
    with reading(name, folder / "unet"):
        index = read_index(source)
        scheduler = DDPMScheduler.from_pretrained(source, subfolder="scheduler")
        schedule = NoiseSchedule(scheduler.alphas_cumprod)
        predicts = scheduler.config.prediction_type
        if predicts not in PREDICTIONS:
            raise ModelError(f"{name} predicts {predicts!r}; known are {', '.join(PREDICTIONS)}")
        config = UNet2DConditionModel.load_config(source, subfolder="unet")
        with torch.device("meta"):
            plan = UNet2DConditionModel.from_config(config)
        fold = fold_of(name, plan)
        placement = place(
            sum(weight.numel() for weight in plan.parameters()),
            this_machine(),
            device=where,
            dtype=dtype,
            rounding=predicts != "epsilon",
        )
        unet = placed(read_network(source, placement.dtype), placement)
        width, size = int(unet.config.encoder_hid_dim), size_of(name, unet) * fold
        known = kept_embeddings(folder, width)
        digest = digest_of(folder, card) if folder.is_dir() else commit_of(source)
        threshold = threshold_of(scheduler)
    network: nn.Module = unet
    if compiled:
        network = cast(nn.Module, torch.compile(unet, dynamic=False))
    if embeddings is not None:
        known |= read_embeddings(embeddings, width)
    return TextToImage(
        name=name,
        network=PixelNetwork(network, schedule, fold, predicts, placement.dtype),
        size=size,
        width=width,
        placement=placement,
        digest=digest,
        threshold=threshold,
        card=card,
        _encoder=_encoder(name, source, index, width, placement.device),
        _known=known,
        embeddings=None if embeddings is None else sha256(embeddings)[:16],
        compiled=compiled,
    )


def save_embeddings(model: TextToImage, prompts: Sequence[str], path: Path) -> None:
    """Encode prompts once and keep that, so that the encoder isn't needed for them again.

    The file is safetensors in half precision, with the prompts in its header; that of "" is always
    among them.

    Args:
        model: The model whose prompts they are; any model with the same encoder can read them.
        prompts: The prompts.
        path: The file to write; one of embeddings that is there is replaced.

    Raises:
        ModelError: As :meth:`TextToImage.encode`.
        EncoderError: As :meth:`TextToImage.encode`.
        OccupiedError: Something else is there.
        PlaceError: Nothing can be written to its folder.
        OSError: The file can't be written.
    """
    require_embeddings_free(path)
    words = list(dict.fromkeys(["", *(prompt.lower().strip() for prompt in prompts)]))
    write_embeddings(words, model.encode(words), path)


def _encoder(
    name: str, source: str, index: dict[str, object], width: int, device: torch.device
) -> Encoder:
    """Make what encodes prompts, loading the encoder when it is first needed."""
    parts = index.get("text_encoder")
    if isinstance(parts, list | tuple) and parts and parts[0] is not None:

        def t5(prompts: Sequence[str]) -> Embeddings:
            with reading(name, Path(source) / "text_encoder"):
                weights, machine = t5_size(source), this_machine()
                where = place(weights, machine, device=device)
                if where.by_layer:
                    where = place(weights, machine, device="cpu")
                encoder = T5Encoder(source, device=where.device, dtype=where.dtype)
                rows = encoder(prompts)
                if rows.shape[2] != width or not rows.isfinite().all():
                    raise ModelError(
                        f"the text encoder of {name} gives {rows.shape[2]} numbers a token, where "
                        f"the network wants {width} that are finite: fetch it again"
                    )
            return rows

        @cache
        def tokenizer() -> PreTrainedTokenizerBase:
            with reading(name, Path(source) / "tokenizer"):
                read: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                    source, subfolder="tokenizer"
                )
            return read

        return CachedEncoder(t5, tokenizer, identity=_text_encoder_of(source), width=width)
    if width == TextEncoder.width:
        own = cache(lambda: minilm(device))
        return CachedEncoder(
            lambda prompts: own()(prompts),
            lambda: own().tokenizer,
            identity=encoder_identity(),
            width=width,
        )

    def none(prompts: Sequence[str]) -> Embeddings:
        raise ModelError(f"{name} has no text encoder, and no embedding of {prompts[0]!r}")

    return none


def _text_encoder_of(source: str) -> str:
    """Name the weights of a model's text encoder, which may be too large to digest."""
    folder = Path(source) / "text_encoder"
    if not folder.is_dir():
        return f"{source} {commit_of(source)}"
    files = [(path, path.stat()) for path in sorted(folder.iterdir())]
    said = [f"{path.name} {about.st_size} {about.st_mtime_ns}" for path, about in files]
    return f"{folder.resolve()} {said}"
