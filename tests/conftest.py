"""What several test modules need."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from accelerate.state import AcceleratorState
from hypothesis import settings
from networks import RandomNetwork
from tiny_emoji import packages

from fundiff.painters.emoji.sprites import build
from fundiff.types import Images

Write = Callable[[str, str], Path]

settings.register_profile("fundiff", deadline=None)  # how long a test takes is the machine's affair
settings.load_profile("fundiff")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept between tests."""
    monkeypatch.setenv("FUNDIFF_CACHE", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def own_precision() -> Iterator[None]:
    """The precision of a test's training, which accelerate keeps, doesn't hold for the next."""
    yield
    AcceleratorState._reset_state()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file of text below the test's folder."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def images(generator: torch.Generator) -> Callable[..., Images]:
    """Draw images: ``images(batch, channels, height, width)``."""

    def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Images:
        return torch.randn(shape or (2, 3, 16, 16), generator=generator, dtype=dtype)

    return draw


@pytest.fixture
def network() -> RandomNetwork:
    return RandomNetwork()


@pytest.fixture(scope="session")
def sprites(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sprites of made-up sets."""
    out = tmp_path_factory.mktemp("emoji")
    build(out, out / "packages", sources=packages(out / "packages")[:-1])
    return out
