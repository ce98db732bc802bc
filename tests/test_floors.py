"""The library stands on floors: a module imports only from lower ones, heavy packages from one."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fundiff"
FLOORS = (
    ("types", "files", "machine"),
    ("schedule", "filters", "views", "draws", "checkpoints", "flow"),
    ("nn.blocks", "nn.classifiers"),
    ("process", "nn.unet", "orthogonality"),
    ("guidance", "training", "losses"),
    ("sampling", "readings"),
    ("inverse", "data", "digits", "pretrained", "sheets", "emoji.sources", "emoji.canvas"),
    ("scratch", "emoji.packages", "emoji.ink", "emoji.looks", "emoji.shapes"),
    ("emoji.concepts", "emoji.backdrops", "emoji.portraits", "emoji.nature"),
    ("emoji.rasters", "emoji.captions", "emoji.styles", "emoji.landscapes", "emoji.coast"),
    ("emoji.sprites", "emoji.scenes", "characters.placing", "characters.splitting"),
    ("emoji.campfire", "characters.numerals", "characters.lettering", "characters.outlines"),
    ("emoji.themes", "characters.stencils"),
    ("emoji.dataset", "characters.sheets"),
    ("text_encoder", "metrics", "coverage", "figures", "turning", "showing", "fusing"),
    ("embeddings", "folded", "image_text", "diagrams"),
    ("text_to_image", "illusions"),
    ("captioned", "orders", "doctor", "contrastive"),
    ("painting", "choosing"),
    ("recipes.common", "recipes.grids", "recipes.digit_scores"),
    ("recipes.text_to_image", "recipes.digits", "recipes.probe"),
    ("recipes.image_text",),
    ("recipes.scores", "recipes.variants", "recipes.illusions", "recipes.registry"),
    ("commands",),
    ("__main__",),
)
FLOOR = {module: floor for floor, modules in enumerate(FLOORS) for module in modules}
HEAVY = {
    "diffusers": {"folded", "text_to_image"},
    "transformers": {"text_encoder"},
    "matplotlib": {"figures", "diagrams", "characters.lettering"},
    "torchvision.datasets": {"digits"},
    "accelerate": {"training", "text_to_image", "recipes.variants", "commands", "__main__"},
}
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def imports(path: Path) -> set[str]:
    """The dotted names that a file imports, relative ones refused."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno} imports relatively"
            assert node.module is not None
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def test_every_module_has_a_floor() -> None:
    assert set(MODULES) <= set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_module_imports_only_from_below(module: str) -> None:
    for name in imports(MODULES[module]):
        for other, floor in FLOOR.items():
            if under(name, f"fundiff.{other}"):
                assert floor < FLOOR[module], f"{module} imports {name}, which isn't below it"
        assert not under(name, "book")
        assert not under(name, "tests")


@pytest.mark.parametrize("module", MODULES)
def test_heavy_packages_have_their_place(module: str) -> None:
    for name in imports(MODULES[module]):
        for package, places in HEAVY.items():
            assert not under(name, package) or module in places, f"{module} imports {name}"


def test_the_package_re_exports_nothing() -> None:
    assert imports(PACKAGE / "__init__.py") == set()
