"""The lab's files: shipped networks, exported for the reader's browser, and what they need.

An export is kept under the digest of what it is made of, so a build in which nothing of that has
changed makes none, and it is the same each time, byte for byte. Weights stay in half precision, as
they ship; what runs the network makes them float32 as it loads them. Embeddings need the text
encoder, so they are committed: `python -m book._ext.pages.lab` writes them anew.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

from book._ext.layout import Book
from fundiff.files import prepare, write

if TYPE_CHECKING:
    from torch import nn

STATIC = "book/_static"
ENGINES = {
    "wasm": "ort-wasm-simd-threaded.wasm.gz",
    "webgpu": "ort-wasm-simd-threaded.jspi.wasm.gz",
}
PICTURES = "text-to-image"
NETWORKS = ("mnist-class", "mnist-flow", "mnist-denoiser", PICTURES)
BESIDE = {PICTURES: ("prompts.bin", "views.bin")}
"""The files that a network is of no use without."""
SHARD = 16_000_000
MADE_BY = ("torch", "onnx", "onnxscript", "diffusers")

STYLES = (
    "", "a photo of", "an oil painting of", "a lithograph of", "a drawing of", "a cartoon of",
)  # fmt: skip
_SUBJECTS = """
    a dog, a cat, a horse, a cow, a pig, a rabbit, a lion, an elephant, a bear, a bird, a duck,
    a fish, a man, a woman, an old man, an old woman, a boy, a girl, a man wearing a hat,
    a hipster barista, a skull, a ghost, a robot, a snowman, a winking face, a house, a castle,
    a snowy mountain village, waterfalls, the amalfi coast, people around a campfire, a tree,
    a palm tree, a sunflower, a rose, fire, the sun, a crescent moon, a star, a snowflake, a car,
    a bus, a train, a bicycle, an airplane, a sailboat, a rocket ship, a red apple, a banana,
    a strawberry, a slice of pizza, a hamburger, a birthday cake, a cup of coffee, a red heart,
    a balloon, a ball, an umbrella, a crown, an open book, a key, a guitar, a pencil, a door,
    a chair
"""
SUBJECTS = tuple(" ".join(each.split()) for each in _SUBJECTS.split(","))
_MARK = 'data-files=""'


def prompts() -> list[str]:
    """Name the prompts that the lab knows: none, and each subject in each style."""
    return ["", *(f"{style} {subject}".strip() for subject in SUBJECTS for style in STYLES)]


def write_prompts(folder: Path) -> None:
    """Encode the prompts, and write their vectors in half precision without the zeros behind.

    Raises:
        EncoderError: The text encoder isn't installed.
    """
    from fundiff.models.if_model import load

    rows = load(PICTURES, device="cpu").encode(prompts()).half()
    counts = (rows != 0).any(dim=2).sum(dim=1).tolist()
    cut = (row[:count] for row, count in zip(rows, counts, strict=True))
    write(folder / "prompts.bin", b"".join(row.numpy().tobytes() for row in cut))
    write(folder / "prompts.json", json.dumps(counts).encode())


def views() -> tuple[list[str], bytes]:
    """Name the views that move pixels, and say for each where each pixel of 64 × 64 comes from."""
    import torch

    from fundiff.illusions import VIEWS

    places = torch.arange(64**2, dtype=torch.float32).reshape(1, 1, 64, 64)
    moving = {name: view for name, view in VIEWS.items() if name != "negate"}
    tables = (view.apply(places).flatten().numpy() for view in moving.values())
    return [*moving], b"".join(table.astype("<u2").tobytes() for table in tables)


def others(book: Book) -> Path:
    """Return the folder of the other files that the library makes; make it if it isn't there yet.

    It has the views' tables and the library's pictures, at the size that its network paints.
    """
    package = book.root / book.package
    modules = [package / f"{name}.py" for name in ("illusions", "permutations", "views")]
    data = sorted(path for name in ("data", "pictures") for path in (package / name).glob("*.p*"))
    folder = book.build / "onnx" / f"others-{_digest([Path(__file__), *modules, *data])}"
    if not folder.is_dir():
        from fundiff.data.pictures import picture, picture_names
        from fundiff.data.sheets import save

        for old in folder.parent.glob("others*"):
            shutil.rmtree(old)
        partial = folder.with_name("others")
        (partial / "pictures").mkdir(parents=True)
        write(partial / "views.bin", views()[1])
        for name in picture_names():
            save(picture(name, size=64), partial / "pictures" / f"{name}.png")
        partial.rename(folder)
    return folder


def network_of(name: str) -> tuple["nn.Module", dict[str, tuple[int, ...]]]:
    """Load a shipped network, and say what it takes of one picture."""
    from fundiff.models.weights import load_weights, shipped
    from fundiff.nn.unet import ClassUNet, UNet

    if name == PICTURES:
        return _velocity(), {"x": (12, 32, 32), "time": (), "condition": (77, 384)}
    inputs = {"x": (1, 28, 28), "time": (), "condition": (10,)}
    network: nn.Module = ClassUNet(64)
    if name == "mnist-denoiser":
        network, inputs = UNet(128), {"x": (1, 28, 28)}
    load_weights(network, shipped(name))
    return network.eval(), inputs


def _velocity() -> "nn.Module":
    """The text-to-image network without what it says of its variance, which is fixed."""
    import torch
    from torch import Tensor, nn

    from fundiff.models.if_model import load

    class Velocity(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unet = load(PICTURES, device="cpu", dtype=torch.float32).network.unet

        def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
            told: Tensor = self.unet(x, time, encoder_hidden_states=condition).sample
            return told[:, :12]

    return Velocity().eval()


def export(name: str) -> bytes:
    """Export a shipped network as ONNX, for any number of pictures."""
    import onnx
    import torch

    network, inputs = network_of(name)
    program = torch.onnx.export(
        network,
        tuple(torch.zeros(2, *shape) for shape in inputs.values()),
        input_names=[*inputs],
        output_names=["out"],
        dynamic_shapes=tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),
        dynamo=True,
        optimize=False,  # it would merge normalisations into weights, which then aren't halves
        verbose=False,
    )
    model = program.model_proto  # type: ignore[union-attr]  # None only without dynamo
    graph = model.graph
    del graph.value_info[:]
    for each in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        each.ClearField("metadata_props")  # it says in which folders what ran
    for weight in graph.initializer:
        if weight.data_type == onnx.TensorProto.FLOAT:
            values = onnx.numpy_helper.to_array(weight)
            halves = values.astype("float16")
            if (halves.astype("float32") == values).all():
                whole = weight.name
                weight.CopyFrom(onnx.numpy_helper.from_array(halves, f"{whole} in half"))
                to = onnx.TensorProto.FLOAT
                cast = onnx.helper.make_node("Cast", [weight.name], [whole], to=to)
                graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def exported(book: Book) -> dict[str, list[Path]]:
    """Return the files of each network, in shards; export those that aren't there yet."""
    folder, package = book.build / "onnx", book.root / book.package
    models = sorted((package / "models").glob("*.py"))
    sources = [Path(__file__), package / "nn" / "unet.py", package / "nn" / "blocks.py", *models]
    by = str([version(each) for each in MADE_BY])
    files = {}
    for name in NETWORKS:
        made_of = _digest([*sources, package / "weights" / name / "card.json"], by)
        pattern = f"{name}-{made_of}-*-of-*.onnx"
        files[name] = sorted(folder.glob(pattern))
        if not files[name] or len(files[name]) != int(files[name][0].stem.rpartition("-")[2]):
            prepare(folder)
            data = export(name)
            shards = [data[at : at + SHARD] for at in range(0, len(data), SHARD)]
            for number, shard in enumerate(shards, start=1):
                write(folder / pattern.replace("*", "{}").format(number, len(shards)), shard)
            files[name] = sorted(folder.glob(pattern))
    for old in {*folder.glob("*.onnx")} - {path for shards in files.values() for path in shards}:
        old.unlink()
    return files


def _digest(files: Iterable[Path], by: str = "") -> str:
    whole = b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(whole + by.encode()).hexdigest()[:16]


def described(book: Book, files: Mapping[str, list[Path]]) -> dict[str, Any]:
    """Say what a reader's browser loads for each engine and each network, and how large it is."""
    lab, engines = book.root / STATIC / "lab", book.root / STATIC / "onnxruntime"
    names, tables = views()
    networks = {}
    for name, shards in files.items():
        beside = [*BESIDE.get(name, ())]
        more = {"views.bin": len(tables), "prompts.bin": (lab / "prompts.bin").stat().st_size}
        networks[name] = {
            "shards": [_served(path) for path in shards],
            "beside": beside,
            "bytes": sum(path.stat().st_size for path in shards)
            + sum(more[each] for each in beside),
        }
    return {
        "engines": {kind: (engines / file).stat().st_size for kind, file in ENGINES.items()},
        "networks": networks,
        "views": names,
        "styles": STYLES,
        "subjects": SUBJECTS,
        "tokens": json.loads((lab / "prompts.json").read_bytes()),
    }


def _served(path: Path) -> str:
    """Name an export without its digest, so that a page that was opened before still finds it."""
    name, _, number, of, count = path.stem.rsplit("-", 4)
    return f"{name}.onnx" if count == "1" else f"{name}-{number}-{of}-{count}.onnx"


class LabLink(SphinxDirective):
    """A link to a page of the lab with a setting, as the page's own address has it."""

    required_arguments = 2
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make a paragraph of it; nothing where there is no page to open."""
        builder, words = self.env.app.builder, escape(" ".join(self.content))
        if builder.format != "html":
            return []
        here, there = (
            builder.get_target_uri(name)
            for name in (self.env.docname, f"book/lab/{self.arguments[0]}")
        )
        address = escape(f"{relative_uri(here, there)}#{self.arguments[1]}")
        html = f'<p class="to-lab"><a href="{address}">{words}</a></p>'
        return [nodes.raw("", html, format="html")]


def tell_files(app: Sphinx, doctree: nodes.document) -> None:
    """Put what there is to load into the lab's page. Sphinx's event ``doctree-read``."""
    book = Book.of(app)
    for raw in doctree.findall(nodes.raw):
        if _MARK in raw.astext() and app.builder.format == "html":
            said = escape(json.dumps(described(book, exported(book))))
            raw.children[:] = [nodes.Text(raw.astext().replace(_MARK, f'data-files="{said}"'))]


def copy_networks(app: Sphinx, error: Exception | None) -> None:
    """Put the networks into the site. Sphinx's event ``build-finished``."""
    book, lab = Book.of(app), Path(app.outdir, "_static", "lab")
    if error is None and app.builder.format == "html" and lab.is_dir():
        for path in (path for shards in exported(book).values() for path in shards):
            shutil.copyfile(path, lab / _served(path))
        shutil.copytree(others(book), lab, dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.add_directive("lab", LabLink)
    app.connect("doctree-read", tell_files)
    app.connect("build-finished", copy_networks)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}


if __name__ == "__main__":
    write_prompts(Path(__file__).parents[2] / "_static" / "lab")
