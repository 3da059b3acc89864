"""Steppers describe themselves: wrappers forward the facts of the solver inside, a user's own object gives attributes, nothing is a default."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch

import eddygrad as eg
from eddygrad.correctors.features import domain_size
from eddygrad.datasets.recipes import kuramoto_sivashinsky
from eddygrad.solver.finer_grid import Refined, RefinedFaces
from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Informed, StepperInfo, info_of
from eddygrad.solver.wrap import wrap

GRID = Grid((24, 16), (6.0, 4.0))
SIDES = ((eg.Inflow((1.0, 0.0)), eg.Outflow()), eg.FreeSlip())
BODY = eg.Cylinder((2.0, 2.0), radius=0.6)


def staggered(grid: Grid = GRID, body: Any = BODY) -> eg.Projection:
    return eg.Projection(eg.NavierStokesVelocity(viscosity=0.05), grid, 0.1, SIDES, substeps=2, bodies=(body,))


def test_schemes_know_all_about_themselves() -> None:
    info = staggered().info()
    assert (info.grid, info.substep, info.steady, info.bodies, info.observed) == (GRID, 0.05, True, (BODY,), {})
    assert info.sides is not None and isinstance(info.sides[0][1], eg.Outflow) and info.equation == eg.NavierStokesVelocity(viscosity=0.05)
    moving = staggered(body=eg.Cylinder((2.0, lambda t, params: 2.0 + 0.1 * torch.sin(t)), radius=0.6))
    assert not moving.info().steady and kuramoto_sivashinsky.coarse().info().sides is None


def test_wrappers_forward_the_facts_of_the_solver() -> None:
    scheme, fine = staggered(), staggered(Grid((48, 32), (6.0, 4.0)))
    recorded = eg.WithForces(scheme).info()
    assert replace(recorded, observed={}, observed_units={}) == scheme.info() and recorded.observed == {"drag": "mean", "lift": "mean"}
    refined = RefinedFaces(fine, GRID).info()
    assert refined == replace(fine.info(), grid=GRID, substep=None, stays_inside=True)
    corrected = eg.correct(eg.WithForces(scheme), eg.nets.EncoderDecoder("32k", cin=2, seeds=(3, 4))).info()
    assert corrected == replace(recorded, substep=None, seeds=(3, 4))
    predicted = eg.predict(eg.nets.EncoderDecoder("32k", cin=2), 0.1, domain=scheme).info()
    assert predicted == StepperInfo(GRID, sides=scheme.sides, bodies=(BODY,))
    adaptive = eg.AdaptiveSubsteps(eg.ETDRK(eg.NavierStokesVorticity(), Grid((16, 16)), dt=0.1)).info()
    assert adaptive.substep is None and adaptive.observed == {"substeps": "sum", "courant": "max"}
    assert Refined(eg.ETDRK(eg.NavierStokesVorticity(), Grid((32, 32)), dt=0.1), Grid((16, 16))).info().stays_inside


def test_a_parallel_correction_is_scaled_by_the_substep_or_dt() -> None:
    solver = kuramoto_sivashinsky.coarse()
    network = eg.nets.ResNet(2, 0)
    assert eg.correct(solver, network, "parallel", features=domain_size()).scale == solver.substep
    assert eg.correct(wrap(lambda u: u, dt=0.7), network, "parallel").scale == 0.7


def test_an_object_without_info_gives_its_attributes() -> None:
    class Own:
        grid, steady, substep, sides = GRID, False, "not a number", None
        observed: ClassVar = {"iterations": "sum"}

    class Around:
        scheme = Own()

    assert not isinstance(Own(), Informed) and wrap(lambda u: u, dt=1.0).info() == info_of(object()) == StepperInfo()
    assert info_of(Own()) == StepperInfo(GRID, steady=False, observed={"iterations": "sum"})
    assert info_of(Around()) == StepperInfo(GRID, steady=False)


def test_an_info_of_another_kind_is_named() -> None:
    class Own:
        def info(self) -> str:
            return "a solver"

    with pytest.raises(ValueError, match=r"Own\.info: expected a StepperInfo, got str"):
        info_of(Own())
