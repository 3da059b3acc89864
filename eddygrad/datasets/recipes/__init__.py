"""Data sets to generate: one file for each published set-up, and classic flows between walls."""

from eddygrad.datasets.recipes import active_turbulence, classic_flows, kolmogorov, kolmogorov_piso, kuramoto_sivashinsky, wake

__all__ = ["active_turbulence", "classic_flows", "kolmogorov", "kolmogorov_piso", "kuramoto_sivashinsky", "wake"]
