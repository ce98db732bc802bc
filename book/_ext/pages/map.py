"""A map of the book under each chapter's title: what is trained, sampled and steered where."""

from collections.abc import Mapping
from html import escape

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri

from book._ext.layout import Book
from book._ext.pages.downloads import put_under_title

MAP: Mapping[str, Mapping[str, str]] = {
    "Why": {"part-a/1-0-why-it-works": "what an ideal denoiser is"},
    "Training": {
        "part-a/1-1-forward-process": "add noise",
        "part-a/1-2-classical-denoising": "no filter takes it away",
        "part-b/1-1-unet": "a network",
        "part-b/1-2-denoiser": "learns to",
        "part-b/1-2-2-out-of-distribution": "within limits",
        "part-b/2-1-time-conditioning": "at every noise level",
        "part-c/1-train-your-own": "with any words",
    },
    "Sampling": {
        "part-a/1-3-one-step": "one step",
        "part-a/1-4-iterative": "many steps",
        "part-a/1-5-sampling": "from pure noise",
        "part-c/2-running-deepfloyd": "with a larger network",
        "part-b/3-flow-matching": "in straight lines",
        "part-c/3-fewer-steps": "in fewer steps",
    },
    "Conditioning": {
        "part-a/1-6-guidance": "on a prompt",
        "part-b/2-2-class-conditioning": "a class",
        "part-a/1-7-sdedit": "a picture",
        "part-a/1-7-1-drawings": "a drawing",
        "part-a/1-7-2-inpainting": "a picture around a hole",
        "part-a/1-7-3-text-conditional": "a picture and a prompt",
        "part-a/1-8-anagrams": "prompts for several views",
        "part-a/1-9-hybrids": "prompts for several parts",
    },
}
"""The chapters by what they are about, in the order of the idea, with a few words for each."""


def drawn(names: Mapping[str, str], here: str) -> str:
    """Draw the map in HTML.

    Args:
        names: The address of each chapter, seen from the page.
        here: The page's own name, which is marked.

    Returns:
        A list that can be folded, one line for each part of the idea.
    """
    lines = []
    for title, chapters in MAP.items():
        stops = [
            f'<strong aria-current="page">{escape(words)}</strong>'
            if name == here
            else f'<a href="{names[name]}">{escape(words)}</a>'
            for name, words in chapters.items()
        ]
        lines.append(f"<dt>{title}</dt><dd>{' → '.join(stops)}</dd>")
    return f'<details class="map"><summary>The map</summary><dl>{"".join(lines)}</dl></details>'


def add_map(app: Sphinx, doctree: nodes.document) -> None:
    """Put the map under a chapter's title. Sphinx's event ``doctree-read``."""
    book, docname = Book.of(app), app.env.docname
    here = book.name(docname)
    known = {name for chapters in MAP.values() for name in chapters}
    if here not in known or app.builder.format != "html":
        return
    page, root = app.builder.get_target_uri(docname), docname.removesuffix(here)
    names = {name: relative_uri(page, app.builder.get_target_uri(root + name)) for name in known}
    put_under_title(doctree, drawn(names, here))


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.connect("doctree-read", add_map, priority=800)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
