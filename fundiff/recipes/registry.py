"""The recipes by name, as ``python -m fundiff train`` finds them."""

from fundiff.recipes import contrastive, digit_networks, text_to_image

RECIPES = {
    recipe.name: recipe
    for recipe in (text_to_image.RECIPE, contrastive.RECIPE, *digit_networks.RECIPES)
}
"""The recipes by name, in the order in which the project trains them."""
