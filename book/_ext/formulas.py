"""The page of formulas: for each of the book's, the function that computes it, and its tests.

A formula has a label in a chapter; the docstring of its function names the label; tests are found
by what they refer to. Nothing is imported.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from chapters import ChapterRefusedError
from layout import Book, BookError
from results import link, paragraph, section
from slices import sets

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
        page: That page's title.
        formula: The formula in LaTeX; empty where it isn't between dollar signs.
    """

    name: str
    docname: str
    page: str
    formula: str


@dataclass(frozen=True)
class Home:
    """A function or class of the library whose docstring names a formula.

    Attributes:
        module: Its module.
        name: Its name there, that of a method with its class.
        makers: What a test may call: the last part of the name, and for what is private the
            public functions of the module that use it.
    """

    module: str
    name: str
    makers: frozenset[str]

    @property
    def is_private(self) -> bool:
        """Whether the library's reference leaves it out."""
        return any(part.startswith("_") for part in self.name.split("."))


@dataclass(frozen=True)
class Check:
    """A test of a formula.

    Attributes:
        file: The test's file, below the folder of tests.
        name: The test's name.
        is_direct: Whether it refers to the function itself, and not through a helper.
        breadth: How many of the file's imports it uses: the fewer, the more specific.
    """

    file: str
    name: str
    is_direct: bool
    breadth: int


@dataclass(frozen=True)
class Formula:
    """A formula, the function that computes it, and the tests of that.

    Attributes:
        label: The formula's label.
        home: The function.
        checks: The tests, the most specific first.
    """

    label: Label
    home: Home
    checks: tuple[Check, ...]


def labels(book: Book) -> list[Label]:
    """List the labels of formulas that the book sets, in the order of the pages."""
    found = []
    for docname in book.docnames:
        text = book.source(docname).read_text(encoding="utf-8")
        formulas = {name: formula.strip() for formula, name in _FORMULA.findall(text)}
        title = _TITLE.search(text)
        for name in _LABEL.findall(text):
            page = title[1] if title else docname
            found.append(Label(name, docname, page, formulas.get(name, "")))
    return found


def homes(book: Book) -> list[tuple[str, Home]]:
    """List the labels that docstrings of the library name, each with whose docstring it is."""
    found = []
    for path in sorted((book.root / book.package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        module = ".".join(path.relative_to(book.root).with_suffix("").parts)
        named = set(_NAMED.findall(ast.get_docstring(tree) or ""))
        found += [(label, Home(module, "", frozenset())) for label in sorted(named)]
        for name, node in _definitions(tree):
            named = set(_NAMED.findall(ast.get_docstring(node) or ""))
            home = Home(module, name, _makers(tree, name)) if named else None
            found += [(label, home) for label in sorted(named) if home]
    return found


def formulas(book: Book) -> list[Formula]:
    """Say of each formula of the book what computes it and what tests it, in the pages' order.

    Raises:
        BookError: A label is set twice, or not named by just one docstring of a function, or the
            docstring names no label of the book, or the function has no test; all are said.
    """
    every, named = labels(book), homes(book)
    tests = book.root / "tests"
    suites = [Suite(path, tests) for path in sorted(tests.rglob("test_*.py"))]
    known = Counter(label.name for label in every)
    found, problems = [], []
    for label in every:
        where = [home for name, home in named if name == label.name and home.name]
        if known[label.name] > 1 or len(where) != 1:
            problems.append(
                f"{label.docname} sets the label {label.name}, which should be set once and named "
                f"in the docstring of one function: it is set {known[label.name]} times, and named "
                f"by {', '.join(f'{h.module}.{h.name}' for h in where) or 'none'}"
            )
            continue
        (home,) = where
        checks = [check for suite in suites for check in suite.checks(home)]
        checks.sort(key=lambda check: _specific(label, home, check))
        if not checks:
            problems.append(f"{home.module}.{home.name} computes {label.name} and has no test")
        found.append(Formula(label, home, tuple(checks)))
    problems += [
        f"the docstring of {home.module}{home.name and '.'}{home.name} names {name}, which isn't "
        "a label of a formula of the book"
        for name, home in named
        if name not in known
    ]
    if problems:
        raise BookError("\n".join(problems))
    return found


def _specific(label: Label, home: Home, check: Check) -> tuple[bool, bool, bool, int]:
    """Order the tests of a formula: first those that speak of it, in the module's own file."""
    words = set(re.split(r"\W|_", f"{label.name}_{home.name}".lower())) - {"eq"}
    is_of_module = Path(check.file).name == f"test_{home.module.rpartition('.')[2]}.py"
    speaks = bool(words & set(check.name.split("_")))
    return not check.is_direct, not speaks, not is_of_module, check.breadth


class Suite:
    """A file of tests."""

    def __init__(self, path: Path, root: Path) -> None:
        """Read the file, which lies somewhere below the root."""
        self.name = path.relative_to(root).as_posix()
        self._body = ast.parse(path.read_text(encoding="utf-8")).body

    @cached_property
    def _imported(self) -> dict[str, tuple[str, str]]:
        """What each imported name is: a module and a name in it."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node in self._body
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }

    @cached_property
    def _references(self) -> list[tuple[str, frozenset[str]]]:
        """What each top-level statement sets, and which names and attributes are in it."""
        return [
            (name, frozenset(_mentioned(node)))
            for node in self._body
            if not isinstance(node, ast.Import | ast.ImportFrom)
            for name in sets(node)
        ]

    def checks(self, home: Home) -> list[Check]:
        """Find the tests that refer to a function, directly or through what the file defines."""
        direct = self._names(home)
        if not direct:
            return []
        helpers = set(direct)
        while more := {n for n, used in self._references if used & helpers} - helpers:
            helpers |= more
        return [
            Check(self.name, name, bool(used & direct), len(used & self._imported.keys()))
            for name, used in self._references
            if name.startswith("test_") and name in helpers
        ]

    def _names(self, home: Home) -> set[str]:
        """Name what stands for a function in this file; nothing where it isn't imported."""
        owner, _, method = home.name.rpartition(".")
        if owner:
            is_here = (home.module, owner) in self._imported.values()
            return {f".{method}"} if is_here else set()
        found = {
            name
            for name, (module, original) in self._imported.items()
            if module == home.module and original in home.makers
        }
        package, _, module = home.module.rpartition(".")
        if (package, module) in self._imported.values():
            found |= {f".{maker}" for maker in home.makers}
        return found


def _definitions(tree: ast.Module) -> Iterator[tuple[str, Definition]]:
    """Give the functions, classes and methods of a module by their names in it."""
    for node in tree.body:
        if isinstance(node, Definition):
            yield node.name, node
        if isinstance(node, ast.ClassDef):
            yield from (
                (f"{node.name}.{n.name}", n) for n in node.body if isinstance(n, Definition)
            )


def _makers(tree: ast.Module, name: str) -> frozenset[str]:
    last = name.rpartition(".")[2]
    owner = name.split(".")[0]
    if not owner.startswith("_"):
        return frozenset({last})
    users = (n for n, node in _definitions(tree) if owner in _mentioned(node) and n != owner)
    return frozenset({last, *(user for user in users if not user.startswith("_"))})


def _mentioned(node: ast.AST) -> Iterator[str]:
    """Give the names in some code, arguments among them, and with a dot the attributes."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.arg):
            yield part.arg
        elif isinstance(part, ast.Attribute):
            yield f".{part.attr}"


class FormulaTable(SphinxDirective):
    """The directive ``{formula-table}``: a section a chapter, and in it each formula."""

    def run(self) -> list[nodes.Node]:
        """Write the sections."""
        book = Book(Path(self.env.srcdir), self.config.chapters_package)
        try:
            found = formulas(book)
        except BookError as error:
            raise ChapterRefusedError(str(error)) from error
        by_page = groupby(found, key=lambda formula: (formula.label.docname, formula.label.page))
        return [self._page(docname, title, group) for (docname, title), group in by_page]

    def _page(self, docname: str, title: str, group: Iterable[Formula]) -> nodes.section:
        head = link(f"/{docname}", "doc", title, refdoc=self.env.docname)
        entries = [part for formula in group for part in self._formula(formula)]
        return section(head, f"formulas-{docname.removeprefix('book/')}", *entries)

    def _formula(self, formula: Formula) -> Iterator[nodes.Node]:
        here, home = self.env.docname, formula.home
        number = link(formula.label.name, "eq", domain="math", refdoc=here)
        target = f"{home.module}.{home.name}"
        function: nodes.Node = nodes.literal("", target)
        if not home.is_private:
            function = link(target, "obj", function, domain="py", refdoc=here)
        yield paragraph("Formula ", number, " · ", function)
        if formula.label.formula:
            formula_ = formula.label.formula
            options = {"number": None, "label": None, "nowrap": False, "docname": here}
            yield nodes.math_block(formula_, formula_, **options)
        yield _tests(formula.checks)


def _tests(checks: Sequence[Check]) -> nodes.bullet_list:
    """List tests by file, and say how many more there are."""
    items = []
    first = [check.file for check in checks]
    shown = sorted(checks[:SHOWN], key=lambda check: first.index(check.file))
    for file, group in groupby(shown, key=lambda check: check.file):
        tests = [nodes.list_item("", paragraph(_breakable(check.name))) for check in group]
        head = paragraph(nodes.literal("", f"tests/{file}"))
        items.append(nodes.list_item("", head, nodes.bullet_list("", *tests)))
    if len(checks) > SHOWN:
        items.append(nodes.list_item("", paragraph(f"and {len(checks) - SHOWN} more")))
    return nodes.bullet_list("", *items, classes=["tests"])


def _breakable(name: str) -> nodes.literal:
    """Write a name that may be broken after each underscore."""
    found = nodes.literal()
    for part in re.findall("[^_]*_?", name):
        found += [nodes.Text(part), nodes.raw("", "<wbr>", format="html")]
    return found


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.add_directive("formula-table", FormulaTable)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
