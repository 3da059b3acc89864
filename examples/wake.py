"""Simulate the wake of a cylinder at Re 100 and compare its Strouhal number with that of an isolated cylinder.

Box, cylinder and inflow are those of `eg.recipes.wake`, at half of its resolution. A crosswise gust behind the cylinder starts the vortex shedding
early. Drag and lift are recorded with every frame; the Strouhal number St is the dimensionless frequency of the lift. An isolated cylinder has
St = .164 to .166 and Cd = 1.33 to 1.35 at Re 100 (Williamson 1996). Here the box is periodic and five diameters high, which raises both. The example
draws the vorticity and prints St / .165.
"""

from __future__ import annotations

from pathlib import Path

import torch

from eddygrad.cli.pictures import save
from eddygrad.datasets.forces import WithForces
from eddygrad.datasets.generate import generate
from eddygrad.datasets.recipes import wake
from eddygrad.plotting.fields import Fields
from eddygrad.plotting.planes import planes
from eddygrad.solver.staggered.probes import strouhal

RE = 100.0
POINTS, SUBSTEPS = 128, 2  # 128 x 64 cells, two steps per unit of time
WARMUP, FRAMES = 900, 500  # the shedding is periodic after the warm-up
SPEED, DIAMETER = wake.SPEED, wake.DIAMETER
ISOLATED = 0.165  # Strouhal number of an isolated cylinder
PICTURE = Path("wake.png")


def initial_state(solver) -> torch.Tensor:
    x, y = solver.grid.points(centred=True)
    gust = 0.3 * torch.exp(-((x - wake.CENTRE[0] - DIAMETER) ** 2 + (y - wake.CENTRE[1]) ** 2) / (2 * (DIAMETER / 2) ** 2))
    return torch.stack([torch.full_like(x, SPEED), gust])[None]


def main() -> float:
    solver = wake.solver((POINTS, POINTS // 2), SUBSTEPS)
    data = generate(
        WithForces(solver, SPEED, DIAMETER),
        initial_state(solver),
        {"viscosity": wake.viscosity(RE)},
        None,
        frames=FRAMES,
        warmup=WARMUP,
        compute_dtype=torch.float32,
        progress=False,
    )
    drag, lift = data.diagnostics["drag"][0], data.diagnostics["lift"][0]
    st = strouhal(lift, data.dt, SPEED, DIAMETER)

    fields, at = Fields.of(data, 0), [round(k * FRAMES / 20) for k in range(4)]
    vorticity = fields.frames(["vorticity"])[at]
    style = {"scales": fields.scales(vorticity), "bodies": fields.bodies_at(at), "smooth": True}
    save(planes(vorticity.numpy(), ["vorticity"], at, data.grid.lengths, f"Re {RE:g}, St {st:.3f}", **style), PICTURE)
    print(f"Re {RE:g}: mean Cd {float(drag.mean()):.3f}, Cl up to {float(lift.abs().amax()):.3f}, St {st:.4f}; picture {PICTURE}")
    print(f"St over that of an isolated cylinder: {st / ISOLATED:.3f}")
    return st / ISOLATED


if __name__ == "__main__":
    main()
