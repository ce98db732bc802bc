"""Make the pages of a built site lighter, without changing a pixel of what they show.

PNGs become lossless WebPs, pictures that are written into a page become files beside it, and a
picture below the first waits until its reader comes near.
"""

import base64
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from io import BytesIO
from os import cpu_count
from os.path import relpath
from pathlib import Path

from PIL import Image

from fundiff.files import write

FOLDER = "_images"
LEAST = 32_768
"""Bytes from which a picture in a page becomes a file."""
EFFORT, METHOD = 60, 2
"""How hard the encoder tries: more takes several times as long, for a few per cent."""

_WRITTEN_IN = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")
_PICTURE = re.compile(r'<img (?P<before>[^>]*?)src="(?P<source>[^"]*_images/[^"/]+)"')
_SIZE = re.compile(rb'<svg[^>]*? width="(?P<width>[\d.]+)pt" height="(?P<height>[\d.]+)pt"')
_PIXELS_A_POINT = 4 / 3


def to_webp(site: Path, cache: Path) -> None:
    """Rewrite the pages and pictures of a site in place.

    Args:
        site: The folder of the built site.
        cache: Where encoded pictures are kept for the next time, by the digests of the PNGs.
    """
    cache.mkdir(parents=True, exist_ok=True)
    pages = {path: path.read_text(encoding="utf-8") for path in _pages(site)}
    inside = {
        content
        for text in pages.values()
        for packed in _WRITTEN_IN.findall(text)
        if len(content := base64.b64decode(packed)) >= LEAST
    }
    files = {path: path.read_bytes() for path in sorted((site / FOLDER).glob("*.png"))}
    every = sorted({*inside, *files.values()}, key=len, reverse=True)
    with ThreadPoolExecutor(cpu_count()) as threads:  # the encoder lets go of the interpreter
        lighter = dict(zip(every, threads.map(lambda png: _webp(png, cache), every), strict=True))
    for content in inside:
        write(site / FOLDER / _name(content), lighter[content])
    renamed = {}
    for path, content in files.items():
        if len(lighter[content]) < len(content):
            write(path.with_suffix(".webp"), lighter[content])
            path.unlink()
            renamed[path.name] = path.with_suffix(".webp").name
    names = re.compile("|".join(map(re.escape, renamed)) or r"(?!)")
    for path, text in pages.items():
        outside = partial(_outside, folder=relpath(site / FOLDER, path.parent))
        new = _WRITTEN_IN.sub(outside, text)
        new = names.sub(lambda found: renamed[found[0]], new)
        new = _placed(new, path)
        if new != text:
            write(path, new.encode())


def _pages(site: Path) -> Iterator[Path]:
    for path in sorted(site.rglob("*.html")):
        if "_static" not in path.relative_to(site).parts:
            yield path


def _webp(png: bytes, cache: Path) -> bytes:
    kept = cache / _name(png)
    if kept.is_file():
        return kept.read_bytes()
    buffer = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        picture.save(buffer, "WEBP", lossless=True, exact=True, quality=EFFORT, method=METHOD)
    write(kept, buffer.getvalue())
    return buffer.getvalue()


def _name(png: bytes) -> str:
    return f"{sha256(png).hexdigest()}.webp"


def _outside(found: re.Match[str], folder: str) -> str:
    content = base64.b64decode(found[1])
    return f"{folder}/{_name(content)}" if len(content) >= LEAST else found[0]


def _placed(text: str, page: Path) -> str:
    """Give each picture its size, so that nothing jumps, and let all but the first wait."""
    first = True

    def place(found: re.Match[str]) -> str:
        nonlocal first
        waits, first = "" if first else 'loading="lazy" ', False
        size = "" if "width" in found["before"] else _size(page.parent / found["source"])
        return f'<img {waits}{size}{found["before"]}src="{found["source"]}"'

    return _PICTURE.sub(place, text)


def _size(path: Path) -> str:
    if path.suffix == ".svg":
        found = _SIZE.search(path.read_bytes())
        if found is None:
            return ""
        width, height = (round(float(size) * _PIXELS_A_POINT) for size in found.groups())
    else:
        with Image.open(path) as picture:
            width, height = picture.size
    return f'width="{width}" height="{height}" '
