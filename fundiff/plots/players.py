"""Pictures that play, scrub or turn in a page, with no server and nothing from outside."""

import base64
import hashlib
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from string import Template

import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from fundiff.data.pictures import to_uint8
from fundiff.errors import FundiffError
from fundiff.plots.figures import require_titles, rgb
from fundiff.types import Images, View
from fundiff.views import HorizontalFlip, Negation, Rotation, VerticalFlip


@dataclass(frozen=True)
class Animation:
    """Frames that play and scrub in a page, with no server and nothing from outside.

    Attributes:
        frames: The frames, ``(frame, height, width, channel)``.
        labels: One line for each frame.
        alt: What the frames show, in words.
        rest: The frame that is shown until the reader plays them or moves the slider.
    """

    frames: UInt8[Tensor, "frame height width channel"] = field(repr=False)
    labels: tuple[str, ...]
    alt: str
    rest: int

    def _repr_html_(self) -> tuple[str, dict[str, str]]:
        count, height, width, _ = self.frames.shape
        png = _packed(self.frames.reshape(1, count * height, width, -1)[0])
        page = _filled(
            "player.html",
            name=_name(png, *self.labels),
            alt=html.escape(self.alt, quote=True),
            png=png,
            width=width,
            height=height,
            shown=min(6 * width, 720),
            count=count,
            last=count - 1,
            rest=self.rest,
            start=f"{100 * self.rest / max(count - 1, 1):.6g}%",
            label=html.escape(self.labels[self.rest]),
            labels=json.dumps(self.labels).replace("<", "\\u003c"),
        )
        return page, {"kind": "Animation", "alt": self.alt}


def animation(
    frames: Sequence[Images],
    labels: Sequence[str],
    *,
    alt: str,
    rest: int | None = None,
    low: float = -1.0,
    high: float = 1.0,
) -> Animation:
    """Make a run playable, such as the states of :func:`fundiff.sampling.denoise`.

    Args:
        frames: One batch a frame; the images of a batch stand side by side.
        labels: One line for each frame.
        alt: What the frames show, in words, for readers who can't see them.
        rest: The number of the frame that is shown at first; the last one by default.
        low: The value shown as black.
        high: The value shown as white; values outside are clipped.

    Returns:
        The animation, which shows itself in a notebook or page.

    Raises:
        FundiffError: There is no frame, the frames differ in shape, the labels don't fit them, or
            none is the one to show at first.
    """
    if not frames or len({frame.shape for frame in frames}) != 1:
        raise FundiffError(
            "expected at least one frame, all of one shape, got "
            f"{[[*frame.shape] for frame in frames]}"
        )
    require_titles("frame", labels, len(frames))
    rest = len(frames) - 1 if rest is None else rest
    if not 0 <= rest < len(frames):
        raise FundiffError(f"expected a frame in [0, {len(frames) - 1}] to rest on, got {rest}")
    rows = [torch.cat([*to_uint8(frame, low=low, high=high)], dim=1) for frame in frames]
    return Animation(torch.stack(rows), tuple(labels), alt, rest)


@dataclass(frozen=True)
class Turning:
    """Pictures in a page that turn while the pointer is over them, or when they are pressed.

    Attributes:
        images: The pictures.
        style: What the browser does to turn one.
        alts: For each picture, what it shows upright and what it shows turned.
    """

    images: Images = field(repr=False)
    style: str
    alts: tuple[tuple[str, str], ...]

    def _repr_html_(self) -> tuple[str, dict[str, str]]:
        buttons, said = [], [f"{upright}; turned, {turned}" for upright, turned in self.alts]
        for pixels, words in zip(to_uint8(self.images), said, strict=True):
            words = html.escape(words, quote=True)
            buttons.append(
                f'<button type="button" aria-pressed="false" aria-label="{words}">'
                f'<img src="data:image/png;base64,{_packed(pixels)}" alt=""></button>'
            )
        row = "".join(buttons)
        name = _name(row, self.style)
        page = _filled("turning.html", name=name, buttons=row, style=self.style)
        return page, {"kind": "Turning pictures", "alt": ". ".join(said)}


def turning(images: Images, view: View, *, alts: Sequence[tuple[str, str]]) -> Turning:
    """Make pictures turn in a page, by the pointer, the keyboard or a finger.

    Args:
        images: RGB in [-1, 1].
        view: A flip, a rotation or the negation, which style sheets know.
        alts: For each picture what it shows upright and what it shows turned, in words, for
            readers who can't see it.

    Returns:
        The pictures, which show themselves in a notebook or page.

    Raises:
        FundiffError: The view is another one, or there isn't one pair of words for each picture.
    """
    if len(alts) != len(images):
        raise FundiffError(f"expected words for each of {len(images)} pictures, got {len(alts)}")
    return Turning(images, _style(view), tuple(alts))


def _style(view: View) -> str:
    if isinstance(view, VerticalFlip):
        return "transform:perspective(40em) rotateX(180deg)"
    if isinstance(view, HorizontalFlip):
        return "transform:perspective(40em) rotateY(180deg)"
    if isinstance(view, Rotation):
        return f"transform:rotate({-90 * view.quarter_turns}deg)"
    if isinstance(view, Negation):
        return "filter:invert(1)"
    raise FundiffError(f"a page can flip, rotate or negate a picture, not show {view}: use turn")


def _packed(pixels: UInt8[Tensor, "height width channel"]) -> str:
    """Pack a picture as a page can hold it: PNG in base 64."""
    buffer = io.BytesIO()
    Image.fromarray(rgb(pixels)).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def _name(*content: str) -> str:
    return "fd-" + hashlib.sha256("".join(content).encode()).hexdigest()[:12]


def _filled(template: str, **values: object) -> str:
    text = (files("fundiff.plots") / template).read_text(encoding="utf-8")
    return Template(text).substitute(values)
