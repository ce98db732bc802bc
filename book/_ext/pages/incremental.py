"""Let Sphinx write anew what has changed and nothing else, so that the site is as one from nothing.

Sphinx reads a page again where its source or a file that it depends on has changed. What pages take
from one another, such as titles and numbers, and what some extensions keep in memory alone it
leaves as it was; here these are told.
"""

import gc
import json
import pickle
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from docutils import nodes
from sphinx.application import ENV_PICKLE_FILENAME, Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.environment import CONFIG_OK, BuildEnvironment
from sphinx.ext import viewcode
from sphinx_codeautolink import extension as codeautolink
from sphinx_codeautolink.extension.resolve import CouldNotResolve, resolve_location
from sphinx_codeautolink.parse import Name

from book._ext.layout import API, SHARED

OWN = {"index"}
"""Domains whose data is read by pages that Sphinx writes every time."""


def forget_outdated(app: Sphinx) -> None:
    """Remove the pages that will be read again: by that, extensions know that they will.

    Those of a library that has changed are, and the one that Sphinx writes every time. Sphinx's
    event ``builder-inited``, before the extensions'.
    """
    env = app.env
    env.find_files(app.config, app.builder)
    env.reread_always.add(app.config.root_doc)
    if vars(env).get("library", _library(app)) != _library(app):
        env.reread_always |= {name for name in env.found_docs if name.startswith(API)}
    if isinstance(app.builder, StandaloneHTMLBuilder):
        added, changed, _ = env.get_outdated_files(env.config_status != CONFIG_OK)
        for docname in {*added, *changed}:
            Path(app.builder.get_outfilename(docname)).unlink(missing_ok=True)


def spare_imports(app: Sphinx, env: BuildEnvironment) -> None:
    """Import the library only where it has changed, which two extensions do to look something up.

    Where names in code lead to is remembered, and the pages of its code are left as they are.
    Sphinx's event ``env-updated``, before sphinx-codeautolink's.
    """
    library = _library(app)
    if vars(env).get("library") != library:
        vars(env).update(library=library, links={})
    else:
        for listener in [*app.events.listeners["html-collect-pages"]]:
            if listener.handler is viewcode.collect_pages:
                app.disconnect(listener.id)
    known: dict[str, str | None] = vars(env)["links"]

    def look_up(chain: Name, inventory: Mapping[str, str]) -> str:
        name = " ".join(chain.import_components)
        if name not in known:
            known[name] = None
            with suppress(CouldNotResolve):
                known[name] = resolve_location(chain, inventory)
        found = known[name]
        if found is None:
            raise CouldNotResolve
        return found

    codeautolink.resolve_location = look_up


def let_go(app: Sphinx, doctree: nodes.document) -> None:
    """Keep of a page itself alone: what `eval-rst` made holds on to the whole environment.

    Sphinx's event ``doctree-read``.
    """
    for node in doctree.findall():
        node.document = doctree


def note_shared(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Write down what pages take from one another, when all is numbered.

    Sphinx's event ``env-get-updated``, after its own part in it.
    """
    parts = [
        {name: str(title) for name, title in env.titles.items()},
        env.toctree_includes,
        env.toc_secnumbers,
        env.toc_fignumbers,
        {name: domain.data for name, domain in env.domains.items() if name not in OWN},
    ]
    text = json.dumps([_plain(part) for part in parts])
    Path(app.doctreedir, SHARED).write_text(sha256(text.encode()).hexdigest(), encoding="utf-8")
    return []


def drop_words(app: Sphinx) -> list[tuple[str, dict[str, object], str]]:
    """Drop the words that no page has any more. Sphinx's event ``html-collect-pages``."""
    indexer = vars(app.builder)["indexer"]
    for words in (indexer._mapping, indexer._title_mapping):
        for word in [word for word, docnames in words.items() if not docnames]:
            del words[word]
    return []


def keep_search(app: Sphinx, error: Exception | None) -> None:
    """Keep the index's entries, which pages add when they are written, after Sphinx has saved.

    Sphinx's event ``build-finished``.
    """
    if error is None and app.builder.format == "html":
        app.env._search_index_objtypes = {}
        app.env._search_index_objnames = {}
        vars(app.env).pop("master_doctree", None)
        with Path(app.doctreedir, ENV_PICKLE_FILENAME).open("wb") as file:
            pickle.dump(app.env, file, pickle.HIGHEST_PROTOCOL)


def _library(app: Sphinx) -> list[tuple[str, int]]:
    folder = Path(app.srcdir, app.config.chapters_package)
    files = (path for end in ("py", "pyi") for path in folder.rglob(f"*.{end}"))
    return sorted((f"{path}", path.stat().st_mtime_ns) for path in files)


def _plain(value: object) -> object:
    """Return something that JSON can hold and that only depends on what a value says."""
    if isinstance(value, nodes.Node):
        return ""  # the bibliography's, which are filled after this; its texts are beside them
    if isinstance(value, Mapping):
        return sorted([str(key), _plain(part)] for key, part in value.items())
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if isinstance(value, Iterable) and not isinstance(value, str):
        return sorted((_plain(part) for part in value), key=json.dumps)
    if isinstance(value, str | int | float | None):
        return value
    said = repr(value)
    return said if " at 0x" not in said else [type(value).__name__, _plain(vars(value))]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    gc.disable()  # a third of the time went into looking through trees that stay
    app.connect("builder-inited", forget_outdated, priority=100)
    app.connect("doctree-read", let_go, priority=900)
    app.connect("env-get-updated", note_shared, priority=900)
    app.connect("env-updated", spare_imports, priority=100)
    app.connect("html-collect-pages", drop_words)
    app.connect("build-finished", keep_search, priority=900)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
