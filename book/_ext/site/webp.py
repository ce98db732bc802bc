"""Make the pages of a built site lighter, without changing a pixel of what they show.

PNGs become lossless WebPs, pictures that are written into a page become files beside it, and a
picture below the first waits until its reader comes near.
"""

import base64
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from io import BytesIO
from os import cpu_count
from os.path import relpath
from pathlib import Path
from urllib.parse import quote, unquote

from PIL import Image
from PIL import __version__ as pillow

from fundiff.files import write

FOLDER = "_images"
LEAST = 32_768
"""Bytes from which a picture in a page becomes a file."""
EFFORT, METHOD = 60, 2
"""How hard the encoder tries: more takes several times as long, for a few per cent."""

_WRITTEN_IN = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")
_FILE = re.compile(rf"{FOLDER}/[^\"'()?#<>\s]+")
_PNG = re.compile(rf"{_FILE.pattern}\.png")
_SIZED = re.compile(r"\b(?:width|height)=")
_PICTURE = re.compile(r'<img (?P<before>[^>]*?)src="(?P<source>[^"]*_images/[^"/]+)"')
_SIZE = re.compile(rb'<svg[^>]*? width="(?P<width>[\d.]+)pt" height="(?P<height>[\d.]+)pt"')
_PIXELS_A_POINT = 4 / 3


def to_webp(site: Path, pages: Mapping[Path, str], cache: Path) -> dict[Path, str]:
    """Make the pictures of a site WebPs, and return its pages as they show these.

    Pictures that no page shows, as those of an earlier build, are removed.

    Args:
        site: The folder of the built site.
        pages: Its pages by their files.
        cache: Where encoded pictures are kept for the next time, by the digests of the PNGs.
    """
    cache.mkdir(parents=True, exist_ok=True)
    every = "".join(pages.values())
    shown = {*_FILE.findall(every)}
    for path in (site / FOLDER).glob("*.*"):
        if f"{FOLDER}/{quote(path.name)}" not in shown:
            path.unlink()
    packed = {each: base64.b64decode(each) for each in {*_WRITTEN_IN.findall(every)}}
    inside = {each: content for each, content in packed.items() if len(content) >= LEAST}
    files = {path: path.read_bytes() for path in sorted((site / FOLDER).glob("*.png"))}
    pngs = sorted({*inside.values(), *files.values()}, key=len, reverse=True)
    with ThreadPoolExecutor(cpu_count()) as threads:  # the encoder lets go of the interpreter
        lighter = dict(zip(pngs, threads.map(lambda png: _webp(png, cache), pngs), strict=True))
    for content in inside.values():
        (site / FOLDER / _name(content)).write_bytes(lighter[content])
    renamed = {}
    for path, content in files.items():
        if len(lighter[content]) < len(content):
            path.with_suffix(".webp").write_bytes(lighter[content])
            path.unlink()
            name = f"{FOLDER}/{quote(path.name)}"
            renamed[name] = f"{name.removesuffix('.png')}.webp"
    found = {}
    for path, text in pages.items():
        new = _PNG.sub(lambda name: renamed.get(name[0], name[0]), text)
        for each in _WRITTEN_IN.findall(new):
            if each in inside:
                file = f"{relpath(site / FOLDER, path.parent)}/{_name(inside[each])}"
                new = new.replace(f"data:image/png;base64,{each}", file)
        found[path] = _placed(new, path)
    return found


def _webp(png: bytes, cache: Path) -> bytes:
    kept = cache / f"{EFFORT}-{METHOD}-{pillow}-{_name(png)}"
    if kept.is_file():
        return kept.read_bytes()
    buffer = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        picture.save(buffer, "WEBP", lossless=True, exact=True, quality=EFFORT, method=METHOD)
    write(kept, buffer.getvalue())
    return buffer.getvalue()


def _name(png: bytes) -> str:
    return f"{sha256(png).hexdigest()}.webp"


def _placed(text: str, page: Path) -> str:
    """Give each picture its size, so that nothing jumps, and let all but the first wait."""
    first = True

    def place(found: re.Match[str]) -> str:
        nonlocal first
        waits, first = "" if first else 'loading="lazy" ', False
        is_sized = _SIZED.search(found["before"])
        size = "" if is_sized else _size(page.parent / unquote(found["source"]))
        return f'<img {waits}{size}{found["before"]}src="{found["source"]}"'

    return _PICTURE.sub(place, text)


def _size(path: Path) -> str:
    if not path.is_file():
        return ""  # as the check of the site will say
    if path.suffix == ".svg":
        found = _SIZE.search(path.read_bytes())
        if found is None:
            return ""
        width, height = (round(float(size) * _PIXELS_A_POINT) for size in found.groups())
    else:
        with Image.open(path) as picture:
            width, height = picture.size
    return f'width="{width}" height="{height}" '
