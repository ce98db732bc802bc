"""Whichever write a job is killed at, or refused: nothing is lost, and it ends as ever."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_floyd

FAULTY = Path(__file__).with_name("faulty.py")
ROOT = FAULTY.parents[1]
KINDS = "kill,interrupt,full,denied,read-only,once"
"""Each is tried at every third change of the disk, so that two are tried at each."""
PAINT = ["--model", "model", "--steps", "1"]
GIT = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
CHAPTER = """---
file_format: mystnb
kernelspec: {name: python3, display_name: Python 3}
---

# Title

```{code-cell}
print(6 * 7)
```
"""


def model(folder: Path) -> None:
    tiny_floyd.stage_one(folder / "model")


def book(folder: Path) -> None:
    (folder / "tiny").mkdir()
    (folder / "tiny" / "__init__.py").write_text('"""Tiny."""\n__version__ = "1"\n')
    (folder / "_config.yml").write_text("parse: {myst_enable_extensions: [dollarmath]}\n")
    (folder / "_toc.yml").write_text("root: book/index\nentries: [{file: book/a/one}]\n")
    (folder / "book" / "a").mkdir(parents=True)
    (folder / "book" / "index.md").write_text("# A book\n")
    (folder / "book" / "a" / "one.md").write_text(CHAPTER)


def repository(folder: Path) -> None:
    book(folder)
    (folder / ".gitignore").write_text("_build\nremote.git\n")
    for command in (
        [*GIT, "init", "-q", "-b", "main"],
        [*GIT, "init", "-q", "--bare", "remote.git"],
        [*GIT, "add", "-A"],
        [*GIT, "commit", "-q", "-m", "Begin"],
    ):
        subprocess.run(command, cwd=folder, check=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("prepare", "words", "changes"),
    [
        (model, ["sample", "a dog", "--count", "3", *PAINT, "--out", "new/a.png"], 12),
        (model, ["anagram", "a dog", "a man", "--gif", *PAINT, "--out", "a.png"], 12),
        (model, ["embed", "a dog", "--model", "model", "--out", "new/e.safetensors"], 10),
        (model, ["train", "mnist-judge", "--runs", "runs", "--out", "new/weights"], 30),
        (book, ["book"], 20),
        (repository, ["publish"], 2),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_fault_at_any_write_loses_nothing(
    prepare: Callable[[Path], None], words: list[str], changes: int, tmp_path: Path
) -> None:
    folder = tmp_path / "template"
    (folder / "mine").mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "mine" / "a.txt").write_text("mine, too")
    prepare(folder)
    done = subprocess.run(
        [sys.executable, FAULTY, tmp_path, "3", KINDS, *words],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "FUNDIFF_CACHE": "cache",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": f"{ROOT}",
            "TQDM_DISABLE": "1",
        },
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["wrong"] == []
    assert found["changes"] >= changes
