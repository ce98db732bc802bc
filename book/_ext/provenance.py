"""What made a chapter's figures: run in the chapter's own kernel, after its last cell."""

import json
import platform
import sys
from collections.abc import Mapping

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "matplotlib")


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that were imported, without build tags."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__).partition("+")[0]
    return found


def device() -> str:
    """The device that was computed on: a GPU's name if one was used, else ``CPU``."""
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_initialized():
            return torch.cuda.get_device_name()
        if torch.backends.mps.is_available() and torch.mps.current_allocated_memory():
            return "Apple GPU"
    return "CPU"


def precision(variables: Mapping[str, object]) -> dict[str, str]:
    """The precision of the text-to-image models among a chapter's variables, if there are any."""
    module = sys.modules.get("fundiff.models.if_model")
    if module is None:
        return {}
    models = [each for each in variables.values() if isinstance(each, module.TextToImage)]
    found = sorted({model.placement.precision for model in models})
    return {"dtype": " and ".join(found)} if found else {}


if __name__ == "__main__":
    print(json.dumps({"device": device(), **precision(globals()), "versions": versions()}))
