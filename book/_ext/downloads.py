"""Chapters to take away: each page with code as a Jupyter notebook and as a Python script.

Both are written into the site, with a line under the page's title that links to them. The notebook
has no results. Its text is plain Markdown: what only MyST knows is said in words, and references
are called what they are called in the book. What can't be said so is refused.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from posixpath import join, normpath
from textwrap import dedent

import jupytext  # type: ignore[import-untyped]
import nbformat
from docutils import nodes
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pybtex.backends.plaintext import Backend  # type: ignore[import-untyped]
from pybtex.database import BibliographyData, Entry, parse_file  # type: ignore[import-untyped]
from pybtex.style.formatting.unsrt import Style  # type: ignore[import-untyped]
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.osutil import relative_uri

from chapters import ChapterRefusedError
from fundiff.files import write
from layout import Book, BookError
from slices import sets

FOLDER = "_downloads"
FORMATS = {".ipynb": "notebook", ".py": "script"}
SOURCES = "book/references.bib"
ADMONITIONS = {"note", "tip", "hint", "important", "warning"}
CODE_ROLES = {"attr", "class", "data", "exc", "func", "meth", "mod", "obj"}

ABOUT = """\
> From the book *{book}*, to run and to change. It needs the book's library, `{package}`:
> in a clone of the project, `pip install .`, and `pip install jupyter` for a notebook."""
SHOW = """\
# What a notebook shows under a cell, this writes into files here, or prints.
from fundiff.plots.showing import into_files

show = into_files("{stem}")"""

_FENCE = re.compile(r"^(?P<fence>`{3,}|:{3,})(?P<info>[^`]*)$")
_DIRECTIVE = re.compile(r"^\{(?P<name>[\w:-]+)\} *(?P<argument>.*)$")
_OPTION = re.compile(r"^:(?P<name>[\w-]+):(?P<value>.*)$")
_LABELLED = re.compile(r"^(?P<formula>.*)\$\$ *\((?P<label>[\w-]+)\)$", re.M)
_SPAN = re.compile(
    r"""\{(?P<role>[\w:-]+)\}`(?P<text>(?:(?!\n\s*\n)[^`])+)`
    |(?P<ticks>(?<!`)`+(?!`))(?:(?!\n\s*\n).)+?(?<!`)(?P=ticks)(?!`)""",
    re.X | re.S,
)
_EXPLICIT = re.compile(r"^(?P<words>.*?)\s*<(?P<target>[^<>]+)>$", re.S)
_TITLE = re.compile(r"\A# (.+)\n*")


@dataclass(frozen=True)
class Target:
    """Something in the book that can be referred to.

    Attributes:
        docname: The page that it is on.
        words: What it is called there: "(15)", "Figure 41", "Exercise 21", or the page's title.
    """

    docname: str
    words: str


def targets(env: BuildEnvironment) -> dict[str, Target]:
    """List what can be referred to: pages by their names, all else that has a number by its label.

    Args:
        env: Sphinx's environment, when it has read all pages.
    """
    found = {name: Target(name, title.astext()) for name, title in env.titles.items()}
    forms = {**env.config.numfig_format, "displaymath": "(%s)"}
    for docname, kinds in env.toc_fignumbers.items():
        for kind, numbers in kinds.items():
            for anchor, number in numbers.items():
                words = forms[kind] % ".".join(map(str, number))
                found[anchor.removeprefix("equation-")] = Target(docname, words)
    return found


@dataclass
class Plain:
    """Turns a page's MyST into Markdown that needs nothing but a notebook.

    Attributes:
        book: The book.
        docname: The page.
        known: What it can refer to.
        cited: The keys of the sources that were cited so far.
    """

    book: Book
    docname: str
    known: Mapping[str, Target]
    cited: list[str] = field(default_factory=list)

    def text(self, source: str) -> str:
        """Convert some blocks.

        Raises:
            BookError: There is something in them that can't be said in Markdown.
        """
        blocks = (block.strip("\n") for block in self._blocks(source.splitlines()))
        return "\n\n".join(block for block in blocks if block)

    def sources(self) -> str:
        """List what was cited; nothing if nothing was."""
        entries = [self._bibliography.entries[key] for key in sorted(self.cited)]
        backend = Backend()
        lines = [f"* {e.text.render(backend)}" for e in Style().format_entries(entries)]
        return "\n".join(["## References", "", *lines]) if lines else ""

    @cached_property
    def _bibliography(self) -> BibliographyData:
        return parse_file(self.book.root / SOURCES)

    def _blocks(self, lines: Sequence[str]) -> Iterator[str]:
        """Convert lines: fences by what they are, and what is between them as running text."""
        start = at = 0
        while at < len(lines):
            opening = _FENCE.match(lines[at])
            if opening is None:
                at += 1
                continue
            yield self._running("\n".join(lines[start:at]))
            end = self._closing(lines, at, opening["fence"])
            directive = _DIRECTIVE.match(opening["info"])
            if directive is None:
                yield "\n".join(lines[at : end + 1])
            else:
                body = lines[at + 1 : end]
                yield self._directive(directive["name"], directive["argument"].strip(), body)
            start = at = end + 1
        yield self._running("\n".join(lines[start:]))

    def _closing(self, lines: Sequence[str], opening: int, fence: str) -> int:
        for at in range(opening + 1, len(lines)):
            line = lines[at].strip()
            if line.startswith(fence) and not line.strip(fence[0]):
                return at
        raise self._refusal(f"a block that doesn't end: {lines[opening]}")

    def _directive(self, name: str, argument: str, lines: Sequence[str]) -> str:
        options, body = {}, [*lines]
        while body and (found := _OPTION.match(body[0])):
            options[found["name"]] = found["value"].strip()
            del body[0]
        if name == "literalinclude":
            return self._listing(argument, options)
        inside = self.text("\n".join(body))
        if name == "grid":
            return inside
        if name == "grid-item-card":
            return f"**{argument}**\n\n{inside}"
        if name == "exercise":
            return f"**{self._target(options.get('label', '')).words}**\n\n{inside}"
        if name in ("solution", "solution-start"):
            return f"**Solution to {self._target(argument).words}**\n\n{inside}"
        if name == "solution-end":
            return ""
        if name in ADMONITIONS:
            return quoted(f"**{name.capitalize()}**\n\n{inside}")
        raise self._refusal(f"the directive {{{name}}}")

    def _listing(self, argument: str, options: Mapping[str, str]) -> str:
        """Show a definition of the library, with the name of its file."""
        if unknown := options.keys() - {"pyobject", "language", "dedent"}:
            raise self._refusal(f"literalinclude's :{min(unknown)}:")
        name = normpath(join(self.docname, "..", argument))
        source = (self.book.root / name).read_text(encoding="utf-8")
        if "pyobject" in options:
            source = definition(source, options["pyobject"])
        if not source:
            raise self._refusal(f"{options['pyobject']}, which {name} hasn't")
        return f"```python\n# {name}\n{source.rstrip()}\n```"

    def _running(self, text: str) -> str:
        text = _LABELLED.sub(self._numbered, text)
        return _SPAN.sub(lambda found: self._role(found) if found["role"] else found[0], text)

    def _numbered(self, found: re.Match[str]) -> str:
        number = self._target(found["label"]).words.strip("()")
        return f"{found['formula']}\\tag{{{number}}}\n$$"

    def _role(self, found: re.Match[str]) -> str:
        role, text = found["role"], " ".join(found["text"].split())
        explicit = _EXPLICIT.match(text)
        words, target = (explicit["words"], explicit["target"]) if explicit else ("", text)
        if role in CODE_ROLES:
            is_short = target.startswith("~")
            return words or f"`{target.rpartition('.')[2] if is_short else target}`"
        if role in ("cite:p", "cite:t"):
            return self._citation(text.split(","), in_text=role == "cite:t")
        if role == "doc":
            page = normpath(join("/", self.docname, "..", target)).lstrip("/")
            return words or f"*{self._target(page).words}*"
        if role in ("eq", "numref", "ref"):
            return words or self._reference(target)
        raise self._refusal(f"the role {{{role}}}")

    def _reference(self, label: str) -> str:
        target = self._target(label)
        if target.docname == self.docname:
            return target.words
        return f"{target.words} of *{self._target(target.docname).words}*"

    def _citation(self, keys: Sequence[str], *, in_text: bool) -> str:
        parts = []
        for key in map(str.strip, keys):
            entry = self._bibliography.entries.get(key)
            if entry is None:
                raise self._refusal(f"{key}, which {SOURCES} hasn't")
            if key not in self.cited:
                self.cited.append(key)
            who, year = authors(entry), entry.fields.get("year", "n.d.")
            parts.append(f"{who} ({year})" if in_text else f"{who}, {year}")
        return ", ".join(parts) if in_text else f"({'; '.join(parts)})"

    def _target(self, name: str) -> Target:
        if name not in self.known:
            raise self._refusal(f"{name!r}, which nothing in the book is called")
        return self.known[name]

    def _refusal(self, what: str) -> BookError:
        return BookError(f"{self.docname} can't be made a notebook: it has {what}")


def definition(source: str, name: str) -> str:
    """Return the source of a function or class, its decorators and docstring included.

    Args:
        source: A module.
        name: The name there, that of a method with its class.

    Returns:
        The source, not indented; empty if there is no such name.
    """
    body: list[ast.stmt] = ast.parse(source).body
    node = None
    for part in name.split("."):
        kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        named = (n for n in body if isinstance(n, kinds) and n.name == part)
        node = next(named, None)
        if node is None:
            return ""
        body = node.body
    if node is None:
        return ""
    start = min(part.lineno for part in (node, *node.decorator_list))
    return dedent("\n".join(source.splitlines()[start - 1 : node.end_lineno]))


def authors(entry: Entry) -> str:
    """Name the authors of a source as a citation does."""
    last = [" ".join([*who.prelast_names, *who.last_names]) for who in entry.persons["author"]]
    if len(last) > 2:
        return f"{last[0]} et al."
    return " and ".join(last)


def quoted(text: str) -> str:
    """Make some Markdown a quotation."""
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def notebook(book: Book, docname: str, known: Mapping[str, Target]) -> NotebookNode:
    """Make a page with code cells a notebook without results.

    Args:
        book: The book.
        docname: The page as Sphinx names it.
        known: What the page can refer to, see :func:`targets`.

    Raises:
        BookError: There is something on the page that a notebook can't say.
    """
    page = book.source(docname)
    config = MdParserConfig(enable_extensions=set(book.syntax))
    text = page.read_text(encoding="utf-8")
    whole = read_myst_markdown_notebook(text, config=config, path=page)
    plain = Plain(book, docname, known)
    cells = []
    for cell in whole.cells:
        if cell.cell_type == "code":
            cells.append(new_code_cell(cell.source))
            texts = [_caption(plain, cell)]
        elif cells:
            texts = [plain.text(cell.source)]
        else:
            texts = _opening(plain, cell.source)
        cells += [new_markdown_cell(text) for text in texts if text]
    cells += [new_markdown_cell(text) for text in [plain.sources()] if text]
    for number, cell in enumerate(cells, start=1):
        cell.id = f"cell-{number}"
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    made: NotebookNode = new_notebook(cells=cells, metadata=metadata)
    return made


def _opening(plain: Plain, source: str) -> list[str]:
    """The page's title with what the notebook is, and the text that follows it."""
    root = plain.known[plain.book.docnames[0]].words
    about = ABOUT.format(book=root, package=plain.book.package)
    title = _TITLE.match(source)
    heading = f"# {title[1]}\n\n" if title else ""
    return [heading + about, plain.text(_TITLE.sub("", source))]


def _caption(plain: Plain, cell: NotebookNode) -> str:
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    if "caption" not in figure:
        return ""
    name = plain.known.get(figure.get("name", ""))
    caption = plain.text(figure["caption"])
    return quoted(f"**{name.words}.** {caption}" if name else caption)


def script(made: NotebookNode, stem: str) -> str:
    """Make a notebook a script, with cells that editors know.

    Args:
        made: What :func:`notebook` returned.
        stem: The script's name without its suffix, with which its pictures' names begin.

    Raises:
        BookError: A cell isn't plain Python.
    """
    first, *others = made.cells
    cells = [first, new_code_cell(SHOW.format(stem=stem))]
    for cell in others:
        is_code = cell.cell_type == "code"
        cells.append(new_code_cell(shown(cell.source)) if is_code else cell)
    everything = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "-all"}
    changed = new_notebook(cells=cells, metadata={**made.metadata, "jupytext": everything})
    text: str = jupytext.writes(changed, "py:percent")
    return text


def shown(code: str) -> str:
    """Hand the value of a cell's last expression to ``show``, where a notebook would show it.

    Args:
        code: The cell.

    Raises:
        BookError: It isn't plain Python: a script has no magics.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise BookError(f"a script can't hold a cell that isn't plain Python:\n{code}") from error
    if any("show" in sets(statement) for statement in tree.body):
        raise BookError(f"a cell has a `show` of its own, which a script needs:\n{code}")
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr) or _is_silent(last.value, code):
        return code
    start = _offset(code, last.lineno, last.col_offset)
    end = _offset(code, last.end_lineno or 0, last.end_col_offset or 0)
    value = code[start:end]
    if isinstance(last.value, ast.Tuple):
        value = f"({value})"
    return f"{code[:start]}show({value}){code[end:]}"


def _offset(code: str, line: int, column: int) -> int:
    """Find a place of the syntax tree, which counts bytes, in the code."""
    *before, here = code.split("\n")[:line]
    return sum(len(each) + 1 for each in before) + len(here.encode()[:column].decode())


def _is_silent(value: ast.expr, code: str) -> bool:
    """Whether a notebook shows nothing of an expression: it prints, or a semicolon follows it."""
    prints = isinstance(value, ast.Call) and ast.unparse(value.func) == "print"
    return prints or code.rstrip().endswith(";")


def write_downloads(app: Sphinx, error: Exception | None) -> None:
    """Write every chapter's notebook and script into the site. Sphinx's event ``build-finished``.

    Raises:
        ChapterRefusedError: One can't be made.
    """
    if error is not None or app.builder.format != "html":
        return
    book, known = _book(app), targets(app.env)
    for docname in _chapters(app):
        path = Path(app.outdir, FOLDER, book.name(docname))
        try:
            made = notebook(book, docname, known)
            contents = {".ipynb": nbformat.writes(made) + "\n", ".py": script(made, path.name)}
        except BookError as refusal:
            raise ChapterRefusedError(str(refusal)) from refusal
        path.parent.mkdir(parents=True, exist_ok=True)
        for suffix, content in contents.items():
            write(path.with_name(path.name + suffix), content.encode())


def add_links(app: Sphinx, doctree: nodes.document) -> None:
    """Put the links under a chapter's title. Sphinx's event ``doctree-read``."""
    docname = app.env.docname
    title = next(doctree.findall(nodes.title), None)
    if docname not in _chapters(app) or app.builder.format != "html" or title is None:
        return
    page = app.builder.get_target_uri(docname)
    links = [
        f'<a href="{relative_uri(page, f"{FOLDER}/{_book(app).name(docname)}{suffix}")}" download>'
        f"{words}</a>"
        for suffix, words in FORMATS.items()
    ]
    line = f'<p class="downloads">Download this page: {" · ".join(links)}</p>'
    # Raw, so that no preview or search result quotes it for the page's first words.
    title.parent.insert(title.parent.index(title) + 1, nodes.raw("", line, format="html"))


def _chapters(app: Sphinx) -> list[str]:
    return [name for name in sorted(app.env.metadata) if "provenance" in app.env.metadata[name]]


def _book(app: Sphinx) -> Book:
    return Book(Path(app.srcdir), app.config.chapters_package)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.connect("doctree-read", add_links, priority=900)
    app.connect("build-finished", write_downloads)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
