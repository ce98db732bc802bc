"""Where everything of a book lies, and what its table of contents lists."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from filelock import FileLock, Timeout
from sphinx_external_toc.parsing import MalformedError, parse_toc_yaml

from fundiff.errors import FundiffError
from fundiff.files import prepare

if TYPE_CHECKING:
    from sphinx.application import Sphinx

LOCK_SECONDS = 5.0
SITE_URL = "FUNDIFF_SITE_URL"
REPOSITORY = "FUNDIFF_REPOSITORY"
PAGES = "FUNDIFF_PAGES_BRANCH"
API = "book/reference/api/"
"""Where the pages of the library are written."""
SHARED = "shared"
"""A file beside Sphinx's doctrees, with a digest of what pages take from one another."""


class BookError(Exception):
    """Something that the author of a chapter, or whoever builds the book, has to mend."""


def ended(job: Callable[[], str], left: str) -> int:
    """Do a command's work and say how it ended, in words and as a number for the shell.

    Args:
        job: Does it, and says what was done.
        left: What is left as it was if it fails.

    Returns:
        0; 1 if something has to be mended, 130 after Ctrl-C, both said on stderr.
    """
    try:
        print(job())
    except (BookError, FundiffError, OSError) as error:
        print(f"\n{error}\n\n{left}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nstopped\n\n{left}", file=sys.stderr)
        return 130
    return 0


@dataclass(frozen=True)
class Book:
    """A book and the package that its chapters import.

    Attributes:
        root: The folder of ``_config.yml`` and ``_toc.yml``; it also holds the package.
        package: The package whose code, pictures and weights the chapters' outputs depend on.
    """

    root: Path
    package: str = "fundiff"

    @classmethod
    def of(cls, app: "Sphinx") -> "Book":
        """Give the book that a Sphinx renders."""
        return cls(Path(app.srcdir), app.config.chapters_package)

    @property
    def build(self) -> Path:
        """Everything that can be deleted at any time."""
        return self.root / "_build"

    @property
    def cache(self) -> Path:
        """The jupyter-cache of executed chapters."""
        return self.build / "jupyter_cache"

    @property
    def exports(self) -> Path:
        """The committed results: one executed notebook a chapter."""
        return self.root / "book" / "_executed"

    @property
    def docnames(self) -> list[str]:
        """Every page of the table of contents, as Sphinx names it.

        Raises:
            BookError: If ``_toc.yml`` is missing or malformed.
        """
        toc = self.root / "_toc.yml"
        try:
            return list(parse_toc_yaml(toc))
        except (OSError, MalformedError) as error:
            raise BookError(f"{toc} should be a table of contents: {error}") from error

    @cached_property
    def syntax(self) -> frozenset[str]:
        """The MyST extensions that ``_config.yml`` switches on."""
        path = self.root / "_config.yml"
        try:
            config = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise BookError(f"{path} should be the book's configuration: {error}") from error
        return frozenset(config.get("parse", {}).get("myst_enable_extensions", ()))

    def name(self, docname: str) -> str:
        """A page's short name: ``book/part-a/forward`` is ``part-a/forward``."""
        return docname.removeprefix("book/")

    def source(self, docname: str) -> Path:
        """The file that a page is written in.

        Raises:
            BookError: If there is none.
        """
        path = self.root / (docname if docname.endswith(".md") else f"{docname}.md")
        if not path.is_file():
            raise BookError(f"_toc.yml lists {docname}, but there is no {path}")
        return path

    def export(self, docname: str) -> Path:
        """Where a chapter's committed result lies."""
        return self.exports / f"{self.name(docname)}.ipynb"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the book's build folder alone.

        Raises:
            BookError: If another build holds it.
            PlaceError: If nothing can be written to it.
        """
        prepare(self.build)
        lock = FileLock(self.build / "lock")
        try:
            lock.acquire(timeout=LOCK_SECONDS)
        except Timeout as error:
            raise BookError(
                f"another build is at work in {self.build}: wait until it has ended, then try again"
            ) from error
        try:
            yield
        finally:
            lock.release()
