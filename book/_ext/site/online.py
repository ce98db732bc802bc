"""What the site says of itself: its map, what a link to it shows, and where its code is.

The map and the preview need the site's address, the way to the code the repository's. `nox -s
publish` knows both; where they aren't known, a site has none of it.
"""

import os
import re
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from book._ext.layout import API, REPOSITORY, SITE_URL
from fundiff.files import write

EXTENSIONS = ("sphinx_sitemap", "sphinxext.opengraph")
UNMAPPED = ["404.html", "search.html", "_modules/*"]
CARD = {
    "image": "book/images/logo.png",
    "image_mini": "book/images/favicon.png",
    "line_color": "#f2556a",
}

_HOSTED = re.compile(
    r"(?<![\w.-])(?P<host>github\.com|gitlab\.com|bitbucket\.org)[:/](?P<path>[\w.-]+/[\w.-]+?)(?:\.git)?/?$"
)
_TITLE = re.compile(r"<title>[^<]*</title>")
_SAID = re.compile(r'<meta (?=[^>]*(?:name="(?:description|twitter:)|property="og:))[^>]*>')
_DOOR = Path(__file__).with_name("door.html")


def repository(remote: str) -> str | None:
    """The address of a remote's repository for readers; None if its host isn't a known one."""
    found = _HOSTED.search(remote)
    return f"https://{found['host']}/{found['path']}" if found else None


def lead_to_code(app: Sphinx, config: Config) -> None:
    """Give each page buttons for the repository and for editing. Event ``config-inited``."""
    config.html_theme_options = {
        **config.html_theme_options,
        "repository_url": os.environ[REPOSITORY],
        "repository_branch": "main",
        "use_repository_button": True,
        "use_edit_page_button": True,
    }


def drop_edit(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object
) -> None:
    """Offer no edit of a page that is generated. Sphinx's event ``html-page-context``."""
    if page.startswith(API):
        context["page_source_suffix"] = ""


def configure(app: Sphinx, config: Config) -> None:
    """Tell each extension the address. Sphinx's event ``config-inited``."""
    url = os.environ[SITE_URL]
    config.html_baseurl = url
    config.ogp_site_url = url
    config.ogp_site_name = config.html_title
    config.ogp_social_cards = CARD
    config.sitemap_url_scheme = "{link}"
    config.sitemap_excludes = UNMAPPED
    config.notfound_urls_prefix = urlsplit(url).path


def open_front_door(site: Path, root: str) -> None:
    """Let the site's first address lead to the book's first page, and preview as that does."""
    page = (site / f"{root}.html").read_text(encoding="utf-8")
    said = "\n".join([*_TITLE.findall(page)[:1], *_SAID.findall(page)])
    door = Template(_DOOR.read_text(encoding="utf-8")).substitute(root=root, said=said)
    write(site / "index.html", door.encode())


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension.

    Raises:
        ConfigError: An address isn't one.
    """
    if code := os.environ.get(REPOSITORY):
        if repository(code) != code:
            raise ConfigError(f"${REPOSITORY} should be like https://github.com/a/b, got {code}")
        app.connect("config-inited", lead_to_code)
        app.connect("html-page-context", drop_edit, priority=100)
    if url := os.environ.get(SITE_URL):
        if not url.startswith(("http://", "https://")) or not url.endswith("/"):
            raise ConfigError(f"${SITE_URL} should be like https://example.org/book/, got {url}")
        for extension in EXTENSIONS:
            app.setup_extension(extension)
        app.connect("config-inited", configure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
