"""Mend pages that Sphinx wrote: what screen readers stumble over, and what weighs too much."""

import re
from pathlib import Path

from fundiff.files import write

# A list of definitions in which nothing is defined: a signature of several lines.
_PARAMETERS = re.compile(r'(?<=<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>', re.S)
# A list whose items aren't said to be such.
_SOURCES = '<div role="list" class="citation-list">'
# What opens a chapter's pages in the sidebar, which has a picture and no name.
_TOGGLE = '<summary><span class="toctree-toggle"'
# It draws a dozen icons that the theme's own font has too, at a tenth of its 1.5 MB.
_ICONS = re.compile(r'<script [^>]*src="[^"]*/scripts/fontawesome\.js[^"]*"></script>')


def make_accessible(site: Path) -> None:
    """Rewrite the pages of a built site in place.

    Args:
        site: The folder of the built site.
    """
    for path in sorted(site.rglob("*.html")):
        text = path.read_text(encoding="utf-8")
        new = _PARAMETERS.sub(_as_blocks, text)
        new = new.replace(_SOURCES, _SOURCES.replace(' role="list"', ""))
        new = new.replace(_TOGGLE, _TOGGLE.replace(">", ' aria-label="Pages of this section">', 1))
        new = _ICONS.sub("", new)
        if new != text:
            write(path, new.encode())
    for path in (site / "_static" / "scripts").glob("fontawesome.js*"):
        path.unlink()


def _as_blocks(found: re.Match[str]) -> str:
    blocks = re.sub(r"<(/?)dd>", r"<\1div>", found[1])
    return f'<div class="sig-params">{blocks}</div>'
