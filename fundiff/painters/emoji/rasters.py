"""How one package's pictures become sprites: drawn, cropped, and centred on a small canvas."""

import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fundiff.errors import FundiffError
from fundiff.painters.emoji.concepts import Concept, bare, squeezed
from fundiff.painters.emoji.packages import members, read_json
from fundiff.painters.emoji.sources import Kind, Source, SourceError

SIDE = 64
"""The side of a sprite in pixels."""

ODD = frozenset({("emojione", "1f480"), ("noto-v1", "1f480")})
"""Skulls whose eyes shine, by set and code; they are left out."""

_INSIDE = 60


class SpriteError(FundiffError):
    """Sprites that can't be drawn or read: what was expected, what was found, what to do."""


def drawn(
    source: Source, path: Path, codes: Mapping[str, str], concepts: Mapping[str, Concept]
) -> Iterator[tuple[str, UInt8[np.ndarray, "4 64 64"] | None]]:
    """Draw a package's pictures: each one's code, and straight RGBA.

    Args:
        source: The package.
        path: Its tarball.
        codes: Codes by squeezed name, for a set that doesn't tell them.
        concepts: What is wanted, by code; None is given for the other pictures.

    Raises:
        SourceError: The package has no whole pictures.
        SpriteError: A drawing can't be drawn, or resvg-py isn't installed.
    """
    wanted = {code for code in concepts if (source.name, code) not in ODD}
    if source.kind is Kind.RENDERS:
        for name, content in members(path):
            if match := re.fullmatch(r"assets/([0-9a-f-]+)\.webp", name):
                code = bare(match[1])
                yield code, _fit(_decoded(content, name)) if code in wanted else None
        return
    icons = read_json(path, "icons.json")
    of_icons = {name: bare(code) for code, name in read_json(path, "chars.json").items()}
    for name, icon in sorted(icons["icons"].items()):
        code = of_icons.get(name) or codes.get(squeezed(name), "")
        seen = code in wanted and not icon.get("hidden", False)
        yield code, _fit(_rasterised(icons | icon, name)) if seen else None


def _rasterised(icon: dict[str, Any], name: str) -> Image.Image:
    try:
        import resvg_py
    except ImportError as error:
        raise SpriteError(
            "to draw the sprites, resvg-py is needed: install the dependency group `train`"
        ) from error
    left, top = icon.get("left", 0), icon.get("top", 0)
    width, height = icon.get("width", 16), icon.get("height", 16)
    side = max(width, height)
    box = f"{left - (side - width) / 2} {top - (side - height) / 2} {side} {side}"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{icon["body"]}</svg>'
    if "xlink:" in svg:
        svg = svg.replace("<svg ", '<svg xmlns:xlink="http://www.w3.org/1999/xlink" ', 1)
    try:
        png = resvg_py.svg_to_bytes(
            svg_string=svg, width=2 * SIDE, height=2 * SIDE, skip_system_fonts=True
        )
    except ValueError as error:
        raise SpriteError(f"the icon {name} can't be drawn: {error}") from error
    return _decoded(bytes(png), name)


def _decoded(content: bytes, name: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "WEBP")) as image:
            return image.convert("RGBA")
    except OSError as error:
        raise SourceError(f"{name}: expected a picture, found: {error}") from error


def _fit(image: Image.Image) -> UInt8[np.ndarray, "4 64 64"] | None:
    """Crop to what is visible and centre it on the canvas; None where nothing is."""
    box = image.getchannel("A").point(lambda value: 255 if value > 16 else 0).getbbox()
    if box is None:
        return None
    scale = _INSIDE / max(box[2] - box[0], box[3] - box[1])
    size = [max(1, round((box[i + 2] - box[i]) * scale)) for i in (0, 1)]
    canvas = Image.new("RGBA", (SIDE, SIDE))
    small = image.resize((size[0], size[1]), Image.Resampling.LANCZOS, box=box)
    canvas.paste(small, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return np.ascontiguousarray(np.asarray(canvas).transpose(2, 0, 1))
