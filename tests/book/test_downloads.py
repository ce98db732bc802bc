"""Chapters to take away: the notebooks say and do what the pages do."""

import ast
import itertools
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from conftest import Write
from nbformat import NotebookNode

from book._ext.layout import Book, BookError
from book._ext.pages.downloads import (
    ABOUT,
    CELL,
    CLONE,
    FOLDED,
    Plain,
    Target,
    launches,
    notebook,
)
from book._ext.run.execute import bring_up_to_date
from book._ext.site.check_site import Site

ROOT = Path(__file__).parents[2]
FRONT = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
SOURCE = "@book{{{}, author = {{{}}}, title = {{{}}}, publisher = {{P}}, year = {{{}}}}}\n"
BIBLIOGRAPHY = "".join(
    [
        SOURCE.format("one2020", "Ace, Ann", "First", 2020),
        SOURCE.format("two2021", "van Bee, Ben and Ace, Ann", "Second", 2021),
        SOURCE.format("many2022", "Cee, C and Dee, D and Eff, E", "Third", 2022),
    ]
)
MODULE = '''
import functools


@functools.cache
def add(a, b):
    """Add, as {eq}`eq-sum` says."""
    return a + b


class Sums:
    def twice(self, a):
        return 2 * a
'''
KNOWN = {
    "book/index": Target("book/index", "A book"),
    "book/a/one": Target("book/a/one", "The first"),
    "book/b/two": Target("book/b/two", "The second"),
    "eq-sum": Target("book/a/one", "(3)"),
    "eq-other": Target("book/b/two", "(7)"),
    "fig-sum": Target("book/a/one", "Figure 2"),
    "fig-other": Target("book/b/two", "Figure 5"),
    "ex-sum": Target("book/a/one", "Exercise 4"),
}
FOLD = "<details>\n<summary>Solution to Exercise 4</summary>"
UNSAID = re.compile(r"\{[\w:-]+\}`|^\s*[`:]{3,}\s*\{|^:{3,}|\$\$ *\(", re.M)


@pytest.fixture
def book(tmp_path: Path, write: Write) -> Book:
    write("_config.yml", "parse: {myst_enable_extensions: [colon_fence, dollarmath]}\n")
    write("_toc.yml", "root: book/index\nentries: [{file: book/a/one}, {file: book/b/two}]\n")
    write("book/index.md", "# A book\n")
    write("book/references.bib", BIBLIOGRAPHY)
    write("tiny/__init__.py", "")
    write("tiny/sums.py", MODULE)
    return Book(tmp_path, "tiny")


@pytest.fixture
def plain(book: Book) -> Plain:
    return Plain(book, "book/a/one", KNOWN)


def real() -> Book:
    return Book(ROOT)


def chapters() -> list[str]:
    """The pages of the real book that have code cells."""
    book = real()
    return [
        docname
        for docname in book.docnames
        if re.search(r"^```\{code-cell\}", book.source(docname).read_text("utf-8"), re.M)
    ]


@pytest.fixture(scope="module")
def known() -> dict[str, Target]:
    """What the real book's pages can refer to, counted from the first page on."""
    book, found, counts = real(), {}, dict.fromkeys(("eq", "fig", "ex"), 0)
    forms = {"eq": "({})", "fig": "Figure {}", "ex": "Exercise {}"}
    for docname in book.docnames:
        text = book.source(docname).read_text(encoding="utf-8")
        title = re.search(r"^# (.+)$", text, re.M)
        assert title is not None
        found[docname] = Target(docname, title[1])
        label = r"(?:^\$\$ *\(|^    name: |^:label: )((eq|fig|ex)-[\w-]+)"
        for name, kind in re.findall(label, text, re.M):
            counts[kind] += 1
            found[name] = Target(docname, forms[kind].format(counts[kind]))
    return found


def code(made: NotebookNode) -> list[str]:
    return [cell.source for cell in made.cells if cell.cell_type == "code"]


def markdown(made: NotebookNode) -> str:
    return "\n\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("By {eq}`eq-sum` and {eq}`eq-other`.", "By (3) and (7) of *The second*."),
        ("{numref}`fig-sum`, {numref}`fig-other`", "Figure 2, Figure 5 of *The second*"),
        ("{ref}`ex-sum`, {ref}`a sum <ex-sum>`", "Exercise 4, a sum"),
        ("{doc}`../b/two`, {doc}`/book/b/two`", "*The second*, *The second*"),
        ("the {doc}`next\nchapter <../b/two>` has", "the next chapter has"),
        ("{func}`tiny.add`, {meth}`~tiny.Sums.twice`", "`tiny.add`, `twice`"),
        ("{func}`the sum <tiny.add>`", "the sum"),
        ("so {cite:p}`one2020`", "so (Ace, 2020)"),
        ("a {term}`look`, {term}`walks <walk>`", "a look, walks"),
        ("{cite:p}`two2021, many2022`", "(van Bee and Ace, 2021; Cee et al., 2022)"),
        ("{cite:t}`one2020` says", "Ace (2020) says"),
        ("$$\na + b\n$$ (eq-sum)", "$$\na + b\n\\tag{3}\n$$"),
        ("$$ a + b $$ (eq-sum)", "$$ a + b \\tag{3}\n$$"),
        ("$$\na\n$$\n\nand $b$", "$$\na\n$$\n\nand $b$"),
        (
            "```{exercise}\n:label: ex-sum\nAdd {eq}`eq-sum`.\n```",
            "**Exercise 4**\n\nAdd (3).",
        ),
        ("```{exercise} Warm-up\n:label: ex-sum\nAdd.\n```", "**Exercise 4 (Warm-up)**\n\nAdd."),
        (
            "```{solution} ex-sum\n:class: dropdown\nIt is $c$.\n```",
            f"{FOLD}\n\nIt is $c$.\n\n</details>",
        ),
        (
            "````{solution-start} ex-sum\n:class: dropdown\n````\n\nIt is.\n\n"
            "````{solution-end}\n````",
            f"{FOLD}\n\nIt is.\n\n</details>",
        ),
        (
            "::::{grid} 1 2\n:gutter: 3\n\n:::{grid-item-card} Left\n:link: x\n\nOne.\n:::\n"
            ":::{grid-item-card} Right\n\n1. two {eq}`eq-sum`\n:::\n::::\nafter",
            "**Left**\n\nOne.\n\n**Right**\n\n1. two (3)\n\nafter",
        ),
        (":::{admonition} And why?\n:class: dropdown\nSo.\n:::", "> **And why?**\n>\n> So."),
        (":::{note}\nMind.\n\nWell.\n:::", "> **Note**\n>\n> Mind.\n>\n> Well."),
        (
            "```{literalinclude} ../../tiny/sums.py\n:pyobject: Sums.twice\n:dedent:\n"
            ":language: python\n```",
            "```python\n# tiny/sums.py\ndef twice(self, a):\n    return 2 * a\n```",
        ),
        ("```bash\necho {a}`b`\n```", "```bash\necho {a}`b`\n```"),
        ("code `f{a}` and `{eq}` stay", "code `f{a}` and `{eq}` stay"),
        ("``{eq}`x` `` stays", "``{eq}`x` `` stays"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "| a | b |\n|---|---|\n| 1 | 2 |"),
    ],
)
def test_what_only_myst_knows_is_said_in_words(plain: Plain, source: str, expected: str) -> None:
    assert plain.text(source) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("```{mermaid}\nx\n```", "the directive {mermaid}"),
        ("{kbd}`x`", "the role {kbd}"),
        ("{eq}`eq-none`", "'eq-none', which nothing in the book is called"),
        ("{doc}`none`", "'book/a/none', which nothing"),
        ("{cite:p}`none1999`", r"none1999, which book/references\.bib hasn't"),
        ("```{literalinclude} ../../tiny/sums.py\n:lines: 1-3\n```", "literalinclude's :lines:"),
        ("```{literalinclude} ../../tiny/sums.py\n:pyobject: minus\n```", "what tiny/sums.py hasn"),
        ("````{note}\nx\n```", "a block that doesn't end: ````{note}"),
    ],
)
def test_what_cannot_be_said_is_refused(plain: Plain, source: str, message: str) -> None:
    with pytest.raises(BookError, match=f"book/a/one can't be made a notebook: it has {message}"):
        plain.text(source)


def test_sources_are_listed_once_and_only_where_cited(plain: Plain) -> None:
    assert plain.sources() == ""
    plain.text("{cite:p}`two2021` {cite:t}`one2020` {cite:p}`one2020`")
    assert plain.sources() == (
        "## References\n\n* Ann Ace. First. P, 2020.\n* Ben van Bee and Ann Ace. Second. P, 2021."
    )


def test_a_notebook_is_a_chapter_without_results(book: Book, write: Write) -> None:
    write(
        "book/a/one.md",
        f"{FRONT}\n# The first\n\nIt begins.\n\n```{{code-cell}}\n---\ntags: [hide-input]\n"
        "mystnb:\n  image: {alt: A sum}\n  figure:\n    name: fig-sum\n    caption: |\n"
        "      A sum,\n      by {eq}`eq-other`.\n---\n1 + 1\n```\n\n```{code-cell}\n2\n```\n\n"
        "It ends {cite:p}`one2020`.\n",
    )
    made = notebook(book, "book/a/one", KNOWN)
    nbformat.validate(made)
    about = ABOUT.format(book="A book", package="tiny") + CLONE
    assert [(cell.cell_type, cell.source) for cell in made.cells] == [
        ("markdown", f"# The first\n\n{about}"),
        ("markdown", "It begins."),
        ("code", "1 + 1"),
        ("markdown", "> **Figure 2.** A sum,\n> by (7) of *The second*."),
        ("code", "2"),
        ("markdown", "It ends (Ace, 2020)."),
        ("markdown", "## References\n\n* Ann Ace. First. P, 2020."),
    ]
    assert all(not cell.metadata and not cell.get("outputs") for cell in made.cells)


def test_a_notebook_folds_solutions(book: Book, write: Write) -> None:
    start, end = "````{solution-start} ex-sum\n````", "````{solution-end}\n````"
    cells = [f"```{{code-cell}}\n{number}\n```" for number in range(4)]
    parts = [cells[0], start, "Why.", cells[1], "Then.", cells[2], end, "On.", cells[3]]
    write("book/a/one.md", f"{FRONT}\n# The first\n\n" + "\n\n".join(parts) + "\n")
    made = notebook(book, "book/a/one", KNOWN)
    assert [(cell.source, dict(cell.metadata) == FOLDED) for cell in made.cells[1:]] == [
        ("0", False),
        (f"{FOLD}\n\nWhy.\n\n</details>", False),
        ("1", True),
        ("<details>\n\nThen.\n\n</details>", False),
        ("2", True),
        ("On.", False),
        ("3", False),
    ]


def test_where_the_code_is_known_a_notebook_can_be_run_elsewhere(
    book: Book, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("book/a/one.md", f"{FRONT}\n# The first\n\n```{{code-cell}}\n1\n```\n")
    assert launches("_downloads/a/one.ipynb") == {}
    assert code(notebook(book, "book/a/one", KNOWN)) == ["1"]
    monkeypatch.setenv("FUNDIFF_PAGES_BRANCH", "gh-pages")
    monkeypatch.setenv("FUNDIFF_REPOSITORY", "https://gitlab.com/some/fun")
    assert launches("_downloads/a/one.ipynb") == {}
    installing = '%pip install --quiet "tiny @ git+https://gitlab.com/some/fun"'
    made = notebook(book, "book/a/one", KNOWN)
    assert code(made) == [installing, "1"]
    assert made.cells[0].source.endswith(CELL)
    monkeypatch.setenv("FUNDIFF_REPOSITORY", "https://github.com/some/fun")
    assert launches("_downloads/a/one.ipynb") == {
        "Open in Colab": "https://colab.research.google.com/github/some/fun/blob/gh-pages/"
        "_downloads/a/one.ipynb",
        "Launch in Binder": "https://mybinder.org/v2/gh/some/fun/gh-pages?labpath="
        "_downloads/a/one.ipynb",
    }


@pytest.mark.parametrize("docname", chapters())
def test_every_chapter_can_be_taken_away(docname: str, known: dict[str, Target]) -> None:
    book = real()
    made = notebook(book, docname, known)
    nbformat.validate(made)
    assert UNSAID.findall(markdown(made)) == []
    cells = re.findall(
        r"^```\{code-cell\}\n(?:---\n.*?^---\n)?(.*?)^```$",
        book.source(docname).read_text(encoding="utf-8"),
        re.M | re.S,
    )
    assert code(made) == [cell.rstrip("\n") for cell in cells]

    assert str(ROOT) not in nbformat.writes(made)
    assert nbformat.writes(notebook(book, docname, known)) == nbformat.writes(made)


def test_chapters_import_only_what_comes_with_the_package(known: dict[str, Target]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = {re.split(r"\W", each)[0].lower() for each in project["dependencies"]}
    imported = set()
    for docname in chapters():
        for cell in code(notebook(real(), docname, known)):
            for node in ast.walk(ast.parse(cell)):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
    others = {name.lower() for name in imported - sys.stdlib_module_names}
    assert others - {"fundiff", "ipython"} <= brought


def outputs(cell: NotebookNode) -> list[list[str]]:
    """The kinds of each output of a cell; what a slow cell prints comes in any number of parts."""
    kinds: list[list[str]] = []
    for stream, some in itertools.groupby(cell.outputs, lambda output: output.get("name")):
        kinds += [[stream]] if stream else [sorted(output.data) for output in some]
    return kinds


@pytest.mark.slow
def test_sphinx_writes_notebooks_and_links_them(book: Book, write: Write) -> None:
    extensions = ["myst_nb", "sphinx.ext.mathjax", "sphinx.ext.intersphinx", "sphinx_exercise"]
    write(
        "conf.py",
        f"import sys\nsys.path.append({str(ROOT)!r})\nnumfig = True\n"
        f"extensions = {[*extensions, 'book._ext.pages.chapters']}\nroot_doc = 'book/index'\n"
        "nb_ipywidgets_js = {}\nchapters_package = 'tiny'\n"
        "exclude_patterns = ['_build', 'book/_executed']\n"
        "myst_enable_extensions = ['colon_fence', 'dollarmath']\n",
    )
    write("book/index.md", "# A book\n\n```{toctree}\na/one\nb/two\n```\n\n$$\na\n$$ (eq-first)\n")
    write("book/b/two.md", "# The second\n\nNo code.\n")
    cell = "```{code-cell}\nprint(1 + 1)\n```\n"
    exercise = "```{exercise}\n:label: ex-sum\nAdd.\n```\n"
    text = f"{cell}\nBy {{eq}}`eq-first`:\n\n$$\nb\n$$ (eq-second)\n\n{exercise}"
    write("book/a/one.md", f"{FRONT}\n# The first\n\n{text}")
    bring_up_to_date(book, say=lambda line: None)
    site = book.build / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "-q", str(book.root), str(site)]
    subprocess.run(command, check=True)

    page = (site / "book" / "a" / "one.html").read_text()
    links = re.findall(r'<a href="([^"]+)" download>', page)
    assert links == ["../../_downloads/a/one.ipynb"]
    assert "_downloads" not in (site / "book" / "b" / "two.html").read_text()
    assert list(Site(site).problems()) == []
    made = nbformat.read(site / "_downloads" / "a" / "one.ipynb", nbformat.NO_CONVERT)
    said = markdown(made)
    assert "By (2) of *A book*:\n\n$$\nb\n\\tag{1}\n$$\n\n**Exercise 1**\n\nAdd." in said
    assert re.search(r'class="eqno">\(1\)|class="eqno">\(1<', page)
    files = sorted(path.name for path in (site / "_downloads").rglob("*") if path.is_file())
    assert files == ["one.ipynb"]

    write("book/a/one.md", f"{FRONT}\n# The first\n\n{cell}\n{{kbd}}`x`\n")
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "can't be made a notebook: it has the role {kbd}" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "docname",
    ["book/part-a/1-1-forward-process", "book/part-b/1-1-unet", "book/part-c/2-running-deepfloyd"],
)
def test_a_chapter_runs_in_an_empty_folder(
    docname: str, known: dict[str, Target], tmp_path: Path
) -> None:
    """Its cells put out what the committed result has."""
    book = real()
    made, before = notebook(book, docname, known), nbformat.read(book.export(docname), 4)
    folder = tmp_path / "empty"
    folder.mkdir()
    nbformat.write(made, folder / "chapter.ipynb")
    execute = Path(sys.executable).with_name("jupyter-execute")
    env = {**os.environ, "PYTHONWARNINGS": "ignore:IProgress not found"}  # no ipywidgets here
    subprocess.run([execute, "--inplace", "chapter.ipynb"], cwd=folder, env=env, check=True)
    after = nbformat.read(folder / "chapter.ipynb", 4)
    ran = [cell for cell in after.cells if cell.cell_type == "code"]
    assert [*map(outputs, ran)] == [*map(outputs, before.cells)]
