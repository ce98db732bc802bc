"""Made-up packages for the tests of the emoji: the shapes are simple, the formats are real."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw

from fundiff.painters.emoji.sources import Kind, Source

CODES = {
    "1F415": ("dog", 3, 34, ["animal", "animals", "pet"]),
    "1F436": ("dog face", 3, 34, ["animal", "puppy"]),
    "1F474": ("old man", 1, 23, ["adult", "grandpa"]),
    "1F468": ("man", 1, 23, ["adult", "dude"]),
    "1F480": ("skull", 0, 10, ["bone", "death"]),
    "1F680": ("rocket", 5, 56, ["launch", "space"]),
    "1F525": ("fire", 5, 59, ["hot", "burn"]),
    "270F-FE0F": ("pencil", 7, 75, ["draw"]),
    "2615": ("hot beverage", 4, 47, ["coffee"]),
    "1F3E0": ("house", 5, 51, ["home"]),
    "1F34E": ("red apple", 4, 42, ["fruit"]),
    "1F989": ("owl", 3, 35, ["bird", "wise"]),
    "2194": ("left-right arrow", 8, 85, []),
    "1F1EB-1F1F7": ("flag: france", 9, 98, []),
    "1F3FB": ("light skin tone", 2, 32, []),
    "31-FE0F-20E3": ("keycap: 1", 8, 94, []),
    "1F3C3-200D-27A1": ("person running facing right", 1, 27, []),
    "1F474-1F3FD": ("old man: medium skin tone", 1, 23, []),
}
LEFT_OUT = {"1f1eb-1f1f7", "1f3fb", "31-20e3", "1f3c3-200d-27a1", "1f474-1f3fd"}
COLOURS = ("#c33", "#3c3", "#33c", "#cc3", "#3cc", "#c3c", "#555", "#e82")


def tarball(path: Path, contents: dict[str, bytes], prefix: str = "package/") -> str:
    """Write a tarball, the same bytes every time, and return its digest."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as tar,
    ):
        for name, content in contents.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def slug(name: str) -> str:
    return name.replace(": ", "-").replace(" ", "-")


def icons(seed: int, *, chart: bool, colour: str = "") -> dict[str, bytes]:
    """A set in Iconify's format: a disc, a box and an eye in every icon, in other colours."""
    drawn, chars = {}, {}
    for i, (code, (name, *_)) in enumerate(CODES.items()):
        fill, other = COLOURS[(i + seed) % 8], COLOURS[(i + seed + 3) % 8]
        body = (
            f'<circle cx="16" cy="16" r="{10 + i % 5}" fill="{colour or fill}"/>'
            f'<path fill="{colour or other}" d="M{4 + i % 3} 14h24v{6 + i % 4}H4z"/>'
            f'<circle cx="12" cy="11" r="2" fill="{colour or "#fff"}"/>'
        )
        drawn[slug(name)] = {"body": body}
        chars[code.lower().replace("-fe0f", "")] = slug(name)
    drawn["nobody-knows"] = {"body": '<path d="M0 0h9v9H0z"/>'}
    drawn["empty"] = {"body": "<g/>"}
    made = {"prefix": "it", "icons": drawn, "width": 32, "height": 32}
    return {
        "icons.json": json.dumps(made).encode(),
        "chars.json": json.dumps(chars if chart else {}).encode(),
    }


def names() -> dict[str, bytes]:
    rows = [
        {"hexcode": code, "label": name, "group": group, "subgroup": sub, "tags": tags, "order": i}
        for i, (code, (name, group, sub, tags)) in enumerate(CODES.items())
    ]
    rows.append({"hexcode": "1F1E6", "label": "regional indicator A"})
    return {
        "en/data.json": json.dumps(rows).encode(),
        "meta/unicode-names.json": json.dumps({"1F989": "GREAT OWL"}).encode(),
    }


def renders() -> dict[str, bytes]:
    out = {"README.md": b"renders"}
    for i, code in enumerate(CODES):
        image = Image.new("RGBA", (96, 96))
        ImageDraw.Draw(image).ellipse((10, 20, 86, 76), fill=COLOURS[i % 8])
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", lossless=True)
        out[f"assets/{code.lower()}.webp"] = buffer.getvalue()
    return out


def packages(folder: Path) -> tuple[Source, ...]:
    """Write the packages; the last source is the unseen one."""
    made = (
        ("words", Kind.NAMES, names()),
        ("alpha", Kind.ICONS, icons(0, chart=True)),
        ("beta", Kind.ICONS, icons(2, chart=False)),
        ("gamma", Kind.ICONS, icons(5, chart=True)),
        ("mono", Kind.STENCILS, icons(0, chart=True, colour="#000")),
        ("solid", Kind.RENDERS, renders()),
        ("unseen", Kind.ICONS, icons(4, chart=True)),
    )
    sources = []
    for name, kind, contents in made:
        source = Source(name, f"@tiny/{name}", "1.0.0", "", "MIT", "us", name, "here", kind)
        digest = tarball(folder / source.file, contents)
        sources.append(replace(source, sha256=digest, evaluation=name == "unseen"))
    return tuple(sources)
