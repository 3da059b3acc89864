"""Data sets to generate: one file for each published set-up, and classic flows between walls."""

from eddygrad.datasets.recipes import active_turbulence, classic_flows, kolmogorov, kolmogorov_piso, kuramoto_sivashinsky, wake
from eddygrad.datasets.recipes.recipe import DatasetRecipe, Group

__all__ = ["DatasetRecipe", "Group", "active_turbulence", "classic_flows", "kolmogorov", "kolmogorov_piso", "kuramoto_sivashinsky", "wake"]
