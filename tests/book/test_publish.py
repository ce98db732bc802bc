"""Publishing: one commit that shows the book as it is committed, or nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from book._ext.layout import Book, BookError
from book._ext.site import publish as publishing
from book._ext.site.leaks import layers
from book._ext.site.online import repository
from book._ext.site.publish import publish, site_url

ROOT = Path(__file__).parents[2]
PAGES = ("book/a/one.html", "book/index.html", "index.html", "404.html", "search.html")

Change = Callable[[Path], None]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    path = tmp_path / "remote.git"
    path.mkdir()
    git(path, "init", "-q", "--bare")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout of a book of two pages."""
    folder = tmp_path / "checkout"
    (folder / "book" / "a").mkdir(parents=True)
    (folder / "_toc.yml").write_text("root: book/index\nentries: [{file: book/a/one}]\n")
    (folder / "book" / "index.md").write_text("# A book\n")
    (folder / "book" / "a" / "one.md").write_text("# One\n")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "Begin")
    return folder


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> list[Change]:
    """Lay a site out in place of Sphinx; what the list holds is done to it."""
    changes: list[Change] = []

    def render(book: Book, online: dict[str, str]) -> Path:
        site = book.build / "site"
        for page in PAGES:
            (site / page).parent.mkdir(parents=True, exist_ok=True)
            (site / page).write_text(f"<title>{online}</title>")
        text = "".join(book.source(name).read_text() for name in book.docnames)
        (site / "searchindex.js").write_text(text)
        for each in changes:
            each(site)
        return site

    monkeypatch.setattr(publishing, "render", render)
    return changes


@pytest.mark.usefixtures("change")
def test_a_branch_shows_the_site_and_twice_adds_nothing(root: Path, remote: Path) -> None:
    head = git(root, "rev-parse", "HEAD")
    said = publish(root, str(remote))
    first = git(remote, "rev-parse", "gh-pages")
    assert said == f"published {first} as gh-pages of {remote}"
    files = git(remote, "ls-tree", "-r", "--name-only", "gh-pages").splitlines()
    assert sorted(files) == sorted([*PAGES, "searchindex.js", ".nojekyll", ".binder/runtime.txt"])
    assert git(remote, "log", "-1", "--format=%an|%cn|%s", first).startswith("A|A|Publish the book")

    assert publish(root, str(remote)) == f"gh-pages of {remote} shows just this already"
    assert git(remote, "rev-parse", "gh-pages") == first

    (root / "book" / "a" / "one.md").write_text("# Another\n")
    git(root, "commit", "-q", "-a", "-m", "Change")
    publish(root, str(remote))
    assert git(remote, "rev-parse", "gh-pages^") == first
    assert "# Another" in git(remote, "show", "gh-pages:searchindex.js")
    assert git(root, "rev-parse", "HEAD^") == head
    assert git(root, "branch", "--format=%(refname:short)") == "main"
    assert git(root, "status", "--porcelain") == ""


def tell(site: Path) -> None:
    (site / "index.html").write_text(os.environ["CANARY_TOKEN"])


def alter(site: Path) -> None:
    (site / "index.html").write_text("new")


def fail(site: Path) -> None:
    raise BookError("Sphinx failed, as it says above")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (tell, "index.html holds the value of CANARY_TOKEN"),
        (fail, "Sphinx failed"),
    ],
)
def test_a_failed_check_publishes_nothing(
    root: Path,
    remote: Path,
    change: list[Change],
    monkeypatch: pytest.MonkeyPatch,
    what: Change,
    message: str,
) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "a-secret-of-some-length")
    change.append(what)
    with pytest.raises(BookError, match=message):
        publish(root, str(remote))
    assert git(remote, "for-each-ref") == ""


@pytest.mark.usefixtures("change")
@pytest.mark.parametrize("name", ["book/a/one.md", "book/new.md"])
def test_what_is_not_committed_is_refused(root: Path, remote: Path, name: str) -> None:
    (root / name).write_text("changed\n")
    with pytest.raises(BookError, match=f"every change to be committed.*\n.*{name}"):
        publish(root, str(remote))
    assert git(remote, "for-each-ref") == ""


@pytest.mark.usefixtures("change")
def test_a_dry_run_sends_nothing(root: Path, remote: Path) -> None:
    assert " would become pages of " in publish(root, str(remote), branch="pages", dry_run=True)
    assert git(remote, "for-each-ref") == ""


def test_who_published_in_between_is_not_overwritten(
    root: Path, remote: Path, change: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(root, str(remote))
    commit = publishing.commit
    other = git(root, "commit-tree", "-m", "Other", "HEAD^{tree}", "-p", "FETCH_HEAD")

    def late(*arguments: object) -> str | None:
        made = commit(*arguments)  # type: ignore[arg-type]
        git(root, "push", "-q", str(remote), f"{other}:refs/heads/gh-pages")
        return made

    monkeypatch.setattr(publishing, "commit", late)
    change.append(alter)
    with pytest.raises(BookError, match=r"git push.*failed:(.|\n)*(rejected|fetch first)"):
        publish(root, str(remote))
    assert git(remote, "rev-parse", "gh-pages") == other


@pytest.mark.usefixtures("change")
def test_a_branch_of_something_else_is_left_alone(root: Path, remote: Path) -> None:
    git(root, "push", "-q", str(remote), "HEAD:refs/heads/docs")
    before = git(remote, "rev-parse", "docs")
    with pytest.raises(BookError, match=r"docs of .* shows something else.*left alone"):
        publish(root, str(remote), branch="docs")
    assert git(remote, "rev-parse", "docs") == before


@pytest.mark.usefixtures("change")
def test_a_remote_that_is_not_there_is_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(BookError, match="git ls-remote"):
        publish(root, str(tmp_path / "none.git"))


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/Someone/some.repo.git", "https://someone.github.io/some.repo/"),
        ("git@github.com:someone/fun", "https://someone.github.io/fun/"),
        ("https://github.com/someone/Someone.github.io", "https://someone.github.io/"),
        ("https://example.org/someone/fun.git", None),
        ("../fun.git", None),
    ],
)
def test_the_address_follows_from_the_remote(remote: str, url: str | None) -> None:
    assert site_url(remote) == url


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/Someone/some.repo.git", "https://github.com/Someone/some.repo"),
        ("git@github.com:someone/fun", "https://github.com/someone/fun"),
        ("ssh://git@gitlab.com/some/fun.git/", "https://gitlab.com/some/fun"),
        ("https://example.org/someone/fun.git", None),
        ("../fun.git", None),
    ],
)
def test_where_readers_find_the_code(remote: str, address: str | None) -> None:
    assert repository(remote) == address


def committed(target: Path) -> Path:
    """A repository of the files of this one as they are, committed."""
    names = git(ROOT, "ls-files", "-z", "-co", "--exclude-standard").strip("\0").split("\0")
    for name in names:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    git(target, "init", "-q")
    git(target, "add", "-A")
    git(target, "commit", "-q", "-m", "As it is")
    return target


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_book_is_published_without_the_canary(tmp_path: Path, remote: Path) -> None:
    """A chapter is executed, and the book published twice, among secrets."""
    canaries = {
        "HF_TOKEN": "hf_" + "Canary7" * 5,
        "HOME": "/home/canary-8c1f2ab0",
        "HOSTNAME": "canary-host-77aa",
        "GITHUB_TOKEN": "canary-token-93b1d6",
    }
    root = committed(tmp_path / "clone")
    env = {**os.environ, **canaries, "GIT_CONFIG_GLOBAL": os.devnull}

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, "-m", f"book._ext.{name}", *arguments]
        done = subprocess.run(
            command, cwd=root, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("site.build", "--fresh", "--only", "part-b/1-1-unet")
    git(root, "commit", "-q", "-a", "--allow-empty", "-m", "Execute a chapter again")
    options = [str(remote), "--url", "https://example.org/fun/"]
    assert "published" in run("site.publish", *options)
    first = git(remote, "rev-parse", "gh-pages")
    assert "shows just this already" in run("site.publish", *options)
    assert git(remote, "rev-parse", "gh-pages") == first

    git(remote, "worktree", "add", "-q", str(tmp_path / "site"), "gh-pages")
    site = tmp_path / "site"
    looked_for = [words.encode() for words in (*canaries.values(), str(tmp_path))]
    files = [path for path in site.rglob("*") if path.is_file() and path.name != ".git"]
    assert len(files) > len(Book(root).docnames)
    for path in files:
        for layer in layers(path.read_bytes()):
            assert [words for words in looked_for if words in layer] == [], path
    assert "https://example.org/fun/book/index.html" in (site / "sitemap.xml").read_text()
    door = (site / "index.html").read_text()
    assert 'property="og:image"' in door
    assert 'href="/fun/_static/' in (site / "404.html").read_text()
    assert "source-edit-button" not in (site / "book" / "index.html").read_text()
