"""The command line: ``python -m fundiff train NAME`` and what goes with it."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from fundiff.checkpoints import RunError
from fundiff.emoji.rasters import SpriteError
from fundiff.emoji.sources import SourceError
from fundiff.emoji.sprites import build
from fundiff.pretrained import WeightsError
from fundiff.recipes import TEXT_TO_IMAGE, is_stale, run_text_to_image
from fundiff.text_encoder import EncoderError
from fundiff.training import Report

EMOJI = Path("_build") / "emoji"


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
    training = commands.add_parser("train", help="train what the project ships")
    training.add_argument("name", choices=["text-to-image"], help="the recipe")
    training.add_argument("--preset", choices=[*TEXT_TO_IMAGE], default="cpu")
    training.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    training.add_argument("--if-stale", action="store_true", help="only if the weights are old")
    training.add_argument("--init", type=Path, help="a folder of weights to start from")
    training.add_argument("--compile", action="store_true", help="compile the network")
    training.add_argument("--data", type=Path, default=EMOJI, help="the training set")
    training.add_argument("--runs", type=Path, default=Path("_build") / "runs")
    training.add_argument("--out", type=Path, help="the folder of weights to write")
    training.set_defaults(run=_train)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (EncoderError, RunError, SourceError, SpriteError, WeightsError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _emoji(options: argparse.Namespace) -> None:
    build(options.out, options.out / "packages")
    print(f"the training set is in {options.out}")


def _train(options: argparse.Namespace) -> None:
    name = f"{options.name}-{options.preset}"
    out = options.out or Path("_build") / "weights" / name
    if options.if_stale and not is_stale(out, options.preset):
        print(f"{out} is up to date")
        return
    steps = TEXT_TO_IMAGE[options.preset].plan.steps
    with tqdm(total=steps, desc=name, unit="step", disable=None) as bar:

        def say(report: Report) -> None:
            bar.set_postfix(loss=f"{report.loss:.4f}", refresh=False)
            bar.update(report.step - bar.n)

        card = run_text_to_image(
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


if __name__ == "__main__":
    sys.exit(main())
