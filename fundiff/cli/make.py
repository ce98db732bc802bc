"""The commands that train and measure what the project ships."""

import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import psutil
import typer

from fundiff.cli.paint import require_known
from fundiff.errors import FundiffError
from fundiff.files import require_writable

if TYPE_CHECKING:
    from fundiff.recipes.runner import Recipe

BUILD = Path("_build")
"""Where what is made lies, unless another place is named."""

EVERY = 30.0
"""How many seconds pass between two lines of a log, where there is no terminal to show a bar."""

NEW_PROMPTS = ("a photo of a tower", "a photo of a landscape")
"""What the second edition of the training set is also counted for."""


def _names() -> list[str]:
    from fundiff.recipes.registry import RECIPES

    return [*RECIPES]


Name = Annotated[str, typer.Argument(autocompletion=_names, help="the recipe, such as mnist-class")]
Preset = Annotated[Literal["cpu", "full"], typer.Option(help="its length, for two cores or a GPU")]
Data = Annotated[Path | None, typer.Option(help="the folder of the training set, or of MNIST")]
Sprites = Annotated[Path, typer.Option("--data", help="the training set")]
Compiled = Annotated[bool, typer.Option("--compile", help="compile the network")]
Runs = Annotated[Path, typer.Option(help="the folder of what stopped runs have made")]
Out = Annotated[Path, typer.Option(help="the folder to write")]
IfStale = Annotated[bool, typer.Option("--if-stale", help="only if what is there is old")]


def emoji(
    out: Out = BUILD / "emoji",
    count: Annotated[
        int, typer.Option(help="build nothing, and count what so many captions bear on")
    ] = 0,
    edition: Annotated[int, typer.Option(help="of which edition, with --count")] = 2,
) -> None:
    """Build the training set of the bundled model; needs npm."""
    from fundiff.painters.emoji.sprites import build

    if count < 0:
        raise FundiffError(f"--count must be 0 or more, got {count}")
    folder = out.resolve()  # npm is called from another folder
    if count:
        _print_bearing(folder, count, edition)
        return
    build(folder, folder / "packages")
    print(f"the training set is in {out}")


def characters(
    out: Out = BUILD / "characters",
) -> None:
    """Build the sheets of digits that come with the library; needs npm."""
    from fundiff.painters.characters.build import build

    folder = out.resolve()  # npm is called from another folder
    for path in build(folder, folder / "packages"):
        print(path)


def train(
    name: Name,
    preset: Preset = "cpu",
    minutes: Annotated[float, typer.Option(help="stop after so long")] = math.inf,
    if_stale: Annotated[
        bool, typer.Option("--if-stale", help="only if the weights are old")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="also weights of preset full, if they are old")
    ] = False,
    init: Annotated[Path | None, typer.Option(help="a folder of weights to start from")] = None,
    compiled: Compiled = False,
    fit: Annotated[
        bool, typer.Option("--fit", help="as many steps as fit into --minutes, and no more")
    ] = False,
    data: Data = None,
    runs: Runs = BUILD / "runs",
    out: Annotated[Path | None, typer.Option(help="the folder of weights to write")] = None,
    pack: Annotated[
        bool, typer.Option("--pack", help="train nothing here: pack it for another machine")
    ] = False,
    wheel: Annotated[
        list[str] | None, typer.Option(help="a package that goes along, with --pack")
    ] = None,
    python: Annotated[str, typer.Option(help="the Python there, with --pack")] = "3.12",
    unpack: Annotated[
        Path | None, typer.Option(help="train nothing: put in place what came back, this folder")
    ] = None,
) -> None:
    """Train what the project ships; the same command goes on where it was stopped."""
    from tqdm import tqdm

    from fundiff.recipes.runner import KEPT, is_kept
    from fundiff.training.plan import Report

    if not minutes >= 0:
        raise FundiffError(f"--minutes must be 0 or more, got {minutes}")
    if fit and minutes == math.inf:
        raise FundiffError("--fit needs --minutes: how long the run may take")
    recipe, title = _recipe(name), f"{name}-{preset}"
    if pack or unpack:
        from fundiff.recipes import parcel

        if name != "text-to-image" or init or (pack and unpack):
            raise FundiffError("only text-to-image travels, without --init, and one way at a time")
        if pack:
            out, packages = out or BUILD / "parcel", wheel or parcel.WHEELS
            sizes = parcel.pack(preset, data, out, minutes=minutes, wheels=packages, python=python)
            print("\n".join(f"{size / 1e6:6.1f} MB  {part}" for part, size in sizes.items()))
            return
    out = out or BUILD / "weights" / title
    if unpack:
        card = parcel.unpack(unpack, out, preset)
        print(f"{out} has what came back, {card.steps} steps")
        return
    if if_stale and not recipe.is_stale(out, preset):
        print(f"{out} is up to date")
        return
    if if_stale and is_kept(out) and not replace:
        print(
            f"{out} is of the preset {KEPT}, and its recipe has moved on since: it is kept; "
            "--replace trains it again"
        )
        return
    require_writable(runs)
    steps = None if fit else recipe.preset(preset).plan.steps
    seconds, said = 60 * minutes, time.monotonic()
    if fit:  # the time of starting counts, too
        seconds -= time.time() - psutil.Process().create_time()
    with tqdm(total=steps, desc=title, unit="step", disable=None) as bar:

        def say(report: Report) -> None:
            nonlocal said
            bar.set_postfix(loss=f"{report.loss:.4f}", refresh=False)
            bar.update(report.step - bar.n)
            if bar.disable and time.monotonic() - said > EVERY:
                said = time.monotonic()
                print(f"{report.step} steps, loss {report.loss:.4f}", flush=True)

        card = recipe.run(
            preset,
            data,
            runs / title,
            out,
            seconds=seconds,
            init=init,
            compiled=compiled,
            fit=fit,
            say=say,
        )
    print(f"{card.steps} of {card.plan['steps']} steps made")


def profile(
    name: Name,
    preset: Preset = "cpu",
    seconds: Annotated[float, typer.Option(help="how long is timed")] = 60.0,
    compiled: Compiled = False,
    data: Data = None,
) -> None:
    """Say how fast a recipe trains here, and why."""
    from fundiff.recipes.profiling import profiled

    if not 0 < seconds < math.inf:
        raise FundiffError(f"--seconds must be a number above 0, got {seconds}")
    recipe = _recipe(name)
    plan = recipe.preset(preset).plan
    found = profiled(recipe.run, plan, preset, data, seconds=seconds, compiled=compiled)
    print("\n".join(found.lines()))


def trial(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", autocompletion=_names, help="the recipes; all by default"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="the folder of the sprites")] = None,
    stamp: Annotated[
        Path | None,
        typer.Option(help="what it said before: where it's the same, the cards become new"),
    ] = None,
) -> None:
    """Say what twenty steps of recipes give on this machine."""
    from fundiff.models.weights import shipped

    before = stamp.read_text(encoding="utf-8", errors="replace").splitlines() if stamp else None
    for name in names or _names():
        recipe, folder = _recipe(name), shipped(name)
        given = None if name.startswith(("mnist", "glyph")) else data
        line = f"{name} {recipe.trial(given)}"
        print(line, flush=True)
        if before is not None:
            if line not in before:
                raise FundiffError(f"{name} learns something else than {stamp} says: train it")
            recipe.stamp(folder, given)


def score(
    count: Annotated[int, typer.Option(help="how many pictures at each scale")] = 500,
    beside: Annotated[Path | None, typer.Option(help="weights to compare with")] = None,
    compiled: Compiled = False,
    data: Sprites = BUILD / "emoji",
    if_stale: IfStale = False,
    runs: Runs = BUILD / "runs",
    out: Out = BUILD / "weights" / "scores",
) -> None:
    """Measure the bundled model's pictures."""
    from fundiff.recipes import sample_scores

    run = partial(sample_scores.run, data, pictures=count, beside=beside, compiled=compiled)
    fresh = if_stale and not sample_scores.is_stale(out)
    _measure(fresh, runs / sample_scores.NAME, out, run)


def steps(
    count: Annotated[int, typer.Option(help="how many pictures in each way")] = 500,
    compiled: Compiled = False,
    data: Sprites = BUILD / "emoji",
    if_stale: IfStale = False,
    runs: Runs = BUILD / "runs",
    out: Out = BUILD / "weights" / "steps",
) -> None:
    """Measure what fewer steps cost, by solver."""
    from fundiff.recipes import step_counts

    run = partial(step_counts.run, data, pictures=count, compiled=compiled)
    fresh = if_stale and not step_counts.is_stale(out)
    _measure(fresh, runs / step_counts.NAME, out, run)


def compare(
    data: Sprites = BUILD / "emoji",
    if_stale: IfStale = False,
    runs: Runs = BUILD / "runs",
    out: Out = BUILD / "weights" / "ablations",
) -> None:
    """Try the bundled model's choices in short runs."""
    from fundiff.recipes import ablations

    fresh = if_stale and not ablations.is_stale(out)
    _measure(fresh, runs / ablations.NAME, out, partial(ablations.run, data))


def illusions(
    seeds: Annotated[int, typer.Option(help="how many pictures of each")] = 24,
    compiled: Compiled = False,
    if_stale: IfStale = False,
    runs: Runs = BUILD / "runs",
    out: Out = BUILD / "weights" / "illusions",
) -> None:
    """Score the bundled model's anagrams and hybrids."""
    from fundiff.recipes import illusion_scores

    fresh = if_stale and not illusion_scores.is_stale(out, seeds=seeds)
    run = partial(illusion_scores.run, seeds=seeds, compiled=compiled)
    _measure(fresh, runs / illusion_scores.NAME, out, run)


def _print_bearing(folder: Path, count: int, edition: int) -> None:
    from fundiff.painters.emoji.coverage import bearing
    from fundiff.painters.emoji.dataset import EmojiPictures
    from fundiff.recipes.text_to_image import PROMPTS

    pictures = EmojiPictures(folder, seed=0, edition=edition)
    captions = [pictures[index].caption for index in range(count)]
    print(f"edition {edition}, {count} captions\n  whole subject  prompt")
    for prompt, found in bearing(captions, (*PROMPTS, *NEW_PROMPTS)).items():
        print(f"{found.whole:7} {found.subject:7}  {prompt}")


def _recipe(name: str) -> "Recipe":
    from fundiff.recipes.registry import RECIPES

    require_known([name], RECIPES, "recipe")
    return RECIPES[name]


def _measure(fresh: bool, runs: Path, out: Path, run: Callable[..., object]) -> None:
    """Measure unless the results are up to date, with a progress bar."""
    from tqdm import tqdm

    if fresh:
        print(f"{out} is up to date")
        return
    require_writable(runs)
    with tqdm(desc=runs.name, unit="picture", disable=None) as bar:

        def say(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        run(runs, out, say=say)
    print(f"the results are in {out}")
