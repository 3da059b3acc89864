"""The wake of a cylinder: box, cylinder and inflow of the unrolling paper's recipe `wake`, at one Reynolds number and half of its resolution.

The inflow has a gust across it behind the cylinder, so that vortices are shed soon. Drag and lift are recorded with the frames; St is the frequency
of the lift. A cylinder alone in the flow sheds at St = .164 to .166 with Cd = 1.33 to 1.35 at Re 100 (Williamson 1996); here its images above and
below are five diameters away, which raises both. Draws the vorticity and prints St, mean Cd, and St over .165.
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
WARMUP, FRAMES = 900, 500  # until the shedding is periodic; what is looked at
SPEED, DIAMETER = wake.SPEED, wake.DIAMETER
ALONE = 0.165
PICTURE = Path("wake.png")


def start(solver) -> torch.Tensor:
    x, y = solver.grid.points(centred=True)
    gust = 0.3 * torch.exp(-((x - wake.CENTRE[0] - DIAMETER) ** 2 + (y - wake.CENTRE[1]) ** 2) / (2 * (DIAMETER / 2) ** 2))
    return torch.stack([torch.full_like(x, SPEED), gust])[None]


def main() -> float:
    solver = wake.solver((POINTS, POINTS // 2), SUBSTEPS)
    data = generate(
        WithForces(solver, SPEED, DIAMETER),
        start(solver),
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
    look = {"scales": fields.scales(vorticity), "bodies": fields.bodies_at(at), "smooth": True}
    save(planes(vorticity.numpy(), ["vorticity"], at, data.grid.lengths, f"Re {RE:g}, St {st:.3f}", **look), PICTURE)
    print(f"Re {RE:g}: mean Cd {float(drag.mean()):.3f}, Cl up to {float(lift.abs().amax()):.3f}, St {st:.4f}; picture {PICTURE}")
    print(f"St over that of a cylinder alone: {st / ALONE:.3f}")
    return st / ALONE


if __name__ == "__main__":
    main()
