"""Publish the book: `nox -s publish -- REMOTE [--branch NAME] [--url ADDRESS] [--dry-run]`.

The site is built from what is committed and from nothing else, checked, and becomes the newest
commit of a branch of the remote, in one push that arrives whole or not at all.
"""

import argparse
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from book._ext.layout import PAGES, REPOSITORY, SITE_URL, Book, BookError, ended
from book._ext.site.leaks import leaks, secrets
from book._ext.site.online import repository
from book._ext.site.render import render
from fundiff.files import write

BRANCH, MESSAGE = "gh-pages", "Publish the book as of"


def site_url(remote: str) -> str | None:
    """The address at which GitHub shows the pages of a remote; None for any other remote."""
    owner, _, name = (repository(remote) or "").removeprefix("https://github.com/").partition("/")
    if not owner or "/" in name:
        return None
    host = f"{owner.lower()}.github.io"
    return f"https://{host}/" + ("" if name.lower() == host else f"{name}/")


def checkout(root: Path, target: Path) -> Book:
    """Lay out the files of the last commit alone, so that nothing else gets into the site."""
    with NamedTemporaryFile(suffix=".tar") as archive:
        git(root, "archive", "--output", archive.name, "HEAD")
        with tarfile.open(archive.name) as files:
            files.extractall(target, filter="data")
    return Book(target)


def commit(root: Path, site: Path, remote: str, branch: str) -> str | None:
    """Make a site the newest commit after the ones that a remote's branch has.

    Nothing of the checkout's own branches changes; the commit lies beside them.

    Returns:
        The new commit, None if the branch shows just this site already.

    Raises:
        BookError: If git refuses.
    """
    head, author, email = git(root, "log", "-1", "--format=%h%n%an%n%ae").splitlines()
    with TemporaryDirectory() as folder:
        stage = Path(folder)
        git(stage, "init", "--quiet", "--bare")
        before = None
        if git(root, "ls-remote", remote, f"refs/heads/{branch}"):
            git(root, "fetch", "--quiet", "--no-tags", remote, f"refs/heads/{branch}")
            published = git(root, "rev-parse", "FETCH_HEAD")
            said = git(root, "log", "-1", "--format=%s", published)
            if not said.startswith(MESSAGE):
                raise BookError(
                    f"{branch} of {remote} shows something else, last {said!r}: it is left alone; "
                    "name another --branch, or remove that one"
                )
            git(root, "push", "--quiet", str(stage), f"{published}:refs/heads/{branch}")
            before = git(stage, "rev-parse", f"{branch}^{{tree}}")
        ghp_import = Path(sys.executable).with_name("ghp-import")
        options = ["--no-jekyll", "--branch", branch, "--message", f"{MESSAGE} {head}"]
        committer = {"GIT_COMMITTER_NAME": author, "GIT_COMMITTER_EMAIL": email}
        run(stage, [ghp_import, *options, site], committer)
        if git(stage, "rev-parse", f"{branch}^{{tree}}") == before:
            return None
        git(root, "fetch", "--quiet", "--no-tags", str(stage), f"refs/heads/{branch}")
        return git(root, "rev-parse", "FETCH_HEAD")


def git(folder: Path, *arguments: str) -> str:
    """Run git, and return what it printed."""
    return run(folder, ["git", *arguments])


def run(
    folder: Path, command: Sequence[str | Path], variables: Mapping[str, str] | None = None
) -> str:
    """Run a command in a folder.

    Args:
        folder: The folder.
        command: The command.
        variables: Environment variables besides those of this process.

    Returns:
        What it printed, without the last line's end.

    Raises:
        BookError: If it fails; the message says what it said.
    """
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise BookError(f"`{' '.join(map(str, command))}` failed:\n{said}")
    return done.stdout.strip()


def publish(
    root: Path, remote: str, *, branch: str = BRANCH, url: str | None = None, dry_run: bool = False
) -> str:
    """Build, check and push.

    Returns:
        What was done, in words.

    Raises:
        BookError: If anything isn't as it should be; then the remote is as it was.
    """
    if changed := git(root, "status", "--porcelain"):
        raise BookError(f"expected every change to be committed before publishing:\n{changed}")
    names = git(root, "remote").splitlines()
    address = git(root, "remote", "get-url", remote) if remote in names else remote
    url = url or site_url(address)
    online = {SITE_URL: url or "", REPOSITORY: repository(address) or "", PAGES: branch}
    with TemporaryDirectory() as folder:
        book = checkout(root, Path(folder))
        site = render(book, online=online)
        (site / ".binder").mkdir()
        write(site / ".binder" / "runtime.txt", b"python-3.12\n")
        if found := [*leaks(site, secrets(os.environ))]:
            raise BookError("the site isn't fit to be published:\n" + "\n".join(found))
        made = commit(root, site, remote, branch)
    if made is None:
        return f"{branch} of {remote} shows just this already"
    if dry_run:
        return f"{made} would become {branch} of {remote}"
    git(root, "push", "--quiet", "--atomic", remote, f"{made}:refs/heads/{branch}")
    return f"published {made} as {branch} of {remote}" + (f", seen at {url}" if url else "")


def main(arguments: Sequence[str]) -> int:
    """Run the command; 1 means that nothing was published, as said on stderr."""
    parser = argparse.ArgumentParser(description="Publish the book as a branch of a remote.")
    parser.add_argument("remote", help="a remote's name, URL or folder")
    parser.add_argument("--branch", default=BRANCH, help=f"the branch, {BRANCH} by default")
    parser.add_argument("--url", help="the site's address, where GitHub doesn't decide it")
    parser.add_argument("--dry-run", action="store_true", help="do everything but the push")
    options = parser.parse_args(arguments)
    root = Path(__file__).parents[3]

    def job() -> str:
        with Book(root).locked():
            return publish(
                root,
                options.remote,
                branch=options.branch,
                url=options.url,
                dry_run=options.dry_run,
            )

    return ended(job, "Nothing was published.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
