"""One file per setting of a paper, and flows between walls."""

from eddygrad.datasets.recipes import active_turbulence, kolmogorov, kolmogorov_piso, kuramoto_sivashinsky, wake, walled

__all__ = ["active_turbulence", "kolmogorov", "kolmogorov_piso", "kuramoto_sivashinsky", "wake", "walled"]
