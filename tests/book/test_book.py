"""The book's machinery: digests, execution, the Sphinx extension and the check of the site."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import nbformat
import pytest
from conftest import Write

from book._ext.layout import Book, BookError
from book._ext.pages.results import ATTRIBUTION, attribution_line, provenance_line
from book._ext.run import execute
from book._ext.run.digests import (
    BUNDLED,
    NO_ENGINE,
    dependencies,
    engine_label,
    stamp,
    trimmed,
    weights,
)
from book._ext.run.execute import bring_up_to_date, needs, read_chapter
from book._ext.run.kernel import environment
from book._ext.run.store import Store
from book._ext.site import build, render
from book._ext.site.build import inputs
from book._ext.site.check_site import Site, css_references
from book._ext.site.render import publish

ROOT = Path(__file__).parents[2]
CHAPTERS = "book._ext.pages.chapters"
ADD = "def add(a, b):\n    return a * ONE + b\n"
FRONT = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"


def page(*cells: str) -> str:
    """A chapter with these code cells."""
    return FRONT + "\n# Title\n" + "".join(f"\n```{{code-cell}}\n{cell}\n```\n" for cell in cells)


@pytest.fixture
def book(tmp_path: Path, write: Write) -> Book:
    """A book of two chapters with equal stems over a package of four modules."""
    write("_config.yml", "parse: {myst_enable_extensions: [colon_fence, dollarmath]}\n")
    write("_toc.yml", "root: book/index\nentries: [{file: book/a/one}, {file: book/b/one}]\n")
    write("book/index.md", "# A book\n")
    write("book/a/one.md", page("from tiny.sums import add\nprint(add(1, 2))"))
    write("book/b/one.md", page("from tiny import words\nprint(words.greet())"))
    write("tiny/__init__.py", '"""Tiny."""\n__version__ = "1"\n')
    write("tiny/base.py", "ONE = 1\n")
    write("tiny/sums.py", f'"""Sums."""\nfrom .base import ONE\n{ADD}')
    write("tiny/words.py", 'def greet():\n    """Greet."""\n    return "hello"\n')
    write("tiny/models/__init__.py", "")
    write("tiny/models/if_model.py", "from tiny.base import ONE\ndef load():\n    return ONE\n")
    return Book(tmp_path, "tiny")


def used(*code: str, files: Sequence[str] = (), engine: bool = False) -> dict[str, object]:
    """What a kernel notes of a chapter."""
    return {"engine": engine, "code": code, "files": files}


def digest(book: Book, record: Mapping[str, object], engine: str = BUNDLED) -> str:
    return dependencies(record, book.root, book.package, engine).digest


def run(book: Book, *, fresh: bool = False, only: tuple[str, ...] = ()) -> list[str]:
    """Bring a book up to date, and name the chapters that were executed."""
    said: list[str] = []
    bring_up_to_date(book, fresh=fresh, only=only, say=said.append)
    return [line.split()[1] for line in said if line.startswith("executing")]


def output(book: Book, docname: str) -> str:
    """What a chapter's first cell printed, in the committed export."""
    notebook = nbformat.read(book.export(docname), nbformat.NO_CONVERT)
    return str(notebook.cells[0].outputs[0].text)


def test_what_a_digest_counts(book: Book, write: Write) -> None:
    write("tiny/__init__.pyi", "from .sums import add as add\nfrom .words import greet as greet\n")
    found = dependencies(used("tiny.add"), book.root, "tiny", BUNDLED)
    assert found.modules == {book.root / "tiny" / name for name in ("sums.py", "base.py")}
    assert found.digest == digest(book, used("tiny.sums.add")) == digest(book, used("tiny.sums"))
    assert found.digest != digest(book, used("tiny.words.greet")) != digest(book, used())


def test_digest_is_blind_to_what_changes_no_output(book: Book, write: Write) -> None:
    before = digest(book, used("tiny.sums"))
    write("tiny/__init__.py", '"""Tiny, said otherwise."""\n__version__ = "2"\n')
    write(
        "tiny/sums.py",
        '"""More."""\n# Why.\nfrom .base import (ONE,)\n\n'
        'def add(a: int, b: int) -> int:\n    """Add."""\n'
        '    return a * ONE + b  # sum\n"""A string after the fact."""\n',
    )
    write("tiny/words.py", "def greet():\n    return 'bye'\n")
    assert digest(book, used("tiny.sums")) == before


def test_digest_is_blind_to_what_a_chapter_does_not_use(book: Book, write: Write) -> None:
    before = digest(book, used("tiny.sums.add"))
    path = book.root / "tiny" / "sums.py"
    write("tiny/sums.py", path.read_text() + "def other():\n    return 3\n")
    assert digest(book, used("tiny.sums.add")) == before


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("sums", "from .base import ONE\n" + ADD.replace("+", "-")),
        ("sums", "from .base import ONE\nprint(ONE)\n" + ADD),
        ("base", "ONE = 2\n"),
    ],
)
def test_digest_changes_with_code_used(book: Book, write: Write, module: str, text: str) -> None:
    before = digest(book, used("tiny.sums.add"))
    write(f"tiny/{module}.py", text)
    assert digest(book, used("tiny.sums.add")) != before


def test_a_record_keeps_only_what_does_not_follow(book: Book, write: Write) -> None:
    write("tiny/__init__.py", "def door():\n    return 1\n")
    write(
        "tiny/sums.py",
        f"from . import door\nfrom .base import ONE\nX = door()\n{ADD}    return X\n",
    )
    called = ["tiny.door", "tiny.sums.add", "tiny.words.greet"]
    kept = trimmed({"code": ["tiny.sums.add"], "called": called, "files": []}, book.root)
    assert kept == {"code": ["tiny.sums.add", "tiny.words.greet"], "files": []}


def test_what_is_not_there_any_more_is_said(book: Book) -> None:
    with pytest.raises(LookupError, match=r"tiny\.sums defines no subtract"):
        digest(book, used("tiny.sums.subtract"))
    with pytest.raises(LookupError, match=r"there is no .*sea\.png"):
        digest(book, used(files=["tiny/pictures/sea.png"]))


@pytest.mark.parametrize(
    "file", ["tiny/pictures/sea.png", "book/notes.txt", "tiny/weights/digits/card.json"]
)
def test_digest_changes_with_files_opened(book: Book, write: Write, file: str) -> None:
    write(file, '{"files": {"a": "1"}}')
    before = digest(book, used(files=[file])), digest(book, used())
    write(file, '{"files": {"a": "2"}}')
    assert digest(book, used(files=[file])) != before[0]
    assert digest(book, used()) == before[1]


@pytest.mark.parametrize(
    ("card", "same"),
    [
        ({"files": {"a": "1"}, "code": "new", "date": "later"}, True),
        ({"files": {"a": "2"}, "code": "old"}, False),
        ({"files": {"a": "1"}, "code": "old", "results": {"rows": [2]}}, False),
    ],
)
def test_digest_takes_a_cards_checksums_and_results(
    book: Book, write: Write, card: dict[str, object], same: bool
) -> None:
    write("tiny/weights/judge/card.json", '{"files": {"a": "1"}, "code": "old"}')
    write("tiny/weights/judge/net/model.bin", "large")
    record = used(files=["tiny/weights/judge/net/model.bin"])
    before = digest(book, record)
    write("tiny/weights/judge/net/model.bin", "larger")
    write("tiny/weights/judge/card.json", json.dumps(card))
    assert (digest(book, record) == before) is same


def test_a_page_says_which_weights_were_loaded(tmp_path: Path) -> None:
    made = {"versions": {"torch": "2"}, "device": "CPU", "date": "2026-01-01"}
    files = ["tiny/weights/digits/net/a.bin", "tiny/weights/digits/card.json", "tiny/sea.png"]
    assert weights(files, tmp_path / "tiny") == ["digits"]
    line = provenance_line({**made, "engine": NO_ENGINE}, ["digits"])
    assert line == "Weights digits · CPU · torch 2 · made on 2026-01-01"
    line = provenance_line({**made, "engine": BUNDLED, "dtype": "bfloat16"})
    assert line == "Bundled model · CPU · bfloat16 · torch 2 · made on 2026-01-01"
    assert provenance_line({**made, "engine": NO_ENGINE}).startswith("No model · ")
    assert provenance_line({**made, "engine": BUNDLED}, ["digits"]).startswith("Bundled model · ")


def test_engine_counts_only_where_it_was_loaded(book: Book) -> None:
    with_model, without = used("tiny.sums", engine=True), used("tiny.sums")
    assert dependencies(without, book.root, "tiny", BUNDLED).engine == NO_ENGINE
    assert digest(book, without, engine="hub/x") == digest(book, without)
    assert digest(book, with_model, engine="hub/x") != digest(book, with_model)


def test_engine_label_keeps_a_machines_paths_out(tmp_path: Path) -> None:
    assert engine_label(None) == engine_label("") == BUNDLED
    assert engine_label("DeepFloyd/IF-I-XL-v1.0") == "DeepFloyd/IF-I-XL-v1.0"
    assert engine_label(str(tmp_path)) == tmp_path.name


def test_stamp_keeps_the_lines_and_refuses_a_second_one() -> None:
    text = page("1")
    stamped = stamp(text, "0123", "page.md")
    assert len(stamped.splitlines()) == len(text.splitlines())
    assert 'display_name: Python 3, digest: "0123"}' in stamped
    with pytest.raises(BookError, match=r"page\.md has a digest"):
        stamp(stamped, "4567", "page.md")


@pytest.mark.parametrize(
    "front",
    [
        "",
        "---\nfile_format: mystnb\n---\n",
        "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n",
        "---\nkernelspec: {name: python3, display_name: Python 3}\n---\n",
    ],
)
def test_stamp_says_what_the_front_matter_should_have(front: str) -> None:
    with pytest.raises(BookError, match=r"page\.md has code cells: .*\n.*mystnb\n.*kernelspec: {"):
        stamp(front + "```{code-cell}\n1\n```\n", "0123", "page.md")


def test_a_page_without_code_cells_is_no_chapter(book: Book) -> None:
    assert (
        read_chapter(book, "book/index", "# A book\n\n````md\n```{code-cell}\n1\n```\n````") is None
    )


def test_environment_is_an_allow_list(book: Book) -> None:
    parent = {"PATH": "/bin", "LC_ALL": "C", "HF_TOKEN": "x", "SECRET": "x", "FUNDIFF_MODEL": ""}
    seen = environment(book, parent)
    assert {"PATH", "LC_ALL"} <= set(seen)
    assert not {"HF_TOKEN", "SECRET"} & set(seen)
    assert seen["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_OFFLINE" not in environment(book, {"FUNDIFF_MODEL": "DeepFloyd/IF-I-M-v1.0"})
    local = environment(book, {"FUNDIFF_MODEL": str(book.root / "tiny" / ".." / "tiny")})
    assert local["FUNDIFF_MODEL"] == str((book.root / "tiny").resolve())


def test_an_unreadable_cache_is_made_anew(book: Book) -> None:
    book.cache.mkdir(parents=True)
    (book.cache / "global.db").touch()
    assert Store(book.cache).get(nbformat.v4.new_notebook()) is None


def test_a_second_build_is_refused_while_one_is_at_work(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("book._ext.layout.LOCK_SECONDS", 0.1)
    with book.locked(), pytest.raises(BookError, match="another build is at work"), book.locked():
        pass
    with book.locked():
        pass


def test_a_page_that_the_contents_list_but_is_missing(book: Book) -> None:
    with pytest.raises(BookError, match=r"_toc\.yml lists book/c, but there is no .*book/c\.md"):
        book.source("book/c")


def test_a_site_is_rendered_again_where_anything_that_it_is_made_of_has_changed(
    book: Book, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = []

    def rendering(book: Book, foundations: str | None) -> Path:
        rendered.append(inputs(book))
        return write("_build/next/index.html", "new").parent

    looked_at = []
    monkeypatch.setattr(
        execute, "bring_up_to_date", lambda book, fresh, only: looked_at.append((fresh, only))
    )
    monkeypatch.setattr(render, "render", rendering)
    build.bring_up_to_date(book)
    every, one = (False, ()), (False, ["a/one"])
    for name, expected in {
        "_config.yml": every,
        "_toc.yml": every,
        "book/a/one.md": one,
        "book/_static/x.css": every,
        "book/unlisted.md": every,
        "tiny/base.py": every,
    }.items():
        build.bring_up_to_date(book)
        file = book.root / name
        write(name, f"{file.read_text() if file.is_file() else ''}\n")
        looked_at.clear()
        build.bring_up_to_date(book)
        assert looked_at == [expected], name
    assert all(one != other for one, other in combinations(rendered, 2))
    assert len(rendered) == 7
    write("tiny/__pycache__/base.pyc", "")
    write("book/reference/api/core.md", "")
    build.bring_up_to_date(book)
    assert len(rendered) == 7
    monkeypatch.setenv("FUNDIFF_MODEL", "another")
    build.bring_up_to_date(book)
    (book.build / "html" / "index.html").unlink()
    build.bring_up_to_date(book)
    build.bring_up_to_date(book, fresh=True)
    assert len(rendered) == 10
    shutil.rmtree(book.cache)
    write("book/a/one.md", page("2"))
    looked_at.clear()
    build.bring_up_to_date(book)
    build.bring_up_to_date(book, only=["b/one"])
    assert looked_at == [every, (False, ["b/one"])]


def test_what_sphinx_cannot_see_by_its_time_begins_from_nothing(
    book: Book, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rendering(book: Book, foundations: str) -> Path:
        write("_build/sphinx/kept", "")
        if "fail" in book.source("book/index").read_text("utf-8"):
            raise BookError("no")
        return write("_build/next/index.html", "new").parent

    def keeps(text: str, time: float | None = None) -> bool:
        page, kept = write("book/index.md", text), write("_build/sphinx/mark", "")
        if time is not None:
            os.utime(page, (time, time))
        with suppress(BookError):
            build.bring_up_to_date(book)
        return kept.is_file()

    monkeypatch.setattr(execute, "bring_up_to_date", lambda book, **_: None)
    monkeypatch.setattr(render, "render", rendering)
    assert keeps("# One\n", 1000)
    assert keeps("# Two, now\n")
    assert not keeps("# One\n", 1000)
    assert not keeps("# Another, older than the last build\n", 2000)
    assert keeps("# It fails\n")
    assert not keeps("# Put back after that\n", 2000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "should be a page of MyST"),
        ("---\na: [\n---\n# A\n", "should be a page of MyST"),
        (page("1").replace("---\n", "---\nmystnb: {execution_timeout: x}\n", 1), "MyST.*'x'"),
    ],
)
def test_a_page_that_cannot_be_read_is_named(book: Book, text: str, message: str) -> None:
    with pytest.raises(BookError, match=rf"book/a/one\.md .*{message}"):
        read_chapter(book, "book/a/one", text)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("tiny/sums.py", "def (", r"invalid syntax \(sums\.py, line 1\)"),
        ("tiny/weights/a/card.json", "<<<<", "Expecting value"),
    ],
)
def test_what_chapters_use_and_cannot_be_read_is_said(
    book: Book, write: Write, file: str, text: str, message: str
) -> None:
    write(file, text)
    with pytest.raises(BookError, match=message):
        needs(book, used("tiny.sums.add", files=["tiny/weights/a/card.json"]))


def test_a_kept_result_that_was_cut_off_is_none(book: Book) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    store = Store(book.cache)
    store.put(notebook, "a/one")
    (path,) = book.cache.rglob("base.ipynb")
    path.write_text('{"cells": [')
    assert store.get(notebook) is None
    assert [*store.of("a/one")] == []


def test_a_site_that_could_not_be_rendered_is_tried_again(
    book: Book, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rendering(book: Book, foundations: str | None) -> Path:
        if book.source("book/index").read_text("utf-8") != "# A book\n":
            raise BookError("no")
        return write("_build/next/index.html", "new").parent

    monkeypatch.setattr(execute, "bring_up_to_date", lambda book, **_: None)
    monkeypatch.setattr(render, "render", rendering)
    build.bring_up_to_date(book)
    write("book/index.md", "# Another\n")
    for _ in range(2):
        with pytest.raises(BookError, match="no"):
            build.bring_up_to_date(book)
    assert (book.build / "html" / "index.html").read_text() == "new"


def test_publish_swaps_the_site_and_leaves_no_old_file(book: Book, write: Write) -> None:
    write("_build/html/old.html", "old")
    publish(book, write("_build/next/index.html", "new").parent)
    assert [path.name for path in (book.build / "html").iterdir()] == ["index.html"]
    assert not (book.build / "last").exists()


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/x.js"></script>',
        "<script src=//cdn.example/x.js></script>",
        '<link rel="preload stylesheet" href="https://cdn.example/x.css">',
        '<link rel="icon" href="https://cdn.example/x.ico">',
        '<img src="http://example.com/x.png">',
        '<img srcset="x.png 1x, https://example.com/x.png 2x">',
        '<iframe src="https://example.com"></iframe>',
        "<style>@import 'https://fonts.example/x.css';</style>",
        '<p style="background: url(https://example.com/x.png)">',
        "<img src='missing.png'>",
    ],
)
def test_check_site_finds_what_comes_from_outside(write: Write, html: str) -> None:
    site = write("site/part/index.html", f"<html>{html}</html>").parents[1]
    write("site/part/x.png", "")
    (problem,) = Site(site).problems()
    assert problem.startswith(str(Path("part", "index.html")))


def test_check_site_passes_links_and_local_files(write: Write) -> None:
    write("site/x.css", "@font-face{src:url('x.woff?v=1#f')}/* url(https://a.example) */")
    write("site/x.woff", "")
    write(
        "site/part/index.html",
        '<link rel="stylesheet" href="../x.css?v=2"><link rel="canonical" href="https://a.example">'
        '<a href="https://a.example">link</a><img src="data:image/png;base64,AA//">'
        '<img src="/x.css"><svg><use href="#mark"/></svg><p>url(https://a.example/x.png)',
    )
    assert list(Site(write("site/index.html", "").parent).problems()) == []


def test_check_site_reads_style_sheets(write: Write) -> None:
    css = '@import "https://a.example/x.css"; p{background:url( "https://a.example/x.png" )}'
    site = write("site/x.css", css).parent
    assert css_references(css) == ["https://a.example/x.css", "https://a.example/x.png"]
    assert len(list(Site(site).problems())) == 2


def test_the_lock_names_no_index_and_no_place() -> None:
    text = (ROOT / "book" / "constraints.txt").read_text()
    assert not re.search(r"://|--|@ ", text)


def test_chapters_can_be_read_and_their_code_fits_in_80_columns() -> None:
    book = Book(ROOT)
    too_long = [
        (docname, line)
        for docname in book.docnames
        if (chapter := read_chapter(book, docname, book.source(docname).read_text("utf-8")))
        for cell in chapter.notebook.cells
        for line in cell.source.splitlines()
        if len(line) > 80
    ]
    assert too_long == []


@pytest.mark.slow
def test_execution_happens_once_and_only_where_needed(book: Book, write: Write) -> None:
    sums = (book.root / "tiny" / "sums.py").read_text()
    assert run(book) == ["a/one", "b/one"]
    assert (output(book, "book/a/one"), output(book, "book/b/one")) == ("3\n", "hello\n")
    assert run(book) == []

    exports = {path: path.read_bytes() for path in book.exports.rglob("*.ipynb")}
    write("tiny/sums.py", sums.replace("ONE + b", "ONE - b"))
    assert run(book) == ["a/one"]
    assert output(book, "book/a/one") == "-1\n"

    write("tiny/sums.py", sums.replace("Sums.", "Other words."))
    assert run(book) == []
    assert {path: path.read_bytes() for path in book.exports.rglob("*.ipynb")} == exports

    subprocess.run(["rm", "-r", str(book.build)], check=True)
    assert run(book) == []

    assert run(book, fresh=True, only=("b/one",)) == ["b/one"]
    assert {path: path.read_bytes() for path in book.exports.rglob("*.ipynb")} == exports

    write("_toc.yml", "root: book/index\nentries: [{file: book/b/one}]\n")
    write("book/_executed/b/two.ipynb", "<<<<<<< not a notebook")
    assert run(book) == []
    assert list(book.exports.rglob("*")) == [book.exports / "b", book.export("book/b/one")]


@pytest.mark.slow
def test_an_export_from_elsewhere_wins_over_the_cache(book: Book) -> None:
    run(book)
    path = book.export("book/a/one")
    path.write_text(path.read_text().replace('"3\\n"', '"three\\n"'))
    assert run(book) == []
    assert output(book, "book/a/one") == "three\n"
    assert "three" in path.read_text()


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("none", None),
        ("bundled", None),
        ("my-model", None),
        ("DeepFloyd/IF-I-XL-v1.0", ATTRIBUTION),
        ("IF-I-M-v1.0", ATTRIBUTION),
        ("if-ii-l-v1.0", ATTRIBUTION),
    ],
)
def test_pages_that_deepfloyd_made_say_so(engine: str, expected: str | None) -> None:
    assert attribution_line(engine) == expected


@pytest.mark.slow
def test_a_caption_is_changed_without_a_run(book: Book, write: Write) -> None:
    run(book)
    options = "---\nmystnb: {figure: {caption: New.}}\n---\n"
    write("book/a/one.md", page(f"{options}from tiny.sums import add\nprint(add(1, 2))"))
    assert run(book) == []
    notebook = nbformat.read(book.export("book/a/one"), nbformat.NO_CONVERT)
    assert notebook.cells[0].metadata.mystnb.figure.caption == "New."
    assert Store(book.cache).get(notebook) == notebook
    text = book.source("book/a/one").read_text("utf-8")
    write("book/a/one.md", text.replace("display_name: Python 3", "display_name: Python"))
    assert run(book) == []
    notebook = nbformat.read(book.export("book/a/one"), nbformat.NO_CONVERT)
    assert notebook.metadata.kernelspec.display_name == "Python"
    assert Store(book.cache).get(notebook) == notebook


@pytest.mark.slow
def test_export_says_what_made_it(book: Book) -> None:
    run(book, only=("a/one",))
    metadata = nbformat.read(book.export("book/a/one"), nbformat.NO_CONVERT).metadata
    assert set(metadata) == {"kernelspec", "language_info", "provenance"}
    made = metadata.provenance
    assert set(made) == {"engine", "device", "versions", "date", "seconds", "record"}
    assert made.record == {
        "engine": False,
        "cells": [{"seeds": [], "files": []}],
        "code": ["tiny.sums.add"],
        "files": [],
    }
    assert made.engine == "none"
    assert made.device == "CPU"
    assert made.versions.python == ".".join(map(str, sys.version_info[:3]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", made.date)
    assert str(book.root) not in book.export("book/a/one").read_text()


@pytest.mark.slow
def test_export_says_the_precision_of_a_model(book: Book, write: Write) -> None:
    write(
        "tiny/models/if_model.py",
        "from types import SimpleNamespace\n\n\nclass TextToImage:\n"
        "    placement = SimpleNamespace(precision='bfloat16')\n",
    )
    cell = "from tiny.models.if_model import TextToImage\nmodel = TextToImage()"
    write("book/a/one.md", page(cell))
    run(book, only=("a/one",))
    made = nbformat.read(book.export("book/a/one"), nbformat.NO_CONVERT).metadata.provenance
    assert made.dtype == "bfloat16"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("raise ValueError('no')", r"raised\n(.*\n)*ValueError: no"),
        ("import sys\nprint('careful', file=sys.stderr)", r"wrote to stderr.*\ncareful"),
        ("def (", r"raised\n(.*\n)*SyntaxError"),
        ("import os\nos._exit(1)", "ended the kernel"),
        ("import time\ntime.sleep(60)", "took more than 2 seconds"),
    ],
)
def test_a_failing_cell_is_named_and_the_rest_is_kept(
    book: Book, write: Write, cell: str, message: str
) -> None:
    text = page("good = 1", cell).replace("---\n\n", "mystnb: {execution_timeout: 2}\n---\n\n", 1)
    write("book/a/one.md", text)
    where = re.escape(f"book/a/one.md, code cell 2 (line 13): `{cell.splitlines()[0]}` ")
    with pytest.raises(BookError, match=where + message):
        run(book)
    assert output(book, "book/b/one") == "hello\n"
    assert not book.export("book/a/one").exists()


@pytest.mark.slow
def test_a_chapter_sees_no_token_and_an_empty_folder(
    book: Book, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "canary")
    write("book/a/one.md", page("import os\nprint('canary' in str(os.environ), os.listdir())"))
    run(book)
    assert output(book, "book/a/one") == "False []\n"


@pytest.mark.slow
def test_sphinx_renders_results_and_refuses_a_stale_chapter(book: Book, write: Write) -> None:
    extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx.ext.intersphinx", CHAPTERS]
    write(
        "conf.py",
        f"import sys\nsys.path.append({str(ROOT)!r})\n"
        f"extensions = {extensions}\nroot_doc = 'book/index'\nnb_ipywidgets_js = {{}}\n"
        "chapters_package = 'tiny'\nexclude_patterns = ['_build', 'book/_executed']\n"
        "myst_enable_extensions = ['colon_fence', 'dollarmath']\n",
    )
    write("book/index.md", "# A book\n\n```{toctree}\na/one\nb/one\n```\n\n$x$\n")
    site = book.build / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "-n", "-q", str(book.root), str(site)]

    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "has not been executed since: run `nox -s book`" in refused.stderr

    run(book)
    subprocess.run(command, check=True)
    rendered = (site / "book" / "a" / "one.html").read_text()
    assert re.search(r"<pre>.*3\n</pre>", rendered)
    assert re.search(r'class="provenance">No model · CPU · Python 3[\d.]+ · made on 20', rendered)
    assert list(Site(site).problems()) == []
    assert "DeepFloyd" not in rendered

    export = book.export("book/a/one")
    export.write_text(export.read_text().replace('"engine": "none"', '"engine": "IF-I-M-v1.0"'))
    subprocess.run([*command, "-E"], check=True)
    made_by_deepfloyd = (site / "book" / "a" / "one.html").read_text()
    assert made_by_deepfloyd.count(ATTRIBUTION) == 1
    assert "DeepFloyd" not in (site / "book" / "b" / "one.html").read_text()

    write("tiny/base.py", "ONE = 2\n")
    stale = subprocess.run(command, capture_output=True, text=True, check=False)
    assert stale.returncode != 0
    assert "book/a/one has changed, or something it uses has" in stale.stderr
