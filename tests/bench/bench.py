"""Time the library beside named peers, in turns in the same run, and say by how much it differs."""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import bench_digits
import bench_training
import torch
from diffusers import DPMSolverMultistepScheduler, IFPipeline

from fundiff.files import require_free, write
from fundiff.guidance import guided
from fundiff.jobs.order import Order
from fundiff.models.if_model import BUNDLED, TextToImage, load
from fundiff.models.image_text import ImageTextEncoder
from fundiff.models.placement import this_machine
from fundiff.models.weights import shipped
from fundiff.recipes.text_to_image import PROMPTS
from fundiff.sampling import sample
from fundiff.solvers import SOLVERS
from fundiff.types import Images

PROMPT, COUNT, SCALE = "a photo of a dog", 5, Order.scale


@dataclass(frozen=True)
class Row:
    """How one contender did.

    Attributes:
        name: What it is.
        seconds: The median of its runs.
        ratio: The median over the runs of its time by its peer's in the same round.
        least: The smallest of these ratios.
        most: The largest.
    """

    name: str
    seconds: float
    ratio: float
    least: float
    most: float


def compare(contenders: Mapping[str, Callable[[], object]], runs: int) -> list[Row]:
    """Time contenders in turns, after one run of each that isn't counted.

    Args:
        contenders: What to call, by name; the first is the peer.
        runs: How many rounds.

    Returns:
        A row for each, in their order.
    """
    for call in contenders.values():
        call()
        finish()
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(runs):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            finish()
            times[name].append(time.perf_counter() - start)
    peer = next(iter(times.values()))
    rows = []
    for name, spent in times.items():
        ratios = [mine / theirs for mine, theirs in zip(spent, peer, strict=True)]
        median = statistics.median(ratios)
        rows.append(Row(name, statistics.median(spent), median, min(ratios), max(ratios)))
    return rows


def finish() -> None:
    """Wait for what a GPU was given to do."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def theirs(model: TextToImage, *, dpm: bool = False, **steps: object) -> Callable[[], object]:
    """Make diffusers' pipeline on the same weights, by its own scheduler or by DPM-Solver++."""
    pipeline = IFPipeline.from_pretrained(shipped(BUNDLED), dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    if dpm:  # it has no use for a learned variance, which the pipeline then takes away
        config = pipeline.scheduler.config
        pipeline.scheduler = DPMSolverMultistepScheduler.from_config(config, variance_type=None)
    pipeline.to(model.device)
    uncond, cond = model.encode(["", PROMPT]).split(1)

    def paint() -> object:
        return pipeline(
            prompt_embeds=cond.expand(COUNT, -1, -1),
            negative_prompt_embeds=uncond.expand(COUNT, -1, -1),
            guidance_scale=SCALE,
            generator=torch.Generator().manual_seed(0),
            output_type="pt",
            **steps,
        )

    return paint


def by_default() -> dict[str, Callable[[], object]]:
    """As each paints unless it is told otherwise, and diffusers in as many steps as we take."""
    model, steps, whole = load(BUNDLED), Order.steps, len(load(BUNDLED).schedule.timesteps())
    return {
        "diffusers.IFPipeline: DDPM, 100 steps": theirs(model),
        f"diffusers.IFPipeline: DPM-Solver++, {steps} steps": theirs(
            model, dpm=True, num_inference_steps=steps
        ),
        f"fundiff: DDIM, {whole} steps": lambda: ours(model, steps=whole),
        f"fundiff, as its commands paint: DPM-Solver++, {steps} steps": lambda: ours(
            model, steps=steps, solver=Order.solver
        ),
    }


def sampling() -> dict[str, Callable[[], object]]:
    """Five guided samples in 34 steps, beside diffusers' pipeline on the same weights."""
    model = load(BUNDLED)
    peer = theirs(model, timesteps=model.schedule.timesteps())
    contenders: dict[str, Callable[[], object]] = {"diffusers.IFPipeline, float32": peer}
    contenders[f"fundiff, as loaded: {model.placement}"] = lambda: ours(model)
    if model.placement.dtype != torch.float32:
        equal = load(BUNDLED, dtype=torch.float32)
        contenders["fundiff, float32"] = lambda: ours(equal)
    compiled = load(BUNDLED, compiled=True)
    contenders["fundiff, as loaded, compiled"] = lambda: ours(compiled)
    return contenders


def fits() -> dict[str, float]:
    """Say how well samples fit their prompts, in the precision of choice and in float32.

    Returns:
        By precision, the mean cosine of picture and prompt by the image-text encoder: five samples
        of each of the book's prompts.
    """
    encoder, found = ImageTextEncoder.load(), {}
    for dtype in dict.fromkeys([load(BUNDLED).placement.dtype, torch.float32]):
        model = load(BUNDLED, dtype=dtype)
        seen = torch.cat([encoder.images(ours(model, prompt).clamp(-1, 1)) for prompt in PROMPTS])
        told = encoder.texts(model.encode(PROMPTS).cpu()).repeat_interleave(COUNT, dim=0)
        found[str(dtype).removeprefix("torch.")] = (seen * told).sum(dim=1).mean().item()
    return found


def quality(found: Mapping[str, float]) -> str:
    """Say what :func:`fits` found in a sentence of the book."""
    words = ", ".join(f"{value:.3f} in {name}" for name, value in found.items())
    return (
        f"Mean cosine of picture and prompt, {COUNT} samples of each of {len(PROMPTS)} prompts: "
        f"{words}.\n"
    )


def table(title: str, rows: list[Row]) -> str:
    """Write the rows as a table of the book."""
    lines = [
        f":::{{table}} {title}",
        ":align: left",
        "",
        "| | Seconds | Ratio | From … to |",
        "|---|---|---|---|",
        *(f"| {row.name} | {row.seconds:.2f} | {_numbers(row)} |" for row in rows),
        ":::",
        "",
    ]
    return "\n".join(lines)


def _is_table(path: Path) -> bool:
    return path.is_file() and path.read_bytes().startswith(b":::{table}")


def _numbers(row: Row) -> str:
    """Write a row's ratios so that no narrow page breaks them."""
    ratio, range_ = f"× {row.ratio:.2f}", f"{row.least:.2f} … {row.most:.2f}"
    return " | ".join(cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in (ratio, range_))


def conditions(runs: int) -> str:
    """Say what everything was measured on."""
    here = this_machine()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "diffusers"))
    words = f"{here.gpu or 'no GPU'}, {here.cores} cores, {versions}"
    return f"Medians of {runs} rounds on {datetime.now(UTC).date().isoformat()}: {words}.\n"


@torch.inference_mode()
def ours(
    model: TextToImage, prompt: str = PROMPT, *, steps: int = 34, solver: str = "ddim"
) -> Images:
    """Paint the same number of pictures."""
    denoiser = guided(model.denoiser(prompt), model.denoiser(), scale=SCALE)
    way, x = SOLVERS[solver], model.noise(COUNT)
    timesteps = way.timesteps(model.schedule, steps)
    return sample(denoiser, model.schedule, x, timesteps, step=way.step).cpu()


TABLES: dict[str, Callable[[], dict[str, Callable[[], object]]]] = {
    f"{COUNT} guided samples of 64 × 64 pixels in 34 steps": sampling,
    f"{COUNT} guided samples, in as many steps as each takes": by_default,
    f"Training on {bench_digits.TRAINED} batches of {bench_digits.BATCH} digits": (
        bench_digits.training
    ),
    f"{bench_training.STEPS} steps of training beside a network of a few weights": (
        bench_training.training
    ),
    f"100 guided digits in {bench_digits.WALK} steps": bench_digits.sampling,
}


def main() -> None:
    """Run the benchmarks, print their tables, and keep them where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="how many rounds")
    parser.add_argument("--out", type=Path, help="a file for the book to write")
    options = parser.parse_args()
    if options.out:
        require_free(options.out, _is_table, kind="a file of such tables")
    tables = []
    for title, contenders in TABLES.items():
        rows = compare(contenders(), options.runs)
        tables.append(table(title, rows))
        print(title)
        for row in rows:
            spread = f"{row.least:.2f} to {row.most:.2f}"
            print(f"{row.name:48} {row.seconds:7.2f} s   × {row.ratio:.2f} ({spread})")
    words = f"{quality(fits())}\n{bench_digits.weights_and_operations()}"
    print(words, end="")
    if options.out:
        tables += [conditions(options.runs), words]
        write(options.out, "\n".join(tables).encode())


if __name__ == "__main__":
    main()
