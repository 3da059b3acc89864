"""One file per setting of a paper."""

from eddygrad.datasets.recipes import kuramoto_sivashinsky

__all__ = ["kuramoto_sivashinsky"]
