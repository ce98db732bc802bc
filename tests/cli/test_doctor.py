from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_floyd
import torch

from fundiff.cli import doctor
from fundiff.cli.doctor import checkup
from fundiff.cli.main import main
from fundiff.models.embeddings import CACHE
from fundiff.models.if_format import ModelError
from fundiff.models.if_model import MODEL
from fundiff.models.placement import Machine
from fundiff.models.text_encoder import ENCODER, EncoderError, TextEncoder


@pytest.fixture(autouse=True)
def nothing_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MODEL, raising=False)
    monkeypatch.setattr(doctor, "get_token", lambda: None)
    monkeypatch.setattr(doctor, "try_to_load_from_cache", lambda name, file: None)
    monkeypatch.setattr(doctor, "_free", lambda folder: 50_000_000_000)


def said(machine: Machine | None = None) -> str:
    return "\n".join(checkup(machine))


def test_the_command_says_what_runs_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "the model: text-to-image, " in text
    assert "64 pixels a side" in text
    assert "its files are as its card says: preset " in text
    assert "s a guided picture" in text


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(2, 9_000_000_000), "IF-I-XL-v1.0: no, 4,300,000,000 weights and their workspace"),
        (
            Machine(2, 24_000_000_000),
            "IF-I-XL-v1.0: fits in float32 on the processor, 17.2 GB, slow without a GPU",
        ),
        (
            Machine(8, 24_000_000_000, "some GPU", 6_000_000_000),
            "IF-I-XL-v1.0: fits in float16 on the GPU, layer by layer, 8.6 GB",
        ),
        (
            Machine(8, 24_000_000_000, "some GPU", 6_000_000_000),
            "its text encoder, once for each prompt: fits in float32 on the processor, 19.0 GB",
        ),
        (Machine(8, 9, "some GPU", 24_000_000_000), "XL-v1.0: fits in float16 on the GPU, 8.6 GB"),
        (Machine(8, 9, "some GPU", 24_000_000_000), "GPU: some GPU, 24.0 GB free"),
        (Machine(2, 9_000_000_000), "9.0 GB of memory free, without instructions for bfloat16"),
        (Machine(2, 9, fast_bf16=True), "0.0 GB of memory free, with instructions for bfloat16"),
    ],
)
def test_deepfloyd_is_planned(
    machine: Machine, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "load", refuse)
    assert expected in said(machine)


def refuse() -> None:
    raise ModelError("no model")


def test_disk_and_what_is_fetched_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "load", refuse)
    monkeypatch.setattr(doctor, "_free", lambda folder: 15_000_000_000)
    roomy = Machine(8, 64_000_000_000)
    assert "XL-v1.0: no, its files need 17.2 GB of disk, and 15.0 GB are free" in said(roomy)
    monkeypatch.setattr(doctor, "try_to_load_from_cache", lambda name, file: f"/{name}/{file}")
    assert "XL-v1.0: fetched; fits in float32 on the processor" in said(roomy)


def test_a_token_is_seen_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "load", refuse)
    assert "token of the hub: none; accept the licence" in said()
    monkeypatch.setattr(doctor, "get_token", lambda: "hf_secret")
    text = said()
    assert "token of the hub: there is one" in text
    assert "hf_secret" not in text


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(self: object, device: str = "cpu") -> None:
        raise EncoderError("no encoder: pip install it")

    monkeypatch.setattr(TextEncoder, "__init__", gone)
    monkeypatch.setattr(doctor, "_is_installed", lambda package: package != "protobuf")
    text = said()
    assert "prompts: no encoder: pip install it" in text
    assert "its tokenizer needs more packages: pip install protobuf\n" in text


def test_another_text_encoder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "minilm", lambda: None)
    monkeypatch.setenv(ENCODER, str(tmp_path))
    assert f"the model: {ENCODER} should name a folder of a text encoder" in said()
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert f"prompts: by the text encoder in {tmp_path}, as {ENCODER} says" in said()


def test_any_model_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL, str(tmp_path))
    assert "the model: " in said()
    assert "neither a folder in IF's format" in said()
    tiny_floyd.stage_one(tmp_path)
    text = said()
    weights = sum(weight.numel() for weight in tiny_floyd.unet(1).parameters())
    size = f"{weights / 1e6:.1f} million weights, 32 pixels a side"
    assert f"the model: {tmp_path}, {size}" in text
    assert "card" not in text
    assert "MiniLM" not in text


@pytest.mark.parametrize("part", ["scheduler", "unet", "model_index.json"])
def test_it_never_fails(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODEL, str(tmp_path / "m"))
    tiny_floyd.stage_one(tmp_path / "m")
    (tmp_path / "m" / part).rename(tmp_path / part)
    lines = said().splitlines()
    assert f"the model: {tmp_path / 'm'}" in "\n".join(lines)
    assert lines[-1].startswith("  its text encoder")


@pytest.mark.parametrize(("alone", "told"), [(0.1, True), (3.0, False)])
def test_threads_that_stand_in_each_others_way_are_told_of(
    alone: float, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(doctor, "_seconds", lambda model: alone if threads == [1] else 2.0)
    assert ("on one of its 2 threads 0.1 s: something else keeps" in said()) is told
    assert threads == [1, 2]


@pytest.mark.parametrize(
    ("cores", "words"), [(1, "processor: 1 core to use, "), (4, "processor: 4 cores to use, ")]
)
def test_cores_are_those_that_may_be_used(cores: int, words: str) -> None:
    assert words in said(Machine(cores, 9_000_000_000))


def test_where_things_are_kept_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "load", refuse)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    assert f"kept between runs: in {tmp_path / 'cache'}" in said()
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    assert f"kept between runs: nothing; nothing can be written to {tmp_path / 'file'}" in said()
    monkeypatch.delenv(CACHE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert "kept between runs: nothing; there is no home folder" in said()


def homeless() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_packages_are_found() -> None:
    find: Callable[[str], bool] = doctor._is_installed
    assert find("torch")
    assert not find("no-such-package")
