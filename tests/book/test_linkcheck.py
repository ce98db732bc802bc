"""Links that lead out of the book are followed, to a server of this machine."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from layout import Book, BookError
from linkcheck import dead_links, main


class Site(BaseHTTPRequestHandler):
    """Has one page, with one place in it."""

    def do_GET(self) -> None:
        is_there = self.path == "/page"
        self.send_response(200 if is_there else 404)
        self.end_headers()
        self.wfile.write(b'<html><body><p id="place">A</p></body></html>')

    do_HEAD = do_GET  # noqa: N815  # the server looks for this name

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    (tmp_path / "_config.yml").write_text("only_build_toc_files: true\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    return Book(tmp_path)


@pytest.mark.slow
def test_links_that_lead_nowhere_are_named(
    book: Book, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    page = book.root / "index.md"
    page.write_text(f"# A\n\n[one]({address}/page) and [a place]({address}/page#place).\n")
    assert dead_links(book) == []
    assert main([str(book.root)]) == 0
    assert "every link leads somewhere" in capsys.readouterr().out

    page.write_text(f"# A\n\n[gone]({address}/gone)\n\n[no place]({address}/page#none)\n")
    gone, no_place = sorted(dead_links(book))
    assert gone.startswith("index.md, line 3: ")
    assert f"{address}/gone" in gone
    assert no_place.startswith("index.md, line 5: ")
    assert main([str(book.root)]) == 1
    assert f"{address}/gone" in capsys.readouterr().err


@pytest.mark.slow
def test_a_book_that_cannot_be_read_is_an_error(book: Book) -> None:
    with pytest.raises(BookError, match="Sphinx failed"):
        dead_links(book)
