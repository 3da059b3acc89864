"""The bound spectral step: rough states, one length for a box, parameters per seed, coefficients that outlive a call, scratch memory, errors."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from cases.spectral_cases import EQUATIONS, SCHEMES, build, params, state
from torch import Tensor

from eddygrad.runtime.threads import threads
from eddygrad.solver.equations.burgers import Burgers
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity, NavierStokesVorticity
from eddygrad.solver.equations.smagorinsky import SmagorinskyVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.adaptive import AdaptiveSubsteps
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.imex import CrankNicolsonRK
from eddygrad.solver.sensitivity import gradient_growth
from eddygrad.solver.unroll import repeat
from eddygrad.solver.vector_calculus import divergence, leray

ROUND_OFF = 1e-12
PLANES = [name for name, (equation, _, _) in EQUATIONS.items() if equation.ndim > 1]


def rough(equation: str) -> Tensor:
    """White noise: every mode, Nyquist modes included."""
    physics, grid, _ = EQUATIONS[equation]
    return torch.randn(2, len(physics.channels), *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(7)) * 0.3


@pytest.mark.parametrize("dealias", [None, 1.0, 2 / 3])
@pytest.mark.parametrize("equation", PLANES)
def test_rough_states_step_as_they_repeat(equation: str, dealias: float | None) -> None:
    """The state stays the spectrum of a real field, whatever modes it has; velocities stay free of divergence."""
    u = rough(equation)
    step = build("ETDRK2", equation, dt=0.02, dealias=dealias).at(params(equation), u)
    called = step(step(step(u)))
    torch.testing.assert_close(repeat(step, u, 3), called, rtol=0, atol=ROUND_OFF)
    if "velocity" in EQUATIONS[equation][0].channels[0]:
        assert divergence(called, EQUATIONS[equation][1]).abs().max() < 1e-11


@pytest.mark.parametrize("kind", [ETDRK, CrankNicolsonRK])
def test_one_length_makes_a_box_square(kind: Any) -> None:
    """params["length"] replaces every side, in the projection too."""
    oblong, square = Grid((12, 12), (2 * math.pi, 5.0)), Grid((12, 12))
    u = leray(random_fourier(square, 2, 2, bandlimit=3, seed=0), square)
    equation = NavierStokesVelocity(viscosity=0.1, forcing_amplitude=1.0, forcing_mode=2)
    bound = kind(equation, oblong, dt=0.05).at({"length": 2 * math.pi}, u)(u)
    torch.testing.assert_close(bound, kind(equation, square, dt=0.05).at({}, u)(u), rtol=0, atol=ROUND_OFF)
    each = torch.full((2, 1, 1, 1), 2 * math.pi, dtype=torch.float64).requires_grad_()
    torch.testing.assert_close(kind(equation, oblong, dt=0.05).at({"length": each}, u)(u).detach(), bound, rtol=0, atol=ROUND_OFF)


def test_a_parameter_per_seed_holds_for_every_sample_of_the_seed() -> None:
    grid = Grid((12, 12))
    u = random_fourier(grid, 3, bandlimit=3, seed=1)
    stepper = ETDRK(NavierStokesVorticity(), grid, dt=0.1)
    for shape in ((2, 1), (2, 3)):
        nu = torch.tensor([[0.1], [0.5]], dtype=torch.float64).expand(shape).reshape(*shape, 1, 1, 1)
        stacked = stepper.at({"viscosity": nu}, u)(torch.stack([u, u]))
        for s, value in enumerate((0.1, 0.5)):
            torch.testing.assert_close(stacked[s], stepper.at({"viscosity": value}, u)(u), rtol=0, atol=ROUND_OFF)


def test_a_step_refuses_a_batch_that_is_not_that_of_its_parameters() -> None:
    grid = Grid((12, 12))
    u = random_fourier(grid, 4, bandlimit=3, seed=1)
    step = ETDRK(NavierStokesVorticity(), grid, dt=0.1).at({"viscosity": torch.tensor([0.1, 0.2]).reshape(2, 1, 1, 1)}, u[:2])
    with pytest.raises(ValueError, match="bound to parameters of 2 samples, the state has"):
        step(u)
    assert step(u.reshape(2, 2, 1, 12, 12)).shape == (2, 2, 1, 12, 12)


@pytest.mark.parametrize("before", ["nothing", "no_grad", "repeat", "inference"])
def test_what_ran_before_does_not_change_a_gradient(before: str) -> None:
    """A learnable length leaves gradients to autograd; a learnable viscosity under adaptive substeps is bound once, with its graph."""
    grid = Grid((12, 12))
    w = random_fourier(grid, 2, bandlimit=3, seed=2)
    length = torch.tensor(2 * math.pi, dtype=torch.float64, requires_grad=True)
    nu = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    results = []
    amplitude = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    for leaf, name in ((length, "length"), (nu, "viscosity"), (amplitude, "forcing_amplitude")):
        scheme = ETDRK(NavierStokesVorticity(forcing_mode=2), grid, dt=0.1, gradient="adjoint" if name != "forcing_amplitude" else "autograd")
        step: Any = AdaptiveSubsteps(scheme, courant=0.1).at({name: leaf}, w) if name == "viscosity" else scheme.at({name: leaf}, w)
        if before == "no_grad":
            with torch.no_grad():
                step(w)
        elif before == "repeat":
            repeat(step, w, 2)
        elif before == "inference":
            with torch.inference_mode():
                step(w)
        results.append(torch.autograd.grad(step(step(w)).square().sum(), leaf)[0])
    fresh = ETDRK(NavierStokesVorticity(), grid, dt=0.1).at({"length": length}, w)
    torch.testing.assert_close(results[0], torch.autograd.grad(fresh(fresh(w)).square().sum(), length)[0], rtol=1e-12, atol=0)
    assert results[1].abs() > 1e-3
    own = ETDRK(NavierStokesVorticity(forcing_mode=2), grid, dt=0.1).at({"forcing_amplitude": amplitude}, w)
    torch.testing.assert_close(results[2], torch.autograd.grad(own(own(w)).square().sum(), amplitude)[0], rtol=1e-12, atol=0)


def test_parameters_are_read_when_a_step_is_bound() -> None:
    """What is bound does not follow a parameter that is changed in place afterwards."""
    u = state("active velocity")
    own = {name: v.clone() for name, v in params("active velocity").items()}
    own["beta"].requires_grad_()
    step = build("ETDRK2", "active velocity").at(own, u)
    before = step(u).detach()
    with torch.no_grad():
        own["beta"].mul_(3)
    assert torch.equal(step(u).detach(), before)


@pytest.mark.parametrize("equation", PLANES)
def test_bound_in_inference_mode_a_step_serves_training(equation: str) -> None:
    u = state(equation)
    own: dict[str, Tensor] = dict(params(equation))
    if "forcing" in EQUATIONS[equation][0].parameters:
        own["forcing"] = 0.1 * u[:1]
    with torch.inference_mode():
        step = build("ETDRK2", equation, dt=0.03).at(own, u)
        step(u)
    leaf = u.clone().requires_grad_()
    assert torch.isfinite(torch.autograd.grad(step(leaf).square().sum(), leaf)[0]).all()


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: NavierStokesVorticity(forcing_mode=-2), "forcing_mode and hyper_power must be at least 1, got -2"),
        (lambda: SmagorinskyVelocity(forcing_mode=0), "forcing_mode and hyper_power must be at least 1"),
        (lambda: NavierStokesVorticity(forcing_amplitude=1.0).residual({}), "forcing_amplitude must be zero"),
        (lambda: NavierStokesVelocity(hyperviscosity=1.0).residual({}), "hyperviscosity must be zero"),
        (lambda: SmagorinskyVelocity().residual({}), "models the unresolved flow and has no residual"),
        (lambda: NavierStokesVelocity(dimension=3).residual({}), "velocity form in two dimensions, got 3"),
        (lambda: _bind(KuramotoSivashinsky(), {"length": 9.0, "forcing": torch.ones(1, 1, 12)}), "takes no 'forcing'"),
        (lambda: _bind(Burgers(), {"length": -6.0}), "'length' must be positive"),
        (lambda: _bind(Burgers(), {"length": math.nan}), "'length' must be positive"),
        (lambda: _bind(Burgers(), {"Viscosity": 1.0}), "did you mean 'viscosity'"),
        (lambda: _bind(Burgers(), {"forcing": torch.ones(3, 1, 12), "viscosity": torch.ones(2, 1, 1)}), "'viscosity' has 2 samples, others 3"),
        (lambda: _bind(Burgers(), {}, torch.float16), "expected float32 or float64, got float16"),
        (lambda: ETDRK(Burgers(), Grid((12,)), dt=1.0, substeps=2.5), "substeps a whole number"),  # type: ignore[arg-type]
        (lambda: _bind(KuramotoSivashinsky(), {"length": 40.0}, kind=CrankNicolsonRK, dt=50.0), "too fast for substeps of 50"),
        (
            lambda: gradient_growth(_bind(Burgers(viscosity=0.0), {}, dt=50.0), 1e3 * random_fourier(Grid((12,)), 1, seed=0), 12),
            "not finite after 11",
        ),
    ],
)
def test_what_would_be_silently_wrong_is_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def _bind(equation: Any, own: dict[str, Any], dtype: torch.dtype = torch.float64, kind: Any = ETDRK, dt: float = 1.0) -> Any:
    return kind(equation, Grid((12,)), dt=dt).at(own, torch.zeros(1, 1, 12, dtype=dtype))


def test_every_scheme_is_among_the_schemes() -> None:
    assert {kind for kind, _, _ in SCHEMES.values()} == {ETDRK, CrankNicolsonRK, SCHEMES["IFRK4"][0]}


@pytest.mark.parametrize("equation", PLANES)
def test_threads_that_step_at_once_do_not_meet_in_scratch_memory(equation: str) -> None:
    """Products are written to memory that the next step overwrites; every thread has its own. With one thread each, so that their bits compare."""
    first, rest = state(equation), rough(equation)
    step = build("ETDRK4", equation, dt=0.02).at(params(equation), first)
    with threads(1):
        alone = [repeat(step, u, 40) for u in (first, rest)]
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(lambda u: repeat(step, u, 40), (first, rest)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together))


def test_gradients_of_interleaved_steps_do_not_meet_in_scratch_memory() -> None:
    """Two forward passes before two backward ones, of equal shapes: nothing that is saved lives in the workspace."""
    equation = "vorticity"
    step = build("ETDRK2", equation, dt=0.02).at(params(equation), state(equation))
    alone = []
    for u in (state(equation), rough(equation)):
        u.requires_grad_()
        alone.append(torch.autograd.grad(repeat(step, u, 3, grad=True).square().sum(), u)[0])
    starts = [state(equation).requires_grad_(), rough(equation).requires_grad_()]
    ends = [repeat(step, u, 3, grad=True).square().sum() for u in starts]
    together = [torch.autograd.grad(end, u)[0] for end, u in zip(ends, starts)]
    assert all(torch.equal(a, b) for a, b in zip(alone, together))
