import json
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import tiny_floyd
import torch
from PIL import Image

from fundiff.cli import paint as paint_cli
from fundiff.cli.main import main
from fundiff.data.pictures import load_picture, picture, save_picture, to_uint8
from fundiff.errors import FundiffError
from fundiff.files import OccupiedError, PlaceError
from fundiff.guidance import Bound
from fundiff.illusions import VIEWS, ByView, Illusion, hybrids
from fundiff.jobs.order import CHUNK, Order, OrderError
from fundiff.jobs.paint import BLOCK, paint
from fundiff.models.if_model import TextToImage, load, save_embeddings
from fundiff.sampling import sample, sdedit
from fundiff.solvers import SOLVERS, dpm_step, log_snr_timesteps
from fundiff.types import Images
from fundiff.views import Identity

STEPS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("floyd")
    tiny_floyd.stage_one(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> TextToImage:
    return load(folder, device="cpu")


def run(model: TextToImage, order: Order, out: Path, *, of: int = 1) -> dict[str, bytes]:
    for index in range(of):
        list(paint(model, order, out, process=index, processes=of))
    return {path.name: path.read_bytes() for path in sorted(out.parent.glob("*.png"))}


def test_the_pictures_are_the_same_however_many_processes_paint(
    model: TextToImage, tmp_path: Path
) -> None:
    order = Order("a dog", count=2 * BLOCK + 3, steps=STEPS)
    alone = run(model, order, tmp_path / "one" / "a.png")
    assert [*alone] == [f"a-{number:03}.png" for number in range(19)]
    assert len(set(alone.values())) == 19
    assert run(model, order, tmp_path / "three" / "a.png", of=3) == alone


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_of_accelerate_share_an_order(folder: Path, tmp_path: Path) -> None:
    order = ["a dog", "--count", "19", "--steps", str(STEPS), "--model", str(folder)]
    words = ["-m", "fundiff", "sample", *order, "--out"]
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    alone = [sys.executable, *words, str(tmp_path / "one" / "a.png")]
    subprocess.run(alone, check=True, env=env)
    many = [sys.executable, *launch, *words, str(tmp_path / "two" / "a.png")]
    subprocess.run(many, check=True, env=env)
    one, two = (
        [(path.name, path.read_bytes()) for path in sorted((tmp_path / name).glob("*.png"))]
        for name in ("one", "two")
    )
    assert len(one) == 19
    assert one == two


def test_a_picture_depends_on_its_number_and_not_on_how_many_there_are(
    model: TextToImage, tmp_path: Path
) -> None:
    order = Order("a dog", seed=5, steps=STEPS)
    run(model, order, tmp_path / "a" / "a.png")
    run(model, replace(order, count=3), tmp_path / "b" / "b.png")
    run(model, replace(order, seed=6), tmp_path / "c" / "c.png")
    one, first, other = (
        load_picture(tmp_path / name, size=32) for name in ("a/a.png", "b/b-000.png", "c/c.png")
    )
    torch.testing.assert_close(one, first, rtol=0, atol=2.1 / 255)
    assert (one - other).abs().max() > 0.1


def test_what_is_there_is_not_painted_again(
    model: TextToImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Order("a dog", count=BLOCK + 2, steps=STEPS)
    before = run(model, order, tmp_path / "a.png")
    (tmp_path / f"a-{BLOCK:03}.png").unlink()
    asked: list[int] = []
    denoiser = TextToImage.denoiser

    def counted(self: TextToImage, prompt: str = "") -> Bound:
        asked.append(1)
        return denoiser(self, prompt)

    monkeypatch.setattr(TextToImage, "denoiser", counted)
    assert run(model, order, tmp_path / "a.png") == before
    assert len(asked) == 2


@pytest.mark.parametrize(
    "other", [{"prompt": "a man"}, {"seed": 1}, {"scale": 2.0}, {"steps": 4}, {"solver": "ddim"}]
)
def test_other_pictures_are_left_alone(
    other: dict[str, Any], model: TextToImage, tmp_path: Path
) -> None:
    order = Order("a dog", steps=STEPS)
    before = run(model, order, tmp_path / "a.png")
    ((name, value),) = other.items()
    why = rf"\({name} was {getattr(order, name)!r}, is now {value!r}\)"
    with pytest.raises(OrderError, match=rf"a\.png is there already, and isn't of .*{why}"):
        run(model, replace(order, **other), tmp_path / "a.png")
    assert run(model, order, tmp_path / "a.png") == before


@pytest.mark.parametrize("text", [None, "{}", "[1]", "my notes"])
def test_pictures_of_others_are_left_alone(
    text: str | None, model: TextToImage, tmp_path: Path, images: Callable[..., Images]
) -> None:
    save_picture(images(1, 3, 32, 32), tmp_path / "a.png", text={CHUNK: text} if text else {})
    with pytest.raises(OrderError, match="isn't of this order: choose another"):
        run(model, Order("a dog", steps=STEPS), tmp_path / "a.png")


def test_each_precision_is_another_order(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", "a dog", "--model", str(folder), "--steps", str(STEPS), "--scale", "3"]
    painted = {}
    for dtype in ("float32", "bfloat16", "float16"):
        told = [*words, "--dtype", dtype, "--out"]
        path = tmp_path / f"{dtype}.png"
        assert main([*told, str(path)]) == 0
        assert main([*told, str(path)]) == 0
        with Image.open(path) as image:
            assert json.loads(image.info["fundiff"])["dtype"] == dtype
        painted[dtype] = load_picture(path, size=32)
        if dtype != "float32":
            assert main([*told, str(tmp_path / "float32.png")]) == 1
            why = f"(dtype was 'float32', is now '{dtype}')"
            assert why in capsys.readouterr().err
    error = (painted["float16"] - painted["float32"]).abs().mean()
    assert error < (painted["bfloat16"] - painted["float32"]).abs().mean() < 0.1


def retrained(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    halves = {name: weight / 2 for name, weight in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(halves, path)


def rescheduled(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace("epsilon", "v_prediction"))


def reworded(folder: Path) -> None:
    path = folder / "text_encoder" / "model.safetensors"
    halves = {name: weight / 2 for name, weight in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(halves, path)


def told(folder: Path) -> None:
    (folder / "prompts.json").write_text('["a dog"]')
    safetensors.torch.save_file({"0": torch.ones(77, 24)}, folder / "prompts.safetensors")


def unclipped(folder: Path) -> None:
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(path.read_text().replace('"thresholding": true', '"thresholding": false'))


def reshaped(folder: Path) -> None:
    path = folder / "unet" / "config.json"
    path.write_text(path.read_text().replace('"act_fn": "gelu"', '"act_fn": "silu"'))


@pytest.mark.parametrize(
    "change",
    [retrained, rescheduled, reworded, told, unclipped, reshaped],
    ids=lambda c: c.__name__,
)
def test_another_model_is_another_order(
    change: Callable[[Path], None], folder: Path, tmp_path: Path
) -> None:
    order, mine = Order("a dog", steps=STEPS), tmp_path / "mine"
    shutil.copytree(folder, mine)
    given = partial(load, mine, device="cpu", dtype=torch.float32)
    first = run(given(), order, tmp_path / "a.png")
    assert run(given(), order, tmp_path / "a.png") == first
    change(mine)
    changed = given()
    with pytest.raises(OrderError, match=r"\(weights was '[0-9a-f]{16}', is now '[0-9a-f]{16}'\)"):
        run(changed, order, tmp_path / "a.png")
    other = run(changed, order, tmp_path / "other" / "a.png")
    assert load_picture(tmp_path / "other" / "a.png").ne(load_picture(tmp_path / "a.png")).any()
    assert other != first


def test_given_embeddings_are_another_order(folder: Path, tmp_path: Path) -> None:
    model, order, out = load(folder, device="cpu"), Order("a dog", steps=STEPS), tmp_path / "a.png"
    run(model, order, out)
    for number, words in enumerate((["a dog"], ["a dog", "a man"])):
        save_embeddings(model, words, tmp_path / "e.safetensors")
        given = load(folder, device="cpu", embeddings=tmp_path / "e.safetensors")
        with pytest.raises(OrderError, match=r"\(embeddings was .*, is now '[0-9a-f]{16}'\)"):
            run(given, order, out)
        out = tmp_path / f"{number}" / "a.png"
        run(given, order, out)


def test_a_compiled_network_is_another_order(model: TextToImage, tmp_path: Path) -> None:
    order = Order("a dog", steps=STEPS)
    run(model, order, tmp_path / "a.png")
    with pytest.raises(OrderError, match=r"\(compiled was None, is now True\)"):
        run(replace(model, compiled=True), order, tmp_path / "a.png")


def test_another_version_is_another_order(
    model: TextToImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Order("a dog", steps=STEPS)
    run(model, order, tmp_path / "a.png")
    monkeypatch.setattr("fundiff.jobs.order.version", lambda name: "9.9")
    with pytest.raises(OrderError, match=r"\(fundiff was '.*', is now '9\.9'\)"):
        run(model, order, tmp_path / "a.png")


def test_all_views_and_splits_have_their_own_words() -> None:
    every: list[Illusion] = [ByView((Identity(), view)) for view in VIEWS.values()]
    every += [ByView((view, Identity())) for view in VIEWS.values()]
    for kernel_size, sigma in ((33, 2.0), (33, 2.5), (31, 2.0)):
        every += list(hybrids(kernel_size=kernel_size, sigma=sigma).values())
    said = [
        str(Order("", illusion=each, others=("",) * (len(each.readings) - 1)).words())
        for each in every
    ]
    same = {words for words in said if said.count(words) > 1}
    assert all("GaussianBlur" not in words and "ByView" not in words for words in same)


def test_a_place_that_cannot_be_written_to_is_refused_before_painting(
    model: TextToImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(TextToImage, "denoiser", lambda *_: pytest.fail("it paints"))
    for out in (tmp_path / "file" / "a.png", Path("/proc/a.png")):
        with pytest.raises(PlaceError, match=f"nothing can be written to {out.parent}"):
            run(model, Order("a dog", steps=STEPS), out)


def test_a_file_that_is_no_picture_is_left_alone(model: TextToImage, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("my notes")
    with pytest.raises(OrderError, match="is there already"):
        run(model, Order("a dog", steps=STEPS), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_text() == "my notes"


def test_an_edit_is_sdedit(model: TextToImage, tmp_path: Path) -> None:
    """With guidance 1 and no thresholding, against the sampling loop itself."""
    plain = replace(model, threshold=None)
    source = picture("campanile", size=32)
    order = Order("a dog", picture=source, i_start=2, scale=1.0, steps=STEPS)
    run(plain, order, tmp_path / "a.png")

    dog, timesteps = plain.denoiser("a dog"), log_snr_timesteps(plain.schedule, STEPS)
    edited = sdedit(dog, plain.schedule, source, timesteps, i_start=2, step=dpm_step)
    painted = load_picture(tmp_path / "a.png", size=32)
    torch.testing.assert_close(painted, edited.clamp(-1, 1), rtol=0, atol=2.1 / 255)


@pytest.mark.parametrize("solver", SOLVERS)
def test_an_order_walks_by_its_solver(solver: str, model: TextToImage, tmp_path: Path) -> None:
    plain = replace(model, threshold=None)
    run(plain, Order("a dog", seed=4, scale=1.0, steps=STEPS, solver=solver), tmp_path / "a.png")
    way, x = SOLVERS[solver], plain.noise(1, 4)
    timesteps = way.timesteps(plain.schedule, STEPS)
    walk = partial(sample, plain.denoiser("a dog"), plain.schedule, x, timesteps)
    painted = load_picture(tmp_path / "a.png", size=32)
    expected = walk(step=way.step, seed=4).clamp(-1, 1)
    torch.testing.assert_close(painted, expected, rtol=0, atol=2.1 / 255)


def test_inpainting_keeps_what_is_outside(model: TextToImage, tmp_path: Path) -> None:
    source = picture("campanile", size=32)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 16:, :] = 1
    order = Order("a dog", picture=source, mask=mask, steps=STEPS, count=2)
    run(model, order, tmp_path / "a.png")
    for path in tmp_path.glob("*.png"):
        painted = load_picture(path, size=32)
        assert to_uint8(painted)[:, :16].equal(to_uint8(source)[:, :16])
        assert not to_uint8(painted)[:, 16:].equal(to_uint8(source)[:, 16:])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 0}, "count and steps must be at least 1"),
        ({"steps": 0}, "count and steps must be at least 1"),
        ({"solver": "euler"}, "no solver 'euler'; known are ddim, ddpm, dpm, dpm-sde"),
        ({"seed": -1}, "the seed in"),
        ({"scale": float("nan")}, "the scale must be a number from -1000 to 1000, got nan"),
        ({"scale": float("-inf")}, "the scale must be a number from -1000 to 1000, got -inf"),
        ({"scale": 1e30}, r"the scale must be a number from -1000 to 1000, got 1e\+30"),
        (
            {"picture": torch.zeros(1, 3, 32, 32), "mask": torch.zeros(1, 1, 32, 32)},
            "the mask marks nothing",
        ),
        ({"i_start": 3}, "need a picture"),
        ({"mask": torch.ones(1, 1, 32, 32)}, "need a picture"),
    ],
)
def test_orders_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(OrderError, match=message):
        replace(Order("a dog"), **changes)


def test_walks_and_names_that_make_no_sense_are_refused(model: TextToImage, tmp_path: Path) -> None:
    for name in ("a.jpg", "."):
        with pytest.raises(FundiffError, match=r"a name that ends in \.png, got"):
            run(model, Order("a dog"), Path(name))
    with pytest.raises(FundiffError, match="a count from 1 to 991, got None and 992"):
        run(model, Order("a dog", steps=992), tmp_path / "a.png")
    source = picture("campanile", size=32)
    with pytest.raises(OrderError, match="index from 0 to 2, got 3"):
        run(model, Order("", picture=source, i_start=3, steps=STEPS), tmp_path / "a.png")


def test_commands_paint_as_orders_do_by_default() -> None:
    assert (
        Order.scale,
        Order.steps,
        Order.solver,
    ) == (paint_cli.SCALE, paint_cli.STEPS, paint_cli.SOLVER)


def test_the_command_line_paints(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: Callable[..., Images]
) -> None:
    monkeypatch.setenv("FUNDIFF_MODEL", str(folder))
    save_picture(images(1, 3, 40, 40), tmp_path / "in.png")
    Image.new("L", (40, 40), 255).save(tmp_path / "mask.png")
    options = ["--steps", str(STEPS), "--seed", "3", "--solver", "dpm", "--out"]
    out = [str(tmp_path / f"{i}.png") for i in range(4)]
    source, mask, told = str(tmp_path / "in.png"), str(tmp_path / "mask.png"), "a man"
    assert main(["sample", told, *options, out[0]]) == 0
    assert main(["edit", source, "--prompt", told, "--i-start", "1", *options, out[1]]) == 0
    assert main(["inpaint", source, mask, "--prompt", told, *options, out[2]]) == 0
    assert main(["edit", source, "--prompt", told, *options, out[3]]) == 0
    assert Path(out[3]).read_bytes() == Path(out[1]).read_bytes(), "starts at a third of the steps"
    for path in out:
        with Image.open(path) as image:
            assert image.size == (32, 32)
            said = json.loads(image.info["fundiff"])
        assert (said["prompt"], said["seed"], said["engine"]) == (told, 3, folder.name)
        assert (said["steps"], said["solver"]) == (STEPS, "dpm")
        assert said["weights"] == load(folder).digest


def test_a_link_to_a_file_that_is_not_there_is_followed(model: TextToImage, tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("new/b.png")
    run(model, Order("a dog", steps=STEPS), tmp_path / "a.png")
    assert (tmp_path / "new" / "b.png").is_file()


def test_a_picture_too_large_to_read_is_left_alone(model: TextToImage, tmp_path: Path) -> None:
    size = (30_000).to_bytes(4, "big")
    head = b"IHDR" + size + size + b"\x08\x02\0\0\0"
    content = b"\x89PNG\r\n\x1a\n\0\0\0\r" + head + zlib.crc32(head).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(OrderError, match=r"a\.png is there already"):
        run(model, Order("a dog", steps=STEPS), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() == content


def test_a_prompt_that_is_no_text_is_refused(model: TextToImage) -> None:
    with pytest.raises(FundiffError, match=r"a prompt in UTF-8, found: 'a \\udcff dog'"):
        model.denoiser("a \udcff dog")


def test_embeddings_find_their_place_before_the_encoder_works(
    model: TextToImage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.safetensors").symlink_to("new/b.safetensors")
    save_embeddings(model, ["a dog"], tmp_path / "a.safetensors")
    assert (tmp_path / "new" / "b.safetensors").is_file()
    monkeypatch.setattr(TextToImage, "encode", None)
    with pytest.raises(OccupiedError, match="new is a folder: name a file in it"):
        save_embeddings(model, ["a dog"], tmp_path / "new")


def test_the_command_line_embeds(folder: Path, tmp_path: Path) -> None:
    bare, kept = tmp_path / "bare", str(tmp_path / "e.safetensors")
    tiny_floyd.stage_one(bare, encoder=False)
    assert main(["embed", "a dog", "--model", str(folder), "--out", kept]) == 0
    words = ["sample", "a dog", "--model", str(bare), "--steps", str(STEPS)]
    out = ["--out", str(tmp_path / "a.png")]
    assert main([*words, *out]) == 1
    assert main([*words, "--embeddings", kept, *out]) == 0


def test_the_command_line_says_what_is_wrong_in_a_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--model", str(folder), "--out", str(tmp_path / "a.png")]
    assert main(["sample", "a dog", "--count", "0", *out]) == 1
    assert "count and steps must be at least 1" in capsys.readouterr().err
    assert main(["edit", str(tmp_path / "none.png"), "--prompt", "a dog", *out]) == 1
    assert "none.png" in capsys.readouterr().err
    assert main(["sample", "a dog", "--model", str(tmp_path), "--out", "a.png"]) == 1
    assert "neither a folder in IF's format" in capsys.readouterr().err
