"""Laws of every spectral scheme on every equation: order, exact linear parts, batches, and the hand-written adjoint against autograd."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from cases.spectral_cases import ALL_EQUATIONS, ALL_SCHEMES, EQUATIONS, ROUND_OFF, SCHEMES, build, params, state
from torch import Tensor

from eddygrad.solver.equations.navier_stokes import NavierStokesVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.unroll import repeat
from eddygrad.solver.vector_calculus import divergence


@ALL_SCHEMES
@pytest.mark.parametrize("equation", ["burgers", "vorticity", "active velocity"])
def test_observed_order_is_the_claimed_order(scheme: str, equation: str) -> None:
    u, time, order = state(equation), 0.5, SCHEMES[scheme][2]
    own = params(equation)
    if scheme.startswith("CN"):  # the linear part's error, of order 2, must be the larger one
        own = {name: {"viscosity": 5, "Gamma_2": 30}.get(name, 1) * v for name, v in own.items()}
    reference = build("ETDRK4", equation, dt=time, substeps=1024).at(own, u)(u)
    counts = (32, 64, 128) if order == 1 else (16, 32, 64)
    errors = [(build(scheme, equation, dt=time, substeps=n).at(own, u)(u) - reference).square().mean().sqrt() for n in counts]
    orders = [math.log2(a / b) for a, b in zip(errors, errors[1:])]  # noqa: RUF007
    assert all(abs(p - order) < 0.15 for p in orders), orders


@ALL_SCHEMES
@ALL_EQUATIONS
def test_the_adjoint_is_autograds(scheme: str, equation: str) -> None:
    """State, every parameter and a force, two steps of two substeps, a value per sample and one for all."""
    start, physics = state(equation), EQUATIONS[equation][0]
    for shared in (False, True):
        results = []
        for gradient in ("adjoint", "autograd"):
            leaf = start.clone().requires_grad_()
            own = {name: v[:1].detach().clone().requires_grad_() if shared else v for name, v in params(equation, True).items()}
            if "forcing" in physics.parameters:
                own["forcing"] = (0.1 * start[:1]).requires_grad_()
            step = build(scheme, equation, substeps=2, gradient=gradient).at(own, start)
            out = step(step(leaf))
            weight = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
            results.append([out.detach(), *torch.autograd.grad((out * weight).sum(), [leaf, *own.values()])])
        for ours, reference in zip(*results):
            torch.testing.assert_close(ours, reference, rtol=1e-10, atol=1e-12)
            assert reference.abs().max() > 0


@ALL_EQUATIONS
def test_products_adjoint_is_the_gradient_of_products(equation: str) -> None:
    physics, grid, _ = EQUATIONS[equation]
    k, values = grid.wavenumbers(), {name: getattr(physics, name, 0.0) for name in physics.parameters}
    fields_count, products_count = len(physics.synthesis(k, values) or physics.channels), len(physics.analysis(k, values)[0])
    random = torch.Generator().manual_seed(0)
    fields = torch.randn(fields_count, 2, *grid.shape, dtype=torch.float64, generator=random).requires_grad_()
    inside = {name: torch.full((2, *[1] * grid.ndim), 0.7, dtype=torch.float64).requires_grad_() for name in physics.inside}
    products = torch.stack(physics.products(fields.unbind(0), inside, (None,) * products_count))
    weight = torch.randn(products.shape, dtype=torch.float64, generator=random)
    expected = torch.autograd.grad((products * weight).sum(), [fields, *inside.values()])
    with torch.no_grad():
        g_fields, g_inside = physics.products_adjoint(fields, inside, weight)
        out = torch.empty_like(products)
        physics.products(fields.unbind(0), inside, out.unbind(0))
    assert torch.equal(out, products)
    for ours, reference in zip((g_fields, *(g_inside[name].sum_to_size(inside[name].shape) for name in inside)), expected):
        torch.testing.assert_close(ours, reference, rtol=1e-12, atol=1e-12)


@ALL_SCHEMES
@ALL_EQUATIONS
def test_a_batch_of_mixed_parameters_is_its_singles(scheme: str, equation: str) -> None:
    u, own = state(equation), params(equation)
    together = build(scheme, equation).at(own, u)(u)
    for i in range(2):
        single = {name: float(v[i]) for name, v in own.items()}
        alone = build(scheme, equation).at(single, u[i : i + 1])(u[i : i + 1])
        torch.testing.assert_close(together[i : i + 1], alone, rtol=0, atol=ROUND_OFF)


@ALL_SCHEMES
@ALL_EQUATIONS
@pytest.mark.parametrize("grad", [False, True])
def test_repeat_is_n_calls(scheme: str, equation: str, grad: bool) -> None:
    u = state(equation).requires_grad_(grad)
    step = build(scheme, equation).at(params(equation), u)
    torch.testing.assert_close(repeat(step, u, 3, grad=grad).detach(), step(step(step(u))).detach(), rtol=0, atol=ROUND_OFF)


@ALL_EQUATIONS
def test_stacked_seeds_are_single_runs(equation: str) -> None:
    u, own = state(equation), params(equation)
    step = build("ETDRK2", equation).at(own, u)
    stacked = step(torch.stack([u, 0.5 * u, -u]))
    for s, single in enumerate((u, 0.5 * u, -u)):
        torch.testing.assert_close(stacked[s], step(single), rtol=0, atol=ROUND_OFF)


@pytest.mark.parametrize("equation", ["vorticity", "velocity", "active vorticity"])
def test_parts_of_the_batch_do_not_show(equation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from eddygrad.solver.schemes.spectral import spectral_step

    results: list[list[Tensor]] = []
    for size in (1 << 30, 1):
        monkeypatch.setattr(spectral_step, "_CHUNK_BYTES", size)
        own, leaf = params(equation, True), state(equation).requires_grad_()
        own["Gamma_2" if "active" in equation else "drag"] = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        step = replace(build("CN-RK3", equation), substeps=2).at(own, leaf)
        # Called, and made again in the backward pass, parts apart, over several substeps.
        ends = [step(step(step(leaf))), *(repeat(step, leaf, 3, grad=True, keep=keep) for keep in (1, 2, "all"))]
        for out in ends:
            gradients = torch.autograd.grad(out.square().sum(), [leaf, *own.values()], retain_graph=True)
            results.append([out.detach(), *gradients, repeat(step, leaf.detach(), 3)])
    for other in results[1:]:
        for whole, parts in zip(results[0], other):
            torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("equation", [e for e in EQUATIONS if "velocity" in EQUATIONS[e][0].channels[0]])
def test_velocities_stay_free_of_divergence(equation: str) -> None:
    grid = EQUATIONS[equation][1]
    u = random_fourier(grid, 2, grid.ndim, bandlimit=2, seed=5)
    assert divergence(u, grid).abs().max() > 0.1
    assert divergence(build("CN-RK4", equation).at(params(equation), u)(u), grid).abs().max() < 1e-12


@ALL_SCHEMES
def test_double_backward_is_refused_with_the_way_out(scheme: str) -> None:
    u = state("vorticity").requires_grad_()
    out = build(scheme, "vorticity").at(params("vorticity"), u)(u)
    with pytest.raises(RuntimeError, match="gradient='autograd' for double backward"):
        torch.autograd.grad(out.square().sum(), u, create_graph=True)


def test_twice_differentiable_by_autograd() -> None:
    grid = Grid((6, 6))
    stepper = ETDRK(NavierStokesVorticity(), grid, dt=0.1, gradient="autograd")
    u = random_fourier(grid, 1, bandlimit=2, seed=0).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda w: stepper.at({}, w)(w), (u,))
