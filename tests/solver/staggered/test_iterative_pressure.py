"""The pressure by conjugate gradients in place of the direct solver, and steps whose loops are fused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from cases.staggered_cases import SIDES, noise
from torch import Tensor

from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVelocity
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.linear_solvers import Krylov
from eddygrad.solver.schemes.piso import PISO
from eddygrad.solver.schemes.projection import Projection
from eddygrad.solver.staggered.bodies import Cylinder
from eddygrad.solver.unroll import repeat

GRID = Grid((24, 16), (3.0, 2.0))


def flow(sides: str, **options: object) -> Projection:
    return Projection(NavierStokesVelocity(viscosity=0.02), GRID, dt=0.02, boundaries=SIDES[sides], **options)  # type: ignore[arg-type]


def start() -> Tensor:
    u = 0.3 * noise(GRID)
    u[:, 0] += 1.0
    return u


@pytest.mark.parametrize("sides", SIDES)
def test_a_converged_pressure_is_the_direct_one(sides: str) -> None:
    direct, iterated = flow(sides), flow(sides, pressure=Krylov("cg", tolerance=1e-12))
    u = repeat(direct.at({}, start()), start(), 2)
    expected, got = direct.at({}, u)(u), iterated.at({}, u)(u)
    assert (got - expected).abs().max() < 1e-10


@pytest.mark.parametrize("sides", ["periodic", "do-nothing"])
def test_its_gradient_is_the_direct_ones(sides: str) -> None:
    grads = []
    for stepper in (flow(sides), flow(sides, pressure=Krylov("cg", tolerance=1e-12)), flow(sides, pressure=Krylov("cg", 1e-12, gradient="unrolled"))):
        u = start().requires_grad_()
        step = stepper.at({}, u.detach())
        step(step(u)).pow(3).sum().backward()
        assert u.grad is not None
        grads.append(u.grad)
    assert (grads[1] - grads[0]).abs().max() < 1e-8 * grads[0].abs().max()
    assert (grads[2] - grads[0]).abs().max() < 1e-8 * grads[0].abs().max()


def test_a_cut_pressure_steps_alike_and_has_no_gradient_of_its_own() -> None:
    """Of one Euler step u* - grad phi with phi cut the gradient is that of u*."""
    direct, cut = (flow("periodic", order=1, pressure=p) for p in (None, Krylov("cg", tolerance=1e-12, gradient="cut")))
    weights, found = noise(GRID, seed=4), []
    for stepper in (direct, cut):
        u = start().requires_grad_()
        end = stepper.at({}, u.detach())(u)
        found.append((end.detach(), *torch.autograd.grad((end * weights).sum(), u)))
    assert (found[1][0] - found[0][0]).abs().max() < 1e-10
    u = start().requires_grad_()
    momentum = direct.momentum({}, u.detach())
    moved = [own + direct.dt * rate for own, rate in zip(u.unbind(1), momentum.rate(list(u.unbind(1)), momentum.at(0.0)))]
    (expected,) = torch.autograd.grad((torch.stack(moved, 1) * weights).sum(), u)
    torch.testing.assert_close(found[1][1], expected, rtol=0, atol=1e-12)
    assert (found[0][1] - expected).abs().max() > 0.1 * expected.abs().max()


def test_a_solve_that_does_not_converge_warns_unless_that_is_meant(recwarn: pytest.WarningsRecorder) -> None:
    few = Krylov("cg", tolerance=1e-5, iterations=3)
    for quiet in (replace(few, on_failure="observe"), replace(few, tolerance=0.0), replace(few, iterations=500)):
        flow("walls", pressure=quiet).at({}, start())(start())
    assert not recwarn
    with pytest.warns(UserWarning, match=r"cg leaves residuals above the tolerance: sample 0 at .* after 3"):
        flow("walls", pressure=few).at({}, start())(start())


def test_few_iterations_leave_divergence_and_say_so() -> None:
    stepper, told = flow("walls", order=1, pressure=Krylov("cg", tolerance=1e-10, iterations=3)), dict[str, Tensor]()
    u = start()
    stepper.at({}, u, told.__setitem__)(u)
    assert told["pressure_iterations"].tolist() == [3, 3]
    assert not told["pressure_converged"].any()
    assert (told["pressure_residual"] > 1e-3).all()
    with pytest.raises(RuntimeError, match=r"sample 0 at .* after 3"):
        replace(stepper, pressure=Krylov("cg", tolerance=1e-10, iterations=3, on_failure="raise")).at({}, u)(u)


def test_a_body_is_held_by_an_iterated_pressure_too() -> None:
    body = {"bodies": (Cylinder((1.0, 1.0), radius=0.3),), "order": 1}
    direct, iterated = flow("convective", **body), flow("convective", **body, pressure=Krylov("cg", tolerance=1e-12))
    u = start()
    assert (iterated.at({}, u)(u) - direct.at({}, u)(u)).abs().max() < 1e-9


def test_piso_takes_it() -> None:
    piso = PISO(NavierStokesVelocity(viscosity=0.02), GRID, dt=0.02)
    u = torch.cat([start(), torch.zeros(2, 1, *GRID.shape, dtype=torch.float64)], 1)
    expected = piso.at({}, u)(u)
    assert (replace(piso, pressure=Krylov("cg", tolerance=1e-12)).at({}, u)(u) - expected).abs().max() < 1e-8


def test_fused_steps_agree_and_are_shared() -> None:
    """To round-off, gradients by state and viscosity included; a step bound to other values compiles nothing more."""
    sides, u = "convective", start()
    plain = flow(sides, order=1, bodies=(Cylinder((1.0, 1.0), radius=0.3),))
    fused = replace(plain, compiled=True)
    results = []
    for stepper in (plain, fused):
        nu, v = torch.full((2, 1, 1, 1), 0.03, dtype=torch.float64, requires_grad=True), u.clone().requires_grad_()
        out = stepper.at({"viscosity": nu}, u)(v)
        results.append((out.detach(), *torch.autograd.grad(out.pow(2).sum(), (v, nu))))
    for expected, got in zip(*results):
        assert (got - expected).abs().max() < 1e-11 * expected.abs().max()
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(error_on_recompile=True):
        nu = torch.full((2, 1, 1, 1), 0.01, dtype=torch.float64, requires_grad=True)
        v = u.clone().requires_grad_()
        again = fused.at({"viscosity": nu}, u)(v)
    assert (again - plain.at({"viscosity": nu}, u)(v)).abs().max() < 1e-12


def test_few_iterations_past_a_body_do_not_blow_up() -> None:
    """The forces on its markers are found with the direct solver, whatever the flow's pressure is."""
    stepper = flow("convective", bodies=(Cylinder((1.0, 1.0), radius=0.3),), order=1, pressure=Krylov("cg", tolerance=0.0, iterations=2))
    u = torch.zeros(1, 2, *GRID.shape, dtype=torch.float64)
    u[:, 0] = 1.0
    assert repeat(stepper.at({}, u), u, 40).abs().max() < 3.0


def test_a_fourth_derivative_too_stiff_for_the_step_is_told() -> None:
    grid = Grid((64, 64))
    with pytest.warns(UserWarning, match="Projection: explicit diffusion is unstable"):
        Projection(ActiveTurbulenceVelocity(), grid, dt=0.1).at({}, noise(grid))
