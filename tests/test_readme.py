"""The README does what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from book._ext.layout import Book
from book._ext.pages.library import Library, with_map

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_ten_lines_paint_the_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (figure,) = re.findall(r"!\[.*?\]\((.*?)\)", README)
    monkeypatch.chdir(tmp_path)
    # Each precision paints its own picture; the one that is shown was painted in float32.
    monkeypatch.setattr("fundiff.models.placement.bf16_is_fast", lambda: False)
    exec(compile(code, "README.md", "exec"), {})
    drawn, shown = (
        np.asarray(Image.open(path).convert("RGBA"), dtype=float)
        for path in ("ten-lines.png", ROOT / figure)
    )
    assert drawn.shape == shown.shape
    assert abs(drawn - shown).mean() < 1


def test_the_map_is_up_to_date() -> None:
    assert with_map(README, Library(Book(ROOT))) == README, (
        "run `python -m book._ext.pages.library`"
    )


def test_links_inside_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
