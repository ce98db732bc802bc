"""The library's layers, and what is written from them: the README's map and the API's pages.

`python -m book._ext.pages.library` rewrites the map. Nothing of the library is imported: names and
docstrings are read from its files, and what readers meet first from the chapters' import lines.
"""

import ast
import re
import sys
from collections import Counter
from pathlib import Path

from book._ext.layout import Book, BookError

LAYERS = (
    ("errors",),
    ("types", "files", "digest"),
    ("schedule", "filters", "views", "permutations", "rng", "nn"),
    ("process", "training", "data"),
    ("sampling", "guidance", "losses", "mixtures"),
    ("solvers", "networks", "illusions", "models"),
    ("metrics", "plots", "painters", "exercises"),
    ("jobs",),
    ("recipes",),
    ("cli",),
    ("__main__",),
)
"""The library's modules and packages; each imports only from the layers before its own."""

CORE = "core"
"""The API's page of the modules that are in no package."""

_IMPORT = re.compile(r"^ *(?:from|import) +([\w.]+)", re.M)
_MAP = re.compile(r"^## The map\n.*?(?=^## )", re.M | re.S)
_INTRODUCTION = """\
## The map

From the bottom up: first the core, in which each formula is one function, then the packages around
it. `book/_ext/pages/library.py` lists their layers; each imports only from those before its own.
"""
_AUTOMODULE = """
```{{eval-rst}}
.. automodule:: {}
   :members:
   :ignore-module-all:
   :special-members: __call__
   :exclude-members: set
```
"""  # matplotlib gives each class of figures a method `set`


class Library:
    """The package that a book is about.

    Attributes:
        modules: The file of each of its modules by dotted name, packages among them.
        layers: The layer of each module and package just below the root, the lowest first.
        contents: The modules on each page of the API, which are the core's and one a package. The
            package itself comes first, then the modules that most lines of chapters import from.

    Raises:
        BookError: A module is in no layer.
    """

    def __init__(self, book: Book) -> None:
        files = sorted((book.root / book.package).rglob("*.py"))
        self.modules = {_dotted(path.relative_to(book.root)): path for path in files}
        layers = {name: number for number, names in enumerate(LAYERS) for name in names}
        units = {unit(module) for module in self.modules} - {""}
        if lost := sorted(units - layers.keys()):
            raise BookError(f"expected a layer for {', '.join(lost)} in book/_ext/pages/library.py")
        self.layers = {name: number for name, number in layers.items() if name in units}
        self.contents = self._contents(book)

    def pages(self) -> dict[str, str]:
        """Write the API's pages in Markdown, by their names."""
        return {page: self._page(*modules) for page, modules in self.contents.items()}

    def index(self) -> str:
        """List the API's pages in Markdown, for a page beside their folder."""
        return "\n".join(
            f"* {{doc}}`api/{page}`, `{package}`: {self._summary(package).partition(': ')[2]}"
            for page, (package, *_) in self.contents.items()
        )

    def readme(self) -> str:
        """Write the README's map: a row for each module of the core, and for each package."""
        order = list(self.layers)
        core = sorted(self.contents[CORE][1:], key=lambda module: order.index(unit(module)))
        packages = [package for page, (package, *_) in self.contents.items() if page != CORE]
        lines = [_INTRODUCTION]
        for title, modules in (("The core", core), ("Packages", packages)):
            lines += [f"| {title} | |", "|---|---|", *map(self._row, modules), ""]
        return "\n".join([*lines, ""])

    def _contents(self, book: Book) -> dict[str, list[str]]:
        chapters = (book.root / "book").glob("part-*/*.md")
        used = Counter(n for path in chapters for n in _IMPORT.findall(path.read_text("utf-8")))
        heads = {CORE: book.package}
        for name in self.layers:
            module = f"{book.package}.{name}"
            if self.modules[module].name == "__init__.py":
                heads[name] = module
        found = {page: [head] for page, head in heads.items()}
        others = self.modules.keys() - {*heads.values(), f"{book.package}.__main__"}
        for module in sorted(others, key=lambda name: (-used[name], name)):
            found[unit(module) if unit(module) in heads else CORE].append(module)
        return found

    def _page(self, package: str, *modules: str) -> str:
        title = self._summary(package).partition(":")[0].rstrip(".")
        sections = [f"# {title}\n", _AUTOMODULE.format(package), self._door(package)]
        for module in modules:
            sections.append(f"\n## `{module.removeprefix(f'{package}.')}`\n")
            sections.append(_AUTOMODULE.format(module))
        return "".join(sections)

    def _door(self, package: str) -> str:
        """List the names of a package's stub, each with a link to where it lives."""
        stub = self.modules[package].with_suffix(".pyi")
        tree = ast.parse(stub.read_text(encoding="utf-8") if stub.is_file() else "")
        links = (
            f"{{py:obj}}`{alias.asname} <{package}.{node.module}.{alias.name}>`"
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        )
        return "\n" + ",\n".join(links) + "\n"

    def _row(self, module: str) -> str:
        name = module.rpartition(".")[2]
        path = module.replace(".", "/") + ("" if name in self.contents else ".py")
        return f"| [`{name}`]({path}) | {self._summary(module)} |"

    def _summary(self, module: str) -> str:
        path = self.modules[module]
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        if not text:
            raise BookError(f"expected a docstring at the top of {path}")
        return text.splitlines()[0]


def unit(module: str) -> str:
    """The name of the module or package just below the root that a dotted name is or is in.

    Returns:
        The name, empty for the root itself.
    """
    return f"{module}.".split(".")[1]


def write_pages(library: Library, folder: Path) -> None:
    """Write the API's pages into a folder, in place of those that are there and differ."""
    folder.mkdir(exist_ok=True)
    pages = {folder / f"{name}.md": text for name, text in library.pages().items()}
    for old in {*folder.glob("*.md")} - pages.keys():
        old.unlink()
    for path, text in pages.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def with_map(readme: str, library: Library) -> str:
    """Return the text of a README with the library's map as it is now.

    Raises:
        BookError: The text has no such section before another one.
    """
    text, count = _MAP.subn(lambda _: library.readme(), readme)
    if count != 1:
        raise BookError(f"expected one section `## The map` before another, found {count}")
    return text


def main() -> int:
    """Rewrite the map in the README."""
    book = Book(Path(__file__).parents[3])
    path = book.root / "README.md"
    path.write_text(with_map(path.read_text("utf-8"), Library(book)), encoding="utf-8")
    return 0


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


if __name__ == "__main__":
    sys.exit(main())
