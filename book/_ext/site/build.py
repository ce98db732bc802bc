"""Build the site: `nox -s book -- [--fresh] [--all] [--only NAME]`.

Chapters are executed where that is needed, the pages are rendered into a folder of their own and
checked, and only then do they take the place of the last good site. Where nothing has changed since
that one was made, nothing is done.
"""

import argparse
import gc
import hashlib
import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from book._ext.layout import API, Book, ended
from fundiff.files import prepare, write

UNCOUNTED = (API, "__pycache__/", "/.")
"""What lies among the inputs and isn't one: what the build itself writes, and what is hidden."""
EVERY_PAGES = ("_", *(f"book/{name}/" for name in ("_ext", "_static", "images", "inventories")))
"""How the names of files begin that all pages are made of."""


def inputs(book: Book) -> dict[str, str]:
    """Return a digest of each file that a site is made of, by its name.

    That is the files of book, package and tests. Under the empty name are the installed packages
    by name and version, and the variables that begin with ``FUNDIFF_``, such as the model's.
    """
    folders = (book.root / name for name in ("book", book.package, "tests"))
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += [book.root / "_config.yml", book.root / "_toc.yml"]
    named = {path.relative_to(book.root).as_posix(): path for path in sorted(files)}
    found = {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name, path in named.items()
        if not any(part in f"/{name}" for part in UNCOUNTED)
    }
    site_packages = Path(sysconfig.get_path("purelib"))
    installed = sorted(path.name for path in site_packages.glob("*.dist-info"))
    settings = sorted(pair for pair in os.environ.items() if pair[0].startswith("FUNDIFF_"))
    return {"": f"{platform.python_version()} {settings} {installed}", **found}


def foundations(made_of: Mapping[str, str]) -> str:
    """Return a digest of what every page is made of, and of which files there are."""
    common = {name: digest for name, digest in made_of.items() if name.startswith(EVERY_PAGES)}
    text = json.dumps([made_of[""], common, [*made_of]])
    return hashlib.sha256(text.encode()).hexdigest()


def changed(book: Book, before: Mapping[str, str], now: Mapping[str, str]) -> list[str] | None:
    """Name the pages that have changed; None where anything else has too."""
    pages = {
        book.source(docname).relative_to(book.root).as_posix(): docname for docname in book.docnames
    }
    names = {name for name in {*before, *now} if before.get(name) != now.get(name)}
    return [book.name(pages[name]) for name in sorted(names)] if names <= {*pages} else None


def bring_up_to_date(
    book: Book, *, fresh: bool = False, whole: bool = False, only: Sequence[str] = ()
) -> None:
    """Execute, render, check and swap in what has changed, and nothing where nothing has.

    The caller holds the book's lock.

    Args:
        book: The book.
        fresh: Execute every chapter.
        whole: Render every page.
        only: Short names of the chapters to execute; all that have changed if empty.

    Raises:
        BookError: Something has to be mended; the last good site is as it was.
    """
    # Beside the results: without these it says nothing.
    kept, page = book.cache / "inputs", book.build / "html" / "index.html"
    known = json.loads(kept.read_bytes()) if kept.is_file() and page.is_file() else None
    made_of = inputs(book)
    if known == made_of and not fresh and not whole and not only:
        print("nothing has changed")
        return
    from book._ext.run import execute  # these two take seconds to import
    from book._ext.site import render

    pages = [*only] or None
    if known and not fresh and not only:
        pages = changed(book, known, made_of)
    kept.unlink(missing_ok=True)  # what a failure leaves is no start
    if pages is None or pages:
        execute.bring_up_to_date(book, fresh=fresh, only=pages or ())
    # Sphinx looks at times: it misses what was put back, or was changed while it was at work.
    times = book.build / "times"
    last, since = {}, 0.0
    if times.is_file():
        last, since = json.loads(times.read_text(encoding="utf-8")), times.stat().st_mtime
    made_of = inputs(book)
    now = {name: (book.root / name).stat().st_mtime for name in made_of if name}
    if whole or any(last.get(name) != time < since for name, time in now.items()):
        shutil.rmtree(book.build / "sphinx", ignore_errors=True)
    try:
        site = render.render(book, foundations(made_of))
    finally:
        write(times, json.dumps(now).encode())
    render.publish(book, site)
    if inputs(book) == made_of:  # else the next build looks again
        prepare(kept.parent)
        write(kept, json.dumps(made_of).encode())


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 means that something has to be mended, as said on stderr."""
    parser = argparse.ArgumentParser(description="Build the site from what has changed.")
    parser.add_argument("--fresh", action="store_true", help="execute every chapter")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="only these chapters")
    parser.add_argument("--all", action="store_true", help="render every page")
    options = parser.parse_args(arguments)
    book = Book(Path(__file__).parents[3])
    gc.disable()  # nearly everything that is made here stays until the end

    def job() -> str:
        with book.locked():
            bring_up_to_date(book, fresh=options.fresh, whole=options.all, only=options.only)
        return f"the book is at {(book.build / 'html' / 'index.html').as_uri()}"

    return ended(job, "The last good site was left as it was.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
