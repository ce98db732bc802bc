"""Bring every chapter's results up to date.

A chapter's results come from the committed export if that is current, else from the cache, else
from a run; then both have them. What decides is the chapter's code and everything that its run
used, see :mod:`digests`, so a change in the library re-runs only the chapters that it reaches.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import nbformat
from myst_nb.core.read import MystMetadataParsingError, read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbformat import NotebookNode

from book._ext.layout import Book, BookError
from book._ext.run import kernel
from book._ext.run.digests import Dependencies, dependencies, engine_label, stamp, trimmed
from book._ext.run.store import Store, prune_exports, read_export, write_export

DEFAULT_TIMEOUT = 600


@dataclass(frozen=True)
class Chapter:
    """A page with code cells, as it would be executed.

    Attributes:
        docname: The page as Sphinx names it.
        notebook: Its code cells.
        timeout: How many seconds one cell may take.
    """

    docname: str
    notebook: NotebookNode
    timeout: int


def read_page(book: Book, docname: str, text: str) -> NotebookNode:
    """Read a page as a notebook of Markdown and code.

    Raises:
        BookError: If it can't be read.
    """
    page = book.source(docname)
    config = MdParserConfig(enable_extensions=set(book.syntax))
    try:
        whole: NotebookNode = read_myst_markdown_notebook(
            text, config=config, add_source_map=True, path=page
        )
    except (MystMetadataParsingError, IndexError, TypeError, ValueError) as error:
        name = page.relative_to(book.root).as_posix()
        raise BookError(f"{name} should be a page of MyST: {error}") from error
    return whole


def read_chapter(book: Book, docname: str, text: str) -> Chapter | None:
    """Read a page, or return None where it has no code cells.

    Raises:
        BookError: If it can't be read or lacks what a chapter's front matter needs.
    """
    name = book.source(docname).relative_to(book.root).as_posix()
    whole = read_page(book, docname, text)
    try:
        timeout = int(whole.metadata.get("mystnb", {}).get("execution_timeout", DEFAULT_TIMEOUT))
    except (TypeError, ValueError) as error:
        raise BookError(f"{name} should be a page of MyST: {error}") from error
    if not any(cell.cell_type == "code" for cell in whole.cells):
        return None
    stamp(text, "", name)
    numbered = zip(whole.cells, whole.metadata.source_map, strict=True)
    cells = [(cell, line) for cell, line in numbered if cell.cell_type == "code"]
    metadata = {"kernelspec": whole.metadata.kernelspec, "lines": [line for _, line in cells]}
    notebook = nbformat.v4.new_notebook(metadata=metadata, cells=[cell for cell, _ in cells])
    return Chapter(docname, notebook, timeout)


def needs(book: Book, record: Mapping[str, Any]) -> Dependencies:
    """Find what a chapter that used this depends on here and now; see :func:`dependencies`."""
    engine = engine_label(os.environ.get("FUNDIFF_MODEL"))
    try:
        return dependencies(record, book.root, book.package, engine)
    except (SyntaxError, ValueError) as error:
        raise BookError(f"what chapters use can't be read: {error}") from error


def current(book: Book, store: Store, chapter: Chapter) -> NotebookNode | None:
    """Find a result of a chapter that nothing has outdated: the committed one, or a cached one."""
    export = read_export(book.export(chapter.docname))
    for done in chain(filter(None, [export]), store.of(book.name(chapter.docname))):
        if _ran_as(done) == _ran_as(chapter.notebook) and _is_current(book, done):
            return _with_metadata(done, chapter.notebook)
    return None


def _is_current(book: Book, done: NotebookNode) -> bool:
    try:
        now = needs(book, done.metadata.provenance.record)
    except (AttributeError, LookupError):
        return False
    return bool(now.digest == done.metadata.kernelspec.get("digest"))


def bring_up_to_date(
    book: Book,
    *,
    fresh: bool = False,
    only: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> None:
    """Execute the chapters whose results are missing, and make the exports agree.

    What other chapters computed is kept when one fails. The caller holds the book's lock.

    Args:
        book: The book.
        fresh: Execute every chapter, whatever is known.
        only: Short names of the chapters to look at; all if empty.
        say: Takes one line a chapter.

    Raises:
        BookError: If chapters failed; the message has every failure.
    """
    store = Store(book.cache)
    docnames = book.docnames
    if unknown := set(only) - {book.name(docname) for docname in docnames}:
        raise BookError(f"no chapter in _toc.yml is called {', '.join(sorted(unknown))}")
    failures = []
    kept = set()
    for docname in docnames:
        kept.add(book.export(docname))
        if only and book.name(docname) not in only:
            continue
        try:
            source = book.source(docname).read_text(encoding="utf-8")
            chapter = read_chapter(book, docname, source)
            if chapter is None:
                kept.discard(book.export(docname))
                continue
            _settle(book, store, chapter, fresh, say)
        except BookError as error:
            say(f"failed {book.name(docname)}")
            failures.append(str(error))
    prune_exports(book, kept)
    if failures:
        raise BookError("\n\n".join(failures))


def _settle(
    book: Book, store: Store, chapter: Chapter, fresh: bool, say: Callable[[str], None]
) -> None:
    """Get one chapter's results from the export, the cache or a run, into both."""
    name = book.name(chapter.docname)
    path = book.export(chapter.docname)
    done = None if fresh else current(book, store, chapter)
    if done is None:
        say(f"executing {name} …")
        done = _execute(book, chapter)
        say(f"executed {name} in {done.metadata.provenance['seconds']:.0f} s")
        done = _as_before(done, read_export(path))
    else:
        say(f"unchanged {name}")
    write_export(path, done)
    store.put(done, name)


def _ran_as(notebook: NotebookNode) -> object:
    """What a run depends on: of a cell's metadata only tags, and no caption."""
    every = [(cell.source, cell.metadata.get("tags", ())) for cell in notebook.cells]
    return [(code, [tag for tag in tags if not tag.startswith("hide-")]) for code, tags in every]


def _with_metadata(old: NotebookNode, new: NotebookNode) -> NotebookNode:
    """Results as they are, for cells whose captions may have changed."""
    done: NotebookNode = nbformat.from_dict(old)
    for cell, changed in zip(done.cells, new.cells, strict=True):
        cell.metadata = changed.metadata
    digest = done.metadata.kernelspec.digest
    done.metadata.kernelspec = {**new.metadata.kernelspec, "digest": digest}
    return done


def _execute(book: Book, chapter: Chapter) -> NotebookNode:
    """Run a chapter, and keep of the notebook what the export holds."""
    notebook: NotebookNode = nbformat.from_dict(chapter.notebook)
    variables = kernel.environment(book, os.environ)
    kernel.prepare(variables)
    start, begun = time.monotonic(), time.time()
    page = book.source(chapter.docname).relative_to(book.root).as_posix()
    made = kernel.run(book, notebook, page, chapter.timeout, variables)
    try:
        made["record"] = trimmed(made["record"], book.root)
        used = needs(book, made["record"])
    except LookupError as error:
        raise BookError(f"{page} used what can't be found: {error}") from error
    late = [path for path in used.modules | used.files if path.stat().st_mtime > begun]
    if late:
        raise BookError(f"{page} was executed while {late[0]} was changed: build again")
    provenance: dict[str, Any] = {
        "engine": used.engine,
        **made,
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - start, 1),
    }
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {**notebook.metadata.kernelspec, "digest": used.digest},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
            "provenance": provenance,
        }
    )
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        cell.pop("id", None)
    return notebook


def _as_before(new: NotebookNode, old: NotebookNode | None) -> NotebookNode:
    """Prefer the old result where nothing but the date and the seconds would change."""

    def settled(notebook: NotebookNode) -> NotebookNode:
        copy: NotebookNode = nbformat.from_dict(notebook)
        for name in ("date", "seconds"):
            copy.metadata.get("provenance", {}).pop(name, None)
        return copy

    return old if old is not None and settled(old) == settled(new) else new
