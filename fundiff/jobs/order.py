"""What to paint, and what each picture's file says of how it was made."""

import json
import warnings
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from PIL import Image
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.files import DAMAGE
from fundiff.illusions import Illusion
from fundiff.models.if_model import TextToImage
from fundiff.solvers import SOLVERS
from fundiff.types import Images

NOISE = "SplitMix64, Box-Muller, from seed, picture, stream and step"
"""How noise is drawn, which decides the pictures like the seed."""

CHUNK = "fundiff"
"""The name of the text in each PNG that says how it was made, as JSON."""


MAX_SCALE = 1000
"""The largest guidance scale that is tried; beyond, numbers overflow."""


class OrderError(FundiffError):
    """An order that can't be carried out; the message says what to change."""


@dataclass(frozen=True, eq=False)
class Order:
    """What to paint.

    Attributes:
        prompt: What the pictures should show.
        seed: The seed of them all.
        count: How many pictures.
        scale: The guidance scale: 0 is unconditional, 1 conditional, more exaggerates.
        steps: In how many steps, each of them one call of the network.
        solver: How each step is made and where it stops, a name in
            :data:`fundiff.solvers.SOLVERS`.
        picture: The picture to edit or inpaint, ``(1, 3, size, size)``, or None.
        mask: Where to repaint it, 1, and where to keep it, 0, or None for everywhere.
        i_start: The index of the timestep to start at; above 0 it keeps some of the picture.
        illusion: How a picture shows the prompt and the others at once, or None.
        others: What the illusion's other readings should show.

    Raises:
        OrderError: A number is out of its range, there is a mask or a start without a picture, or
            the illusion has more or fewer readings than there are prompts.
    """

    prompt: str
    seed: int = 0
    count: int = 1
    scale: float = 4.0
    steps: int = 12
    solver: str = "dpm"
    picture: Images | None = None
    mask: Tensor | None = None
    i_start: int = 0
    illusion: Illusion | None = None
    others: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if min(self.count, self.steps) < 1 or not 0 <= self.seed < 2**63:
            raise OrderError(
                "count and steps must be at least 1 and the seed in [0, 2^63), got "
                f"{self.count}, {self.steps} and {self.seed}"
            )
        if not abs(self.scale) <= MAX_SCALE:
            raise OrderError(
                f"the scale must be a number from -{MAX_SCALE} to {MAX_SCALE}, got {self.scale}"
            )
        if self.solver not in SOLVERS:
            raise OrderError(f"there is no solver {self.solver!r}; known are {', '.join(SOLVERS)}")
        if self.mask is not None and not self.mask.any():
            raise OrderError("the mask marks nothing: paint white where the picture may change")
        if self.picture is None and (self.mask is not None or self.i_start):
            raise OrderError("a mask and a start on the way need a picture")
        readings = 1 if self.illusion is None else len(self.illusion.readings)
        if len(self.prompts) != readings:
            raise OrderError(
                f"expected a prompt for each of {readings} readings, got {len(self.prompts)}"
            )

    @property
    def prompts(self) -> tuple[str, ...]:
        """What each reading should show."""
        return (self.prompt, *self.others)

    def words(self) -> dict[str, object]:
        """Name what decides the pictures, as JSON values."""
        said: dict[str, object] = {
            "prompt": self.prompt,
            "seed": self.seed,
            "scale": self.scale,
            "steps": self.steps,
            "solver": self.solver,
        }
        if self.picture is not None:
            said |= {"picture": _digest(self.picture), "i_start": self.i_start}
        if self.mask is not None:
            said["mask"] = _digest(self.mask)
        if self.illusion is not None:
            said |= {"others": list(self.others), "illusion": repr(self.illusion)}
        return said


def picture_path(out: Path, number: int, count: int) -> Path:
    """Name the file of one of an order's pictures.

    Args:
        out: The file that the order was given.
        number: The picture's number.
        count: How many pictures the order has.

    Returns:
        ``out`` itself for a single picture, else with the number before its ending.
    """
    if count == 1:
        return out
    return out.with_name(f"{out.stem}-{number:0{max(3, len(str(count - 1)))}}{out.suffix}")


def said_of(model: TextToImage, order: Order, number: int) -> str:
    """Say how one of an order's pictures is made, as its file keeps it.

    Args:
        model: The model.
        order: The order.
        number: The picture's number.

    Returns:
        JSON.
    """
    engine: dict[str, object] = {
        "engine": Path(model.name).name,
        "weights": model.digest,
        "dtype": model.placement.precision,
        "noise": NOISE,
        "fundiff": version("fundiff"),
    }
    if model.embeddings is not None:
        engine["embeddings"] = model.embeddings
    if model.compiled:
        engine["compiled"] = True
    return json.dumps({**order.words(), "number": number, **engine}, ensure_ascii=True)


def is_painted(path: Path, *words: str) -> bool:
    """Tell whether a picture is there already.

    Args:
        path: Its file.
        words: What may be said of it, each as by :func:`said_of`.

    Returns:
        False where there is no file.

    Raises:
        OrderError: The file is something else.
    """
    if not path.exists():
        return False
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            found = image.info.get(CHUNK)
    except DAMAGE:
        found = None
    if found not in words:
        differs = min((_differences(found, said) for said in words), key=len)
        why = f" ({', '.join(differs)})" if differs else ""
        raise OrderError(
            f"{path} is there already, and isn't of this order{why}: choose another --out"
        )
    return True


def _differences(found: str | None, said: str) -> list[str]:
    """Name what differs between what a file says of itself, if anything, and what it should."""
    try:
        there = dict(json.loads(found or "{}"))
    except (TypeError, ValueError):
        there = {}
    here = json.loads(said)
    return [
        f"{name} was {there.get(name)!r}, is now {here.get(name)!r}"
        for name in {**there, **here}
        if there and there.get(name) != here.get(name)
    ]


def _digest(image: Tensor) -> str:
    return sha256(image.cpu().contiguous().numpy().tobytes()).hexdigest()[:16]
