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
    marked = [each.text for each in page.iter("strong") if each.get("aria-current") == "page"]
    assert marked == ["on a prompt"]
    links = [each.get("href") for each in page.iter("a")]
    assert links == [f"../{name}.html" for name in NAMES if name != here]
    assert [each.text for each in page.iter("dt")] == [*MAP]
