"""Recipes: the training runs whose weights ship, and the scores of what these models draw.

A recipe has presets: ``full`` for a GPU, ``cpu`` for two cores, which gives a preview. Its data is
made once and kept; its run is kept in slices that survive being stopped; its result is a folder of
weights with a card (see :mod:`fundiff.models.weights`). :mod:`fundiff.recipes.registry` has them by
name.
"""
