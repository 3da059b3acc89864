"""eddygrad: a differentiable flow solver in torch with neural correction."""

from eddygrad._version import __version__

__all__ = ["__version__"]
