"""Does a job again and again, with a fault at each of its changes of the disk in turn.

Each run is a process of its own, forked from this one, in a copy of a folder, and is followed by a
whole one. What is said, as JSON, is how many runs there were, and which of them left something else
than a whole run alone does.

Called with a folder that has the folder ``template`` in it, at every how many changes each kind of
fault is tried, the kinds, and a job: the words of a command, or ``book``, or ``publish``.
"""

import copy
import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from nbformat import NotebookNode
from tasks import SMALL

from book._ext.layout import Book, ended
from book._ext.run import execute, kernel  # noqa: F401  # loaded once, before all runs
from book._ext.site import build, publish, render
from fundiff import files
from fundiff.cli.main import main
from fundiff.jobs import choose, paint  # noqa: F401
from fundiff.recipes.registry import RECIPES

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
ERRORS = {"full": errno.ENOSPC, "denied": errno.EACCES, "read-only": errno.EROFS, "once": errno.EIO}
SIGNALS = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}
ENDS = {"kill": {-signal.SIGKILL}, "interrupt": {0, 130}}
TIMED = ("times", "lock", "seconds.json")
"""What tells the time, or who holds a folder."""
KEPT_APART = ("cache/", "_build/jupyter_cache/", ".git/", "remote.git/")
"""What is only there to spare work, or is somebody else's: only litter is looked for."""
LONGEST = 2000

Job = Callable[[], int]


class Fault:
    """An audit hook that counts the changes of a folder, and does something at one of them."""

    def __init__(self, folder: Path, kind: str | None, at: int) -> None:
        self.folder, self.kind, self.at, self.count = f"{folder}{os.sep}", kind, at, 0

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at one of the interpreter's events."""
        if event == "open":
            if not (isinstance(arguments[2], int) and arguments[2] & WRITES):
                return
        elif event not in CHANGES:
            return
        if not isinstance(arguments[0], str | os.PathLike):
            return
        if not os.path.realpath(arguments[0]).startswith(self.folder):
            return
        self.count += 1
        if self.count == self.at and self.kind in SIGNALS:
            os.kill(os.getpid(), SIGNALS[self.kind])
        stays = self.kind != "once" and event not in ("os.remove", "os.rmdir")
        if self.kind in ERRORS and (self.count == self.at or (self.count > self.at and stays)):
            raise OSError(ERRORS[self.kind], os.strerror(ERRORS[self.kind]))


def run(job: Job, folder: Path, kind: str | None = None, at: int = 0) -> tuple[int, str]:
    """Do a job in a process of its own; return how it ended, and what it said."""
    said = folder.with_suffix(".txt")
    child = os.fork()
    if not child:
        code = 70
        try:
            os.chdir(folder)
            handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(handle, 1)
            os.dup2(handle, 2)
            hook = Fault(folder, kind, at)
            sys.addaudithook(hook)
            code = job()
            if kind is None:
                print(f"\n{hook.count}")
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text()


def fresh(folder: Path) -> Path:
    """Lay the template out."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(folder.parent / "template", folder)
    return folder


def tree(folder: Path) -> dict[str, object]:
    """Read all files, without what tells the time."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        is_apart = name.startswith(KEPT_APART) and path.suffix != ".partial"
        if not path.is_file() or is_apart or path.name in TIMED:
            continue
        content: object = path.read_bytes()
        if path.name == "card.json":
            content = {**json.loads(path.read_bytes()), "seconds": 0}
        elif path.suffix == ".ipynb":
            notebook = json.loads(path.read_bytes())
            notebook["metadata"]["provenance"]["seconds"] = 0
            content = notebook
        found[name] = content
    return found


def tried(job: Job, root: Path, kinds: list[str], every: int) -> dict[str, object]:
    """Try kinds of faults at the changes of the disk that a job makes, each at every so many."""
    code, said = run(job, fresh(root / "whole"))
    if code:
        return {"changes": 0, "runs": 0, "wrong": [f"a whole run: {code} {said}"]}
    whole, changes, ours = tree(root / "whole"), int(said.split()[-1]), tree(root / "template")
    runs, wrong = 0, []
    for number, kind in enumerate(kinds):
        for at in range(1 + number % every, changes + 1, every):
            runs += 1
            folder = fresh(root / "faulty")
            code, said = run(job, folder, kind, at)
            is_traced = "Traceback" in said or len(said) > LONGEST
            if code not in ENDS.get(kind, {0, 1}) or is_traced:
                wrong.append(f"{kind} at {at}: {code} {said}")
            left = tree(folder)
            lost = [name for name, content in ours.items() if left.get(name) != content]
            code, said = run(job, folder)
            now = tree(folder)
            differs = [n for n in {**whole, **now} if whole.get(n) != now.get(n)]
            if code or lost or differs:
                wrong.append(f"after {kind} at {at}: {code} {said} {lost} {differs}")
    return {"changes": changes, "runs": runs, "wrong": wrong}


def tiny_book() -> Job:
    """Build a book whose kernels answer at once, with what they answered the first time."""
    answers: dict[str, tuple[NotebookNode, dict[str, Any]]] = {}
    really = kernel.run

    def replayed(book: Book, notebook: NotebookNode, page: str, *rest: Any) -> dict[str, Any]:  # noqa: ANN401
        if page not in answers:
            made = really(book, notebook, page, *rest)
            answers[page] = copy.deepcopy((notebook, made))
        executed, made = copy.deepcopy(answers[page])
        notebook.cells = executed.cells
        return made

    def rendered(book: Book, foundations: str | None) -> Path:
        site = book.build / "next"
        shutil.rmtree(site, ignore_errors=True)
        for name in ("index.html", "a/one.html"):
            (site / name).parent.mkdir(parents=True, exist_ok=True)
            files.write(
                site / name, b"".join(p.read_bytes() for p in book.exports.rglob("*.ipynb"))
            )
        return site

    def job() -> int:
        book = Book(Path.cwd(), "tiny")

        def built() -> str:
            with book.locked():
                build.bring_up_to_date(book)
            return "built"

        return ended(built, "it is as it was")

    setattr(kernel, "run", replayed)  # noqa: B010  # there is no test to put it back for
    setattr(kernel, "prepare", lambda variables: None)  # noqa: B010
    setattr(render, "render", rendered)  # noqa: B010
    return job


def published() -> Job:
    """Publish a book of two pages, which need no Sphinx."""

    def rendered(book: Book, online: Mapping[str, str]) -> Path:
        site = book.build / "site"
        site.mkdir(parents=True)
        files.write(site / "index.html", b"<title>A book</title>")
        return site

    def job() -> int:
        with_lock = Book(Path.cwd())

        def done() -> str:
            with with_lock.locked():
                return publish.publish(Path.cwd(), str(Path.cwd() / "remote.git"))

        return ended(done, "nothing was published")

    setattr(publish, "render", rendered)  # noqa: B010
    return job


if __name__ == "__main__":
    ROOT, EVERY, KINDS = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",")
    WORDS = sys.argv[4:]
    JOBS: dict[str, Callable[[], Job]] = {"book": tiny_book, "publish": published}
    RECIPES["mnist-judge"] = SMALL
    torch.set_num_threads(1)
    files.ABANDONED = -1.0
    JOB = JOBS[WORDS[0]]() if WORDS[0] in JOBS else lambda: main(WORDS)
    if WORDS[0] == "book":
        os.chdir(fresh(ROOT / "first"))
        JOB()
    print(json.dumps(tried(JOB, ROOT, KINDS, EVERY)))
