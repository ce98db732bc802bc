"""The Sphinx extension: render chapters from their results, and never execute one.

Execution is `execute.py`'s. Here each chapter's source gets its digest as it is read, its results
are found in the cache, and a line at its end says what made them.
"""

import shutil
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import SphinxError

from book._ext.layout import API, Book, BookError
from book._ext.pages.library import Library, write_pages
from book._ext.pages.results import attribution_line, note, provenance_line, result
from book._ext.pages.typehints import Formatter, skip_fields
from book._ext.run.digests import stamp, weights
from book._ext.run.execute import current, needs, read_chapter
from book._ext.run.store import Store

EXTENSIONS = (
    "sphinx.ext.autodoc",
    "book._ext.pages.incremental",
    "book._ext.pages.listings",
    "book._ext.pages.results",
    "book._ext.pages.formulas",
    "book._ext.pages.map",
    "book._ext.pages.lab",
    "book._ext.pages.downloads",
    "book._ext.site.online",
)
MATHJAX = "mathjax"
MATHJAX_SCRIPT = "tex-mml-chtml.js"
MATHJAX_FOLDERS = ("input/tex/extensions", "output/chtml/fonts/woff-v2")


class ChapterRefusedError(SphinxError):
    """A chapter that cannot be rendered as it is."""

    category = "Chapter refused"


def configure(app: Sphinx, config: Config) -> None:
    """Set what depends on where the book lies or cannot be said in YAML."""
    book = Book.of(app)
    config.nb_execution_mode = "cache"
    config.nb_execution_cache_path = str(book.cache)
    config.mathjax_path = f"{MATHJAX}/{MATHJAX_SCRIPT}"
    types = f"{book.package}.types"
    if (book.root / book.package / "types.py").is_file() and find_spec(types) is not None:
        formatter = Formatter(types)
        config.typehints_formatter = formatter
        app.connect("missing-reference", formatter.resolve)
    api = book.root / API
    if api.with_suffix(".md").is_file():
        library = Library(book)
        write_pages(library, api)
        config.myst_substitutions = {**config.myst_substitutions, "api": library.index()}


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Hand myst-nb a chapter's results, which it finds by a digest that is put into the source.

    Raises:
        ChapterRefusedError: If its results are missing or its front matter is wrong.
    """
    book = Book.of(app)
    if not (book.root / f"{docname}.md").is_file():
        return
    try:
        chapter = read_chapter(book, docname, source[0])
    except BookError as error:
        raise ChapterRefusedError(str(error)) from error
    if chapter is None:
        return
    store = Store(book.cache)
    done = current(book, store, chapter)
    if done is None:
        raise ChapterRefusedError(
            f"{docname} has changed, or something it uses has, and it has not been executed since: "
            "run `nox -s book`"
        )
    store.put(done, book.name(docname))
    note(app.env, result(book, chapter, done, source[0]))
    source[0] = stamp(source[0], done.metadata.kernelspec.digest, docname)
    made = done.metadata.provenance
    used = needs(book, made.record)
    for path in (book.export(docname), *used.modules, *used.files):
        app.env.note_dependency(str(path))
    loaded = weights(made.record.files, book.root / book.package)
    app.env.metadata[docname]["provenance"] = provenance_line(made, loaded)
    app.env.metadata[docname]["attribution"] = attribution_line(made["engine"])


def replace_untitled_sections(app: Sphinx, doctree: nodes.document) -> None:
    """Make the sections that exercises and proofs put into a page plain blocks.

    They have no title, which sphinx-codeautolink trips over, and all have the same anchor.
    """
    for section in list(doctree.findall(nodes.section)):
        if not any(isinstance(child, nodes.title) for child in section):
            block = nodes.compound("", *section.children, classes=section["classes"])
            section.replace_self(block)


def add_provenance(app: Sphinx, doctree: nodes.document) -> None:
    """Say at a chapter's end what made its figures."""
    said = app.env.metadata[app.env.docname]
    for line in filter(None, (said.get("provenance"), said.get("attribution"))):
        if isinstance(doctree[-1], nodes.section):
            doctree[-1] += nodes.paragraph("", line, classes=["provenance"])


def drop_scripts(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.Node | None,
) -> None:
    """Leave out what a page has no use for. Sphinx's event ``html-page-context``.

    That is what would run code in the reader's browser, for which it asks a server for a kernel
    (Jupyter Book puts it into each page, twice, and the second is an error in the console); and
    MathJax where there is no formula (Sphinx puts it into each page above one that has some).
    """
    unused = ["thebe"]
    if doctree is None or not any(doctree.findall(_is_formula)):
        unused.append(MATHJAX)
    for kind in ("script_files", "css_files"):
        files = ((each, f"{vars(each)}".lower()) for each in context[kind])
        context[kind] = [each for each, said in files if not any(name in said for name in unused)]


def _is_formula(node: nodes.Node) -> bool:
    return isinstance(node, nodes.math | nodes.math_block)


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put MathJax into the site, from the installed package that carries it."""
    if error is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / MATHJAX
    with as_file(files("sphinx-mathjax-offline") / "static" / "mathjax") as source:
        for folder in MATHJAX_FOLDERS:
            shutil.copytree(source / folder, target / folder, dirs_exist_ok=True)
        shutil.copyfile(source / MATHJAX_SCRIPT, target / MATHJAX_SCRIPT)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.add_config_value("chapters_package", "fundiff", "env", str)
    for extension in EXTENSIONS:
        app.setup_extension(extension)
    app.connect("config-inited", configure, priority=100)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("source-read", read_source)
    app.connect("doctree-read", replace_untitled_sections, priority=400)
    app.connect("doctree-read", add_provenance)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
