"""Velocities on the midlines of the lid-driven cavity at Re 100.

Source: Ghia, Ghia and Shin 1982, "High-Re solutions for incompressible flow using the Navier-Stokes equations and a multigrid method", Journal of
Computational Physics 48, 387-411, tables I (u along the vertical midline) and II (v along the horizontal midline). Velocities are divided by the
speed of the lid. The end points on the walls are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

_U = (
    ".0547 .0625 .0703 .1016 .1719 .2813 .4531 .5 .6172 .7344 .8516 .9531 .9609 .9688 .9766",
    "-.03717 -.04192 -.04775 -.06434 -.10150 -.15662 -.21090 -.20581 -.13641 .00332 .23151 .68717 .73722 .78871 .84123",
)
_V = (
    ".0625 .0703 .0781 .0938 .1563 .2266 .2344 .5 .8047 .8594 .9063 .9453 .9531 .9609 .9688",
    ".09233 .10091 .10890 .12317 .16077 .17507 .17527 .05454 -.24533 -.22445 -.16914 -.10313 -.08864 -.07391 -.05906",
)


def midlines() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the tabulated velocities of both midlines.

    Returns: ((points, u), (points, v)) for u(.5, y) and v(x, .5); points (15, 2) and values (15,), float64.
    """
    (y, u), (x, v) = ([torch.tensor([float(n) for n in row.split()], dtype=torch.float64) for row in table] for table in (_U, _V))
    half = torch.full_like(y, 0.5)
    return (torch.stack([half, y], 1), u), (torch.stack([x, half], 1), v)
