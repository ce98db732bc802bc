"""What a notebook would show, for a script: pictures into files, everything else as text."""

import base64
import io
from collections.abc import Callable
from itertools import count
from pathlib import Path

from IPython.core.formatters import DisplayFormatter

from fundiff.files import write

SUFFIXES = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/svg+xml": ".svg",
    "text/html": ".html",
}

DPI = 200
"""Dots an inch of a figure that a notebook would show as lines."""

_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{content}
"""


def into_files(stem: str) -> Callable[[object], None]:
    """Return a function that shows results one after the other, as a notebook does under its cells.

    A figure or another picture is written into a PNG, what plays or turns in a page into a page;
    the names are ``{stem}-figure-1.png``, ``{stem}-figure-2.html`` and so on, in the folder that
    the script runs in, and are printed. Any other value is printed, but not ``None``.

    Args:
        stem: What the files' names begin with.

    Returns:
        The function, which takes one result; it raises :class:`OSError` where a file can't be
        written.
    """
    formats, numbers = DisplayFormatter(), count(1)

    def show(result: object) -> None:
        if result is None:
            return
        shown, _ = formats.format(result)
        picture = _picture(result, shown)
        if picture is None:
            print(shown.get("text/markdown", shown.get("text/plain", "")))
            return
        kind, content = picture
        path = Path(f"{stem}-figure-{next(numbers)}{SUFFIXES[kind]}")
        if kind == "text/html":
            content = _PAGE.format(title=path.stem, content=content.decode()).encode()
        write(path, content)
        print(f"wrote {path}")

    return show


def _picture(result: object, shown: dict[str, str | bytes]) -> tuple[str, bytes] | None:
    """Choose how to write a result, and with which bytes; None where it's no picture."""
    save = getattr(result, "savefig", None)
    if save is not None and "image/png" not in shown:
        buffer = io.BytesIO()
        save(buffer, format="png", dpi=DPI)
        return "image/png", buffer.getvalue()
    for kind in SUFFIXES:
        content = shown.get(kind)
        if isinstance(content, bytes):
            return kind, content
        if content is not None:
            is_text = kind in ("image/svg+xml", "text/html")
            return kind, content.encode() if is_text else base64.b64decode(content)
    return None
