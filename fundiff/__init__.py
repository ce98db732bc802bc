"""The core of diffusion models: schedules, steps, guidance and sampling, in pieces that compose.

:mod:`fundiff.types` and :mod:`fundiff.schedule` say what an image, a denoiser and a noise level
are; :mod:`fundiff.process` is the algebra of one step; :mod:`fundiff.guidance` makes denoisers out
of denoisers; :mod:`fundiff.sampling` is the one loop. The packages beside these modules have models
with weights, training, data, numbers and figures. ``import fundiff as fd`` has what one needs
daily, as ``__init__.pyi`` lists it; each name is imported when it is first used:
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    from lazy_loader import attach_stub  # costs more than all the rest of `import fundiff`

    get, _, names = attach_stub(__name__, __file__)
    globals()[name] = value = names if name == "__all__" else get(name)
    return value


def __dir__() -> list[str]:
    return [*__getattr__("__all__")]
