"""Whatever is read from anyone gives a clear error of ours or a right answer, and loses nothing."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import tiny_floyd
import torch
from accelerate.state import AcceleratorState
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tasks import PLAN, SMALL, SmallTask

from fundiff.cli.main import main
from fundiff.data.masks import load_mask
from fundiff.data.sheets import read_sheet, save
from fundiff.errors import FundiffError
from fundiff.illusions import VIEWS, hybrids
from fundiff.models.embeddings import read_embeddings, write_embeddings
from fundiff.models.if_model import load
from fundiff.models.weights import load_weights, verify

resource = pytest.importorskip("resource")

GIGABYTE = 2**30
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
few = settings(max_examples=20, suppress_health_check=SHARED, derandomize=True)
many = settings(max_examples=150, suppress_health_check=SHARED, derandomize=True)

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
def floyd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("floyd")
    tiny_floyd.stage_one(folder)
    (folder / "prompts.json").write_text('["a dog", ""]')
    rows = {"0": torch.ones(77, 24), "1": torch.zeros(77, 24)}
    safetensors.torch.save_file(rows, folder / "prompts.safetensors")
    return folder


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


@many
@given(data=st.data())
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.filterwarnings("ignore::fundiff.errors.FundiffWarning")
def test_masks(file_format: str, data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "m"
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).convert("RGBA").save(path, file_format)
    path.write_bytes(data.draw(broken(path.read_bytes())))
    either(lambda: load_mask(path))


@many
@given(mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I", "F", "I;16"]), data=st.data())
@pytest.mark.filterwarnings("ignore::fundiff.errors.FundiffWarning")
def test_masks_of_any_kind(mode: str, data: st.DataObject, tmp_path: Path) -> None:
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    palette = data.draw(st.lists(st.integers(0, 255), min_size=4, max_size=4))
    kind = {"1": "1", "I;16": "I;16", "I": "I", "F": "F"}.get(mode, "RGBA")
    image = Image.new(kind, size)
    for x in range(size[0]):
        for y in range(size[1]):
            value = data.draw(st.sampled_from(palette))
            image.putpixel(
                (x, y), (value, value // 2, 9, palette[(x + y) % 4]) if kind == "RGBA" else value
            )
    path = tmp_path / "m.tiff"
    (image if kind == mode else image.convert(mode)).save(path)
    either(lambda: load_mask(path, size=data.draw(st.integers(1, 9))))


@many
@given(data=st.data())
def test_embeddings(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "e.safetensors"
    path.unlink(missing_ok=True)
    write_embeddings(["", "a dog"], torch.arange(770.0).view(2, 77, 5), path)
    path.write_bytes(data.draw(broken(path.read_bytes())))
    either(lambda: read_embeddings(path, 5))


@few
@given(data=st.data())
@pytest.mark.parametrize(
    "name",
    [
        "model_index.json",
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "prompts.json",
        "prompts.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_model_folders(name: str, data: st.DataObject, floyd: Path, tmp_path: Path) -> None:
    mine = fresh(floyd, tmp_path / "mine")
    content = (mine / name).read_bytes()
    change = broken(content)
    (mine / name).write_bytes(
        data.draw(altered(content) | change if name.endswith(".json") else change)
    )
    either(lambda: load(mine, device="cpu"))


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
    ["step-00000004.json", "step-00000004.safetensors", "precision.json", "seconds.json"],
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


@many
@given(data=st.data())
def test_sheets(data: st.DataObject, tmp_path: Path) -> None:
    save(torch.arange(192.0).view(3, 1, 8, 8) / 96 - 1, tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes(data.draw(broken((tmp_path / "a.png").read_bytes())))
    either(lambda: read_sheet(tmp_path / "a.png", side=8))


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SAID = NUMBERS.map(str) | WORDS
OPTIONS = {
    "--seed": SAID,
    "--scale": SAID,
    "--steps": st.sampled_from(["0", "1", "2", "-1", "992", "100000", "x", "1e3", "nan"]),
    "--solver": st.sampled_from(["ddim", "ddpm", "dpm", "dpm-sde"]) | WORDS,
    "--dtype": st.sampled_from(["float32", "bfloat16", "int8"]) | WORDS,
    "--model": st.just("m") | st.sampled_from(["", ".", "nowhere", "m/unet", "a/b/c"]),
    "--embeddings": st.sampled_from(["", ".", "nowhere", "m/prompts.safetensors"]),
    "--out": st.sampled_from(
        ["a.png", "", ".", "b/a.PNG", "notes.png", "notes.txt/a.png", "ä\n.png"]
    )
    | WORDS,
}
OWN = {
    "sample": {"--count": st.sampled_from(["1", "2", "0", "-3", "x"])},
    "edit": {"--i-start": SAID, "--prompt": WORDS},
    "anagram": {
        "--view": st.sampled_from([*VIEWS]) | WORDS,
        "--best-of": st.sampled_from(["1", "0", "-1", "x"]),
    },
    "hybrid": {
        "--split": st.sampled_from([*hybrids()]) | WORDS,
        "--sigma": SAID,
        "--kernel-size": st.integers(-3, 40).map(str) | SAID,
    },
}


@many
@given(command=st.sampled_from([*OWN]), data=st.data())
@pytest.mark.filterwarnings("ignore")
def test_options(
    command: str,
    data: st.DataObject,
    floyd: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = tmp_path / "here"
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "m").symlink_to(floyd)
    for name in ("notes.png", "notes.txt"):
        (here / name).write_text("mine")
    Image.new("RGB", (40, 30), "red").save(here / "p.png")
    prompts = [data.draw(WORDS) for _ in range({"anagram": 2, "hybrid": 2}.get(command, 1))]
    words = [command, *(["p.png"] if command == "edit" else prompts)]
    options = {"--model": st.just("m"), "--out": st.just("a.png"), "--steps": st.just("1")}
    names = data.draw(st.lists(st.sampled_from([*OPTIONS, *OWN[command]]), max_size=3, unique=True))
    for name in names:
        options[name] = {**OPTIONS, **OWN[command]}[name]
    for name, values in options.items():
        words += [f"{name}={data.draw(values)}"]
    assert main([word.replace("\0", "") for word in words]) in (0, 1, 2)
    assert {(here / name).read_text() for name in ("notes.png", "notes.txt")} == {"mine"}
    assert not [path for path in here.rglob("*.partial") if "m" not in path.parts]
