from pathlib import Path

import safetensors.torch
import torch
from diffusers import IFPipeline

from fundiff.folded import new_unet
from fundiff.schedule import NoiseSchedule
from fundiff.text_to_image import folder_contents, read_unet

SCHEDULE = NoiseSchedule.cosine()


def test_folder_is_one_that_diffusers_loads(tmp_path: Path) -> None:
    unet = new_unet((32, 32), layers=1, attend=1).eval()
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
