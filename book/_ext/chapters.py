"""The Sphinx extension: render chapters from their results, and never execute one.

Execution is `execute.py`'s. Here each chapter's source gets its digest as it is read, its results
are found in the cache, and a line at its end says what made them.
"""

import re
import shutil
from collections.abc import Collection
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import SphinxError

import inventories
from digests import BUNDLED, NO_ENGINE
from execute import read_chapter
from layout import Book, BookError
from library import Library, write_pages
from store import Store, load_exports
from typehints import Formatter, skip_fields

ATTRIBUTION = (
    "DeepFloyd is licensed under the DeepFloyd License, Copyright (c) Stability AI Ltd. "
    "All Rights Reserved."
)
DEEPFLOYD = re.compile(r"deepfloyd|^IF-I+-", re.I)
MATHJAX = "mathjax"
MATHJAX_SCRIPT = "tex-mml-chtml.js"
MATHJAX_FOLDERS = ("input/tex/extensions", "output/chtml/fonts/woff-v2")


class ChapterRefusedError(SphinxError):
    """A chapter that cannot be rendered as it is."""

    category = "Chapter refused"


def provenance_line(provenance: dict[str, Any], weights: Collection[str] = ()) -> str:
    """Say in plain words what made a chapter's figures.

    Args:
        provenance: What the chapter's result says of it.
        weights: The shipped weights that its code names.
    """
    loaded = f"Weights {', '.join(sorted(weights))}" if weights else "No model"
    engines = {NO_ENGINE: loaded, BUNDLED: "Bundled model"}
    versions = dict(provenance["versions"])
    names = {"python": "Python", "numpy": "NumPy", "matplotlib": "Matplotlib"}
    software = ", ".join(f"{names.get(name, name)} {number}" for name, number in versions.items())
    engine = engines.get(provenance["engine"], provenance["engine"])
    where = " · ".join(provenance[name] for name in ("device", "dtype") if name in provenance)
    return f"{engine} · {where} · {software} · made on {provenance['date']}"


def attribution_line(engine: str) -> str | None:
    """Return what DeepFloyd's licence wants said of a page that its model made figures of.

    Args:
        engine: The engine's label: a hub's name, or a folder's.

    Returns:
        The line, None where the engine isn't one of DeepFloyd's.
    """
    return ATTRIBUTION if DEEPFLOYD.search(engine) else None


def configure(app: Sphinx, config: Config) -> None:
    """Set what depends on where the book lies or cannot be said in YAML."""
    book = _book(app)
    config.nb_execution_mode = "cache"
    config.nb_execution_cache_path = str(book.cache)
    config.intersphinx_mapping = inventories.write(book.build / "inventories")
    config.mathjax_path = f"{MATHJAX}/{MATHJAX_SCRIPT}"
    types = f"{book.package}.types"
    if (book.root / book.package / "types.py").is_file() and find_spec(types) is not None:
        formatter = Formatter(types)
        config.typehints_formatter = formatter
        app.connect("missing-reference", formatter.resolve)
    api = book.root / "book" / "reference" / "api"
    if api.with_suffix(".md").is_file():
        library = Library(book)
        write_pages(library, api)
        config.myst_substitutions = {**config.myst_substitutions, "api": library.index()}


def load_results(app: Sphinx) -> None:
    """Make the committed results known to the cache that myst-nb reads."""
    book = _book(app)
    load_exports(book, Store(book.cache))


def read_source(app: Sphinx, docname: str, source: list[str]) -> None:
    """Stamp a chapter, and refuse it where its results are missing.

    Raises:
        ChapterRefusedError: If its results are missing or its front matter is wrong.
    """
    book = _book(app)
    if not (book.root / f"{docname}.md").is_file():
        return
    try:
        chapter = read_chapter(book, docname, source[0])
    except BookError as error:
        raise ChapterRefusedError(str(error)) from error
    if chapter is None:
        return
    done = Store(book.cache).get(chapter.notebook)
    if done is None:
        raise ChapterRefusedError(
            f"{docname} has changed, or something it uses has, and it has not been executed since: "
            "run `nox -s book`"
        )
    source[0] = chapter.text
    needs = chapter.needs
    for path in (book.export(docname), *needs.modules, *needs.files, *needs.cards):
        app.env.note_dependency(str(path))
    made = done.metadata.provenance
    app.env.metadata[docname]["provenance"] = provenance_line(made, chapter.needs.weights)
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
    for extension in (
        "sphinx.ext.autodoc",
        "listings",
        "results",
        "formulas",
        "downloads",
        "online",
    ):
        app.setup_extension(extension)
    app.connect("config-inited", configure, priority=100)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("builder-inited", load_results)
    app.connect("source-read", read_source)
    app.connect("doctree-read", replace_untitled_sections, priority=400)
    app.connect("doctree-read", add_provenance)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


def _book(app: Sphinx) -> Book:
    return Book(Path(app.srcdir), app.config.chapters_package)
