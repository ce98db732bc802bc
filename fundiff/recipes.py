"""The training runs whose weights the project ships, each by name.

A recipe has presets: ``full`` for a GPU, ``cpu`` for two cores, which gives a preview. Its data is
made once and kept; its run is kept in slices that survive being stopped; its result is a folder of
weights with a card (see :mod:`fundiff.pretrained`).
"""

import ast
import io
import json
import math
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256 as digest_of
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor
from tqdm import tqdm

from fundiff.emoji.dataset import EmojiPictures
from fundiff.figures import image_grid
from fundiff.files import sha256, write
from fundiff.guidance import Bound, guided
from fundiff.pretrained import Card, WeightsError, save, verify
from fundiff.sampling import denoise, noise_like
from fundiff.text_to_image import (
    Captioned,
    FoldedNetwork,
    TextEncoder,
    TextToImageTask,
    folder_contents,
    new_unet,
    read_unet,
)
from fundiff.training import Plan, Report, train
from fundiff.types import Denoiser, Images

PROMPTS = (
    "an oil painting of an old man",
    "an oil painting of people around a campfire",
    "a lithograph of waterfalls",
    "a man wearing a hat",
    "an oil painting of a snowy mountain village",
    "a photo of a dog",
    "a photo of the amalfi coast",
    "a photo of a man",
    "a photo of a hipster barista",
    "a lithograph of a skull",
    "a rocket ship",
    "a pencil",
    "a high quality photo",
    "a high quality picture",
    "a photo of a cat",
    "an oil painting of a cat",
    "a drawing of a house",
    "a cartoon of a cat",
    "a photo of a red apple",
    "a red heart",
    "a lithograph of a dog",
    "a photo of a car",
    "a winking face",
    "a dog and a house",
)
"""The prompts of the uncurated grid, the write-up's and some of the wide world."""


@dataclass(frozen=True)
class Preset:
    """One size of a recipe.

    Attributes:
        channels: The network's channels at each level.
        layers: Its residual blocks a level.
        attend: How many of its levels attend to the text.
        dropout: Its dropout.
        pictures: How many different pictures it is trained on.
        plan: How it is trained.
    """

    channels: tuple[int, ...]
    layers: int
    attend: int
    dropout: float
    pictures: int
    plan: Plan


TEXT_TO_IMAGE = {
    "cpu": Preset(
        channels=(32, 64, 128),
        layers=1,
        attend=1,
        dropout=0.0,
        pictures=12_000,
        plan=Plan(
            steps=6_500,
            batch_size=32,
            learning_rate=1e-3,
            warmup=200,
            decay=0.5,
            betas=(0.9, 0.99),
            clip=1.0,
            ema=0.999,
            report_every=25,
            save_every=250,
        ),
    ),
    "full": Preset(
        channels=(112, 192, 256),
        layers=2,
        attend=2,
        dropout=0.1,
        pictures=200_000,
        plan=Plan(
            steps=8_000,
            batch_size=512,
            learning_rate=5e-4,
            warmup=500,
            decay=0.2,
            betas=(0.9, 0.99),
            clip=1.0,
            ema=0.999,
            precision="bf16",
            report_every=50,
            save_every=1_000,
        ),
    ),
}
"""The presets of the recipe ``text-to-image``."""

_CODE = ("emoji", "text_to_image", "training", "draws", "process", "schedule")


def captioned(
    folder: Path, pictures: int, *, seed: int = 0, workers: int | None = None
) -> Captioned:
    """Make pictures and encoded captions to train on, or read them if they were made before.

    Args:
        folder: Where :func:`fundiff.emoji.sprites.build` wrote the sprites; the result is kept
            there.
        pictures: How many pictures.
        seed: Which pictures.
        workers: How many processes paint; one a core by default.

    Returns:
        The data, on the CPU.

    Raises:
        SpriteError: The sprites are missing or damaged.
        EncoderError: The text encoder is missing.
    """
    source = EmojiPictures(folder, seed=seed)
    code = module_digest("emoji")
    name = digest_of(f"{source.digest} {seed} {pictures} {code}".encode()).hexdigest()[:16]
    path = folder / f"captioned-{name}.safetensors"
    if not path.is_file():
        tasks = [
            (folder, seed, start, min(start + 500, pictures)) for start in range(0, pictures, 500)
        ]
        with get_context("spawn").Pool(workers or os.cpu_count()) as pool:
            painted = list(tqdm(pool.imap(_paint, tasks), "painting", len(tasks), disable=None))
        words = [caption for _, captions in painted for caption in captions]
        unique = {caption: row for row, caption in enumerate(dict.fromkeys(["", *words]))}
        encoder = TextEncoder("cuda" if torch.cuda.is_available() else "cpu")
        batches = [list(unique)[start : start + 256] for start in range(0, len(unique), 256)]
        rows = [encoder(batch).half().cpu() for batch in tqdm(batches, "encoding", disable=None)]
        tensors = {
            "pictures": torch.cat([batch for batch, _ in painted]),
            "captions": torch.tensor([unique[caption] for caption in words]),
            "embeddings": torch.cat(rows),
        }
        write(path, safetensors.torch.save(tensors))
    return Captioned(**safetensors.torch.load_file(path), digest=name)


def _paint(task: tuple[Path, int, int, int]) -> tuple[Tensor, tuple[str, ...]]:
    folder, seed, start, stop = task
    torch.set_num_threads(1)
    return EmojiPictures(folder, seed=seed).batch(range(start, stop))


def module_digest(*names: str) -> str:
    """Return a digest of the code of some modules, without docstrings and comments.

    Args:
        names: Their names below ``fundiff``.

    Returns:
        Sixteen hexadecimal digits.
    """
    root = Path(__file__).parent
    paths = [
        path
        for name in names
        for path in sorted([*root.glob(f"{name}.py"), *root.glob(f"{name}/*.py")])
    ]
    code = "".join(_without_docstrings(path.read_text(encoding="utf-8")) for path in paths)
    return digest_of(code.encode()).hexdigest()[:16]


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(value, list):
                node.body = [item for item in value if not _is_string(item)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def sample_grid(
    network: FoldedNetwork, embeddings: Tensor, *, seeds: int = 4, scale: float = 4.0
) -> Images:
    """Sample every prompt with the same seeds, uncurated.

    Args:
        network: The network.
        embeddings: The embeddings of "" and then of the prompts.
        seeds: How many pictures a prompt; picture ``i`` starts from the seed ``i``.
        scale: The guidance scale.

    Returns:
        Pictures in rows, ``prompts * seeds``, prompt by prompt.
    """
    like = torch.empty(1, 3, 64, 64)
    start = torch.cat([noise_like(like, torch.Generator().manual_seed(i)) for i in range(seeds)])
    uncond = Bound(network, embeddings[:1])
    rows = []
    for embedding in embeddings[1:].split(1):
        denoiser: Denoiser = guided(Bound(network, embedding), uncond, scale=scale)
        *_, last = denoise(denoiser, network.schedule, start, network.schedule.strided())
        rows.append(last.x)
    return torch.cat(rows)


def run_text_to_image(
    preset: str,
    data: Path,
    runs: Path,
    out: Path,
    *,
    seconds: float = math.inf,
    init: Path | None = None,
    say: Callable[[Report], object] = lambda report: None,
) -> Card:
    """Train the bundled model, or go on training it, and write what is reached.

    Args:
        preset: ``cpu`` or ``full``.
        data: The folder of the sprites.
        runs: Where the run's states lie.
        out: The folder of weights to write.
        seconds: Stop after about so long; call again to go on.
        init: A folder of weights to start from, with a new optimiser and a new warm-up.
        say: Is told every report.

    Returns:
        The card of what was written.

    Raises:
        ValueError: There is no such preset.
        RunError: As :func:`fundiff.training.train`.
        WeightsError: ``init`` isn't a folder of weights, or doesn't fit.
    """
    if preset not in TEXT_TO_IMAGE:
        raise ValueError(
            f"text-to-image has the presets {', '.join(TEXT_TO_IMAGE)}, not {preset!r}"
        )
    chosen = TEXT_TO_IMAGE[preset]
    pictures = captioned(data, chosen.pictures)
    with torch.random.fork_rng():
        torch.manual_seed(chosen.plan.seed)
        unet = new_unet(
            chosen.channels, layers=chosen.layers, attend=chosen.attend, dropout=chosen.dropout
        )
    started_from = None
    if init is not None:
        verify(init)
        started_from = sha256(init / "card.json")
        unet.load_state_dict(read_unet(init).state_dict())
    shape = {"channels": chosen.channels, "layers": chosen.layers, "attend": chosen.attend}
    task = TextToImageTask(unet, pictures, {**shape, "started_from": started_from})
    start = time.monotonic()
    for report in train(task, chosen.plan, runs, seconds=seconds):
        say(report)
    spent = _spent(runs, time.monotonic() - start)
    network = report.network.float().cpu().eval()
    encoder = TextEncoder()
    embeddings = encoder(["", *PROMPTS])
    samples = sample_grid(FoldedNetwork(network, task.schedule), embeddings)
    picture = io.BytesIO()
    image_grid(samples.split(4), row_titles=PROMPTS).savefig(picture, format="png")
    contents = folder_contents(network, ["", *PROMPTS], embeddings)
    contents["samples.png"] = picture.getvalue()
    card = Card(
        recipe="text-to-image",
        preset=preset,
        title="a text-to-image pixel-diffusion model in the format of DeepFloyd IF, stage I",
        parameters=sum(weight.numel() for weight in network.parameters()),
        plan=asdict(chosen.plan),
        data={"pictures": chosen.pictures, "sprites and captions": pictures.digest},
        code=module_digest(*_CODE),
        started_from=started_from,
        steps=report.step,
        pictures=report.step * chosen.plan.batch_size,
        seconds=round(spent),
        device=_device(),
        versions={name: version(name) for name in ("torch", "diffusers", "transformers")},
        date=datetime.now(UTC).date().isoformat(),
        losses=[round(part.mean().item(), 5) for part in report.losses.chunk(200)],
        notes={
            "finished": report.step == chosen.plan.steps,
            "prediction": "velocity; the variance is the posterior's",
            "samples.png": "uncurated: seeds 0 to 3, guidance 4, 34 DDIM steps",
        },
        files={},
    )
    return save(out, contents, card)


def is_stale(folder: Path, preset: str) -> bool:
    """Tell whether shipped weights of the bundled model are older than what makes them.

    Args:
        folder: The folder of weights.
        preset: The preset that they should be of.

    Returns:
        True where there are none, they are damaged or unfinished, or the preset or the code has
        changed since.
    """
    try:
        card = verify(folder)
    except WeightsError:
        return True
    plan = json.loads(json.dumps(asdict(TEXT_TO_IMAGE[preset].plan)))
    return not (
        card.preset == preset
        and card.plan == plan
        and card.code == module_digest(*_CODE)
        and card.notes["finished"]
    )


def _spent(runs: Path, seconds: float) -> float:
    """Add up the seconds of a run's slices, beside its states."""
    path = runs / "seconds.json"
    before = json.loads(path.read_bytes()) if path.is_file() else 0.0
    write(path, json.dumps(before + seconds).encode())
    return float(before + seconds)


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"CPU, {torch.get_num_threads()} threads, {platform.machine()}"
