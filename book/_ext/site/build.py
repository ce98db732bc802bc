"""Build the site: `nox -s book -- [--fresh] [--all] [--only NAME]`.

Chapters are executed where that is needed, the pages are rendered into a folder of their own and
checked, and only then do they take the place of the last good site. Where nothing has changed since
that one was made, nothing is done.
"""

import argparse
import hashlib
import json
import os
import platform
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path

from book._ext.layout import API, Book, BookError
from fundiff.files import write

UNCOUNTED = (API, "__pycache__/", "/.")
"""What lies among the inputs and isn't one: what the build itself writes, and what is hidden."""


def inputs(book: Book) -> str:
    """Return a digest of everything that a site is made of.

    That is the files of book, package and tests, the installed packages by name and version, and
    the variables that begin with ``FUNDIFF_``, such as that of the model.
    """
    return digest(book, _files(book))


def foundations(book: Book) -> str:
    """Return a digest of what every page is made of, and of which files there are."""
    common = [book.root / "book" / name for name in ("_ext", "_static", "images", "inventories")]
    files = [path for path in _files(book) if {*path.parents} & {*common}]
    names = "\n".join(sorted(path.relative_to(book.root).as_posix() for path in _files(book)))
    return digest(book, files, names)


def digest(book: Book, files: Iterable[Path], *words: str) -> str:
    """Return a digest of files of the book, its configuration, and what is installed."""
    python = platform.python_version()
    settings = sorted(pair for pair in os.environ.items() if pair[0].startswith("FUNDIFF_"))
    site_packages = Path(sysconfig.get_path("purelib"))
    installed = sorted(path.name for path in site_packages.glob("*.dist-info"))
    found = hashlib.sha256(f"{python} {settings} {installed} {words}".encode())
    for path in sorted([*files, book.root / "_config.yml", book.root / "_toc.yml"]):
        name = path.relative_to(book.root).as_posix()
        found.update(f"{name} {path.stat().st_size}\n".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _files(book: Book) -> list[Path]:
    folders = (book.root / name for name in ("book", book.package, "tests"))
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    named = {path: f"/{path.relative_to(book.root).as_posix()}" for path in files}
    return [path for path, name in named.items() if not any(part in name for part in UNCOUNTED)]


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
    kept, page = book.build / "inputs", book.build / "html" / "index.html"
    known = kept.read_text(encoding="utf-8") if kept.is_file() and page.is_file() else None
    if not fresh and not whole and not only and known == inputs(book):
        print("nothing has changed")
        return
    from book._ext.run import execute  # these two take seconds to import
    from book._ext.site import render

    execute.bring_up_to_date(book, fresh=fresh, only=only)
    # Sphinx looks at times: it misses what was put back, or was changed while it was at work.
    times = kept.parent / "times"
    last, since = {}, 0.0
    if times.is_file():
        last, since = json.loads(times.read_text(encoding="utf-8")), times.stat().st_mtime
    now = {f"{path}": path.stat().st_mtime for path in _files(book)}
    if whole or any(last.get(path) != time < since for path, time in now.items()):
        shutil.rmtree(book.build / "sphinx", ignore_errors=True)
    made_of = inputs(book)
    try:
        site = render.render(book, foundations(book))
    finally:
        write(times, json.dumps(now).encode())
    kept.unlink(missing_ok=True)
    render.publish(book, site)
    if inputs(book) == made_of:  # else the next build looks again
        write(kept, made_of.encode())


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 means that something has to be mended, as said on stderr."""
    parser = argparse.ArgumentParser(description="Build the site from what has changed.")
    parser.add_argument("--fresh", action="store_true", help="execute every chapter")
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME", help="only these chapters")
    parser.add_argument("--all", action="store_true", help="render every page")
    options = parser.parse_args(arguments)
    book = Book(Path(__file__).parents[3])
    try:
        with book.locked():
            bring_up_to_date(book, fresh=options.fresh, whole=options.all, only=options.only)
    except BookError as error:
        print(f"\n{error}\n\nThe last good site was left as it was.", file=sys.stderr)
        return 1
    print(f"the book is at {(book.build / 'html' / 'index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
