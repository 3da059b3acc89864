"""One file per setting of a paper, and flows between walls."""

from eddygrad.datasets.recipes import active_turbulence, classic_flows, kolmogorov, kolmogorov_piso, kuramoto_sivashinsky, wake

__all__ = ["active_turbulence", "classic_flows", "kolmogorov", "kolmogorov_piso", "kuramoto_sivashinsky", "wake"]
