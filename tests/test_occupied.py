"""Whatever writes leaves alone what is neither empty nor its own, before it begins to work."""

from collections.abc import Callable, Sequence
from pathlib import Path

import bench
import pytest
import torch
from PIL import Image

from fundiff.cli.main import main
from fundiff.files import OccupiedError, require_free
from fundiff.models.embeddings import write_embeddings
from fundiff.painters.characters import build as sheets
from fundiff.painters.emoji.sprites import build
from fundiff.plots.animation import save_gif

FRAMES = [torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)]


def embeddings(path: Path) -> None:
    write_embeddings([""], torch.zeros(1, 77, 5), path)


def gif(path: Path) -> None:
    save_gif(FRAMES, path)


def table(path: Path) -> None:
    require_free(path, bench._is_table, kind="a file of such tables")
    path.write_bytes(b":::{table} Samples\n")


@pytest.mark.parametrize("write", [embeddings, gif, table])
def test_a_file_is_replaced_if_it_is_empty_or_ours(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "out"
    path.touch()
    write(path)
    ours = path.read_bytes()
    write(path)
    assert path.read_bytes() == ours

    path.write_bytes(b"my photo")
    with pytest.raises(OccupiedError, match="out is there already, and isn't a"):
        write(path)
    assert path.read_bytes() == b"my photo"
    path.unlink()
    (path / "inside").mkdir(parents=True)
    with pytest.raises(OccupiedError):
        write(path)
    assert (path / "inside").is_dir()


def test_a_gif_of_others_is_left_alone(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.gif")
    before = (tmp_path / "a.gif").read_bytes()
    with pytest.raises(OccupiedError, match="isn't a GIF of this library"):
        gif(tmp_path / "a.gif")
    assert (tmp_path / "a.gif").read_bytes() == before


@pytest.mark.parametrize("name", ["sprites.safetensors", "sprites.json", "sprites.sha256"])
def test_sprites_replace_only_sprites(name: str, sprites: Path, tmp_path: Path) -> None:
    for path in sprites.glob("sprites.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / name).write_text("mine")
    with pytest.raises(OccupiedError, match=f"{name} is there already"):
        build(tmp_path, tmp_path / "packages")
    (tmp_path / name).write_bytes((sprites / name).read_bytes()[:1000])
    with pytest.raises(ValueError, match="not enough values"):  # goes on, to no source of names
        build(tmp_path, tmp_path / "packages", sources=())


def test_sheets_replace_only_sheets(tmp_path: Path) -> None:
    Image.new("L", (28, 28)).save(tmp_path / "shapes.png")
    with pytest.raises(OccupiedError, match=r"shapes\.png is there already"):
        sheets.build(tmp_path, tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ["train", "mnist-judge", "--minutes", "0"],
        ["train", "mnist-judge", "--if-stale"],
        ["score"],
        ["steps"],
        ["compare"],
        ["illusions"],
        ["anagram", "a", "b", "--gif"],
        ["hybrid", "a", "b", "--gif"],
        ["emoji"],
        ["characters"],
    ],
)
def test_commands_refuse_in_a_line(
    words: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "mine"
    out.mkdir()
    for name in ("chapter.tex", "sprites.json", "shapes.png"):
        (out / name).write_text("mine")
    (tmp_path / "mine.gif").write_text("mine")
    file = out.with_suffix(".png") if "--gif" in words else out
    assert main([*words, "--out", str(file)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is left alone" in said
    assert {path.read_text() for path in tmp_path.rglob("*") if path.is_file()} == {"mine"}
