"""Follow every link that leads out of the book: `nox -s linkcheck`; it needs the network.

Sphinx's own builder does it, on the book's pages as they are. A link that leads nowhere fails, and
so does one whose place in the page has gone.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from layout import Book, BookError

# What Sphinx's builder writes of each link: page, line, what was found, address and reason.
_FOUND = re.compile(r"^(?P<page>\S+):(?P<line>\d+): \[(?P<what>[\w ]+)\] (?P<rest>.*)$", re.M)
_FAILED = ("broken", "timeout", "local")


def dead_links(book: Book) -> list[str]:
    """Name every link that leads nowhere, with where it stands and why it fails.

    Args:
        book: The book.

    Raises:
        BookError: If Sphinx can't read the book.
    """
    output = book.build / "links"
    shutil.rmtree(output, ignore_errors=True)
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command: list[str | Path] = [jupyter_book, "build", book.root, "--builder", "linkcheck"]
    command += ["--path-output", output, "--all"]
    print("following the links …", flush=True)
    done = subprocess.run(command, cwd=book.root, capture_output=True, text=True, check=False)
    report = output / "_build" / "html" / "output.txt"
    if not report.is_file():
        raise BookError(f"Sphinx failed:\n{done.stderr.strip()}")
    return [
        f"{found['page']}, line {found['line']}: {found['rest']}"
        for found in _FOUND.finditer(report.read_text(encoding="utf-8"))
        if found["what"] in _FAILED
    ]


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 means that a link leads nowhere, as said on stderr."""
    book = Book(Path(arguments[0]) if arguments else Path(__file__).parents[2])
    try:
        with book.locked():
            dead = dead_links(book)
    except BookError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(dead) or "every link leads somewhere", file=sys.stderr if dead else sys.stdout)
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
