"""The core of diffusion models: schedules, steps, guidance and sampling, in pieces that compose.

:mod:`fundiff.types` and :mod:`fundiff.schedule` say what an image, a denoiser and a noise level
are; :mod:`fundiff.process` is the algebra of one step; :mod:`fundiff.guidance` makes denoisers out
of denoisers; :mod:`fundiff.sampling` is the one loop. The packages beside these modules have models
with weights, training, data, numbers and figures. Names are imported from the module in which they
live.
"""

__version__ = "0.1.0"
