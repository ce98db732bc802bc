import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_emoji import CODES, LEFT_OUT, packages, tarball

from fundiff.painters.emoji import sprites as module
from fundiff.painters.emoji.concepts import bare, squeezed
from fundiff.painters.emoji.rasters import SpriteError
from fundiff.painters.emoji.sources import Kind, Source, SourceError
from fundiff.painters.emoji.sprites import Part, Sprites, build, load_sprites

pytest.importorskip("resvg_py")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Source, ...], Path, str]:
    folder = tmp_path_factory.mktemp("emoji")
    sources = packages(folder / "packages")
    digest = build(folder / "out", folder / "packages", sources=sources[:-1], unseen=sources[-1])
    return folder / "out", sources, folder / "packages", digest


@pytest.fixture(scope="module")
def loaded(made: tuple[Path, tuple[Source, ...], Path, str]) -> Sprites:
    return load_sprites(made[0])


Made = tuple[Path, tuple[Source, ...], Path, str]


def test_every_set_draws_every_concept_once(loaded: Sprites) -> None:
    wanted = {bare(code) for code in CODES} - LEFT_OUT
    for name in ("alpha", "beta", "gamma", "mono", "solid"):
        codes = [sprite.concept.code for sprite in loaded.sprites if sprite.set == name]
        assert len(codes) == len(set(codes))
        assert set(codes) == wanted
    assert loaded.pixels.shape == (len(loaded.sprites), 4, 64, 64)
    assert loaded.pixels.dtype == np.uint8


def test_skin_tones_flags_and_letters_are_out(loaded: Sprites) -> None:
    codes = {sprite.concept.code for sprite in loaded.sprites}
    assert not codes & LEFT_OUT
    assert "1f474" in codes


def test_a_sprite_fills_its_canvas_and_keeps_its_colours(loaded: Sprites) -> None:
    for pixels, sprite in zip(loaded.pixels, loaded.sprites, strict=True):
        rows, columns = np.nonzero(pixels[3] > 128)
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 58 <= extent <= 61, sprite
        assert abs(rows.mean() - 31.5) < 8
        assert abs(columns.mean() - 31.5) < 8
    apple = next(
        i
        for i, s in enumerate(loaded.sprites)
        if s.concept.name == "red apple" and s.set == "solid"
    )
    assert np.abs(loaded.pixels[apple, :3, 32, 32].astype(int) - (0x33, 0x33, 0xCC)).max() < 60


def test_names_and_keywords_come_along(loaded: Sprites) -> None:
    (man,) = {s.concept for s in loaded.sprites if s.concept.code == "1f474"}
    assert (man.name, man.keywords, man.group) == ("old man", ("adult", "grandpa"), 1)
    assert {s.kind for s in loaded.sprites if s.set == "mono"} == {Kind.STENCILS}


def test_a_stable_share_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [[name, f"{code:x}"] for code in range(0x1F300, 0x1F400) for name in "abcdefgh"]
    parts = module._parts(rows, frozenset())
    assert 0.03 < sum(part is Part.HELD_OUT for part in parts) / len(parts) < 0.07
    assert module._parts(rows[::-1], frozenset())[::-1] == parts
    monkeypatch.setattr(module, "HELD_OUT", 1.1)
    for row, part in zip(rows, module._parts(rows, frozenset()), strict=True):
        assert (part is Part.TRAIN) == (row[1] in module.KEPT)


def test_the_same_packages_give_the_same_bytes(made: Made, tmp_path: Path) -> None:
    out, sources, folder, digest = made
    assert build(tmp_path, folder, sources=sources[:-1], unseen=sources[-1]) == digest
    for path in out.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "sprites.json",
        "sprites.safetensors",
        "sprites.sha256",
    ]


def test_the_digest_pins_everything(made: Made, loaded: Sprites) -> None:
    out, *_, digest = made
    assert loaded.digest == digest
    record = json.loads((out / "sprites.json").read_text(encoding="utf-8"))
    assert f"{digest}  sprites.json" in (out / "sprites.sha256").read_text(encoding="ascii")
    assert f"{record['sha256']}  sprites.safetensors" in (out / "sprites.sha256").read_text()


def test_the_record_has_licences_and_coverage(made: Made) -> None:
    out, sources, *_ = made
    record = json.loads((out / "sprites.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in record["sources"]] == [s.name for s in sources[:-1]]
    assert all(row["licence"] and row["author"] for row in record["sources"])
    assert record["coverage"]["alpha"] == {"of": 13, "pictures": 20, "sprites": 13}


def test_the_unseen_set_is_built_alone(made: Made, tmp_path: Path) -> None:
    _, sources, folder, _ = made
    build(tmp_path, folder, sources=sources[:-1], unseen=sources[-1], evaluation=True)
    sprites = load_sprites(tmp_path).sprites
    assert {sprite.set for sprite in sprites} == {"unseen"}
    assert {sprite.part for sprite in sprites} == {Part.UNSEEN}


def test_the_unseen_set_is_never_for_training(made: Made, tmp_path: Path) -> None:
    _, sources, folder, _ = made
    build(tmp_path, folder, sources=sources)
    for sprite in load_sprites(tmp_path).sprites:
        assert (sprite.part is Part.UNSEEN) == (sprite.set == "unseen")


@pytest.mark.parametrize("name", ["sprites.safetensors", "sprites.json", "sprites.sha256"])
def test_damage_and_absence_are_told(name: str, made: Made, tmp_path: Path) -> None:
    for path in made[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / name).read_bytes())
    content[10] = ord("1") if content[10] != ord("1") else ord("2")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpriteError, match="no whole sprites: expected"):
        load_sprites(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(SpriteError, match="no whole sprites"):
        load_sprites(tmp_path)


def test_without_resvg_the_error_names_the_group(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(SpriteError, match="dependency group `train`"):
        build(tmp_path / "new", made[2], sources=made[1][:-1], unseen=made[1][-1])
    assert not (tmp_path / "new").exists()


def test_a_broken_drawing_is_told(tmp_path: Path) -> None:
    sources = packages(tmp_path)
    broken = {"icons": {"dog": {"body": "<path"}}, "width": 8, "height": 8}
    contents = {"icons.json": json.dumps(broken).encode(), "chars.json": b"{}"}
    digest = tarball(tmp_path / sources[1].file, contents)
    chosen = (sources[0], replace(sources[1], sha256=digest))
    with pytest.raises(SpriteError, match="the icon dog can't be drawn"):
        build(tmp_path / "out", tmp_path, sources=chosen)


def test_a_broken_render_is_told(tmp_path: Path) -> None:
    sources = packages(tmp_path)
    digest = tarball(tmp_path / sources[5].file, {"assets/1f415.webp": b"RIFF"})
    chosen = (sources[0], replace(sources[5], sha256=digest))
    with pytest.raises(SourceError, match=r"1f415\.webp: expected a picture"):
        build(tmp_path / "out", tmp_path, sources=chosen)


@pytest.mark.parametrize(
    ("code", "want"),
    [("1F474", "1f474"), ("270F-FE0F", "270f"), ("U+1F468 U+200D U+1F33E", "1f468-200d-1f33e")],
)
def test_codes_have_one_form(code: str, want: str) -> None:
    assert bare(code) == want


def test_names_are_squeezed() -> None:
    assert squeezed("Woman’s Hat") == squeezed("womans-hat") == "womanshat"
