"""The lab's networks: shipped weights, exported for the reader's browser.

An export is kept under the digest of what it is made of, so a build in which nothing of that has
changed makes none, and it is the same each time, byte for byte. Weights stay in half precision, as
they ship; what runs the network makes them float32 as it loads them.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from html import escape
from importlib.metadata import version
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

from book._ext.layout import Book
from fundiff.files import prepare, write

NETWORKS = ("mnist-class", "mnist-flow", "mnist-denoiser")
ENGINES = {
    "wasm": "ort-wasm-simd-threaded.wasm.gz",
    "webgpu": "ort-wasm-simd-threaded.jspi.wasm.gz",
}
MADE_BY = ("torch", "onnx", "onnxscript")
PAGE, STATIC = "book/lab", "book/_static"
_MARK = 'data-sizes=""'


def export(name: str) -> bytes:
    """Export a shipped network of digits as ONNX, for any number of pictures."""
    import onnx
    import torch

    from fundiff.models.weights import load_weights, shipped
    from fundiff.nn.unet import ClassUNet, UNet

    two = torch.zeros(2, 1, 28, 28)
    inputs = {"x": two, "time": torch.zeros(2), "condition": torch.zeros(2, 10)}
    network: torch.nn.Module = ClassUNet(64)
    if name == "mnist-denoiser":
        network, inputs = UNet(128), {"x": two}
    load_weights(network, shipped(name))
    program = torch.onnx.export(
        network.eval(),
        tuple(inputs.values()),
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


def exported(book: Book) -> dict[str, Path]:
    """Return the exports by the networks' names; make those that aren't there yet."""
    folder, package = book.build / "onnx", book.root / book.package
    sources = [Path(__file__), package / "nn" / "unet.py", package / "nn" / "blocks.py"]
    common = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    common.update(str([version(each) for each in MADE_BY]).encode())
    files = {}
    for name in NETWORKS:
        made_of = common.copy()
        made_of.update((package / "weights" / name / "card.json").read_bytes())
        files[name] = folder / f"{name}-{made_of.hexdigest()[:16]}.onnx"
        if not files[name].is_file():
            prepare(folder)
            write(files[name], export(name))
    for old in {*folder.glob("*.onnx")} - {*files.values()}:
        old.unlink()
    return files


def sizes(book: Book, files: Mapping[str, Path]) -> dict[str, int]:
    """Say how many bytes a reader loads for each engine and each network."""
    engines = {name: book.root / STATIC / "onnxruntime" / file for name, file in ENGINES.items()}
    return {name: path.stat().st_size for name, path in {**engines, **files}.items()}


class LabLink(SphinxDirective):
    """A link to the lab with a setting, which the argument has as the lab's own address has it."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Make a paragraph of it; nothing where there is no page to open."""
        builder, words = self.env.app.builder, escape(" ".join(self.content))
        if builder.format != "html":
            return []
        here, there = (builder.get_target_uri(name) for name in (self.env.docname, PAGE))
        address = escape(f"{relative_uri(here, there)}#{self.arguments[0]}")
        html = f'<p class="to-lab"><a href="{address}">{words}</a></p>'
        return [nodes.raw("", html, format="html")]


def tell_sizes(app: Sphinx, doctree: nodes.document) -> None:
    """Put the sizes into the lab's page. Sphinx's event ``doctree-read``."""
    book = Book.of(app)
    for raw in doctree.findall(nodes.raw):
        if _MARK in raw.astext() and app.builder.format == "html":
            said = escape(json.dumps(sizes(book, exported(book))))
            raw.children[:] = [nodes.Text(raw.astext().replace(_MARK, f'data-sizes="{said}"'))]


def copy_networks(app: Sphinx, error: Exception | None) -> None:
    """Put the networks into the site. Sphinx's event ``build-finished``."""
    book, lab = Book.of(app), Path(app.outdir, "_static", "lab")
    if error is None and app.builder.format == "html" and lab.is_dir():
        for name, path in exported(book).items():
            shutil.copyfile(path, lab / f"{name}.onnx")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.add_directive("lab", LabLink)
    app.connect("doctree-read", tell_sizes)
    app.connect("build-finished", copy_networks)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}
