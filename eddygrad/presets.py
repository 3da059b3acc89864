"""Solvers of the papers by name; each returns the object that you could build yourself."""

from __future__ import annotations

import math
from typing import Literal

from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.etdrk import ETDRK


def kuramoto_sivashinsky(D: float = 8.0, points: int = 48, order: Literal[1, 2, 3, 4] = 2, substeps: int = 2, dt: float = 1.0) -> ETDRK:
    """The Kuramoto-Sivashinsky solver of the unrolling paper on L = 2 pi D.

        order=2 is the paper's reference, order=1 the coarse solver that it corrects; a frame is two substeps of .5     List et al. 2024
    Args:   D: domain length over 2 pi [-]. points: of the grid. order, substeps, dt: see `ETDRK`; dt is a frame.
    Returns: ETDRK(KuramotoSivashinsky(), Grid((points,), 2 pi D), dt, order, substeps).
    """
    return ETDRK(KuramotoSivashinsky(), Grid((points,), 2 * math.pi * D), dt=dt, order=order, substeps=substeps)


__all__ = ["kuramoto_sivashinsky"]
