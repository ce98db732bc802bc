"""Build the site: `python book/_ext/build.py [--fresh] [--only NAME]`.

Chapters are executed where that is needed, the pages are rendered into a folder of their own and
checked, and only then do they take the place of the last good site.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from accessible import make_accessible
from check_site import Site
from execute import bring_up_to_date, parse_arguments
from layout import SITE_URL, Book, BookError
from leaks import leaks
from online import open_front_door
from webp import to_webp


def render(book: Book, url: str | None = None) -> Path:
    """Render every page, with warnings as errors, and return the folder of the new site.

    Args:
        book: The book.
        url: The address that the site will have, for what needs it: sitemap and previews.

    Raises:
        BookError: If Sphinx failed, or if the pages aren't whole by themselves.
    """
    output = book.build / "next"
    shutil.rmtree(output, ignore_errors=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command: list[str | Path] = [jupyter_book, "build", book.root, "--path-output", output]
    command += ["--all", "-W", "-n", "--keep-going"]
    print("rendering the pages …", flush=True)
    env = {**os.environ, SITE_URL: url or ""}
    done = subprocess.run(command, cwd=book.root, env=env, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise BookError("Sphinx failed, as it says above")
    site = output / "_build" / "html"
    open_front_door(site, book.docnames[0])
    make_accessible(site)
    to_webp(site, book.build / "pictures")
    prefix = urlsplit(url or "/").path
    if found := [*Site(site, prefix).problems(), *leaks(site, {})]:
        raise BookError("the pages aren't as they should be:\n" + "\n".join(found))
    return site


def publish(book: Book, site: Path) -> None:
    """Let a new site take the place of the last one, by renames."""
    current, last = book.build / "html", book.build / "last"
    shutil.rmtree(last, ignore_errors=True)
    if current.exists():
        current.rename(last)
    site.rename(current)
    shutil.rmtree(last, ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 means that something has to be mended, as said on stderr."""
    options = parse_arguments(arguments)
    book = Book(Path(__file__).parents[2])
    try:
        with book.locked():
            bring_up_to_date(book, fresh=options.fresh, only=options.only)
            publish(book, render(book))
    except BookError as error:
        print(f"\n{error}\n\nThe last good site was left as it was.", file=sys.stderr)
        return 1
    print(f"the book is at {(book.build / 'html' / 'index.html').as_uri()}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
