"""The training runs whose weights the project ships, and what is measured on them.

A recipe has presets: ``full`` for a GPU, ``cpu`` for two cores, which gives a preview. Its data is
made once and kept; its run is kept in slices that survive being stopped; its result is a folder of
weights with a card (see :mod:`fundiff.pretrained`). :mod:`fundiff.recipes.registry` has them by
name.
"""
