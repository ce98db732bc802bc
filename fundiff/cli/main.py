"""The command line's one door: its commands, and how they end.

What a user can mend ends with one line on stderr and 1; Ctrl-C with one line and 130.
"""

import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import typer
from typer.core import TyperGroup

from fundiff.cli import make, paint
from fundiff.errors import FundiffError, FundiffWarning

STOPPED = 130
"""What the shell is told of a command that Ctrl-C stopped."""


class Door(TyperGroup):
    """The commands, whose errors leave here."""

    def invoke(self, ctx: Any) -> object:  # noqa: ANN401  # typer keeps its type private
        """Run a command, and say how it ended where it didn't end well."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click knows how to end when nobody reads on
            raise
        except (FundiffError, OSError) as error:
            print(*str(error).split("\n"), file=sys.stderr)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            print("\nstopped: what is finished is kept", file=sys.stderr)
            raise typer.Exit(STOPPED) from error


APP = typer.Typer(
    cls=Door,
    help="Paint with diffusion models, or make one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, commands in (
    ("Paint", (paint.sample, paint.edit, paint.inpaint, paint.anagram, paint.hybrid)),
    ("Prepare", (paint.embed, paint.doctor)),
    ("Train", (make.emoji, make.characters, make.train, make.profile, make.trial)),
    ("Measure", (make.score, make.steps, make.compare, make.illusions)),
):
    for command in commands:
        APP.command(rich_help_panel=panel)(command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words of the command; by default those that the program was called with.

    Returns:
        0; 1 after an error, 2 after a wrong word, 130 after Ctrl-C, all said on stderr.
    """
    # Threads that wait asleep paint as fast alone, and 1.4 times as fast beside a busy process.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may have bytes that aren't text
    with warnings.catch_warnings():
        # What torch's compiler thinks of diffusers' code is nothing that a user can mend.
        warnings.filterwarnings("ignore", "Dynamo detected a call", UserWarning)
        warnings.simplefilter("always", FundiffWarning)
        warnings.showwarning = partial(_say, warnings.showwarning)
        try:
            APP(None if arguments is None else [*arguments], prog_name="fundiff")
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def _say(
    show: Callable[..., None], message: Warning | str, category: type[Warning], *where: object
) -> None:
    """Say a warning of ours in a line, and show any other as ever."""
    if issubclass(category, FundiffWarning):
        print(*str(message).split("\n"), file=sys.stderr)
    else:
        show(message, category, *where)
