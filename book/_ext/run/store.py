"""Executed notebooks: a jupyter-cache that recovers, and the committed exports."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat import NotebookNode
from sqlalchemy.exc import SQLAlchemyError

from book._ext.layout import Book
from fundiff.files import write


class Store:
    """The jupyter-cache that execution fills and Sphinx reads.

    Its key is the md5 of the code cells, their metadata and the kernelspec. A cache that cannot be
    read, such as one whose first write was interrupted, is made anew.
    """

    def __init__(self, folder: Path) -> None:
        """Open the cache in a folder, or make it."""
        self._cache: Any = get_cache(folder)
        try:
            self._cache.list_cache_records()
        except (SQLAlchemyError, RuntimeError):
            shutil.rmtree(folder)
            self._cache = get_cache(folder)

    def get(self, notebook: NotebookNode) -> NotebookNode | None:
        """The executed form of a notebook, code cells only, or None if there is none."""
        try:
            record = self._cache.match_cache_notebook(notebook)
            found: NotebookNode = self._cache.get_cache_bundle(record.pk).nb
        except (KeyError, ValueError):  # it is gone, or was cut off
            return None
        return found

    def of(self, name: str) -> Iterator[NotebookNode]:
        """Give the executed notebooks that were kept under a name, the latest first."""
        records = [each for each in self._cache.list_cache_records() if each.uri == name]
        for record in sorted(records, key=lambda each: -each.pk):
            try:
                yield self._cache.get_cache_bundle(record.pk).nb
            except (KeyError, ValueError):  # it is gone, or was cut off
                continue

    def put(self, notebook: NotebookNode, name: str) -> None:
        """Keep an executed notebook, in place of another one with its key."""
        if self.get(notebook) == notebook:
            return
        bundle = CacheBundleIn(notebook, name, data={"execution_seconds": 0.0})
        keep = partial(self._cache.cache_notebook_bundle, check_validity=False, overwrite=True)
        try:
            keep(bundle)
        except FileExistsError as error:  # a kill left a folder that no record speaks of
            shutil.rmtree(error.filename)
            keep(bundle)


def read_export(path: Path) -> NotebookNode | None:
    """Read a committed result; None where there is none or it is not a notebook."""
    try:
        notebook: NotebookNode = nbformat.read(path, nbformat.NO_CONVERT)
    except FileNotFoundError:
        return None
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError):
        print(f"{path} is not a notebook, perhaps since a merge: ignored", flush=True)
        return None
    return notebook


def write_export(path: Path, notebook: NotebookNode) -> None:
    """Write an export where it differs, whole or not at all."""
    content = nbformat.writes(notebook, nbformat.NO_CONVERT).encode() + b"\n"
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, content)


def prune_exports(book: Book, kept: set[Path]) -> None:
    """Remove the exports of chapters that the table of contents no longer lists."""
    for path in set(book.exports.rglob("*.ipynb")) - kept:
        path.unlink()
    for path in book.exports.rglob("*.partial"):
        path.unlink()
    folders = [path for path in book.exports.rglob("*") if path.is_dir()]
    for folder in sorted(folders, reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
