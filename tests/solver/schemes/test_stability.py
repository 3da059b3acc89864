"""The limits of explicit steps are where the amplification of a wave reaches one."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor

from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.schemes.stability import COURANT, DIFFUSION
from eddygrad.solver.schemes.tableau import LOW_STORAGE
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.staggered.boundary_conditions import FreeSlip, Inflow, Outflow
from eddygrad.solver.unroll import repeat

THETA = torch.linspace(0, 2 * math.pi, 721, dtype=torch.float64)
WAVE = torch.exp(1j * THETA)  # from a cell to the next one downstream
TRANSPORT = {
    "central": -(WAVE - 1 / WAVE) / 2,
    "upwind1": -(1 - 1 / WAVE),
    "upwind3": -(2 * WAVE + 3 - 6 / WAVE + 1 / WAVE**2) / 6,
}
DAMPING = -2 * (1 - torch.cos(THETA))
NEVER_STABLE_ALONE = {(1, "central"), (1, "upwind3"), (2, "central")}


def amplification(order: int, z: Tensor) -> Tensor:
    """Of a step of u' = z u in low-storage form."""
    _, beta, gamma = LOW_STORAGE[order]
    u, rate = torch.ones_like(z), torch.zeros_like(z)
    for b, c in zip(beta, gamma):
        rate = z * u + b * rate
        u = u + c * rate
    return u.abs()


def limit(order: int, symbol: Tensor, other: Tensor | None = None) -> float:
    """The greatest multiple of the symbol, in hundredths, up to which a step amplifies no wave."""
    rest = torch.zeros_like(symbol) if other is None else other
    count = 0
    while count < 500 and bool((amplification(order, (count + 1) / 100 * symbol + rest) <= 1 + 1e-9).all()):
        count += 1
    return count / 100


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("transport", ["central", "upwind1", "upwind3"])
def test_courant_numbers(order: int, transport: str) -> None:
    alone = limit(order, TRANSPORT[transport])
    assert (alone == 0) == ((order, transport) in NEVER_STABLE_ALONE)
    found = alone or max(limit(order, TRANSPORT[transport], d / 100 * DAMPING) for d in range(61))
    assert COURANT[order][transport] == pytest.approx(found, abs=0.011)  # type: ignore[index]
    assert COURANT[order]["van-leer"] == COURANT[order]["upwind1"]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_diffusion_numbers(order: int) -> None:
    """Of u' = -u times h nu l, l the damping of the shortest wave."""
    assert DIFFUSION[order] == pytest.approx(limit(order, torch.full((1,), -1.0, dtype=torch.complex128)), abs=0.011)


def past_a_cylinder(dt: float, speed: float = 1.0) -> Projection:
    sides = ((Inflow((speed, 0.0)), Outflow()), FreeSlip())
    flow = NavierStokesVelocity(viscosity=0.01)
    return Projection(flow, Grid((32, 16), (4.0, 2.0)), dt, sides, bodies=(Cylinder((1.0, 1.0), radius=0.3),))


def test_a_courant_number_beyond_the_limit_is_told_with_what_to_do() -> None:
    u = torch.zeros(1, 2, 32, 16, dtype=torch.float64)
    u[:, 0], u[:, 1] = 1.5, -0.5  # 2 cells of 1/8 in a second each 1/16 of it
    with pytest.warns(UserWarning, match="the Courant number at first is 4, transport alone is stable up to 1.73; take substeps x 3, or more"):
        past_a_cylinder(0.25).at({}, u)(u)


def test_a_flow_that_speeds_up_is_seen_on_its_way(recwarn: pytest.WarningsRecorder) -> None:
    u = torch.zeros(1, 2, 32, 16)
    repeat(past_a_cylinder(0.06).at({}, u), u, 40)
    assert not recwarn
    with pytest.warns(UserWarning, match=r"the Courant number before step 1 is 2\.\d+, .* take substeps x 2") as told:
        repeat(past_a_cylinder(0.1).at({}, u), u, 20)  # the inflow of .8 cells a step is below the limit, the flow around the body is not
    assert len(told) == 1


def test_a_state_that_is_not_finite_is_told() -> None:
    u = torch.full((1, 2, 32, 16), math.nan)
    with pytest.warns(UserWarning, match="the state at first is not finite"):
        past_a_cylinder(0.05).at({}, u)(u)


@pytest.mark.parametrize(("viscosity", "said"), [(100.0, r"= 1\.02e\+03, expected at most 2.51; take substeps x 408 or"), (0.2, "")])
def test_diffusion_beyond_the_limit_is_told(viscosity: float, said: str, recwarn: pytest.WarningsRecorder) -> None:
    u = torch.zeros(1, 2, 24, 16)
    Projection(NavierStokesVelocity(), Grid((24, 16), (3.0, 2.0)), dt=0.02).at({"viscosity": viscosity}, u)
    found = [str(w.message) for w in recwarn]
    assert len(found) == (1 if said else 0)
    if said:
        assert re.search("explicit diffusion is unstable, .*" + said, found[0])
