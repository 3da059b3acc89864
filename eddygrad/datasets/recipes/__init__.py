"""One file per setting of a paper."""

from eddygrad.datasets.recipes import active_turbulence, kolmogorov, kuramoto_sivashinsky

__all__ = ["active_turbulence", "kolmogorov", "kuramoto_sivashinsky"]
