"""Diffusion models in small pieces that compose.

The modules stand on floors, and each imports only from lower ones: :mod:`fundiff.types` and
:mod:`fundiff.schedule` say what an image, a timestep and a noise level are; :mod:`fundiff.process`
is the algebra of one step; :mod:`fundiff.guidance` makes denoisers out of denoisers;
:mod:`fundiff.sampling` is the one loop. Names are imported from the module in which they live.
"""

__version__ = "0.1.0"
