"""A digest of code changes with what the code computes, and with nothing else."""

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from fundiff.digest import LEFT_OUT, code, code_digest, digest_of, reached
from fundiff.nn.unet import ClassUNet, TimeUNet, UNet
from fundiff.painters.captioned import PaintedPictures
from fundiff.recipes.caption_tasks import TextToImageTask
from fundiff.training.loop import train

ROOT = Path(__file__).parents[1]
NAMES = ["pack.a.used"]
A = '''"""Module."""

from math import sqrt

from pack import b
from pack.b import scale as factor

LIMIT: int = 3


def used(x: float, *, y: float = 2) -> float:
    """Compute."""
    other = sqrt(x)  # a root
    return b.add(other, factor) * LIMIT


def unused() -> int:
    return 1
'''
B = """import math

scale = 2.0
shift = 1.0


def add(x, y):
    return x + y + shift


def unused():
    return math.pi
"""


@pytest.fixture
def digest(write: Callable[[str, str], Path], tmp_path: Path) -> Callable[..., str]:
    def digest(a: str = A, b: str = B, *, names: list[str] = NAMES, left_out: str = "") -> str:
        for name, text in {"__init__": "", "a": a, "b": b, "c": "x = 1\n"}.items():
            path = write(f"pack/{name}.py", text)
            assert path.is_file()
        return digest_of(code(names, tmp_path, left_out=[left_out] if left_out else []))

    return digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('    """Compute."""\n', ""),
        ("  # a root", ""),
        ("x: float, *, y: float = 2) -> float", "x, *, y=2)"),
        ("LIMIT: int = 3", "LIMIT: float = 3"),
        ("from math import sqrt\n", "from math import pi, sqrt\n"),
        ("def unused() -> int:\n    return 1", "def unused() -> int:\n    return 2"),
        ('"""Module."""\n', ""),
    ],
)
def test_what_computes_the_same_has_the_same_digest(
    old: str, new: str, digest: Callable[..., str]
) -> None:
    assert old in A
    assert digest(A.replace(old, new)) == digest()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (A.replace("y: float = 2", "y: float = 3"), B),
        (A.replace("LIMIT: int = 3", "LIMIT: int = 4"), B),
        (A + "\nLIMIT += 1\n", B),
        (A + "\nprint(LIMIT)\n", B),
        (A.replace("def used", "@staticmethod\ndef used"), B),
        (A, B.replace("scale = 2.0", "scale = 2.5")),
        (A, B.replace("shift = 1.0", "shift = 1.5")),
        (A, B.replace("x + y", "x - y")),
    ],
)
def test_what_computes_something_else_has_another_digest(
    a: str, b: str, digest: Callable[..., str]
) -> None:
    assert digest(a, b) != digest()


def test_a_definition_that_moves_keeps_its_digest(digest: Callable[..., str]) -> None:
    start = B.index("def add")
    add = B[start : B.index("def unused")]
    moved = A.replace("b.add", "add").replace("LIMIT: int = 3", f"shift = 1.0\nLIMIT = 3\n\n{add}")
    rest = B.replace(add, "").replace("shift = 1.0\n", "")
    by_name = A.replace("from pack import b\n", "from pack.b import add\n").replace("b.add", "add")
    assert digest(moved, rest) == digest(by_name)


def test_relative_imports_are_followed(digest: Callable[..., str]) -> None:
    relative = A.replace("from pack import b", "from . import b").replace("from pack.b", "from .b")
    assert digest(relative) == digest()


def test_local_names_are_not_those_of_the_module(digest: Callable[..., str]) -> None:
    local = A.replace("other = sqrt(x)", "unused = other = sqrt(x + (lambda x: x)(0))")
    assert digest(local) == digest(local.replace("return 1", "return 2"))


def test_modules_can_be_meant_and_left_out(digest: Callable[..., str]) -> None:
    whole = digest(names=["pack.b"])
    assert whole != digest(A, B.replace("math.pi", "math.tau"), names=["pack.b"])
    assert digest(left_out="pack.b") == digest(A, B.replace("x + y", "x - y"), left_out="pack.b")
    assert digest(left_out="pack") == digest_of([])


def test_other_packages_in_the_same_folder_do_not_count(
    digest: Callable[..., str], write: Callable[[str, str], Path]
) -> None:
    before = digest()
    write("math.py", "from _math import *\n")
    assert digest() == before


def test_what_is_not_there_is_said(digest: Callable[..., str]) -> None:
    with pytest.raises(LookupError, match=r"pack\.a defines no nothing"):
        digest(names=["pack.a.nothing"])
    with pytest.raises(LookupError, match=r"pack\.b defines no nothing"):
        digest(A.replace("b.add", "b.nothing"))


def test_the_arguments_of_a_partial_count() -> None:
    assert code_digest(partial(UNet, 64)) != code_digest(partial(UNet, 128))
    assert code_digest(partial(UNet, 64)) != code_digest(UNet)
    assert code_digest(TimeUNet) != code_digest(ClassUNet)


def test_weights_depend_on_task_data_network_and_loop() -> None:
    names = [f"{root.__module__}.{root.__qualname__}" for root in (TextToImageTask, train)]
    names.append(f"{PaintedPictures.__module__}.{PaintedPictures.__qualname__}")
    found = {place.name for place in reached(names, ROOT, left_out=LEFT_OUT)}
    assert {"Draws", "add_noise", "NoiseSchedule", "EmojiPictures", "campfire", "caption"} <= found
    assert not {"write", "Checkpoints", "image_grid", "ddim_step", "verify"} & found


@pytest.mark.slow
def test_every_python_gives_the_same_digest() -> None:
    said = (
        "import json, sys; from pathlib import Path; sys.path.append('fundiff'); import digest;"
        "names = ['.'.join(p.with_suffix('').parts).removesuffix('.__init__')"
        " for p in sorted(Path('fundiff').rglob('*.py'))];"
        "print(json.dumps([digest.digest_of(digest.code([name], Path('.'))) for name in names]))"
    )
    found = {}
    for minor in range(11, 16):
        for python in {f"python3.{minor}", sys.executable}:
            command = [python, "-c", said]
            try:
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            except (FileNotFoundError, subprocess.CalledProcessError):
                continue  # this Python isn't here
            found[python] = json.loads(done.stdout)
    assert sys.executable in found
    assert all(digests == found[sys.executable] for digests in found.values())
