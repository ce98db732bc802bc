"""What importing the library costs, and what it does without."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import fundiff
from book._ext.layout import Book
from book._ext.pages.library import Library

ROOT = Path(__file__).parents[1]
WITHOUT_TORCHVISION = """
import sys
from importlib import import_module

sys.modules["torchvision"] = None
for name in sys.argv[1:]:
    import_module(name)
"""
WALK = """
import torch
from fundiff.sampling import denoise
from fundiff.schedule import NoiseSchedule
from fundiff.types import Prediction

schedule = NoiseSchedule.cosine()
steps = schedule.timesteps(stride=90)
x = torch.randn(2, 3, 8, 8)
*_, last = denoise(lambda x_t, t: Prediction(0.5 * x_t), schedule, x, steps)
assert last.t == -1 and last.x.shape == x.shape and last.x.isfinite().all()
"""
COST = """
import sys
from time import perf_counter

began = perf_counter()
import fundiff

print(perf_counter() - began)
assert "torch" not in sys.modules, "import fundiff loads torch"
"""
MOST = 0.05
"""Seconds."""


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_library_is_cheap() -> None:
    assert min(float(run(COST)) for _ in range(5)) < MOST


def test_the_core_works_without_torchvision() -> None:
    run(WITHOUT_TORCHVISION + WALK, *Library(Book(ROOT)).contents["core"])


def test_every_name_of_the_door_is_there_and_the_one_of_its_home() -> None:
    assert 35 <= len(fundiff.__all__) <= 45
    assert dir(fundiff) == sorted(fundiff.__all__)
    stub = ast.parse((ROOT / "fundiff" / "__init__.pyi").read_text(encoding="utf-8"))
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            home = import_module(f"fundiff.{node.module}")
            for alias in node.names:
                assert getattr(fundiff, alias.name) is getattr(home, alias.name)
    with pytest.raises(AttributeError, match="nothing"):
        getattr(fundiff, "nothing")  # noqa: B009  # the type checker knows that it isn't there


@pytest.mark.slow
def test_networks_and_their_data_are_imported_without_torchvision() -> None:
    contents = Library(Book(ROOT)).contents
    run(
        WITHOUT_TORCHVISION, *(m for p in ("nn", "training", "data", "models") for m in contents[p])
    )
