"""Check that a built site needs nothing from outside: `python book/_ext/check_site.py FOLDER`.

Links may lead anywhere. Scripts, styles, fonts and pictures have to be files of the site.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADING_RELS = {
    "stylesheet", "icon", "shortcut", "preload", "modulepreload", "prefetch", "preconnect",
    "dns-prefetch", "manifest", "apple-touch-icon",
}  # fmt: skip
SOURCES = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}

_CSS = re.compile(r"""@import\s+["']([^"']+)|url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))\s*\)""")
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)


class _Page(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag loads."""
        values = {name: value for name, value in attrs if value}
        names = SOURCES.get(tag, ())
        if tag == "link" and LOADING_RELS & set(values.get("rel", "").lower().split()):
            names = ("href",)
        for name in names:
            value = values.get(name, "")
            choices = value.split(",") if name == "srcset" and "data:" not in value else [value]
            self.loaded += [choice.split()[0] for choice in choices if choice.strip()]
        self.loaded += css_references(values.get("style", ""))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        """Note what an inline style sheet loads."""
        if self._in_style:
            self.loaded += css_references(data)
            self._in_style = False


def css_references(text: str) -> list[str]:
    """Everything that a style sheet loads."""
    found = _CSS.findall(_CSS_COMMENT.sub("", text))
    return [reference for groups in found for reference in groups if reference]


def problems(site: Path) -> Iterator[str]:
    """Name every file of a site that loads something from outside, or something that is missing.

    Args:
        site: The folder of the built site.
    """
    for path in sorted(site.rglob("*")):
        is_template = path.suffix == ".html" and "_static" in path.parts
        if path.suffix not in {".html", ".css", ".svg"} or is_template or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".css":
            references = css_references(text)
        else:
            page = _Page()
            page.feed(text)
            references = page.loaded
        for reference in dict.fromkeys(references):
            if complaint := _complaint(reference, path, site):
                yield f"{path.relative_to(site)} {complaint}"


def _complaint(reference: str, path: Path, site: Path) -> str | None:
    url = urlsplit(reference)
    if url.scheme == "data" or (not url.path and not url.netloc):
        return None
    if url.scheme or url.netloc:
        return f"loads {reference} from outside: keep a copy in the site"
    local = unquote(url.path)
    target = site / local.lstrip("/") if local.startswith("/") else path.parent / local
    return None if target.exists() else f"loads {reference}, which is not in the site"


def main(arguments: list[str]) -> int:
    """Print every problem; 1 means that there are some."""
    found = [problem for argument in arguments for problem in problems(Path(argument))]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
