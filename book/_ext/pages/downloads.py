"""Chapters to take away: each page with code as a Jupyter notebook.

It is written into the site, with a line under the page's title that links to it. The notebook has
no results. Its text is plain Markdown: what only MyST knows is said in words, and references
are called what they are called in the book. Solutions are folded, their code too. What can't be
said so is refused.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from posixpath import join, normpath
from textwrap import dedent

import nbformat
from docutils import nodes
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pybtex.backends.plaintext import Backend
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.style.formatting.unsrt import Style
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.directives.code import LiteralIncludeReader
from sphinx.environment import BuildEnvironment
from sphinx.util.osutil import relative_uri

from book._ext.layout import PAGES, REPOSITORY, Book, BookError
from book._ext.pages.chapters import ChapterRefusedError
from book._ext.run.execute import read_page
from fundiff.files import write

FOLDER = "_downloads"
SOURCES = "book/references.bib"
ADMONITIONS = {"admonition", "note", "tip", "hint", "important", "warning"}
CODE_ROLES = {"attr", "class", "data", "exc", "func", "meth", "mod", "obj"}

FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}
"""What folds a cell's code in Jupyter, and what does in Colab."""
START, END = "<details>", "</details>"
"""Between them text is folded."""

ABOUT = "> From the book *{book}*, to run and to change. It needs the book's library, `{package}`"
CLONE = ":\n> in a clone of the project, `pip install . jupyter`."
CELL = ",\n> which the next cell installs."

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
_BOUNDS = re.compile(f"^(?:{START}|{END})$", re.M)


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
    """List what can be referred to: pages by their names, all else with a number by its label."""
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
            title = f" ({argument})" if argument else ""
            return f"**{self._target(options.get('label', '')).words}{title}**\n\n{inside}"
        if name in ("solution", "solution-start"):
            summary = f"<summary>Solution to {self._target(argument).words}</summary>"
            end = f"\n\n{inside}\n\n{END}" if name == "solution" else ""
            return f"{START}\n{summary}{end}"
        if name == "solution-end":
            return END
        if name == "lab":
            return ""  # the page that it leads to isn't there
        if name in ADMONITIONS:
            return quoted(f"**{argument or name.capitalize()}**\n\n{inside}")
        raise self._refusal(f"the directive {{{name}}}")

    def _listing(self, argument: str, options: Mapping[str, str]) -> str:
        """Show a definition of the library, with the name of its file."""
        if unknown := options.keys() - {"pyobject", "language", "dedent"}:
            raise self._refusal(f"literalinclude's :{min(unknown)}:")
        name = normpath(join(self.docname, "..", argument))
        only = {"pyobject": options["pyobject"]} if "pyobject" in options else {}
        try:
            source, _ = LiteralIncludeReader(str(self.book.root / name), only, Config()).read()
        except ValueError as error:
            raise self._refusal(f"what {name} hasn't: {error}") from error
        return f"```python\n# {name}\n{dedent(source).rstrip()}\n```"

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
        if role == "term":
            return words or target
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

    Raises:
        BookError: There is something on the page that a notebook can't say.
    """
    whole = read_page(book, docname, book.source(docname).read_text(encoding="utf-8"))
    plain = Plain(book, docname, known)
    cells, bound = [], END
    for cell in whole.cells:
        if cell.cell_type == "code":
            cells.append(new_code_cell(cell.source, metadata=FOLDED if bound == START else {}))
            texts = [_caption(plain, cell)]
        elif cells:
            text = plain.text(cell.source)
            opening = f"{START}\n\n" if bound == START else ""
            bound = [bound, *_BOUNDS.findall(text)][-1]
            closing = f"\n\n{END}" if bound == START else ""
            texts = [f"{opening}{text}{closing}".removeprefix(f"{START}\n\n{END}").lstrip()]
        else:
            texts = _opening(plain, cell.source)
        cells += [new_markdown_cell(text) for text in texts if text]
    cells += [new_markdown_cell(text) for text in [plain.sources()] if text]
    cells[1:1] = _installing(book.package)
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
    about += CELL if os.environ.get(REPOSITORY) else CLONE
    title = _TITLE.match(source)
    heading = f"# {title[1]}\n\n" if title else ""
    return [heading + about, plain.text(_TITLE.sub("", source))]


def _installing(package: str) -> list[NotebookNode]:
    """The cell that installs the package from where its code is; none where that isn't known."""
    code = os.environ.get(REPOSITORY)
    return [new_code_cell(f'%pip install --quiet "{package} @ git+{code}"')] if code else []


def _caption(plain: Plain, cell: NotebookNode) -> str:
    figure = cell.metadata.get("mystnb", {}).get("figure", {})
    if "caption" not in figure:
        return ""
    name = plain.known.get(figure.get("name", ""))
    caption = plain.text(figure["caption"])
    return quoted(f"**{name.words}.** {caption}" if name else caption)


def write_download(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Write a chapter's notebook into the site when its page is. Event ``doctree-resolved``.

    Raises:
        ChapterRefusedError: It can't be made.
    """
    if "provenance" not in app.env.metadata[docname] or app.builder.format != "html":
        return
    book = Book.of(app)
    path = Path(app.outdir, f"{FOLDER}/{book.name(docname)}.ipynb")
    try:
        content = nbformat.writes(notebook(book, docname, targets(app.env))) + "\n"
    except BookError as refusal:
        raise ChapterRefusedError(str(refusal)) from refusal
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content.encode())


def launches(path: str) -> dict[str, str]:
    """Say where a notebook of the published site can be run, by what to call it.

    Returns:
        The addresses; none where the site's repository isn't known or isn't on GitHub.
    """
    code, branch = os.environ.get(REPOSITORY, ""), os.environ.get(PAGES, "")
    host, _, name = code.partition("github.com/")
    if not host or not name or not branch:
        return {}
    return {
        "Open in Colab": f"https://colab.research.google.com/github/{name}/blob/{branch}/{path}",
        "Launch in Binder": f"https://mybinder.org/v2/gh/{name}/{branch}?labpath={path}",
    }


def put_under_title(doctree: nodes.document, html: str) -> None:
    """Put something under a page's title, if it has one.

    It is raw, so that no preview or search result quotes it for the page's first words.
    """
    title = next(doctree.findall(nodes.title), None)
    if title is not None:
        title.parent.insert(title.parent.index(title) + 1, nodes.raw("", html, format="html"))


def add_links(app: Sphinx, doctree: nodes.document) -> None:
    """Put the link under a chapter's title. Sphinx's event ``doctree-read``."""
    docname = app.env.docname
    if "provenance" not in app.env.metadata[docname] or app.builder.format != "html":
        return
    page = app.builder.get_target_uri(docname)
    path = f"{FOLDER}/{Book.of(app).name(docname)}.ipynb"
    links = [f'<a href="{relative_uri(page, path)}" download>Download as a notebook</a>']
    links += [f'<a href="{url}">{words}</a>' for words, url in launches(path).items()]
    put_under_title(doctree, f'<p class="downloads">{" · ".join(links)}</p>')


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.connect("doctree-read", add_links, priority=900)
    app.connect("doctree-resolved", write_download)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
