"""What the book's exercises ask of their readers' own code."""

import torch
from torch import Tensor
from torch.testing import assert_close


def check(found: object, expected: Tensor | float, *, atol: float = 1e-5) -> None:
    """Say in a printed line whether what a reader's code gives is what an exercise expects.

    Args:
        found: The result. Three dots, ``...``, stand for code that isn't written yet.
        expected: What it has to be: numbers of the same shape, of any floating type.
        atol: How far each number may be off.
    """
    if found is ...:
        print("Not written yet: put your own code in place of the three dots.")
        return
    if not isinstance(found, Tensor | float | int):
        print(f"Not yet: a tensor or a number was expected, {type(found).__name__} was found.")
        return
    mine, theirs = (torch.as_tensor(x).detach().cpu().double() for x in (found, expected))
    if mine.shape != theirs.shape:
        shapes = f"the shape {tuple(theirs.shape)} was expected, {tuple(mine.shape)}"
        print(f"Not yet: {shapes} was found.")
        return
    try:
        assert_close(mine, theirs, atol=atol, rtol=0)
    except AssertionError:
        print(
            f"Not yet: off by up to {(mine - theirs).abs().max():.2g}; at most {atol:g} is right."
        )
    else:
        print(f"Right: at most {atol:g} off.")
