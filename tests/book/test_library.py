"""The pages and the map that are written from the library's own files."""

from pathlib import Path

import pytest
from conftest import Write

from book._ext.layout import Book, BookError
from book._ext.pages.library import CORE, Library, with_map, write_pages

ROOT = Path(__file__).parents[2]


@pytest.fixture
def book(tmp_path: Path, write: Write) -> Book:
    write("tiny/__init__.py", '"""The core: small things.\n\nMore.\n"""\n')
    write("tiny/files.py", '"""Files."""\n')
    write("tiny/views.py", '"""Views."""\n')
    write("tiny/nn/__init__.py", '"""Networks: blocks and more."""\n')
    write("tiny/nn/blocks.py", '"""Blocks."""\n')
    write("tiny/__main__.py", '"""Run."""\n')
    write("book/part-a/one.md", "```\nfrom tiny.views import flip\n```\n")
    return Book(tmp_path, "tiny")


def test_every_module_is_on_one_page() -> None:
    library = Library(Book(ROOT))
    found = [module for modules in library.contents.values() for module in modules]
    assert sorted(found) == sorted(library.modules.keys() - {"fundiff.__main__"})
    for page, text in library.pages().items():
        assert all(f".. automodule:: {module}\n" in text for module in library.contents[page])


def test_what_chapters_import_comes_first(book: Book) -> None:
    library = Library(book)
    assert library.contents == {
        CORE: ["tiny", "tiny.views", "tiny.files"],
        "nn": ["tiny.nn", "tiny.nn.blocks"],
    }
    assert library.pages()["nn"].startswith("# Networks\n")
    assert library.index().splitlines() == [
        "* {doc}`api/core`, `tiny`: small things.",
        "* {doc}`api/nn`, `tiny.nn`: blocks and more.",
    ]


def test_pages_take_the_place_of_older_ones(book: Book, write: Write) -> None:
    old = write("api/gone.md", "# Gone\n")
    write_pages(Library(book), old.parent)
    assert {path.name for path in old.parent.iterdir()} == {"core.md", "nn.md"}


def test_the_map_is_a_section_of_the_readme(book: Book) -> None:
    text = with_map("# Tiny\n\n## The map\n\nOld.\n\n## More\n", Library(book))
    rows = [line for line in text.splitlines() if line.startswith("| [")]
    assert rows == [
        "| [`files`](tiny/files.py) | Files. |",
        "| [`views`](tiny/views.py) | Views. |",
        "| [`nn`](tiny/nn) | Networks: blocks and more. |",
    ]
    assert text.startswith("# Tiny\n\n## The map\n")
    assert text.endswith("\n\n## More\n")
    with pytest.raises(BookError, match=r"expected one section `## The map` .*, found 0"):
        with_map("# Tiny\n", Library(book))


def test_what_has_no_place_is_refused(book: Book, write: Write) -> None:
    write("tiny/views.py", "")
    with pytest.raises(BookError, match=r"expected a docstring at the top of .*views\.py"):
        Library(book).readme()
    write("tiny/stray.py", '"""Stray."""\n')
    with pytest.raises(BookError, match="expected a layer for stray in"):
        Library(book)
