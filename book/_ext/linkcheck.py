"""Follow every link that leads out of the book: `nox -s linkcheck`; it needs the network.

Sphinx's own builder does it, on the book's pages as they are; a link that leads nowhere fails.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from layout import Book


def command(book: Book, arguments: Sequence[str]) -> list[str | Path]:
    """The command that follows the links.

    Args:
        book: The book.
        arguments: More options for Jupyter Book.
    """
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    output = book.build / "links"
    options: list[str | Path] = ["--builder", "linkcheck", "--path-output", output, "--all"]
    return [jupyter_book, "build", book.root, *options, *arguments]


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 means that a link leads nowhere, as said before."""
    book = Book(Path(__file__).parents[2])
    with book.locked():
        shutil.rmtree(book.build / "links", ignore_errors=True)
        done = subprocess.run(command(book, arguments), cwd=book.root, check=False)
    found = sorted((book.build / "links").rglob("linkcheck/output.txt"))
    for path in found:
        print(path.read_text(encoding="utf-8"))
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
