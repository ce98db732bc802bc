"""Render the pages from the chapters' results, and let the new site take the last one's place."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from book._ext.layout import SHARED, SITE_URL, Book, BookError
from book._ext.site.accessible import make_accessible
from book._ext.site.check_site import Site
from book._ext.site.online import open_front_door
from book._ext.site.webp import to_webp
from fundiff.files import write


def render(
    book: Book, foundations: str | None = None, online: Mapping[str, str] | None = None
) -> Path:
    """Render the pages, with warnings as errors, and return the folder of the new site.

    What Sphinx made the last time is the start where it stands on the same foundations: then only
    the pages that have changed are written, unless they changed what pages take from one another.

    Args:
        book: The book.
        foundations: A digest of what every page is made of; None to start from nothing.
        online: Variables that say where the site and its code will be, see :mod:`layout`; those of
            this process count too.

    Raises:
        BookError: If Sphinx failed, or if the pages aren't whole by themselves.
    """
    variables = {**os.environ, **(online or {})}
    kept = book.build / "sphinx"
    stands_on, shared = kept / "foundations", kept / "_build" / ".doctrees" / SHARED
    known = stands_on.read_text() if stands_on.is_file() else None
    if foundations is None or known != foundations or variables.get(SITE_URL):
        # With an address there is a map, to which only pages that are written are added.
        shutil.rmtree(kept, ignore_errors=True)
    before = shared.read_text(encoding="utf-8") if shared.is_file() else None
    stands_on.unlink(missing_ok=True)  # what a failure leaves is no start
    # The address of a style sheet says whether Sphinx found one before it wrote the page.
    shutil.rmtree(kept / "_build" / "html" / "_static", ignore_errors=True)
    _run(book, kept, variables)
    if before not in (None, shared.read_text(encoding="utf-8")):
        shutil.rmtree(kept)
        _run(book, kept, variables)
    if foundations is not None:
        write(stands_on, foundations.encode())
    site = book.build / "next"
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(kept / "_build" / "html", site)
    open_front_door(site, book.docnames[0])
    static = site / "_static"
    for path in (static / "scripts").glob("fontawesome.js*"):
        path.unlink()
    files = [path for path in sorted(site.rglob("*.html")) if static not in path.parents]
    pages = {path: make_accessible(path.name, path.read_text("utf-8")) for path in files}
    for path, text in to_webp(site, pages, book.build / "pictures").items():
        path.write_text(text, encoding="utf-8")
    prefix = urlsplit(variables.get(SITE_URL) or "/").path
    if found := [*Site(site, prefix).problems()]:
        raise BookError("the pages aren't as they should be:\n" + "\n".join(found))
    return site


def _run(book: Book, output: Path, variables: Mapping[str, str]) -> None:
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command: list[str | Path] = [jupyter_book, "build", book.root, "--path-output", output]
    command += ["-W", "-n", "--keep-going"]
    print("rendering the pages …", flush=True)
    own = Path(__file__).parents[3]
    paths = os.pathsep.join(
        map(str, [book.root, own, *filter(None, [variables.get("PYTHONPATH")])])
    )
    env = {**variables, "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=book.root, env=env, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise BookError("Sphinx failed, as it says above")


def publish(book: Book, site: Path) -> None:
    """Let a new site take the place of the last one, by renames."""
    current, last = book.build / "html", book.build / "last"
    shutil.rmtree(last, ignore_errors=True)
    if current.exists():
        current.rename(last)
    site.rename(current)
    shutil.rmtree(last, ignore_errors=True)
