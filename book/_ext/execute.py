"""Bring every chapter's results up to date: `python book/_ext/execute.py [--fresh] [--only NAME]`.

A chapter's results come from the committed export if that is current, else from the cache, else
from a run; then both have them. What decides is the chapter's code and everything in
:mod:`digests`, so a change in the library re-runs only the chapters that it reaches.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbformat import NotebookNode

import kernel
from digests import Dependencies, dependencies, engine_label, stamp
from layout import Book, BookError
from store import Store, prune_exports, read_export, write_export

DEFAULT_TIMEOUT = 600


@dataclass(frozen=True)
class Chapter:
    """A page with code cells, as it would be executed.

    Attributes:
        docname: The page as Sphinx names it.
        text: Its source with the digest in it.
        notebook: Its code cells.
        needs: What its outputs depend on besides its own code.
        timeout: How many seconds one cell may take.
    """

    docname: str
    text: str
    notebook: NotebookNode
    needs: Dependencies
    timeout: int


def read_chapter(book: Book, docname: str, text: str) -> Chapter | None:
    """Read a page, or return None where it has no code cells.

    Args:
        book: The book.
        docname: The page as Sphinx names it.
        text: Its source.

    Raises:
        BookError: If it cannot be read or lacks what a chapter's front matter needs.
    """
    page = book.source(docname)
    name = page.relative_to(book.root).as_posix()
    config = MdParserConfig(enable_extensions=set(book.syntax))
    whole = read_myst_markdown_notebook(text, config=config, add_source_map=True, path=page)
    codes = [cell.source for cell in whole.cells if cell.cell_type == "code"]
    if not codes:
        return None
    try:
        needs = dependencies(codes, book.root, book.package, current_engine())
    except BookError as error:
        raise BookError(f"{name}: {error}") from error
    digest = needs.digest(book.root)
    stamped = stamp(text, digest, name)
    kernelspec = {**whole.metadata.kernelspec, "digest": digest}
    numbered = zip(whole.cells, whole.metadata.source_map, strict=True)
    cells = [(cell, line) for cell, line in numbered if cell.cell_type == "code"]
    metadata = {"kernelspec": kernelspec, "lines": [line for _, line in cells]}
    notebook = nbformat.v4.new_notebook(metadata=metadata, cells=[cell for cell, _ in cells])
    timeout = whole.metadata.get("mystnb", {}).get("execution_timeout", DEFAULT_TIMEOUT)
    return Chapter(docname, stamped, notebook, needs, int(timeout))


def current_engine() -> str:
    """The label of the text-to-image model that chapters load here and now."""
    return engine_label(os.environ.get("FUNDIFF_MODEL"))


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
    old = read_export(path)
    if fresh:
        done = None
    elif old is not None and _ran_as(old) == _ran_as(chapter.notebook):
        done = _with_metadata(old, chapter.notebook)
    else:
        done = store.get(chapter.notebook)
    if done is None:
        say(f"executing {name} …")
        done = _execute(book, chapter)
        say(f"executed {name} in {done.metadata.provenance['seconds']:.0f} s")
        done = _as_before(done, old)
    else:
        say(f"unchanged {name}")
    store.put(done, name)
    write_export(path, done)


def _ran_as(notebook: NotebookNode) -> object:
    """What a run depends on: of a cell's metadata only the tags, and so no caption."""
    cells = [(cell.source, cell.metadata.get("tags")) for cell in notebook.cells]
    return notebook.metadata.kernelspec, cells


def _with_metadata(old: NotebookNode, new: NotebookNode) -> NotebookNode:
    """Results as they are, for cells whose captions may have changed."""
    done: NotebookNode = nbformat.from_dict(old)
    for cell, changed in zip(done.cells, new.cells, strict=True):
        cell.metadata = changed.metadata
    return done


def _execute(book: Book, chapter: Chapter) -> NotebookNode:
    """Run a chapter, and keep of the notebook what the export holds."""
    notebook: NotebookNode = nbformat.from_dict(chapter.notebook)
    variables = kernel.environment(book, os.environ)
    kernel.prepare(variables)
    start = time.monotonic()
    page = book.source(chapter.docname).relative_to(book.root).as_posix()
    made_with = kernel.run(notebook, page, chapter.timeout, variables)
    provenance: dict[str, Any] = {
        "engine": chapter.needs.engine,
        **made_with,
        "date": datetime.now(UTC).date().isoformat(),
        "seconds": round(time.monotonic() - start, 1),
    }
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": notebook.metadata.kernelspec,
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


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line that this command and `build.py` share."""
    parser = argparse.ArgumentParser(description="Bring every chapter's results up to date.")
    parser.add_argument("--fresh", action="store_true", help="execute every chapter")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="only these chapters")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 means that something has to be mended, as said on stderr."""
    options = parse_arguments(arguments)
    book = Book(Path(__file__).parents[2])
    try:
        with book.locked():
            bring_up_to_date(book, fresh=options.fresh, only=options.only)
    except BookError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
