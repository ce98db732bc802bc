"""The bundled model's training data, painted and encoded once and then kept."""

import ast
import os
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor
from tqdm import tqdm

from fundiff.emoji.dataset import EmojiPictures
from fundiff.files import write
from fundiff.text_to_image import Captioned, TextEncoder


def captioned(
    folder: Path, pictures: int, *, seed: int = 0, workers: int | None = None
) -> Captioned:
    """Make pictures and encoded captions to train on, or read them if they were made before.

    Args:
        folder: Where :func:`fundiff.emoji.sprites.build` wrote the sprites; the result is kept
            there.
        pictures: How many pictures.
        seed: Which pictures.
        workers: How many processes paint; one a core by default.

    Returns:
        The data, on the CPU.

    Raises:
        SpriteError: The sprites are missing or damaged.
        EncoderError: The text encoder is missing.
    """
    source = EmojiPictures(folder, seed=seed)
    code = module_digest("emoji")
    name = sha256(f"{source.digest} {seed} {pictures} {code}".encode()).hexdigest()[:16]
    path = folder / f"captioned-{name}.safetensors"
    if not path.is_file():
        tasks = [
            (folder, seed, start, min(start + 500, pictures)) for start in range(0, pictures, 500)
        ]
        with get_context("spawn").Pool(workers or os.cpu_count()) as pool:
            painted = list(tqdm(pool.imap(_paint, tasks), "painting", len(tasks), disable=None))
        words = [caption for _, captions in painted for caption in captions]
        unique = {caption: row for row, caption in enumerate(dict.fromkeys(["", *words]))}
        encoder = TextEncoder("cuda" if torch.cuda.is_available() else "cpu")
        batches = [list(unique)[start : start + 256] for start in range(0, len(unique), 256)]
        rows = [encoder(batch).half().cpu() for batch in tqdm(batches, "encoding", disable=None)]
        tensors = {
            "pictures": torch.cat([batch for batch, _ in painted]),
            "captions": torch.tensor([unique[caption] for caption in words]),
            "embeddings": torch.cat(rows),
        }
        write(path, safetensors.torch.save(tensors))
    return Captioned(**safetensors.torch.load_file(path), digest=name)


def _paint(task: tuple[Path, int, int, int]) -> tuple[Tensor, tuple[str, ...]]:
    folder, seed, start, stop = task
    torch.set_num_threads(1)
    return EmojiPictures(folder, seed=seed).batch(range(start, stop))


def module_digest(*names: str) -> str:
    """Return a digest of the code of some modules, without docstrings and comments.

    Args:
        names: Their names below ``fundiff``.

    Returns:
        Sixteen hexadecimal digits.
    """
    root = Path(__file__).parent
    paths = [
        path
        for name in names
        for path in sorted([*root.glob(f"{name}.py"), *root.glob(f"{name}/*.py")])
    ]
    code = "".join(_without_docstrings(path.read_text(encoding="utf-8")) for path in paths)
    return sha256(code.encode()).hexdigest()[:16]


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(value, list):
                node.body = [item for item in value if not _is_string(item)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_string(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
