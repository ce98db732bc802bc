"""Check that a built site is whole by itself: `python book/_ext/check_site.py FOLDER`.

Scripts, styles, fonts and pictures have to be files of the site, and so has whatever a link inside
leads to, its place in the page included. Links to elsewhere may lead anywhere. No page weighs more
than a reader on a phone would wait for.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

HEAVIEST_PAGE = 1_500_000
"""Bytes of a page and the pictures that it loads at once."""
HEAVIEST_READ = 5_000_000
"""The same with the pictures that wait for their reader."""
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
NOT_PROSE = {"code", "pre", "script", "style"}
PICTURES = {".avif", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"}

_CSS = re.compile(r"""@import\s+["']([^"']+)|url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))\s*\)""")
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_RAW_TABLE = re.compile(r"\|\s*:?-{3,}:?\s*\|")


class _Page(HTMLParser):
    """Collects what a page loads, where its links lead, and which places it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.waiting: set[str] = set()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.has_raw_table = False
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag loads and leads to."""
        values = {name: value for name, value in attrs if value}
        names = SOURCES.get(tag, ())
        if tag == "link" and LOADING_RELS & set(values.get("rel", "").lower().split()):
            names = ("href",)
        for name in names:
            value = values.get(name, "")
            choices = value.split(",") if name == "srcset" and "data:" not in value else [value]
            self.loaded += [choice.split()[0] for choice in choices if choice.strip()]
        if values.get("loading") == "lazy":
            self.waiting |= {values[name] for name in names if name in values}
        self.loaded += css_references(values.get("style", ""))
        self.places |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in NOT_PROSE:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Note where what isn't prose ends."""
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        """Note what an inline style sheet loads, and what was left as Markdown."""
        if "style" in self._inside:
            self.loaded += css_references(data)
        self.has_raw_table |= not self._inside and _RAW_TABLE.search(data) is not None


def css_references(text: str) -> list[str]:
    """Everything that a style sheet loads."""
    found = _CSS.findall(_CSS_COMMENT.sub("", text))
    return [reference for groups in found for reference in groups if reference]


@dataclass(frozen=True)
class Site:
    """A built site.

    Attributes:
        folder: Its folder.
        prefix: The path of its address, with which links from its root begin.
    """

    folder: Path
    prefix: str = "/"

    def problems(self) -> Iterator[str]:
        """Name every file that isn't as it should be, and say why."""
        for path in sorted(self.folder.rglob("*")):
            local = path.relative_to(self.folder)
            is_template = path.suffix == ".html" and "_static" in local.parts
            if path.suffix not in {".html", ".css", ".svg"} or is_template or not path.is_file():
                continue
            for complaint in self._complaints(path):
                yield f"{local} {complaint}"

    def weight(self, path: Path) -> tuple[int, int]:
        """How many bytes a page is with its pictures, without what all pages share.

        Args:
            path: The page.

        Returns:
            What is loaded at once, and that with the pictures that wait until a reader comes near.
        """
        page = self._page(path)
        at_once = self._pictures((each for each in page.loaded if each not in page.waiting), path)
        later = self._pictures(page.waiting, path) - at_once
        first = path.stat().st_size + sum(picture.stat().st_size for picture in at_once)
        return first, first + sum(picture.stat().st_size for picture in later)

    def _pictures(self, references: Iterable[str], path: Path) -> set[Path]:
        targets = {self._target(urlsplit(reference).path, path) for reference in references}
        return {each for each in targets if each.suffix.lower() in PICTURES and each.is_file()}

    def _complaints(self, path: Path) -> Iterator[str]:
        if path.suffix == ".css":
            references = css_references(path.read_text(encoding="utf-8"))
        else:
            references = self._page(path).loaded
        for reference in dict.fromkeys(references):
            if complaint := self._loading(reference, path):
                yield complaint
        if path.suffix != ".html":
            return
        for link in dict.fromkeys(self._page(path).links):
            if complaint := self._leading(link, path):
                yield complaint
        if self._page(path).has_raw_table:
            yield "has a table that was not rendered: |---|"
        first, whole = self.weight(path)
        if first > HEAVIEST_PAGE:
            yield f"loads {_megabytes(first)} at once, above {_megabytes(HEAVIEST_PAGE)}"
        if whole > HEAVIEST_READ:
            yield f"weighs {_megabytes(whole)} with its pictures, above {_megabytes(HEAVIEST_READ)}"

    def _loading(self, reference: str, path: Path) -> str | None:
        url = urlsplit(reference)
        if url.scheme == "data" or (not url.path and not url.netloc):
            return None
        if url.scheme or url.netloc:
            return f"loads {reference} from outside: keep a copy in the site"
        exists = self._target(url.path, path).exists()
        return None if exists else f"loads {reference}, which is not in the site"

    def _leading(self, link: str, path: Path) -> str | None:
        url = urlsplit(link)
        if url.scheme or url.netloc:
            return None
        target = self._target(url.path, path) if url.path else path
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            return f"links to {link}, which is not in the site"
        place = unquote(url.fragment)
        known = not place or target.suffix != ".html" or place in self._page(target).places
        return None if known else f"links to {link}, but that page has no such place"

    def _target(self, local: str, path: Path) -> Path:
        local = unquote(local)
        if local.startswith(self.prefix):
            return self.folder / local.removeprefix(self.prefix)
        return path.parent / local

    def _page(self, path: Path) -> _Page:
        return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, _changed: int) -> _Page:
    return _Page(path.read_text(encoding="utf-8"))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"


def main(arguments: list[str]) -> int:
    """Print every problem; 1 means that there are some."""
    found = [problem for argument in arguments for problem in Site(Path(argument)).problems()]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
