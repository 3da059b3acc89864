"""Simulate active turbulence in a channel with a cylindrical post, by finite volumes.

    u_t + lambda_0 (u . grad) u + grad p + alpha u + beta |u|^2 u - Gamma_0 lap u + Gamma_2 lap^2 u = 0,  div u = 0

The coefficients are those of Maddu et al. 2021. At a wall u = 0 and lap u = 0. The example draws the vorticity and prints the mean square speed
downstream of the post, in the middle half of the channel and next to the walls. In a periodic box it is 3.1 to 3.6.
"""

from __future__ import annotations

from pathlib import Path

import torch

from eddygrad.cli.pictures import save
from eddygrad.datasets.generate import generate
from eddygrad.plotting.fields import Fields
from eddygrad.plotting.planes import planes
from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import PERIODIC, Wall

POINTS = (256, 128)
BOX = (6.283185307179586, 3.141592653589793)
FRAME, SUBSTEPS = 0.01, 4
WARMUP, FRAMES = 150, 100
PICTURE = Path("active-channel.png")


def main() -> float:
    grid = Grid(POINTS, BOX)
    post = Cylinder((1.6, 1.5), radius=0.35)
    solver = Projection(ActiveTurbulenceVelocity(), grid, FRAME, (PERIODIC, Wall()), SUBSTEPS, bodies=(post,), diffusion="implicit")
    first = 0.1 * torch.randn(1, 2, *POINTS, generator=generator(0, "active channel", 0))
    data = generate(solver, first, {}, None, frames=FRAMES, warmup=WARMUP, compute_dtype=torch.float32, progress=False)

    fields = Fields.of(data, 0)
    square = fields.frames(["speed"])[:, 0, POINTS[0] // 2 :].square().mean((0, 1))  # mean over time and x downstream of the post
    quarter, cell = POINTS[1] // 4, 2
    middle, near = float(square[quarter:-quarter].mean()), float(square[:cell].mean())
    at = [0, FRAMES // 3, 2 * FRAMES // 3, FRAMES - 1]
    vorticity = fields.frames(["vorticity"])[at]
    style = {"scales": fields.scales(vorticity), "bodies": fields.bodies_at(at), "smooth": True}
    times = [FRAME * (WARMUP + k) for k in at]
    save(planes(vorticity.numpy(), ["vorticity"], times, grid.lengths, "active turbulence between walls", **style), PICTURE)
    print(f"mean square speed in the middle half {middle:.3f}, in the two cells by the wall {near:.3f}; picture {PICTURE}")
    return middle


if __name__ == "__main__":
    main()
