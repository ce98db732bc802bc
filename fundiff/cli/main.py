"""The command line: paint with a model, or make one."""

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from accelerate import PartialState
from tqdm import tqdm

from fundiff.cli.commands import (
    add_illusions,
    add_measuring_options,
    add_painting_options,
    measure,
    model_of,
    paint_order,
)
from fundiff.cli.doctor import checkup
from fundiff.data.labelled import LabelledError
from fundiff.data.pictures import PictureError, load_mask, load_picture
from fundiff.files import OccupiedError
from fundiff.jobs.order import Order, OrderError
from fundiff.models.embeddings import EmbeddingsError
from fundiff.models.if_format import ModelError
from fundiff.models.if_model import load, save_embeddings
from fundiff.models.placement import MemoryShortageError
from fundiff.models.text_encoder import EncoderError
from fundiff.models.weights import WeightsError, shipped
from fundiff.painters.characters import build as sheets
from fundiff.painters.emoji.rasters import SpriteError
from fundiff.painters.emoji.sources import SourceError
from fundiff.painters.emoji.sprites import build
from fundiff.recipes import ablations, sample_scores
from fundiff.recipes.profiling import SECONDS, profiled
from fundiff.recipes.registry import RECIPES
from fundiff.recipes.runner import KEPT, is_kept
from fundiff.recipes.text_to_image import EMOJI
from fundiff.training.checkpoints import RunError
from fundiff.training.plan import Report

CHARACTERS = Path("_build") / "characters"

_ERRORS = (
    EmbeddingsError,
    EncoderError,
    LabelledError,
    MemoryShortageError,
    ModelError,
    OccupiedError,
    OrderError,
    PictureError,
    RunError,
    SourceError,
    SpriteError,
    WeightsError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words of the command; by default those that the program was called with.

    Returns:
        0, or 1 after an error, which is said on stderr.
    """
    parser = argparse.ArgumentParser(prog="python -m fundiff", description=__doc__)
    commands = parser.add_subparsers(required=True)
    emoji = commands.add_parser(
        "emoji", help="build the training set of the bundled model; needs npm"
    )
    emoji.add_argument("--out", type=Path, default=EMOJI, help="the folder to build it in")
    emoji.set_defaults(run=_emoji)
    characters = commands.add_parser(
        "characters", help="build the sheets of digits that come with the library; needs npm"
    )
    characters.add_argument("--out", type=Path, default=CHARACTERS, help="the folder for them")
    characters.set_defaults(run=_characters)
    training = commands.add_parser("train", help="train what the project ships")
    training.add_argument("name", choices=[*RECIPES], help="the recipe")
    training.add_argument("--preset", choices=["cpu", "full"], default="cpu")
    training.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    training.add_argument("--if-stale", action="store_true", help="only if the weights are old")
    training.add_argument(
        "--replace", action="store_true", help="also weights of preset full, if they are old"
    )
    training.add_argument("--init", type=Path, help="a folder of weights to start from")
    training.add_argument("--compile", action="store_true", help="compile the network")
    training.add_argument("--data", type=Path, help="the folder of the training set, or of MNIST")
    training.add_argument("--runs", type=Path, default=Path("_build") / "runs")
    training.add_argument("--out", type=Path, help="the folder of weights to write")
    training.set_defaults(run=_train)
    profiling = commands.add_parser("profile", help="say how fast a recipe trains here, and why")
    profiling.add_argument("name", choices=[*RECIPES], help="the recipe")
    profiling.add_argument("--preset", choices=["cpu", "full"], default="cpu")
    profiling.add_argument("--seconds", type=float, default=SECONDS, help="how long is timed")
    profiling.add_argument("--compile", action="store_true", help="compile the network")
    profiling.add_argument("--data", type=Path, help="the folder of the training set, or of MNIST")
    profiling.set_defaults(run=_profile)
    trial = commands.add_parser(
        "trial", help="say what twenty steps of recipes give on this machine"
    )
    trial.add_argument("names", nargs="*", default=[*RECIPES], metavar="name", help="the recipes")
    trial.add_argument("--data", type=Path, help="the folder of the sprites")
    trial.add_argument(
        "--stamp", type=Path, help="what it said before: where it's the same, the cards become new"
    )
    trial.set_defaults(run=_trial)
    scoring = commands.add_parser("score", help="measure the bundled model's pictures")
    scoring.add_argument("--count", type=int, default=500, help="how many pictures at each scale")
    scoring.add_argument("--data", type=Path, default=EMOJI, help="the training set")
    add_measuring_options(scoring, sample_scores.NAME)
    scoring.set_defaults(run=_score)
    comparing = commands.add_parser("compare", help="try the bundled model's choices in short runs")
    comparing.add_argument("--data", type=Path, default=EMOJI, help="the training set")
    add_measuring_options(comparing, ablations.NAME)
    comparing.set_defaults(run=_compare)
    _add_painting(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except _ERRORS as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _add_painting(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sample = commands.add_parser("sample", help="paint pictures of a prompt")
    sample.add_argument("prompt", help="what they should show")
    edit = commands.add_parser("edit", help="edit a picture towards a prompt, by SDEdit")
    edit.add_argument("picture", type=Path, help="the picture to edit")
    edit.add_argument(
        "--i-start",
        type=int,
        default=10,
        help="the index of the timestep to start at: the larger, the more is kept",
    )
    inpaint = commands.add_parser("inpaint", help="repaint a part of a picture")
    inpaint.add_argument("picture", type=Path, help="the picture")
    inpaint.add_argument("mask", type=Path, help="white where to repaint, black where to keep")
    for command in (edit, inpaint):
        command.add_argument("--prompt", required=True, help="what it should show")
    for command in (sample, edit, inpaint):
        command.add_argument("--count", type=int, default=1, help="how many pictures")
        add_painting_options(command)
        command.set_defaults(run=_paint, picture=None, mask=None, i_start=0)
    edit.set_defaults(i_start=10)
    add_illusions(commands)
    embed = commands.add_parser("embed", help="encode prompts once, to spare the encoder later")
    embed.add_argument("prompts", nargs="+", help="the prompts")
    embed.add_argument("--model", help="a folder or a name on the hub; $FUNDIFF_MODEL")
    embed.add_argument("--out", type=Path, required=True, help="the safetensors file to write")
    embed.set_defaults(run=_embed)
    doctor = commands.add_parser("doctor", help="say what this machine can run, and how")
    doctor.set_defaults(run=_doctor)


def _doctor(options: argparse.Namespace) -> None:
    for line in checkup():
        print(line)


def _embed(options: argparse.Namespace) -> None:
    save_embeddings(load(options.model), options.prompts, options.out)
    print(f"{len(options.prompts)} prompts are in {options.out}")


def _paint(options: argparse.Namespace) -> None:
    where = PartialState()
    model = model_of(options, where)
    mask, picture = options.mask, options.picture
    order = Order(
        prompt=options.prompt,
        seed=options.seed,
        count=options.count,
        scale=options.scale,
        stride=options.stride,
        picture=picture and load_picture(picture, size=model.size),
        mask=mask and load_mask(mask, size=model.size),
        i_start=options.i_start,
    )
    paint_order(model, order, options.out, where)


def _emoji(options: argparse.Namespace) -> None:
    folder = options.out.resolve()  # npm is called from another folder
    build(folder, folder / "packages")
    print(f"the training set is in {options.out}")


def _characters(options: argparse.Namespace) -> None:
    folder = options.out.resolve()  # npm is called from another folder
    for path in sheets.build(folder, folder / "packages"):
        print(path)


def _train(options: argparse.Namespace) -> None:
    recipe, name = RECIPES[options.name], f"{options.name}-{options.preset}"
    out = options.out or Path("_build") / "weights" / name
    if options.if_stale and not recipe.is_stale(out, options.preset):
        print(f"{out} is up to date")
        return
    if options.if_stale and is_kept(out) and not options.replace:
        print(
            f"{out} is of the preset {KEPT}, and its recipe has moved on since: it is kept; "
            "--replace trains it again"
        )
        return
    steps = recipe.preset(options.preset).plan.steps
    with tqdm(total=steps, desc=name, unit="step", disable=None) as bar:

        def say(report: Report) -> None:
            bar.set_postfix(loss=f"{report.loss:.4f}", refresh=False)
            bar.update(report.step - bar.n)

        card = recipe.run(
            options.preset,
            options.data,
            options.runs / name,
            out,
            seconds=60 * options.minutes,
            init=options.init,
            compiled=options.compile,
            say=say,
        )
    print(f"{card.steps} of {steps} steps made")


def _profile(options: argparse.Namespace) -> None:
    recipe = RECIPES[options.name]
    found = profiled(
        recipe.run,
        recipe.preset(options.preset).plan,
        options.preset,
        options.data,
        seconds=options.seconds,
        compiled=options.compile,
    )
    print("\n".join(found.lines()))


def _trial(options: argparse.Namespace) -> None:
    before = options.stamp and options.stamp.read_text(encoding="utf-8").splitlines()
    for name in options.names:
        recipe, folder = RECIPES[name], shipped(name)
        digits = name.startswith(("mnist", "glyph"))
        data = None if digits else options.data
        line = f"{name} {recipe.trial(data)}"
        print(line, flush=True)
        if before is not None:
            if line not in before:
                raise RunError(f"{name} learns something else than {options.stamp} says: train it")
            recipe.stamp(folder, data)


def _score(options: argparse.Namespace) -> None:
    measuring = partial(sample_scores.run, options.data, pictures=options.count)
    measure(options, sample_scores.NAME, sample_scores.is_stale, measuring)


def _compare(options: argparse.Namespace) -> None:
    measuring = partial(ablations.run, options.data)
    measure(options, ablations.NAME, ablations.is_stale, measuring)
