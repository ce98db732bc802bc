"""The page of formulas: for each of the book's, the function that computes it, and its tests.

A formula has a label in a chapter; the docstring of its function names the label; tests are found
by the names that they import. Nothing is imported.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from book._ext.layout import Book, BookError
from book._ext.pages.chapters import ChapterRefusedError

SHOWN = 4
"""How many tests of a formula are named."""

_LABEL = re.compile(r"^(?:\$\$ *\(|:label: |\\label\{)(eq-[\w-]+)", re.M)
_FORMULA = re.compile(r"^\$\$\n((?:(?!\$\$).*\n)+)\$\$ *\((eq-[\w-]+)\)", re.M)
_TITLE = re.compile(r"^# (.+)$", re.M)
_NAMED = re.compile(r":eq:`(eq-[\w-]+)`")

Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Label:
    """The label of a formula in the book.

    Attributes:
        name: The label.
        docname: The page that sets it.
        formula: The formula in LaTeX; empty where it isn't between dollar signs.
    """

    name: str
    docname: str
    formula: str


@dataclass(frozen=True)
class Home:
    """A function or class of the library whose docstring names a formula.

    Attributes:
        module: Its module.
        name: Its name there, that of a method with its class.
    """

    module: str
    name: str

    @property
    def target(self) -> str:
        """Its dotted name."""
        return f"{self.module}.{self.name}".rstrip(".")


@dataclass(frozen=True)
class Formula:
    """A formula, the function that computes it, and the tests of that.

    Attributes:
        label: The formula's label.
        home: The function.
        tests: Files below the folder of tests and names, those that speak of the formula first.
    """

    label: Label
    home: Home
    tests: tuple[tuple[str, str], ...]


def labels(book: Book) -> list[Label]:
    """List the labels of formulas that the book sets, in the order of the pages."""
    found = []
    for docname in book.docnames:
        text = book.source(docname).read_text(encoding="utf-8")
        formulas = {name: formula.strip() for formula, name in _FORMULA.findall(text)}
        labels = _LABEL.findall(text)
        found += [Label(name, docname, formulas.get(name, "")) for name in labels]
    return found


def homes(book: Book) -> list[tuple[str, Home]]:
    """List the labels that docstrings of the library name, each with whose docstring it is."""
    found = []
    for path in sorted((book.root / book.package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(book.root).with_suffix("").parts)
        for name, node in (("", tree), *_definitions(tree)):
            named = sorted({*_NAMED.findall(ast.get_docstring(node) or "")})
            found += [(label, Home(module, name)) for label in named]
    return found


def formulas(book: Book) -> list[Formula]:
    """Say of each formula of the book what computes it and what tests it, in the pages' order.

    Raises:
        BookError: A label is set twice, or not named by just one docstring of a function, or the
            docstring names no label of the book, or the function has no test; all are said.
    """
    every, named = labels(book), homes(book)
    known = Counter(label.name for label in every)
    references = list(_references(book.root / "tests"))
    found, problems = [], []
    for label in every:
        where = [home for name, home in named if name == label.name and home.name]
        if known[label.name] > 1 or len(where) != 1:
            problems.append(
                f"{label.docname} sets the label {label.name}, which should be set once and named "
                f"in the docstring of one function: it is set {known[label.name]} times, and named "
                f"by {', '.join(home.target for home in where) or 'none'}"
            )
            continue
        (home,) = where
        owner, _, method = home.target.rpartition(".")
        used = f"{owner} {method}" if "." in home.name else home.target
        tests = [(file, test) for file, test, names in references if used in names]
        if not tests:
            problems.append(f"{home.target} computes {label.name} and has no test")
        words = {*re.split(r"\W|_", f"{label.name}_{home.name}".lower())} - {"eq"}
        own = f"test_{home.module.rpartition('.')[2]}.py"
        tests.sort(key=lambda t: (not words & {*t[1].split("_")}, not t[0].endswith(own)))
        found.append(Formula(label, home, tuple(tests)))
    problems += [
        f"the docstring of {home.target} names {name}, which isn't a label of a formula of the book"
        for name, home in named
        if name not in known
    ]
    if problems:
        raise BookError("\n".join(problems))
    return found


def _references(folder: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Give each test with its file and the dotted names that it uses of what the file imports.

    A method is given as its class's name and its own, with a space between, wherever the file
    imports the class.
    """
    for path in sorted(folder.rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for test in tree.body:
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                parts = [*ast.walk(test)]
                names = {imported.get(part.id, "") for part in parts if isinstance(part, ast.Name)}
                for part in parts:
                    if isinstance(part, ast.Attribute):
                        names |= {f"{whole} {part.attr}" for whole in imported.values()}
                        if isinstance(part.value, ast.Name):
                            names.add(f"{imported.get(part.value.id)}.{part.attr}")
                yield path.relative_to(folder).as_posix(), test.name, names


def _definitions(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Give the functions, classes and methods of a module by their names in it."""
    for node in tree.body:
        if isinstance(node, Definition):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from (
                (f"{node.name}.{n.name}", n) for n in node.body if isinstance(n, Definition)
            )


class FormulaTable(SphinxDirective):
    """The directive ``{formula-table}``: a section a chapter, and in it each formula."""

    def run(self) -> list[nodes.Node]:
        """Write the sections."""
        book = Book.of(self.env.app)
        try:
            found = formulas(book)
        except BookError as error:
            raise ChapterRefusedError(str(error)) from error
        vars(self.env)["formula_labels"] = self.env.docname, labels(book)
        for folder in (book.package, "tests"):
            for path in (book.root / folder).rglob("*.py"):
                self.env.note_dependency(str(path))
        by_page = groupby(found, key=lambda formula: formula.label.docname)
        sections = []
        for docname, group in by_page:
            title = _TITLE.search(book.source(docname).read_text(encoding="utf-8"))
            head = f"## {{doc}}`{title[1] if title else docname} </{docname}>`"
            target = f"({nodes.make_id(f'formulas-{book.name(docname)}')})="
            sections += [f"{target}\n{head}", *map(_written, group)]
        return self.parse_text_to_nodes("\n\n".join(sections), allow_section_headings=True)


def _written(formula: Formula) -> str:
    """Write in Markdown a formula with its function and its tests."""
    head = f"Formula {{eq}}`{formula.label.name}` · {{py:obj}}`{formula.home.target}`"
    lines = [head, ""]
    if formula.label.formula:
        lines += ["$$", formula.label.formula, "$$", ""]
    shown = sorted(formula.tests[:SHOWN], key=lambda test: test[0])
    for file, group in groupby(shown, key=lambda test: test[0]):
        lines += [f"* `tests/{file}`", *(f"  * `{name}`" for _, name in group)]
    more = len(formula.tests) - SHOWN
    return "\n".join([*lines, *([f"* and {more} more"] if more > 0 else [])])


def with_new_labels(app: Sphinx, env: BuildEnvironment, *_: object) -> list[str]:
    """Read the page again where a formula of another page has changed.

    Sphinx's event ``env-get-outdated``.
    """
    page, known = vars(env).get("formula_labels", ("", []))
    book = Book.of(app)
    return [page] if page and known != labels(book) else []


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.add_directive("formula-table", FormulaTable)
    app.connect("env-get-outdated", with_new_labels)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
