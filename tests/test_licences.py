"""The licences of what the wheel holds."""

import json
import re
from pathlib import Path

import pytest

from fundiff.painters.characters.numerals import SOURCE
from fundiff.painters.emoji.sources import SOURCES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "fundiff" / "LICENSES.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_set_of_emoji_is_attributed(source: object) -> None:
    author, licence, home = (getattr(source, name) for name in ("author", "licence", "home"))
    lines = [line for line in TEXT.splitlines() if f"<{home}>" in line]
    assert any(author in line and licence in line for line in lines)


def test_every_picture_and_sheet_is_attributed() -> None:
    known = json.loads((ROOT / "fundiff" / "pictures" / "pictures.json").read_text("utf-8"))
    for name, picture in known.items():
        (line,) = [line for line in TEXT.splitlines() if f"`{name}" in line]
        licence = picture["licence"].replace("LicenseRef-public-domain", "public domain")
        assert f"| {picture['author']} | {licence} |" in line
    for path in (ROOT / "fundiff" / "characters").glob("*.png"):
        assert f"`{path.name}`" in TEXT
    for word in re.split(r", | and ", SOURCE.author.replace("with digits of MNIST by ", "")):
        assert word in TEXT
