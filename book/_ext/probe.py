"""What made a chapter's figures: run in the chapter's own kernel, after its last cell."""

import json
import platform
import sys

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


if __name__ == "__main__":
    print(json.dumps({"device": device(), "versions": versions()}))
