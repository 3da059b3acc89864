"""Compute the drag of a cylinder in a channel at Re 20, the DFG benchmark 2D-1 of Schaefer and Turek 1996.

The channel is 2.2 m long and .41 m high; a cylinder of diameter .1 m is centred at (.2, .2) m. The flow starts as the parabolic inflow profile and
becomes steady. Drag coefficient Cd and pressure difference dp between front and back are computed from the final state. Published values are
Cd = 5.5795 and dp = .11752 m^2/s^2 (pressure over density). The example prints Cd over the published value.
"""

from __future__ import annotations

import torch

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import Inflow, Outflow, Wall
from eddygrad.solver.staggered.probes import surface_pressure
from eddygrad.solver.unroll import repeat

CELLS = 20  # per diameter
END = 6.0  # [s]
LENGTH, HEIGHT, DIAMETER, VISCOSITY, FASTEST = 2.2, 0.41, 0.1, 1e-3, 0.3
PUBLISHED_DRAG, PUBLISHED_PRESSURE = 5.5795, 0.11752


def parabola(points, t, params):
    return 4 * FASTEST * points[1] * (HEIGHT - points[1]) / HEIGHT**2


def main() -> float:
    shape = round(LENGTH / DIAMETER * CELLS), round(HEIGHT / DIAMETER * CELLS)
    grid = Grid(shape, (LENGTH, HEIGHT))
    solver = Projection(
        NavierStokesVelocity(viscosity=VISCOSITY),
        grid,
        dt=min(0.055 / CELLS, 0.4 * (DIAMETER / CELLS) ** 2 / (4 * VISCOSITY)),  # Courant number .25, and stable explicit diffusion
        boundaries=((Inflow((parabola, 0.0)), Outflow("do-nothing")), Wall()),
        bodies=(Cylinder((0.2, 0.2), radius=DIAMETER / 2),),
    )
    u = torch.zeros(1, 2, *shape)
    u[:, 0] = parabola((None, grid.points(torch.float32, centred=True)[1]), 0.0, {})
    u = repeat(solver.at({}, u), u, round(END / solver.dt))

    loads = solver.momentum({}, u).loads(u)
    drag = float(loads.force[0, 0, 0]) * 2 / ((2 / 3 * FASTEST) ** 2 * DIAMETER)
    ends, outwards = torch.tensor([[0.15, 0.2], [0.25, 0.2]]), torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    front, back = surface_pressure(loads.pressure, grid, ends, outwards)[0].tolist()
    print(f"{CELLS} cells per diameter: dp {front - back:.5f} m^2/s^2, published {PUBLISHED_PRESSURE}; Cd {drag:.4f}, published {PUBLISHED_DRAG}")
    print(f"Cd over the published value: {drag / PUBLISHED_DRAG:.3f}")
    return drag / PUBLISHED_DRAG


if __name__ == "__main__":
    main()
