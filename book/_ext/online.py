"""What the site says of itself to other programs: its map, and what a link to it shows.

Both need the site's address, which `nox -s publish` knows; a site that is only built has none.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from fundiff.files import write
from layout import SITE_URL

EXTENSIONS = ("sphinx_sitemap", "sphinxext.opengraph")
UNMAPPED = ["404.html", "genindex.html", "py-modindex.html", "search.html", "_modules/*"]
CARD = {
    "image": "book/images/logo.png",
    "image_mini": "book/images/favicon.png",
    "line_color": "#f2556a",
}

_TITLE = re.compile(r"<title>[^<]*</title>")
_SAID = re.compile(r'<meta (?=[^>]*(?:name="(?:description|twitter:)|property="og:))[^>]*>')
_DOOR = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url={root}.html">
<link rel="canonical" href="{root}.html">
{said}
</head>
<body><p><a href="{root}.html">To the book</a></p></body>
</html>
"""


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
    """Let the site's first address lead to the book's first page, and show the same in a preview.

    Args:
        site: The folder of the built site.
        root: The first page as Sphinx names it.
    """
    page = (site / f"{root}.html").read_text(encoding="utf-8")
    said = "\n".join([*_TITLE.findall(page)[:1], *_SAID.findall(page)])
    write(site / "index.html", _DOOR.format(root=root, said=said).encode())


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension.

    Raises:
        ConfigError: The address isn't one.
    """
    if url := os.environ.get(SITE_URL):
        if not url.startswith(("http://", "https://")) or not url.endswith("/"):
            raise ConfigError(f"${SITE_URL} should be like https://example.org/book/, got {url}")
        for extension in EXTENSIONS:
            app.setup_extension(extension)
        app.connect("config-inited", configure)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
