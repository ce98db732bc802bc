r"""Pictures on their way from one reading to the next, frame by frame, and as a GIF.

A view that moves pixels is shown by moving them; any other reading fades in.
"""

import io
import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import torch
from jaxtyping import Float
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from fundiff.data.pictures import to_uint8
from fundiff.errors import FundiffError
from fundiff.files import require_free, write
from fundiff.illusions import Reading
from fundiff.permutations import InnerCircle, PixelMove
from fundiff.types import Images, View
from fundiff.views import Negation, Rotation

_MARK = b"fundiff"
"""The comment of each GIF, by which it is known for ours."""

Places = Float[Tensor, "2 pixel"]

Frame = Float[Tensor, "batch channel _ _"]


def turn(images: Images, view: View, *, frames: int = 25, zoom: int = 4) -> list[Frame]:
    r"""Show pictures on their way from upright to a view, pixel by pixel.

    Each pixel goes from its place to the one that the view moves it to, along a straight line, or
    along an arc where the view is a turn.

    Args:
        images: Square pictures in [-1, 1].
        view: A view that moves or negates pixels, as all of the library do.
        frames: How many frames, at least 2; the first is upright, the last is the view.
        zoom: How many pixels a side each pixel is drawn with.

    Returns:
        The frames, ``zoom`` times the size of the pictures; -1, black, where no pixel is.

    Raises:
        FundiffError: There are fewer than 2 frames, or the pictures aren't square.
    """
    if frames < 2 or images.shape[-2] != images.shape[-1]:
        raise FundiffError(
            f"expected at least 2 frames of square pictures, got {frames} of "
            f"{[*images.shape[-2:]]} pixels"
        )
    if isinstance(view, Negation):
        larger = images.repeat_interleave(zoom, -1).repeat_interleave(zoom, -2)
        return fade(larger, view.apply, frames=frames)
    size = images.shape[-1]
    start, end = _places(size), _places(size)[:, _sources(view, size).argsort()]
    round_ = isinstance(view, Rotation | InnerCircle)
    return [
        _drawn(images, _between(start, end, _eased(i / (frames - 1)), round_), zoom)
        for i in range(frames)
    ]


def fade(images: Images, reading: Reading, *, frames: int = 25) -> list[Images]:
    """Show pictures on their way to a reading, by fading from one to the other.

    Args:
        images: The pictures.
        reading: What is done to them.
        frames: How many frames, at least 2.

    Returns:
        The frames; the first is the pictures, the last their reading.

    Raises:
        FundiffError: There are fewer than 2 frames.
    """
    if frames < 2:
        raise FundiffError(f"expected at least 2 frames, got {frames}")
    shares = [_eased(i / (frames - 1)) for i in range(frames)]
    seen = reading(images)
    return [(1 - share) * images + share * seen for share in shares]


def save_gif(frames: Sequence[Images], path: Path, *, seconds: float = 2.0) -> None:
    """Write frames as a GIF that runs to the end, waits, runs back, and waits.

    Args:
        frames: The frames, one picture each.
        path: The file; a GIF of this function that is there is replaced.
        seconds: How long one way takes; each wait takes as long.

    Raises:
        FundiffError: There is no frame, or a frame has several pictures.
        OccupiedError: Something else is there.
        OSError: The file can't be written.
    """
    if not frames or any(len(frame) != 1 for frame in frames):
        raise FundiffError("expected at least one frame, each of one picture")
    require_gif_free(path)
    there = [Image.fromarray(to_uint8(frame)[0].cpu().numpy()) for frame in frames]
    both = there + there[-2:0:-1]
    step = round(1000 * seconds / len(there))
    times = [step] * len(both)
    times[0] = times[len(there) - 1] = round(1000 * seconds)
    first, *others = both
    file = io.BytesIO()
    options = {"duration": times, "loop": 0, "comment": _MARK}
    first.save(file, "GIF", save_all=True, append_images=others, **options)
    write(path, file.getvalue())


def require_gif_free(path: Path) -> None:
    """Refuse a place for :func:`save_gif` where something lies that it didn't write.

    Args:
        path: The file.

    Raises:
        OccupiedError: Something else is there.
    """
    require_free(path, _is_our_gif, kind="a GIF of this library")


def _is_our_gif(path: Path) -> bool:
    try:
        with Image.open(path, formats=["GIF"]) as image:
            return image.info.get("comment") == _MARK
    except (OSError, UnidentifiedImageError):
        return False


def _eased(share: float) -> float:
    return (1 - math.cos(math.pi * share)) / 2


def _places(size: int) -> Places:
    along = torch.arange(size) - (size - 1) / 2
    return torch.stack(torch.meshgrid(along, along, indexing="ij")).flatten(1)


def _sources(view: View, size: int) -> Tensor:
    """Number the pixel that each place of a view shows."""
    if isinstance(view, PixelMove):
        return view.source(torch.arange(size * size).view(size, size)).flatten()
    numbers = torch.arange(size * size, dtype=torch.float64).view(1, 1, size, size)
    return view.apply(numbers).flatten().long()


def _between(start: Places, end: Places, share: float, round_: bool) -> Places:
    if not round_:
        return (1 - share) * start + share * end
    begun, ended = torch.atan2(-start[0], start[1]), torch.atan2(-end[0], end[1])
    way = (ended - begun) % (2 * math.pi)
    way = torch.where(way > math.pi + 0.2, way - 2 * math.pi, way)
    radius = (1 - share) * start.norm(dim=0) + share * end.norm(dim=0)
    angle = begun + share * way
    return torch.stack([-radius * angle.sin(), radius * angle.cos()])


def _drawn(images: Images, places: Places, zoom: int) -> Frame:
    """Draw each pixel as a square of ``zoom`` pixels a side, with a rim where nothing else is."""
    count, channels, size, _ = images.shape
    side, pixels = zoom * size, size * size
    corner = (zoom * (places + (size - 1) / 2)).round().long()
    offsets = list(product(range(-1, zoom + 1), repeat=2))
    on_top = torch.full((side * side,), -1)
    for layer, (down, across) in enumerate(sorted(offsets, key=lambda o: not {-1, zoom} & {*o})):
        row, column = corner[0] + down, corner[1] + across
        inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
        drawn = (layer * pixels + torch.arange(pixels))[inside]
        on_top.scatter_reduce_(0, (row * side + column)[inside], drawn, "amax")
    on_top = on_top.to(images.device)
    canvas = images.flatten(2)[..., on_top % pixels].where(on_top >= 0, -1.0)
    return canvas.view(count, channels, side, side)
