"""Whatever is read from anyone gives a clear error of ours or a right answer, and loses nothing."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate.state import AcceleratorState
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tasks import PLAN, SMALL, SmallTask

from fundiff.errors import FundiffError
from fundiff.models.weights import load_weights, verify

resource = pytest.importorskip("resource")

GIGABYTE = 2**30
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
few = settings(max_examples=20, suppress_health_check=SHARED, derandomize=True)

NUMBERS = st.integers() | st.floats() | st.sampled_from([-1, 0, 1e300, 2**63, 10**12])
LEAVES = st.none() | st.booleans() | NUMBERS | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)
)


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """What is read may not take a gigabyte more than there is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + GIGABYTE, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@st.composite
def broken(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of a file that something happened to."""
    at = draw(st.integers(0, min(len(content), draw(st.sampled_from([16, 400, len(content)])))))
    how = draw(st.sampled_from(["cut", "change", "insert", "leave out", "other", "twice"]))
    some = draw(st.binary(min_size=1, max_size=8))
    return {
        "cut": content[:at],
        "change": content[:at] + some + content[at + len(some) :],
        "insert": content[:at] + some + content[at:],
        "leave out": content[:at] + content[at + len(some) :],
        "other": some,
        "twice": content + content,
    }[how]


@st.composite
def altered(draw: st.DrawFn, content: bytes) -> bytes:
    """JSON in which one value, somewhere, is another, or is gone."""
    said = {"": json.loads(content)}
    inside: Any = said
    key: Any = ""
    while isinstance(inside[key], dict | list) and inside[key] and draw(st.integers(0, 3)):
        inside = inside[key]
        key = draw(st.sampled_from([*inside] if isinstance(inside, dict) else range(len(inside))))
    if key != "" and isinstance(inside, dict) and draw(st.booleans()):
        del inside[key]
    else:
        inside[key] = draw(VALUES)
    return json.dumps(said[""]).encode()


def either(read: Callable[[], object]) -> None:
    """Read, and take a clear error for an answer."""
    try:
        read()
    except FundiffError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert len(str(error)) > 20  # noqa: PT017


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("done")
    SMALL.run("cpu", None, folder / "runs", folder / "out")
    (folder / "runs" / "seconds.json").write_text("1.5")
    card = json.loads((folder / "out" / "card.json").read_text())
    (folder / "out" / "card.json").write_text(json.dumps({**card, "seconds": 2}))
    return folder


def fresh(folder: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target


@few
@given(data=st.data())
@pytest.mark.parametrize("name", ["card.json", "model.safetensors", "samples-2.png"])
def test_folders_of_weights(name: str, data: st.DataObject, done: Path, tmp_path: Path) -> None:
    folder = fresh(done, tmp_path / "mine")
    path, network = folder / "out" / name, SmallTask(dropout=0.1).network
    content, others = path.read_bytes(), {*(folder / "out").iterdir()}
    change = broken(content)
    changed = data.draw(altered(content) | change if name.endswith(".json") else change)
    path.write_bytes(changed)
    either(lambda: verify(folder / "out"))
    either(lambda: load_weights(network, folder / "out"))
    assert SMALL.is_stale(folder / "out", "cpu") in (True, False)
    assert {*(folder / "out").iterdir()} == others
    assert path.read_bytes() == changed


@few
@given(data=st.data())
@pytest.mark.parametrize(
    "name",
    ["step-00000004.json", "step-00000004.safetensors", "seconds.json"],
)
@pytest.mark.filterwarnings("ignore::fundiff.errors.FundiffWarning")
def test_states(name: str, data: st.DataObject, done: Path, tmp_path: Path) -> None:
    folder = fresh(done, tmp_path / "mine")
    AcceleratorState._reset_state()
    path = folder / "runs" / name
    content = path.read_bytes()
    change = broken(content)
    path.write_bytes(data.draw(altered(content) | change if name.endswith(".json") else change))
    either(lambda: SMALL.run("cpu", None, folder / "runs", folder / "out"))
    assert verify(folder / "out").steps == PLAN.steps
