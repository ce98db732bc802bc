"""The map names every chapter once, and marks where the reader is."""

from pathlib import Path

from lxml import html

from book._ext.layout import Book
from book._ext.pages.map import MAP, drawn

NAMES = [name for chapters in MAP.values() for name in chapters]


def test_every_chapter_is_on_the_map_once() -> None:
    book = Book(Path(__file__).parents[2])
    chapters = [book.name(docname) for docname in book.docnames]
    assert sorted(NAMES) == sorted(name for name in chapters if name.startswith("part-"))


def test_the_readers_place_is_marked_and_all_others_are_links() -> None:
    here = "part-a/1-6-guidance"
    page = html.fromstring(drawn({name: f"../{name}.html" for name in NAMES}, here))
    assert [mark.text for mark in page.xpath("//*[@aria-current='page']")] == ["on a prompt"]
    links = page.xpath("//a/@href")
    assert links == [f"../{name}.html" for name in NAMES if name != here]
    assert page.xpath("//dt/text()") == [*MAP]
