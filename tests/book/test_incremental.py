"""A site of which only what has changed is written is the same as one that is made from nothing."""

import shutil
from pathlib import Path

import pytest
import yaml
from conftest import Write

from book._ext.layout import PAGES, REPOSITORY, Book
from book._ext.run import execute
from book._ext.site import render as rendering
from book._ext.site.build import foundations, inputs

ROOT = Path(__file__).parents[2]
FRONT = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
MODULE = '''"""Sums."""


def add(a: int, b: int) -> int:
    """Add, as :eq:`eq-sum` says."""
    return a + b
'''
PAGE = f"""{FRONT}
# Sums

The first sentence. See {{eq}}`eq-sum`, {{numref}}`fig-sum` and {{doc}}`words`.

$$
a + b
$$ (eq-sum)

```{{literalinclude}} ../tiny/sums.py
:pyobject: add
```

```{{code-cell}}
---
mystnb:
  figure:
    name: fig-sum
    caption: A sum.
---
from tiny.sums import add
from PIL import Image

Image.new("L", (64, 64), add(1, 2))
```
"""

INDEX = """\
# A book

It has {doc}`sums` and {cite:p}`one`.

```python
from tiny.sums import add

add(1, 2)
```

```{bibliography}
```
"""
WORDS = """\
# Words

{py:obj}`tiny.sums.add`

```{eval-rst}
.. automodule:: tiny.sums
   :members:
```
"""
TEST = """\
from tiny.sums import add


def test_add():
    assert add(1, 2)
"""


@pytest.fixture
def book(tmp_path: Path, write: Write) -> Book:
    """A book of three pages, with the real one's configuration."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    del config["logo"], config["html"]["favicon"]
    config["sphinx"]["local_extensions"] = {"book._ext.pages.chapters": str(ROOT)}
    config["sphinx"]["config"]["chapters_package"] = "tiny"
    config["exclude_patterns"].append("tiny")
    write("_config.yml", yaml.safe_dump(config))
    write(
        "_toc.yml",
        "{format: jb-book, root: book/index, parts: [{chapters: [{file: book/sums}, {file: "
        "book/words}, {file: book/reference/provenance}, {file: book/reference/formulas}]}]}",
    )
    shutil.copytree(ROOT / "book" / "inventories", tmp_path / "book" / "inventories")
    write("book/_static/custom.css", "p { color: red }\n")
    write("book/_static/book.js", "")
    write("book/_static/scorer.js", "var Scorer = {};\n")
    write(
        "book/references.bib", "@book{one, author={A, B}, title={T}, publisher={P}, year={2020}}\n"
    )
    write("book/index.md", INDEX)
    write("book/sums.md", PAGE)
    write("book/words.md", WORDS)
    write("book/reference/provenance.md", "# Figures\n\n```{provenance-table}\n```\n")
    write("book/reference/formulas.md", "# Formulas\n\n```{formula-table}\n```\n")
    write("tiny/__init__.py", '"""Tiny."""\n')
    write("tiny/sums.py", MODULE)
    write(
        "tests/test_sums.py",
        "from tiny.sums import add\n\n\ndef test_add():\n    assert add(1, 2)\n",
    )
    return Book(tmp_path, "tiny")


def files(site: Path) -> dict[str, bytes]:
    return {
        path.relative_to(site).as_posix(): path.read_bytes()
        for path in site.rglob("*")
        if path.is_file()
    }


def changed(book: Book, name: str, old: str, new: str) -> None:
    path = book.root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
def test_a_site_of_kept_pages_is_as_one_from_nothing(
    book: Book, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each edit is of another kind of input; from nothing is begun only where pages share it."""
    kept, anew = [True], [False]
    edits = {
        ("book/sums.md", "first sentence", "second sentence"): kept,
        ("book/sums.md", "A sum.", "Another sum."): kept + anew,
        ("book/sums.md", "a + b\n", "a + b + 0\n"): kept,
        ("tiny/sums.py", "Add, as", "Add two numbers, as"): kept,
        ("tiny/sums.py", "a + b\n", "b + a + 1\n"): kept,
        ("tests/test_sums.py", "test_add", "test_addition"): kept,
        ("book/references.bib", "2020", "2021"): kept + anew,
        ("book/index.md", "A book", "The book"): kept + anew,
        ("book/sums.md", "```{literal", "$$\nb\n$$ (eq-other)\n\n```{literal"): kept + anew,
        ("book/_static/custom.css", "red", "blue"): anew,
    }
    runs: list[bool] = []

    def run(book: Book, output: Path, online: dict[str, str]) -> None:
        runs.append(output.exists())
        sphinx(book, output, online)

    sphinx = rendering._run
    monkeypatch.setattr(rendering, "_run", run)
    for edit, expected_runs in {("", "", ""): [False], **edits}.items():
        if edit[0]:
            changed(book, *edit)
        if "eq-other" in edit[2]:
            changed(book, "tiny/sums.py", ":eq:`eq-sum`", ":eq:`eq-sum` and :eq:`eq-other`")
        execute.bring_up_to_date(book, say=lambda line: None)
        runs.clear()
        found = files(rendering.render(book, foundations(inputs(book))))
        assert runs == expected_runs, edit
        root = tmp_path_factory.mktemp("nothing") / "book"
        shutil.copytree(book.root, root, ignore=shutil.ignore_patterns("_build"))
        expected = files(rendering.render(Book(root, book.package)))
        assert found.keys() == expected.keys(), edit
        assert [name for name in found if found[name] != expected[name]] == [], edit


def test_what_every_page_is_made_of(
    book: Book, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = foundations(inputs(book))
    write("book/sums.md", "# Other\n")
    write("tiny/sums.py", "ONE = 1\n")
    assert foundations(inputs(book)) == before
    seen = {before}
    for name in ("_config.yml", "_toc.yml", "book/_static/custom.css", "book/_ext/x.py"):
        write(name, "")
        seen.add(foundations(inputs(book)))
    write("book/new.md", "")
    seen.add(foundations(inputs(book)))
    monkeypatch.setattr("book._ext.site.build.platform.python_version", lambda: "3.99")
    seen.add(foundations(inputs(book)))
    monkeypatch.setenv("FUNDIFF_MODEL", "another")
    seen.add(foundations(inputs(book)))
    assert len(seen) == 8


@pytest.mark.slow
def test_where_the_code_is_known_pages_lead_to_it(book: Book) -> None:
    execute.bring_up_to_date(book, say=lambda line: None)
    online = {REPOSITORY: "https://github.com/some/fun", PAGES: "gh-pages"}
    site = rendering.render(book, online=online)
    page = (site / "book" / "sums.html").read_text(encoding="utf-8")
    assert 'href="https://github.com/some/fun"' in page
    assert 'href="https://github.com/some/fun/edit/main/book/sums.md"' in page
    assert "colab.research.google.com/github/some/fun/blob/gh-pages/_downloads/sums.ipynb" in page
    assert "mybinder.org/v2/gh/some/fun/gh-pages?labpath=_downloads/sums.ipynb" in page
    words = (site / "book" / "words.html").read_text(encoding="utf-8")
    assert "/edit/main/book/words.md" in words
    assert "colab" not in words
    taken = (site / "_downloads" / "sums.ipynb").read_text(encoding="utf-8")
    assert "%pip install --quiet" in taken
    plain = rendering.render(book)
    assert "github.com" not in (plain / "book" / "sums.html").read_text(encoding="utf-8")
