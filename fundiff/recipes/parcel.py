"""A run of the recipe ``text-to-image`` in a parcel, for a machine with a GPU and no network.

:func:`pack` writes the parcel, :mod:`fundiff.recipes.there` runs it on that machine and brings back
what it made, and :func:`unpack` puts that in its place.
"""

import importlib.util
import io
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_STORED, ZipFile

import torch
from tqdm import tqdm

from fundiff.errors import FundiffError
from fundiff.files import prepare, require_free, write
from fundiff.models.text_encoder import TextEncoder
from fundiff.models.weights import Card, require_replaceable, save, verify, weights
from fundiff.painters.emoji.dataset import captions, start_painter
from fundiff.painters.emoji.sprites import load_sprites
from fundiff.recipes import text_to_image, there

LIMIT = 60_000_000
"""How many bytes a parcel has, at most."""

WHEELS = ("diffusers", "importlib_metadata")
"""The packages that go along, unless others are named."""

_SHARE = 250

_TOKENIZER = ("config.json", "tokenizer*.json", "special_tokens_map.json", "vocab.txt")

_PLATFORMS = ("manylinux_2_28_x86_64", "manylinux2014_x86_64")


class ParcelError(FundiffError):
    """A parcel that can't be packed, or what came back of one that can't be unpacked."""


def command(preset: str) -> list[str]:
    """Return the words after ``python`` of the command to run there, but for the minutes."""
    names = ("--data", "data", "--runs", "runs", "--out", "weights")
    train = ("-m", "fundiff", "train", text_to_image.RECIPE.name, "--preset", preset)
    return [*train, "--fit", "--compile", *names]


def pack(
    preset: str,
    data: Path | None,
    out: Path,
    *,
    minutes: float,
    wheels: Sequence[str] = WHEELS,
    python: str = "3.12",
) -> dict[str, int]:
    """Write a parcel: an archive, and the script that starts it and collects what it made.

    Args:
        preset: The recipe's preset.
        data: The folder of the sprites; None for the one that they are built in.
        out: The folder to write.
        minutes: How long all may take there, from the script's start.
        wheels: The packages that go along, as pip names them.
        python: The version of Python there.

    Returns:
        How many bytes each part takes in the archive, and the whole.

    Raises:
        ParcelError: The minutes have no end, a wheel can't be had, or the parcel is too large.
        OccupiedError: Something else lies in the folder.
        EncoderError: The text encoder is missing.
        SpriteError: The sprites are missing or damaged.
    """
    if not 0 < minutes < math.inf:
        raise ParcelError(f"a parcel needs --minutes above 0, got {minutes}")
    require_free(out, _is_parcel, kind="a parcel")
    data = data or text_to_image.EMOJI
    load_sprites(data)  # what painters find missing they can't say
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        package = Path(__file__).parents[1]
        for path in (*package.rglob("*.py"), *package.rglob("*.pyi")):
            _copy(path, folder / "code" / path.relative_to(package.parent))
        for path in data.glob("sprites.*"):
            _copy(path, folder / "data" / path.name)
        _fetch(wheels, python, folder / "wheels")
        said = _captions(data, text_to_image.PRESETS[preset])
        _write_encoder(folder / "encoder", {*said, *text_to_image.PROMPTS, ""})
        order = {"minutes": minutes, "words": command(preset)}
        (folder / "run.json").write_text(json.dumps(order, indent=1))
        packed, sizes = _packed(folder)
    script = Path(__file__).with_name("there.py").read_bytes()
    sizes["the whole"] = len(packed) + len(script)
    if sizes["the whole"] > LIMIT:
        parts = ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in sizes.items())
        raise ParcelError(f"a parcel may have {LIMIT / 1e6:.1f} MB, this one is larger: {parts}")
    prepare(out)
    write(out / there.PARCEL, packed)
    write(out / "there.py", script)
    return sizes


def unpack(brought: Path, out: Path, preset: str) -> Card:
    """Put the weights that were brought back in their place, whole or not at all.

    Args:
        brought: What ``there.py collect`` wrote.
        out: The folder of weights to write.
        preset: The preset that they should be of.

    Returns:
        Their card.

    Raises:
        ParcelError: A piece is missing or damaged, or there are no such weights.
        OccupiedError: Something else lies where the weights should go.
        WeightsError: They aren't what their card says.
    """
    require_replaceable(out)
    try:
        status = json.loads((brought / there.STATUS).read_bytes())
        pieces: dict[str, str] = dict(status["pieces"])
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise ParcelError(
            f"{brought / there.STATUS} should say what was brought: {error}; collect it again"
        ) from error
    if not pieces:
        raise ParcelError(f"no weights were brought; {brought / 'log'} says why")
    paths = {name: brought / name for name in pieces}
    found = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    digests = {name: sha256(content).hexdigest() for name, content in found.items()}
    if wrong := [name for name, digest in pieces.items() if digests.get(name) != digest]:
        raise ParcelError(
            f"in {brought} {', '.join(wrong)} of {len(pieces)} pieces are missing or damaged: "
            "collect them again"
        )
    with TemporaryDirectory() as folder:
        try:
            with tarfile.open(fileobj=io.BytesIO(b"".join(found.values()))) as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise ParcelError(f"what was brought isn't an archive of weights: {error}") from error
        card = verify(Path(folder))
        if (card.recipe, card.preset) != (text_to_image.RECIPE.name, preset):
            raise ParcelError(f"{brought} has weights of {card.recipe}, preset {card.preset}")
        return save(out, {name: (Path(folder) / name).read_bytes() for name in card.files}, card)


def _captions(data: Path, preset: text_to_image.ModelPreset) -> Iterable[str]:
    """Return the captions of a preset's pictures, which only painting them tells."""
    starts = range(0, preset.pictures, _SHARE)
    shares = [range(start, min(start + _SHARE, preset.pictures)) for start in starts]
    settings = (data, 0, preset.familiar, preset.edition)
    painters = min(len(shares), os.cpu_count() or 1)
    with ProcessPoolExecutor(painters, get_context("spawn"), start_painter, settings) as pool:
        painted = tqdm(pool.map(captions, shares), "captions", len(shares), disable=None)
        return {words for share in painted for words in share}


def _write_encoder(folder: Path, said: Iterable[str]) -> None:
    """Write the text encoder in half precision, without the words that nothing says."""
    encoder = TextEncoder()
    read = encoder.tokenizer([words.lower().strip() for words in said])["input_ids"]
    needed = {*encoder.tokenizer.all_special_ids, *(token for row in read for token in row)}
    rows = encoder.model.get_parameter("embeddings.word_embeddings.weight").data
    rows[[token for token in range(len(rows)) if token not in needed]] = torch.nan
    for pattern in _TOKENIZER:
        for path in encoder.folder.glob(pattern):
            _copy(path, folder / path.name)
    write(folder / "model.safetensors", weights(encoder.model))


def _fetch(wheels: Sequence[str], python: str, folder: Path) -> None:
    """Have pip fetch wheels for the Python there."""
    if not wheels:
        return
    pip = [sys.executable, "-m", "pip"] if importlib.util.find_spec("pip") else ["pip"]
    platforms = [word for each in _PLATFORMS for word in ("--platform", each)]
    options = ["--no-deps", "--only-binary=:all:", "--python-version", python, *platforms]
    words = [*pip, "download", "-q", *options, "--dest", str(folder), *wheels]
    try:
        subprocess.run(words, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "stderr", None) or error).strip().splitlines()[-1]
        raise ParcelError(f"pip can't fetch {', '.join(wheels)}: {said}") from error
    for path in folder.glob("*.whl"):
        _store(path)


def _store(path: Path) -> None:
    """Write a wheel anew without compression, as the archive compresses it three times better."""
    with ZipFile(path) as wheel:
        contents = [(info, wheel.read(info)) for info in wheel.infolist()]
    with ZipFile(path, "w") as wheel:
        for info, content in contents:
            wheel.writestr(info, content, ZIP_STORED)


def _packed(folder: Path) -> tuple[bytes, dict[str, int]]:
    """Pack a folder, the same bytes for the same files, and say what each part of it takes."""

    def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
        info.mtime = info.uid = info.gid = 0
        info.uname = info.gname = ""
        info.mode = 0o755 if info.isdir() else 0o644
        return info

    sizes, packed = {}, io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz", preset=9) as tar:
        for part in sorted(folder.iterdir()):
            before = packed.tell()
            tar.add(part, part.name, filter=plain)
            sizes[part.name] = packed.tell() - before
    return packed.getvalue(), sizes


def _copy(path: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, to)


def _is_parcel(folder: Path) -> bool:
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else {""}
    return names <= {there.PARCEL, "there.py"}
