"""The built site: what is checked of it, what makes it lighter, and what must not be in it."""

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from book._ext.site.accessible import make_accessible
from book._ext.site.check_site import HEAVIEST_PAGE, HEAVIEST_READ, Site
from book._ext.site.leaks import layers, leaks, secrets
from book._ext.site.online import open_front_door
from book._ext.site.webp import LEAST, to_webp

SECRET = "canary-3b1f5c77d2"  # noqa: S105  # made up
TOKEN = "hf_" + "aB3" * 12

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.fixture
def write(site: Path) -> Write:
    """Write a file of the site."""

    def write(name: str, content: str | bytes) -> Path:
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def png(size: tuple[int, int] = (160, 90), seed: int = 0, **texts: str) -> bytes:
    """A picture with holes and noise, with texts in its chunks."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    pixels[::2, :, 3] = 255
    pixels[5:, 5:] = (200, 30, 60, 255)
    chunks, buffer = PngImagePlugin.PngInfo(), BytesIO()
    for name, text in texts.items():
        chunks.add_text(name, text, zip=True)
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=0, pnginfo=chunks)
    return buffer.getvalue()


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(content)).convert("RGBA"))


@pytest.mark.parametrize(
    ("html", "complaint"),
    [
        ('<a href="gone.html">x</a>', "links to gone.html, which is not in the site"),
        ('<a href="/other/x.html">x</a>', "links to /other/x.html, which is not in the site"),
        ('<a href="other.html#no">x</a>', "links to other.html#no, but that page has no such"),
        ('<a href="#no">x</a>', "links to #no, but that page has no such place"),
        ('<a href="part/">x</a>', "links to part/, which is not in the site"),
        ("<p>| a | b |\n|---|:--:|\n| 1 | 2 |</p>", "has a table that was not rendered"),
        (r"<p>4. step: $x = \frac{a}{b}</p>", "has a formula that was not rendered"),
        ("<p>" + "x" * HEAVIEST_PAGE + "</p>", "loads 1.50 MB at once, above 1.50 MB"),
    ],
)
def test_what_is_wrong_with_a_page_is_said(
    site: Path, write: Write, html: str, complaint: str
) -> None:
    write("index.html", html)
    write("other.html", '<h1 id="top">Other</h1>')
    (said,) = Site(site).problems()
    assert said.startswith(f"index.html {complaint}")


def test_a_whole_page_passes(site: Path, write: Write) -> None:
    write(
        "part/index.html",
        '<h1 id="top">A</h1><a href="#top"></a><a href="../other.html?x=1#a%20b"></a>'
        '<a href="/repo/other.html#a=1"></a><a href="mailto:x@example.org"></a>'
        r'<a href="data.zip"></a><span class="math a">\(\frac12\)</span><code>\bar</code>'
        "<pre>| a |\n|---|---|</pre><code>|---|---|</code><script>'|---|---|'</script>",
    )
    write("other.html", '<p id="a b"><a href="part/">x</a><a href="./?x">x</a>')
    write("part/data.zip", b"")
    write("index.html", "")
    assert list(Site(site, "/repo/").problems()) == []


def test_pictures_that_wait_count_for_the_whole_only(site: Path, write: Write) -> None:
    write("first.webp", bytes(1000))
    write("second.webp", bytes(20_000))
    html = '<img src="first.webp"><p style="background: url(first.webp)"></p>'
    page = write("index.html", html + '<img loading="lazy" src="second.webp"><img src="no.svg">')
    size = len(page.read_bytes())
    assert Site(site).weight("index.html") == (size + 1000, size + 21_000)
    write("second.webp", bytes(HEAVIEST_READ))
    said = [each for each in Site(site).problems() if "no.svg" not in each]
    assert said == ["index.html weighs 5.00 MB with its pictures, above 5.00 MB"]


def test_lighter_pages_show_the_same_pixels(site: Path, write: Write, tmp_path: Path) -> None:
    first, second, inside = png(seed=1), png(seed=2), png((300, 200), seed=3)
    small = png((2, 2))
    assert len(small) < LEAST < len(inside)
    write("_images/a.png", first)
    write("_images/b.png", second)
    write("_images/c.svg", '<svg width="72pt" height="36.0pt" viewBox="0 0 72 36"></svg>')
    write("_images/social/card.png", first)
    strip, dot = base64.b64encode(inside).decode(), base64.b64encode(small).decode()
    page = write(
        "book/index.html",
        '<img alt="A" src="../_images/a.png"/><img alt="Two widths" src="../_images/b.png"/>'
        '<img src="../_images/c.svg"/>'
        f'<p style="background:url(data:image/png;base64,{strip})">'
        f'<img src="data:image/png;base64,{dot}"><a href="../_images/a.png">a.png</a></p>',
    )
    (text,) = to_webp(site, {page: page.read_text()}, tmp_path / "cache").values()
    page.write_text(text)
    assert re.findall(r"<img ([^>]*?)/?>", text)[:3] == [
        'width="160" height="90" alt="A" src="../_images/a.webp"',
        'loading="lazy" width="160" height="90" alt="Two widths" src="../_images/b.webp"',
        'loading="lazy" width="96" height="48" src="../_images/c.svg"',
    ]
    assert f'<img src="data:image/png;base64,{dot}">' in text
    assert 'href="../_images/a.webp">a.png<' in text
    (name,) = re.findall(r"url\(\.\./_images/(\w+\.webp)\)", text)
    for content, file in ((first, "a.webp"), (second, "b.webp"), (inside, name)):
        np.testing.assert_array_equal(pixels((site / "_images" / file).read_bytes()),
                                      pixels(content))  # fmt: skip
    files = {path.name for path in (site / "_images").rglob("*") if path.is_file()}
    assert files == {"a.webp", "b.webp", name, "c.svg", "card.png"}
    assert list(Site(site).problems()) == []


def test_encoded_pictures_are_kept_for_the_next_time(
    site: Path, write: Write, tmp_path: Path
) -> None:
    write("_images/a b.png", png())
    pages = {site / "index.html": '<img src="_images/a%20b.png"><img src="_images/no.png">'}
    to_webp(site, pages, tmp_path / "cache")
    (kept,) = (tmp_path / "cache").iterdir()
    marked = (site / "_images" / "a b.webp").read_bytes() + b"kept"
    kept.write_bytes(marked)
    write("_images/a b.png", png())
    (text,) = to_webp(site, pages, tmp_path / "cache").values()
    assert (site / "_images" / "a b.webp").read_bytes() == marked
    assert 'src="_images/a%20b.webp"' in text


def test_the_front_door_says_what_the_first_page_says(site: Path, write: Write) -> None:
    write(
        "book/index.html",
        '<head><title>A book</title><meta charset="utf-8"/><meta content="A" property="og:title"/>'
        '<meta content="big" name="twitter:card"/><meta content="x" name="viewport"/></head>',
    )
    open_front_door(site, "book/index")
    door = (site / "index.html").read_text()
    assert 'content="0; url=book/index.html"' in door
    assert "<title>A book</title>" in door
    assert '<meta content="A" property="og:title"/>' in door
    assert '<meta content="big" name="twitter:card"/>' in door
    assert "viewport" not in door
    assert list(Site(site).problems()) == []


def test_signatures_and_sources_are_what_they_say() -> None:
    signature = '<span class="sig-paren">(</span>\n\n<dl>\n<dd>a</dd>\n<dd>b</dd>\n</dl>\n'
    other = "<dl><dt>a</dt><dd>b</dd></dl>"
    page = f'{signature}{other}<div role="list" class="citation-list">'
    assert make_accessible("api.html", page) == (
        '<span class="sig-paren">(</span><div class="sig-params">\n<div>a</div>\n<div>b</div>\n'
        f'</div>\n{other}<div class="citation-list">'
    )


def test_what_opens_a_section_in_the_sidebar_has_a_name() -> None:
    toggle = '<details><summary><span class="toctree-toggle" role="presentation"></span></summary>'
    named = toggle.replace("<summary>", '<summary aria-label="Pages of this section">')
    assert make_accessible("nav.html", toggle) == named


def test_only_the_page_of_results_loads_the_index() -> None:
    index, other = '<script src="../searchindex.js"></script>', '<script src="a.js?v=1"></script>'
    assert make_accessible("a.html", index + other) == other
    assert make_accessible("search.html", index + other) == index + other


def test_secrets_are_what_the_environment_calls_so() -> None:
    found = secrets(
        {
            "HF_TOKEN": TOKEN,
            "my_password": "correct horse",
            "AWS_SECRET_ACCESS_KEY": "0123456789",
            "SHORT_TOKEN": "word",
            "PLAIN": "not a secret",
            "HOME": "/home/canary",
            "HOSTNAME": "canary-host",
        }
    )
    assert {value.decode(): words for value, words in found.items()}.items() >= {
        TOKEN: "the value of HF_TOKEN",
        "correct horse": "the value of my_password",
        "0123456789": "the value of AWS_SECRET_ACCESS_KEY",
        "/home/canary/": "a path in the home folder",
        "canary-host": "the name of this machine",
    }.items()
    assert not {b"word", b"not a secret"} & found.keys()


def hidden() -> dict[str, bytes]:
    """A secret in every place that is looked into."""
    notebook = {"image/png": base64.encodebytes(png(Comment=SECRET)).decode()}
    return {
        "plain.html": f"<p>{SECRET}</p>".encode(),
        "picture.png": png(Comment=SECRET),
        "notebook.ipynb": json.dumps(notebook).encode(),
        "page.html": b"data:image/png;base64," + base64.b64encode(png(Software=SECRET)),
        "data.svg.gz": gzip.compress(SECRET.encode()),
        "objects.inv": b"# Sphinx inventory version 2\n" + zlib.compress(SECRET.encode()),
    }


@pytest.mark.parametrize("name", hidden())
def test_a_secret_is_found_however_it_is_packed(site: Path, write: Write, name: str) -> None:
    write(name, hidden()[name])
    write("clean.png", png(Comment="clean"))
    found = list(leaks(site, {SECRET.encode(): "a secret"}))
    assert found == [f"{name} holds a secret"]
    assert list(leaks(site, {b"another": "x"})) == []


@pytest.mark.parametrize(
    "token",
    [TOKEN, "ghp_" + "x" * 36, "github_pat_" + "x" * 40, "AKIA" + "ABCDEFGH12345678",
     "npm_" + "x" * 36, "-----BEGIN OPENSSH PRIVATE KEY-----"],
)  # fmt: skip
def test_tokens_are_known_by_their_looks(site: Path, write: Write, token: str) -> None:
    write("a/b.ipynb", f'{{"text": "{token}"}}')
    assert list(leaks(site, {})) == ["a/b.ipynb holds what looks like a token"]


def test_layers_survive_what_is_no_picture() -> None:
    broken = png(Comment=SECRET)[:200]
    assert next(layers(broken)) == broken
    text = b"data:image/png;base64," + b"A" * 41
    assert next(layers(text)) == text
