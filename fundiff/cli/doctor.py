"""What a machine can run, how, and why not more."""

import math
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from huggingface_hub import get_token, try_to_load_from_cache
from huggingface_hub.constants import HF_HUB_CACHE

from fundiff.errors import FundiffError
from fundiff.files import require_writable
from fundiff.guidance import Bound, guided
from fundiff.jobs.order import Order
from fundiff.models.embeddings import CACHE, cache_folder
from fundiff.models.if_format import minilm
from fundiff.models.if_model import BUNDLED, TextToImage, load
from fundiff.models.placement import Machine, MemoryShortageError, gigabytes, place, this_machine
from fundiff.models.text_encoder import ENCODER, TOKENS

DEEPFLOYD = {
    "DeepFloyd/IF-I-M-v1.0": 400_000_000,
    "DeepFloyd/IF-I-L-v1.0": 900_000_000,
    "DeepFloyd/IF-I-XL-v1.0": 4_300_000_000,
}
"""The first stages of DeepFloyd IF, with how many weights their authors say that they have."""

T5_XXL = 4_762_310_656
"""How many weights DeepFloyd's text encoder has."""

_PACKAGES = ("fundiff", "torch", "diffusers", "transformers")

_TOKENIZER = ("sentencepiece", "protobuf")


def checkup(machine: Machine | None = None) -> Iterator[str]:
    """Look the machine over and say what it can run.

    Nothing is fetched, and no token is shown.

    Args:
        machine: What there is; by default this machine, as it is now.

    Yields:
        A line at a time.
    """
    here = machine or this_machine()
    versions = (f"{name} {version(name)}" for name in _PACKAGES)
    yield f"{', '.join(versions)}, Python {platform.python_version()}"
    how = f"{'with' if here.fast_bf16 else 'without'} instructions for bfloat16"
    cores = f"{here.cores} core{'s' if here.cores > 1 else ''} to use"
    yield f"processor: {cores}, {gigabytes(here.memory)} of memory free, {how}"
    yield f"GPU: {f'{here.gpu}, {gigabytes(here.gpu_memory)} free' if here.gpu else 'none'}"
    yield f"kept between runs: {_kept()}"
    yield ""
    yield from _present(here)
    yield ""
    yield from _deepfloyd(here)


def _kept() -> str:
    """Say where the embeddings of prompts are kept."""
    try:
        folder = cache_folder()
        require_writable(folder)
    except (FundiffError, OSError) as error:
        return f"nothing; {error}"
    return f"in {folder}, what {CACHE} can change"


def _present(here: Machine) -> Iterator[str]:
    """Say how the model that is loaded by default fares."""
    try:
        model = load()
    except (FundiffError, OSError) as error:
        yield f"the model: {error}"
        return
    weights = sum(weight.numel() for weight in model.network.unet.parameters())
    size = f"{weights / 1e6:.1f} million weights, {model.size} pixels a side"
    yield f"the model: {model.name}, {size}"
    if model.card is not None:
        trained = f"{model.card.pictures:,} pictures on {model.card.device}"
        yield f"  its files are as its card says: preset {model.card.preset}, {trained}"
    yield from _pace(model)
    if model.name != BUNDLED:
        return
    try:
        minilm()
    except FundiffError as error:
        yield f"  prompts: {error}"
    else:
        chosen = os.environ.get(ENCODER)
        yield (
            f"  prompts: by the text encoder in {chosen}, as {ENCODER} says"
            if chosen
            else "  prompts: any, by MiniLM, which is installed and whole"
        )


def _deepfloyd(here: Machine) -> Iterator[str]:
    """Say what stands between this machine and DeepFloyd IF."""
    yield "DeepFloyd IF, with FUNDIFF_MODEL set to its name"
    login = "none; accept the licence on the model's page, then `hf auth login`"
    yield f"  token of the hub: {'there is one' if get_token() else login}"
    missing = [name for name in _TOKENIZER if not _is_installed(name)]
    if missing:
        yield f"  its tokenizer needs more packages: pip install {' '.join(missing)}"
    free = _free(Path(HF_HUB_CACHE))
    yield f"  disk: {gigabytes(free)} free for downloads"
    for name, weights in DEEPFLOYD.items():
        fetched = isinstance(try_to_load_from_cache(name, "model_index.json"), str)
        plan = _plan(weights, here, math.inf if fetched else free)
        yield f"  {name}: {'fetched; ' if fetched else ''}{plan}"
    yield f"  its text encoder, once for each prompt: {_plan(T5_XXL, here, free, whole=True)}"


def _plan(weights: int, here: Machine, disk: float, *, whole: bool = False) -> str:
    try:
        chosen = place(weights, here)
        if whole and chosen.by_layer:
            chosen = place(weights, here, device="cpu")
    except MemoryShortageError as error:
        return f"no, {error}"
    files = weights * (2 if chosen.dtype == torch.float16 else 4)
    if files > disk:
        return f"no, its files need {gigabytes(files)} of disk, and {gigabytes(int(disk))} are free"
    slow = ", slow without a GPU" if chosen.device.type == "cpu" and not whole else ""
    return f"fits in {chosen}, {gigabytes(weights * chosen.dtype.itemsize)}{slow}"


def _pace(model: TextToImage) -> Iterator[str]:
    """Say how long a picture takes, and whether fewer threads would be faster."""
    threads = torch.get_num_threads()
    taken = _seconds(model)
    pace = f"about {taken:.2g} s a guided picture in {Order.steps} steps"
    yield f"  runs in {model.placement}, {pace}"
    if threads == 1 or model.device.type != "cpu":
        return
    torch.set_num_threads(1)
    alone = _seconds(model)
    torch.set_num_threads(threads)
    if alone < taken:
        yield (
            f"  on one of its {threads} threads {alone:.2g} s: something else keeps the processor "
            "busy; set OMP_NUM_THREADS=1 meanwhile"
        )


def _seconds(model: TextToImage) -> float:
    """Time a guided network call and reckon up a whole walk."""
    anything = Bound(model.network, torch.zeros(1, TOKENS, model.width, device=model.device))
    denoiser = guided(anything, anything, scale=7)
    x = torch.zeros(1, 3, model.size, model.size, device=model.device)
    t = torch.tensor([500], device=model.device)
    spent: Sequence[float] = [_once(lambda: denoiser(x, t).eps.sum().item()) for _ in range(4)]
    return min(spent) * Order.steps


def _once(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        call()
    return time.perf_counter() - start


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def _free(folder: Path) -> int:
    while not folder.is_dir():
        folder = folder.parent
    return shutil.disk_usage(folder).free
