"""Where the names that the library's signatures use are documented, without asking the network.

Each table row is a name, its role and its page; :func:`write` makes the file that Sphinx's
intersphinx reads.
"""

import zlib
from pathlib import Path
from typing import NamedTuple


class Site(NamedTuple):
    """A documentation site and the names that are linked to it.

    Attributes:
        url: Where the site is.
        names: Rows of ``role name page``; a page that ends in ``#`` takes the name as its anchor.
    """

    url: str
    names: str


SITES = {
    "python": Site(
        "https://docs.python.org/3/",
        """
        class bool library/functions.html#
        class bytes library/stdtypes.html#
        class dict library/stdtypes.html#
        class float library/functions.html#
        class int library/functions.html#
        class list library/stdtypes.html#
        class object library/functions.html#
        class str library/stdtypes.html#
        class tuple library/stdtypes.html#
        class range library/stdtypes.html#
        class set library/stdtypes.html#
        class frozenset library/stdtypes.html#
        class type library/functions.html#
        class Ellipsis library/constants.html#
        data None library/constants.html#
        data Ellipsis library/constants.html#
        exception EOFError library/exceptions.html#
        exception Exception library/exceptions.html#
        exception FileExistsError library/exceptions.html#
        exception FileNotFoundError library/exceptions.html#
        exception ImportError library/exceptions.html#
        exception KeyError library/exceptions.html#
        exception OSError library/exceptions.html#
        exception RuntimeError library/exceptions.html#
        exception TypeError library/exceptions.html#
        exception ValueError library/exceptions.html#
        class argparse.ArgumentParser library/argparse.html#
        class argparse.Namespace library/argparse.html#
        class ast.stmt library/ast.html
        class collections.abc.Generator library/collections.abc.html#
        class collections.abc.Callable library/collections.abc.html#
        class collections.abc.Iterable library/collections.abc.html#
        class collections.abc.Iterator library/collections.abc.html#
        class collections.abc.Mapping library/collections.abc.html#
        class collections.abc.Sequence library/collections.abc.html#
        class contextlib.AbstractContextManager library/contextlib.html#
        class datetime.date library/datetime.html#
        class datetime.datetime library/datetime.html#
        class enum.Enum library/enum.html#
        class functools.partial library/functools.html#
        class os.PathLike library/os.html#
        class pathlib.Path library/pathlib.html#
        class typing.NamedTuple library/typing.html#
        class typing.Protocol library/typing.html#
        class typing.TypeVar library/typing.html#
        data typing.Any library/typing.html#
        data typing.Literal library/typing.html#
        data typing.Self library/typing.html#
        """,
    ),
    "torch": Site(
        "https://docs.pytorch.org/docs/stable/",
        """
        class torch.Generator generated/torch.Generator.html#
        class torch.Size size.html#
        class torch.Tensor tensors.html#
        class torch.device tensor_attributes.html#
        class torch.dtype tensor_attributes.html#
        class torch.nn.BatchNorm2d generated/torch.nn.BatchNorm2d.html#
        class torch.nn.Conv2d generated/torch.nn.Conv2d.html#
        class torch.nn.ConvTranspose2d generated/torch.nn.ConvTranspose2d.html#
        class torch.nn.GELU generated/torch.nn.GELU.html#
        class torch.nn.Module generated/torch.nn.Module.html#
        class torch.nn.Sequential generated/torch.nn.Sequential.html#
        class torch.optim.Adam generated/torch.optim.Adam.html#
        class torch.optim.AdamW generated/torch.optim.AdamW.html#
        class torch.optim.Optimizer optim.html#
        class torch.utils.data.DataLoader data.html#
        class torch.utils.data.Dataset data.html#
        function torch.linspace generated/torch.linspace.html#
        function torch.manual_seed generated/torch.manual_seed.html#
        function torch.randn generated/torch.randn.html#
        function torch.randn_like generated/torch.randn_like.html#
        method torch.nn.Module.forward generated/torch.nn.Module.html#
        """,
    ),
    "numpy": Site(
        "https://numpy.org/doc/stable/",
        """
        class numpy.ndarray reference/generated/numpy.ndarray.html#
        class numpy.random.Generator reference/random/generator.html#
        """,
    ),
    "matplotlib": Site(
        "https://matplotlib.org/stable/",
        """
        class matplotlib.animation.Animation api/_as_gen/matplotlib.animation.Animation.html#
        class matplotlib.axes.Axes api/_as_gen/matplotlib.axes.Axes.html#
        class matplotlib.figure.Figure api/figure_api.html#
        """,
    ),
    "pillow": Site(
        "https://pillow.readthedocs.io/en/stable/",
        "class PIL.Image.Image reference/Image.html#",
    ),
}

# Where the objects say they live, for names that the documentation has elsewhere.
ALIASES = {
    "numpy.random._generator.Generator": "numpy.random.Generator",
    "torch._C.Generator": "torch.Generator",
    "torch._C.device": "torch.device",
    "torch._C.dtype": "torch.dtype",
    "torch._C.Size": "torch.Size",
    "torch._tensor.Tensor": "torch.Tensor",
    "torch.nn.modules.module.Module": "torch.nn.Module",
    "torch.optim.optimizer.Optimizer": "torch.optim.Optimizer",
    "pathlib._local.Path": "pathlib.Path",
}


def write(folder: Path) -> dict[str, tuple[str, str]]:
    """Write one inventory a site.

    Args:
        folder: Where to write them.

    Returns:
        The value for Sphinx's ``intersphinx_mapping``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mapping = {}
    for project, site in SITES.items():
        path = folder / f"{project}.inv"
        path.write_bytes(_inventory(project, site.names))
        mapping[project] = (site.url, str(path))
    return mapping


def _inventory(project: str, table: str) -> bytes:
    """Sphinx's inventory format, version 2."""
    rows = {
        name: (role, page if not page.endswith("#") else f"{page}{name}")
        for role, name, page in (line.split() for line in table.strip().splitlines())
    }
    rows |= {alias: rows[name] for alias, name in ALIASES.items() if name in rows}
    head = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    body = "".join(f"{name} py:{role} 1 {page} -\n" for name, (role, page) in rows.items())
    return head.encode() + zlib.compress(body.encode())
