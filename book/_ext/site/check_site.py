"""Check that a built site is whole by itself.

Scripts, styles, fonts and pictures have to be files of the site, and so has whatever a link inside
leads to, its place in the page included. Links to elsewhere may lead anywhere. No page weighs more
than a reader on a phone would wait for.
"""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from os import cpu_count
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urlsplit

from lxml import html

HEAVIEST_PAGE = 1_500_000
"""Bytes of a page and the pictures that it loads at once."""
HEAVIEST_READ = 5_000_000
"""The same with the pictures that wait for their reader."""
LOADING_RELS = {
    "stylesheet", "icon", "shortcut", "preload", "modulepreload", "prefetch", "preconnect",
    "dns-prefetch", "manifest", "apple-touch-icon",
}  # fmt: skip
PICTURES = (".avif", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp")

_CSS = re.compile(r"""@import\s+["']([^"']+)|url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))\s*\)""")
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_PARSER = html.HTMLParser(encoding="utf-8", huge_tree=True)
_SOURCES = """
    //@src | //@poster | //object/@data | //*[self::image or self::use]/@*[contains(name(), 'href')]
"""
_SRCSETS = "//img/@srcset | //source/@srcset"
_PROSE = """
    //text()[contains(., '---')]
    [not(ancestor::code or ancestor::pre or ancestor::script or ancestor::style)]
"""
_LATEX = r"""
    //text()[contains(., '\')]
    [not(ancestor::code or ancestor::pre or ancestor::script or ancestor::style)]
    [not(ancestor::*[contains(concat(' ', @class, ' '), ' math ')])]
"""
_RAW_FORMULA = re.compile(r"\\[A-Za-z]{2,}")
_RAW_TABLE = re.compile(r"\|\s*:?-{3,}:?\s*\|")


@dataclass(frozen=True)
class _Page:
    """What a page loads, which of it waits, where its links lead, and which places it has."""

    loaded: list[str]
    waiting: set[str]
    links: list[str]
    places: set[str]
    has_raw_table: bool
    has_raw_formula: bool


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
    _pages: dict[str, _Page] = field(default_factory=dict, init=False, repr=False)

    def problems(self) -> Iterator[str]:
        """Name every file that isn't as it should be, and say why."""
        pages = [
            name
            for name in sorted(self._sizes)
            if name.endswith((".css", ".svg"))
            or (name.endswith(".html") and not name.startswith("_static/"))
        ]
        with ThreadPoolExecutor(cpu_count()) as threads:  # the parser lets go of the interpreter
            threads.map(self._page, (name for name in pages if not name.endswith(".css")))
        for name in pages:
            for complaint in self._complaints(name):
                yield f"{name} {complaint}"

    def weight(self, page: str) -> tuple[int, int]:
        """How many bytes a page is with its pictures, without what all pages share.

        Args:
            page: The page's file, as named from the site's folder.

        Returns:
            What is loaded at once, and that with the pictures that wait until a reader comes near.
        """
        every = self._page(page)
        at_once = self._pictures((each for each in every.loaded if each not in every.waiting), page)
        later = self._pictures(every.waiting, page) - at_once
        first = self._sizes[page] + sum(self._sizes[picture] for picture in at_once)
        return first, first + sum(self._sizes[picture] for picture in later)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in files}

    def _pictures(self, references: Iterable[str], page: str) -> set[str]:
        targets = {self._target(urlsplit(reference).path, page) for reference in references}
        return {each for each in targets & self._sizes.keys() if each.lower().endswith(PICTURES)}

    def _complaints(self, name: str) -> Iterator[str]:
        if name.endswith(".css"):
            references = css_references((self.folder / name).read_text(encoding="utf-8"))
        else:
            references = self._page(name).loaded
        for reference in dict.fromkeys(references):
            if complaint := self._loading(reference, name):
                yield complaint
        if not name.endswith(".html"):
            return
        for link in dict.fromkeys(self._page(name).links):
            if complaint := self._leading(link, name):
                yield complaint
        if self._page(name).has_raw_table:
            yield "has a table that was not rendered: |---|"
        if self._page(name).has_raw_formula:
            yield "has a formula that was not rendered, such as one with a line that begins with +"
        first, whole = self.weight(name)
        if first > HEAVIEST_PAGE:
            yield f"loads {_megabytes(first)} at once, above {_megabytes(HEAVIEST_PAGE)}"
        if whole > HEAVIEST_READ:
            yield f"weighs {_megabytes(whole)} with its pictures, above {_megabytes(HEAVIEST_READ)}"

    def _loading(self, reference: str, page: str) -> str | None:
        url = urlsplit(reference)
        if url.scheme == "data" or (not url.path and not url.netloc):
            return None
        if url.scheme or url.netloc:
            return f"loads {reference} from outside: keep a copy in the site"
        exists = self._target(url.path, page) in self._sizes
        return None if exists else f"loads {reference}, which is not in the site"

    def _leading(self, link: str, page: str) -> str | None:
        url = urlsplit(link)
        if url.scheme or url.netloc:
            return None
        target = self._target(url.path, page) if url.path else page
        if target not in self._sizes:
            target = normpath(join(target, "index.html"))
        if target not in self._sizes:
            return f"links to {link}, which is not in the site"
        place = unquote(url.fragment)
        is_setting = "=" in place  # what a script of the page reads; no place is called so
        known = not place or is_setting or not target.endswith(".html")
        known = known or place in self._page(target).places
        return None if known else f"links to {link}, but that page has no such place"

    def _target(self, local: str, page: str) -> str:
        local = unquote(local)
        if local.startswith(self.prefix):
            return normpath(local.removeprefix(self.prefix))
        return normpath(join(dirname(page), local))

    def _page(self, name: str) -> _Page:
        if name not in self._pages:
            self._pages[name] = _read(self.folder / name)
        return self._pages[name]


def _read(path: Path) -> _Page:
    page = html.parse(str(path), _PARSER)
    if page.getroot() is None:
        return _Page([], set(), [], set(), has_raw_table=False, has_raw_formula=False)

    def find(expression: str) -> list[str]:
        found = page.xpath(expression, smart_strings=False)
        return [str(each) for each in found] if isinstance(found, list) else []

    loaded = [name for choices in find(_SRCSETS) for name in _choices(choices)]
    links = page.xpath("//link[@rel][@href]")
    loaded += [a.get("href") for a in links if LOADING_RELS & {*a.get("rel").lower().split()}]
    for text in (*find("//@style"), *find("//style/text()")):
        loaded += css_references(text)
    return _Page(
        [*find(_SOURCES), *loaded],
        {*find("//*[@loading='lazy']/@src")},
        find("//a/@href[. != '']"),
        {*find("//@id"), *find("//@name")},
        any(map(_RAW_TABLE.search, find(_PROSE))),
        any(map(_RAW_FORMULA.search, find(_LATEX))),
    )


def _choices(srcset: str) -> Iterator[str]:
    choices = [srcset] if "data:" in srcset else srcset.split(",")
    return (choice.split()[0] for choice in choices if choice.strip())


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB"
