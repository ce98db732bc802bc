"""Mend pages that Sphinx wrote: what screen readers stumble over, and what weighs too much."""

import re

# A list of definitions in which nothing is defined: a signature of several lines.
_PARAMETERS = re.compile(r'(?<=<span class="sig-paren">\(</span>)\s*<dl>(.*?)</dl>', re.S)
# A list whose items aren't said to be such.
_SOURCES = '<div role="list" class="citation-list">'
# What opens a chapter's pages in the sidebar, which has a picture and no name.
_TOGGLE = '<summary><span class="toctree-toggle"'
# It draws a dozen icons that the theme's own font has too, at a tenth of its 1.5 MB.
_ICONS = re.compile(r'<script [^>]*src="[^"]*/scripts/fontawesome\.js[^"]*"></script>')
# Only the page of results searches.
_SEARCH = re.compile(
    r'<script [^>]*src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>'
)


def make_accessible(name: str, page: str) -> str:
    """Return a page as it should be."""
    page = _PARAMETERS.sub(_as_blocks, page)
    page = page.replace(_SOURCES, _SOURCES.replace(' role="list"', ""))
    page = page.replace(_TOGGLE, _TOGGLE.replace(">", ' aria-label="Pages of this section">', 1))
    page = _ICONS.sub("", page)
    return page if name == "search.html" else _SEARCH.sub("", page)


def _as_blocks(found: re.Match[str]) -> str:
    blocks = re.sub(r"<(/?)dd>", r"<\1div>", found[1])
    return f'<div class="sig-params">{blocks}</div>'
