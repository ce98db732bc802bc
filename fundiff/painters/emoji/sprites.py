"""The emoji as sprites: every concept in every hand, 64 by 64 with transparency, in two files.

:func:`build` makes ``sprites.safetensors`` and ``sprites.json`` from the packages, the same bytes
every time, and :func:`load_sprites` reads them back after checking them against their digests.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from safetensors.numpy import load, save

from fundiff.files import require_free
from fundiff.painters.emoji.concepts import Concept, codes_of_names, read_concepts
from fundiff.painters.emoji.packages import fetch, read_json
from fundiff.painters.emoji.rasters import SpriteError, drawn
from fundiff.painters.emoji.sources import SOURCES, UNSEEN, Kind, Source

HELD_OUT = 0.05
"""The share of the combinations of a concept and a set that are never trained on."""

_KEPT = "1f474 1f468 1f469 1f9d4 1f525 1f3d5 1f415 1f436 1f480 1f680 270f 1f3d4 1f3a9 1f3e0 2615"

KEPT = frozenset(_KEPT.split())
"""The concepts of the write-up's prompts, never held out in every set at once."""

_FILES, _DIGESTS = ("sprites.safetensors", "sprites.json"), "sprites.sha256"


class Part(Enum):
    """What a sprite may be used for."""

    TRAIN = "train"
    """For training."""
    HELD_OUT = "held out"
    """A combination of concept and set that is never trained on."""
    UNSEEN = "unseen"
    """From a set that is never trained on."""


@dataclass(frozen=True)
class Sprite:
    """One emoji in one hand.

    Attributes:
        concept: What it shows.
        set: The short name of the set.
        kind: Whether the set has drawings, stencils or renders.
        part: What it may be used for.
    """

    concept: Concept
    set: str
    kind: Kind
    part: Part


@dataclass(frozen=True)
class Sprites:
    """All sprites.

    Attributes:
        sprites: What each one is, in the order of the pixels.
        pixels: Straight (not premultiplied) RGBA.
        digest: The sha256 of ``sprites.json``, which holds that of the pixels: it pins everything.
    """

    sprites: tuple[Sprite, ...]
    pixels: UInt8[np.ndarray, "sprites 4 64 64"]
    digest: str


def build(
    folder: str | os.PathLike[str],
    packages: str | os.PathLike[str],
    *,
    evaluation: bool = False,
    sources: Iterable[Source] = SOURCES,
    unseen: Source = UNSEEN,
) -> str:
    """Draw every sprite and write them all, whole or not at all; the same bytes every time.

    Written are ``sprites.safetensors``, ``sprites.json`` (what each sprite is, coverage of each
    set, licences and digests) and, last, ``sprites.sha256`` with the digests of both. Files of
    sprites that are there are replaced.

    Args:
        folder: Where the files go; it is made where it is missing.
        packages: Where the tarballs are, or are fetched to.
        evaluation: Whether to draw the unseen set, for evaluation, in place of the others.
        sources: The packages; one of them has the names.
        unseen: The set that ``evaluation`` draws.

    Returns:
        The digest of ``sprites.json``, which pins everything.

    Raises:
        SourceError: A package can't be had or read.
        SpriteError: A drawing can't be drawn, or resvg-py isn't installed.
        OccupiedError: The folder has a file of such a name that is something else.
    """
    for name in (*_FILES, _DIGESTS):
        require_free(Path(folder) / name, _has_sprites, kind="a file of sprites")
    chosen = tuple(sources)
    (names,) = (source for source in chosen if source.kind is Kind.NAMES)
    hands = (unseen,) if evaluation else tuple(s for s in chosen if s.kind is not Kind.NAMES)
    paths = fetch(packages, (*chosen, *hands))
    concepts = read_concepts(paths[names.name])
    charts = [
        read_json(paths[source.name], "chars.json")
        for source in (*chosen, *hands)
        if source.kind in (Kind.ICONS, Kind.STENCILS)
    ]
    unicode_names = read_json(paths[names.name], "meta/unicode-names.json")
    codes = codes_of_names(concepts, unicode_names, charts)
    pixels, rows, coverage = [], [], {}
    for source in hands:
        found: dict[str, UInt8[np.ndarray, "4 64 64"]] = {}
        total = 0
        for code, image in drawn(source, paths[source.name], codes, concepts):
            total += 1
            if image is not None:
                found.setdefault(code, image)
        order = [code for code in concepts if code in found]
        pixels += [found[code] for code in order]
        rows += [[source.name, code] for code in order]
        coverage[source.name] = {"pictures": total, "sprites": len(order), "of": len(concepts)}
    if not rows:
        raise SpriteError("no package has a picture of any known concept")
    kept = _parts(rows, frozenset(s.name for s in hands if evaluation or s.evaluation))
    content = save({"sprites": np.stack(pixels)})
    used = {code for _, code in rows}
    record = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "sources": [asdict(s) | {"kind": s.kind.value} for s in (names, *hands)],
        "coverage": coverage,
        "concepts": [asdict(concept) for code, concept in concepts.items() if code in used],
        "sprites": [[*row, part.value] for row, part in zip(rows, kept, strict=True)],
    }
    text = (json.dumps(record, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()
    _write(Path(folder), content, text)
    return hashlib.sha256(text).hexdigest()


def load_sprites(folder: str | os.PathLike[str]) -> Sprites:
    """Read what :func:`build` wrote.

    Raises:
        SpriteError: A file is missing, or differs from its digest.
    """
    contents = []
    try:
        lines = (Path(folder) / _DIGESTS).read_text(encoding="ascii").splitlines()
        for line, name in zip(lines, _FILES, strict=True):
            contents.append((Path(folder) / name).read_bytes())
            found = hashlib.sha256(contents[-1]).hexdigest()
            if line != f"{found}  {name}":
                raise ValueError(f"expected {line}, found {found}")
    except (OSError, ValueError) as error:
        raise SpriteError(f"{folder}: no whole sprites: {error}; build them first") from error
    record = json.loads(contents[1])
    concepts = {
        row["code"]: Concept(**row | {"keywords": tuple(row["keywords"])})
        for row in record["concepts"]
    }
    kinds = {source["name"]: Kind(source["kind"]) for source in record["sources"]}
    sprites = tuple(
        Sprite(concepts[code], name, kinds[name], Part(part))
        for name, code, part in record["sprites"]
    )
    digest = hashlib.sha256(contents[1]).hexdigest()
    return Sprites(sprites, load(contents[0])["sprites"], digest)


def _parts(rows: list[list[str]], unseen: frozenset[str]) -> list[Part]:
    """Hold out by a stable hash, but no write-up's concept completely."""
    held = []
    for name, code in rows:
        share = int.from_bytes(hashlib.sha256(f"{code} {name}".encode()).digest()[:8], "big")
        held.append(share < HELD_OUT * 2**64)
    marked = list(zip(rows, held, strict=True))
    left = {code for (name, code), out in marked if not out and name not in unseen}
    parts = []
    for (name, code), out in marked:
        if name in unseen:
            parts.append(Part.UNSEEN)
        elif out and (code not in KEPT or code in left):
            parts.append(Part.HELD_OUT)
        else:
            parts.append(Part.TRAIN)
    return parts


def _has_sprites(path: Path) -> bool:
    """Tell whether one of the files is such a one, whole or damaged."""
    content = path.read_bytes()
    if path.name == _FILES[0]:
        return b'"sprites":{"dtype":"U8"' in content[:200]
    if path.name == _FILES[1]:
        return content.startswith(b'{\n "concepts": [')
    return _FILES[0].encode() in content


def _write(folder: Path, *contents: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    lines = "".join(f"{d}  {name}\n" for d, name in zip(digests, _FILES, strict=True))
    files = (*zip(_FILES, contents, strict=True), (_DIGESTS, lines.encode()))
    partials = [folder / f".{name}.{os.getpid()}.partial" for name, _ in files]
    try:
        for partial, (_, content) in zip(partials, files, strict=True):
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        for partial, (name, _) in zip(partials, files, strict=True):
            partial.replace(folder / name)
    finally:
        for partial in partials:
            partial.unlink(missing_ok=True)
