"""What a program gets that has no types checked: the right answer, or the name of what is wrong."""

import subprocess
import sys
from pathlib import Path

SETUP = """
import numpy as np, torch, fundiff as fd
from fundiff.data.pictures import save_picture
from fundiff.types import Prediction
s, x = fd.NoiseSchedule.cosine(), fd.picture("campanile", size=16)
e, m = fd.noise(1, 3, 16, 16), torch.rand(1, 1, 16, 16) > 0.5
def still(x, t): return Prediction(0.5 * x)
def walk(timesteps, **more): return fd.sample(still, s, e, timesteps, **more)
def same(a, b): assert torch.equal(a, b)
def refused(call, *words):
    try: call()
    except (TypeError, ValueError) as error:
        for word in words: assert word in str(error), f"{word!r} is not in: {error}"
    else: raise AssertionError("there was no error")
"""

CASES = {
    "half a timestep": 'refused(lambda: fd.add_noise(s, x, torch.tensor([0.5]), e), "timestep")',
    "a time in [0, 1]": 'refused(lambda: s.at(torch.tensor([1.0])), "a whole timestep", "float32")',
    "one timestep for all": 'refused(lambda: s.at(torch.tensor(3)), "of the shape []")',
    "a complex time": 'refused(lambda: s.at(torch.tensor([1j])), "a whole timestep")',
    "two pictures in one file": (
        'refused(lambda: save_picture(torch.cat([x, -x]), "two.png"), "expected one image, got 2")'
    ),
    "timesteps in a tensor": "same(walk(torch.tensor([900, 300, 0])), walk([900, 300, 0]))",
    "timesteps in an array": "same(walk(np.array([900, 300, 0])), walk([900, 300, 0]))",
    "timesteps in halves": 'refused(lambda: walk([5.5, 0]), "whole numbers", "5.5")',
    "timesteps from 0 to 1": 'refused(lambda: walk(torch.tensor([0.9, 0.1])), "whole numbers")',
    "timesteps in words": 'refused(lambda: walk("ab"), "whole numbers", "ab")',
    "a mask of truth values": (
        "same(*(walk([900, 0], constraint=fd.inpaint(x, n), seed=0) for n in (m, m.float())))"
    ),
    "a mask of bytes": (
        "refused(lambda: fd.inpaint(x, m.to(torch.uint8) * 255), 'a mask must lie in [0, 1]')"
    ),
    "timesteps in a tensor for an edit": (
        "same(*(fd.sdedit(still, s, x, t, i_start=1, seed=0)"
        " for t in ([900, 300, 0], torch.tensor([900, 300, 0]))))"
    ),
    "a seed below 0": "refused(lambda: fd.noise(1, 3, 16, 16, seed=-1), 'seed')",
}


def test_nothing_is_silently_something_else(tmp_path: Path) -> None:
    lines = [f"print({name!r}, flush=True); {code}" for name, code in CASES.items()]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([SETUP, *lines])],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout.splitlines()[-1:]}: {done.stderr}"
    assert done.stdout.splitlines() == [*CASES]
