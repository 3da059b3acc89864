"""Basic flow problems with known solutions: Burgers, Kovasznay, Taylor-Green and the lid-driven cavity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from eddygrad.correctors.seeded_network import seed_options
from eddygrad.datasets.published.ghia_cavity import midlines
from eddygrad.pinn.collocation import Collocation, Term, misfit
from eddygrad.pinn.domains import Box, mean_and_std
from eddygrad.pinn.network.coordinate_network import CoordinateNetwork
from eddygrad.pinn.partials import Names, Partials, partials
from eddygrad.pinn.points import PointBatches, Points
from eddygrad.pinn.problems.benchmark_case import Case
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.solver.equations.burgers import Burgers
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity

Seeds = int | Sequence[int]
Exact = Callable[[Tensor], Mapping[str, Tensor]]  # points -> exact fields by name
FLOW = Names(("x", "y"), ("u", "v", "p"))


def burgers(seeds: Seeds = 0, dtype: torch.dtype = torch.float32, interior: int = 4000, width: int = 30, depth: int = 4, steps: int = 10_000) -> Case:
    """Pose Burgers' equation u_t + u u_x = (.01 / pi) u_xx on -1 < x < 1, 0 < t < 1, which forms a front at x = 0.

    u(x, 0) = -sin(pi x), u(-1, t) = u(1, t) = 0 (Basdevant et al. 1986). Terms "pde", "initial", "boundary". The error is against the Cole-Hopf
    solution on 201 x 101 nodes.

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        interior: number of interior points.
        width, depth: of the tanh network.
        steps: number of updates.
    """
    names, equation = Names(("x", "t"), ("u",)), Burgers(viscosity=0.01 / math.pi)
    domain = Box((-1.0, 0.0), (1.0, 1.0))
    inside, line, t = domain.interior(interior), torch.linspace(-1, 1, 201, dtype=torch.float64), torch.linspace(0, 1, 101, dtype=torch.float64)
    start = torch.stack([line, torch.zeros_like(line)], 1)
    ends = torch.cat([torch.stack([torch.full_like(t, end), t], 1) for end in (-1.0, 1.0)])
    terms = {
        "pde": Term("interior", lambda d, p: equation.residual(d), equation.needs),
        "initial": Term("start", lambda d, p: d.u + torch.sin(math.pi * d.x), ("u",)),
        "boundary": Term("ends", lambda d, p: d.u, ("u",)),
    }
    nodes = torch.cartesian_prod(line, t[1:])
    truth = burgers_exact(nodes, equation.viscosity)
    sets = {name: Points(x.to(dtype)) for name, x in (("interior", inside), ("start", start), ("ends", ends))}
    return _case(names, terms, sets, _network(2, width, depth, 1, seeds, inside, dtype), nodes, {"u": truth}, steps)


def burgers_exact(x: Tensor, viscosity: float) -> Tensor:
    """Return the Cole-Hopf solution of Burgers' equation with u(x, 0) = -sin(pi x), by Gauss-Hermite quadrature.

        u = -int sin(pi (x - s)) F(x - s) exp(-s^2 / 4 nu t) ds / int F(x - s) exp(-s^2 / 4 nu t) ds,   F(y) = exp(-cos(pi y) / (2 pi nu))
    Args:
        x:         points (N, 2) of x and t > 0.
        viscosity: nu.
    Returns: u, (N,).
    """
    s, w = np.polynomial.hermite.hermgauss(128)
    y = x[:, :1] - torch.from_numpy(s) * torch.sqrt(4 * viscosity * x[:, 1:])
    exponent = -torch.cos(math.pi * y) / (2 * math.pi * viscosity) + torch.from_numpy(w).log()
    share = torch.softmax(exponent, 1)
    return -(share * torch.sin(math.pi * y)).sum(1)


def kovasznay(
    seeds: Seeds = 0, dtype: torch.dtype = torch.float32, interior: int = 2500, width: int = 50, depth: int = 4, steps: int = 10_000
) -> Case:
    """Pose Kovasznay's steady flow behind a grid at Re 40 on (-.5, 1) x (-.5, 1.5) from its velocity on the rim (Kovasznay 1948).

    Terms "momentum", "divergence", "boundary". Errors: of the velocity, and of the pressure without its mean.

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        interior: number of interior points.
        width, depth: of the tanh network.
        steps: number of updates.
    """
    reynolds = 40.0
    lam = reynolds / 2 - math.sqrt(reynolds**2 / 4 + 4 * math.pi**2)

    def exact(x: Tensor) -> dict[str, Tensor]:
        grown, phase = torch.exp(lam * x[:, 0]), 2 * math.pi * x[:, 1]
        return {"u": 1 - grown * torch.cos(phase), "v": lam / (2 * math.pi) * grown * torch.sin(phase), "p": (1 - grown**2) / 2}

    return _steady(exact, Box((-0.5, -0.5), (1.0, 1.5)), 1 / reynolds, seeds, dtype, interior, width, depth, steps)


def cavity(seeds: Seeds = 0, dtype: torch.dtype = torch.float32, interior: int = 4000, width: int = 50, depth: int = 4, steps: int = 20_000) -> Case:
    """Pose the lid-driven cavity at Re 100; the lid has speed 1 and slows to zero within .05 of the corners.

    Terms "momentum", "divergence", "boundary". The error is that of u(.5, y) and v(x, .5) at the 30 points of Ghia, Ghia and Shin (1982), whose lid
    has speed 1 up to the corners.

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        interior: number of interior points.
        width, depth: of the tanh network.
        steps: number of updates.
    """
    box = Box(0.0, 1.0)
    inside, rim = box.interior(interior), torch.cat(box.sides(200))
    lid = rim[:, 1] == 1
    ramp = (torch.minimum(rim[:, 0], 1 - rim[:, 0]) / 0.05).clamp(max=1)
    speed = torch.where(lid, ramp * ramp * (3 - 2 * ramp), 0.0)
    sets = {"interior": Points(inside.to(dtype)), "rim": Points(rim.to(dtype), {"u": speed.to(dtype), "v": torch.zeros_like(speed).to(dtype)})}
    (along_y, u), (along_x, v) = midlines()
    network = _network(2, width, depth, 3, seeds, inside, dtype)

    @torch.no_grad()
    def errors(problem: Collocation) -> Mapping[str, Tensor]:
        parts = [partials(problem.network, x.to(dtype), FLOW, (name,))[name] for x, name in ((along_y, "u"), (along_x, "v"))]
        return {"velocity": relative([torch.cat(parts, -1)], [torch.cat([u, v])])}

    problem = Collocation(network, FLOW, _flow_terms(0.01))
    return Case(problem, PointBatches(sets), errors, "momentum", steps, (0.5, 0.75), 5)


def taylor_green(
    seeds: Seeds = 0, dtype: torch.dtype = torch.float32, interior: int = 3000, width: int = 50, depth: int = 4, steps: int = 10_000
) -> Case:
    """Pose decaying Taylor-Green vortices on (0, pi)^2, 0 < t < 2, from their initial velocity and the velocity on the rim.

        u = sin x cos y exp(-2 nu t),   v = -cos x sin y exp(-2 nu t),   p = (cos 2x + cos 2y) / 4 exp(-4 nu t),   nu = .1
    Terms "momentum", "divergence", "initial", "boundary". Errors: of the velocity, and of the pressure without its mean.

    Args:
        seeds, dtype: seed of one network or seeds of a stack; precision.
        interior: number of interior points.
        width, depth: of the tanh network.
        steps: number of updates.
    """
    nu, names, equation = 0.1, Names(("x", "y", "t"), ("u", "v", "p")), NavierStokesVelocity(viscosity=0.1)

    def exact(x: Tensor) -> dict[str, Tensor]:
        fade = torch.exp(-2 * nu * x[:, 2])
        u, v = torch.sin(x[:, 0]) * torch.cos(x[:, 1]) * fade, -torch.cos(x[:, 0]) * torch.sin(x[:, 1]) * fade
        return {"u": u, "v": v, "p": (torch.cos(2 * x[:, 0]) + torch.cos(2 * x[:, 1])) / 4 * fade**2}

    domain = Box(0.0, math.pi).over(0.0, 2.0)
    places = {"interior": domain.interior(interior), "start": domain.start(800), "rim": domain.rim(1600)}
    terms = {
        "momentum": Term("interior", lambda d, p: equation.residual(d), equation.needs),
        "divergence": Term("interior", lambda d, p: d.u_x + d.v_y, ("u_x", "v_y")),
        "initial": Term("start", misfit("u", "v"), ("u", "v")),
        "boundary": Term("rim", misfit("u", "v"), ("u", "v")),
    }
    sets = {name: _known(x, exact, dtype) for name, x in places.items()}
    nodes = domain.interior(4000, seed=1)
    return _case(names, terms, sets, _network(3, width, depth, 3, seeds, places["interior"], dtype), nodes, exact(nodes), steps, "momentum")


def _steady(exact: Exact, box: Box, viscosity: float, seeds: Seeds, dtype: torch.dtype, interior: int, width: int, depth: int, steps: int) -> Case:
    """Pose a steady flow in a box from its velocity on the rim."""
    inside, nodes = box.interior(interior), box.interior(4000, seed=1)
    sets = {"interior": Points(inside.to(dtype)), "rim": _known(torch.cat(box.sides(100)), exact, dtype)}
    network = _network(2, width, depth, 3, seeds, inside, dtype)
    return _case(FLOW, _flow_terms(viscosity), sets, network, nodes, exact(nodes), steps, "momentum")


def _flow_terms(viscosity: float) -> dict[str, Term]:
    """Return the terms of a steady incompressible flow with known velocity on the rim."""
    equation = NavierStokesVelocity(viscosity=viscosity)
    steady = tuple(name for name in equation.needs if not name.endswith("_t"))

    def momentum(d: Partials, p: object) -> Tensor:
        zero = torch.zeros_like(d["u"])
        return equation.residual(d.replaced(u_t=zero, v_t=zero))

    return {
        "momentum": Term("interior", momentum, steady),
        "divergence": Term("interior", lambda d, p: d.u_x + d.v_y, ("u_x", "v_y")),
        "boundary": Term("rim", misfit("u", "v"), ("u", "v")),
    }


def _known(x: Tensor, exact: Exact, dtype: torch.dtype) -> Points:
    return Points(x.to(dtype), {name: value.to(dtype) for name, value in exact(x).items()})


def _network(inputs: int, width: int, depth: int, outputs: int, seeds: Seeds, inside: Tensor, dtype: torch.dtype) -> CoordinateNetwork:
    mean, std = mean_and_std(inside)
    return CoordinateNetwork(inputs, width, depth, outputs, "tanh", **seed_options(seeds), mean=mean, std=std).to(dtype)


def _case(
    names: Names,
    terms: Mapping[str, Term],
    sets: Mapping[str, Points],
    network: CoordinateNetwork,
    nodes: Tensor,
    truth: Mapping[str, Tensor],
    steps: int,
    reference: str = "pde",
) -> Case:
    """Return the case whose errors are those of the velocity (or of u) and of the pressure without its mean, at the nodes."""
    at = nodes.to(network.mean.dtype)
    velocity = [name for name in truth if name != "p"]

    @torch.no_grad()
    def errors_of(problem: Collocation) -> Mapping[str, Tensor]:
        d = partials(problem.network, at, names, tuple(truth))
        errors = {"velocity" if len(velocity) > 1 else "u": relative([d[n] for n in velocity], [truth[n] for n in velocity])}
        if "p" in truth:
            errors["pressure"] = relative([d["p"] - d["p"].mean(-1, keepdim=True)], [truth["p"] - truth["p"].mean()])
        return errors

    return Case(Collocation(network, names, terms), PointBatches(sets), errors_of, reference, steps, (0.5, 0.75), 5)
