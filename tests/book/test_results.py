"""Where figures come from: what their cells used, and the page of it all."""

from pathlib import Path

import nbformat
import pytest
from conftest import Write

from book._ext.layout import Book
from book._ext.pages.results import Result, abridged, result, weights_of
from book._ext.run.execute import bring_up_to_date, read_chapter
from book._ext.run.store import read_export

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([3, 1, 3], ["1", "3"]),
        ([0, 1, 2, 3], ["0–3"]),
        ([0, 1, 2], ["0", "1", "2"]),
        ([0, 1, 2, 3, 9], ["0–3", "9"]),
        ([2, 4, 6, 8, 9], ["2, 4, …, 8", "9"]),
    ],
)
def test_many_seeds_are_abridged(values: list[int], expected: list[str]) -> None:
    assert abridged(values) == expected


@pytest.fixture(scope="module")
def found() -> list[Result]:
    """What is known of the real book's figures."""
    book, found = Book(ROOT), []
    for docname in book.docnames:
        text, done = book.source(docname).read_text("utf-8"), read_export(book.export(docname))
        chapter = read_chapter(book, docname, text)
        if chapter is not None and done is not None:
            found.append(result(book, chapter, done, text))
    return [each for each in found if each.pictures]


@pytest.mark.slow
def test_every_picture_of_the_book_is_listed(found: list[Result]) -> None:
    """Counted in the committed results, where the page counts in the chapters' sources."""
    book = Book(ROOT)
    for each in found:
        done = nbformat.read(book.export(each.docname), nbformat.NO_CONVERT)
        cells = [
            index
            for index, cell in enumerate(done.cells)
            for output in cell.outputs
            if any(kind.startswith("image/") for kind in output.get("data", {}))
            or '<div class="fd-' in output.get("data", {}).get("text/html", "")
        ]
        assert {picture.cell for picture in each.pictures} >= set(cells)
        assert each.made.keys() >= {"engine", "device", "versions", "date", "seconds"}
    first, *_ = found
    assert [picture.kind for picture in first.pictures] == ["Animation", "Turning pictures"]


@pytest.mark.slow
def test_seeds_and_weights_of_known_figures(found: list[Result]) -> None:
    """Read by eye in the chapters; the cell of the letters takes names over from one that loads."""
    named = {picture.name: picture for each in found for picture in each.pictures}
    known = {
        "fig-forward": (("0",), ()),
        "fig-anagram-best": (("0",), ("illusions", "text-to-image")),
        "fig-letters": ((), ("glyph-class", "mnist-class")),
        "fig-unet": ((), ()),
    }
    assert {name: (named[name].seeds, named[name].weights) for name in known} == known
    used = {weights for picture in named.values() for weights in picture.weights}
    assert used <= set(weights_of(Book(ROOT)))
    assert {"text-to-image", "mnist-denoiser", "mnist-time", "mnist-class", "mnist-flow"} <= used


@pytest.mark.slow
def test_a_picture_lists_what_its_run_used_and_no_text_tells(write: Write, tmp_path: Path) -> None:
    """A chapter opens weights by a name that it computes, and sets seeds that it computes."""
    write("_config.yml", "{}")
    write("_toc.yml", "root: book/one\n")
    write("tiny/__init__.py", "")
    write("tiny/weights/digits/card.json", '{"files": {}}')
    write("tiny/weights/digits/model.bin", "17")
    write(
        "tiny/nets.py",
        "from pathlib import Path\n\n\ndef load(name):\n"
        "    folder = Path(__file__).parent / 'weights' / name\n"
        "    return int((folder / 'model.bin').read_text())\n\n\n"
        "def drawn(seed, width=1):\n    return [seed] * width\n",
    )
    cells = (
        "from tiny import nets\nfrom PIL import Image\nnumber = nets.load(''.join(['dig', 'its']))",
        "drawn = getattr(nets, 'draw' + 'n')",
        "x = drawn(number + 1)\nother = drawn(4)",
        "for k in range(3):\n    y = drawn(seed=number * k)",
        "Image.new('L', (8, 8), y[0])",
        "Image.new('L', (8, 8), len(x))",
    )
    front = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
    text = f"{front}# One\n" + "".join(f"\n```{{code-cell}}\n{cell}\n```\n" for cell in cells)
    write("book/one.md", text)
    book = Book(tmp_path, "tiny")
    bring_up_to_date(book, say=lambda line: None)
    chapter, done = read_chapter(book, "book/one", text), read_export(book.export("book/one"))
    assert chapter is not None
    assert done is not None
    made = result(book, chapter, done, text)
    assert [(each.seeds, each.weights) for each in made.pictures] == [
        (("0", "17", "34"), ("digits",)),
        (("4", "18"), ("digits",)),
    ]
    assert "tiny.nets" in done.metadata.provenance.record.code
    said: list[str] = []
    write("tiny/weights/digits/card.json", '{"files": {"model.bin": "other"}}')
    bring_up_to_date(book, say=said.append)
    assert said[0] == "executing one …"
