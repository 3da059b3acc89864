"""Long gradients: recomputation does not change them, memory follows the promise, and their growth is the adjoint's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from cases.solver_cases import GRID, scheme, smooth
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.solver.equations.active_turbulence import ActiveTurbulenceVorticity
from eddygrad.solver.equations.burgers import Burgers
from eddygrad.solver.equations.navier_stokes import NavierStokesVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.adaptive import AdaptiveSubsteps
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.schemes.spectral.imex import CrankNicolsonRK
from eddygrad.solver.schemes.spectral.spectral_step import Part
from eddygrad.solver.sensitivity import gradient_growth
from eddygrad.solver.unroll import always, every, first, never, repeat, unroll

PLANE = Grid((16, 16))


def flow(**options: Any) -> ETDRK:
    return ETDRK(NavierStokesVorticity(viscosity=0.02, forcing_amplitude=1.0, forcing_mode=2), PLANE, dt=0.05, **options)


@pytest.mark.parametrize("keep", [1, 2, 3, 7, 50, "sqrt"])
def test_recomputed_gradients_are_the_full_ones(keep: Any) -> None:
    w = random_fourier(PLANE, 2, bandlimit=4, seed=0)
    results = []
    for way in ("all", keep):
        leaf, nu = w.clone().requires_grad_(), torch.tensor(0.02, dtype=torch.float64, requires_grad=True)
        end = repeat(flow().at({"viscosity": nu}, w), leaf, 7, grad=True, keep=way)
        results.append(torch.autograd.grad(end.square().sum(), [leaf, nu]))
    for full, again in zip(*results):
        torch.testing.assert_close(again, full, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("cut", [never, always, every(3), first(2)])
@pytest.mark.parametrize("keep", [1, 3, "sqrt"])
def test_recomputation_and_cuts_are_independent(cut: Any, keep: Any) -> None:
    """The loss sees every frame; a step with learnt weights, so that cut gradients are not zero."""
    u, weight = smooth(2), torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    solver = scheme(2).at({}, u)

    def step(v: Tensor, k: int) -> Tensor:
        return solver(v, k) + weight * (k + 1) * v

    results = []
    for way in ("all", keep):
        leaf = u.clone().requires_grad_()
        loss = torch.stack([v.square().mean() for v in unroll(step, leaf, 7, cut, way)]).sum()
        results.append([loss, *torch.autograd.grad(loss, [leaf, weight])])
    for full, again in zip(*results):
        torch.testing.assert_close(again, full, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("keep", [0, -1, "few", 1.5])
def test_a_bad_number_of_states_is_named(keep: Any) -> None:
    u = smooth(1).requires_grad_()
    with pytest.raises(ValueError, match="keep: expected 'all', 'sqrt' or a number of states"):
        repeat(scheme().at({}, u), u, 4, grad=True, keep=keep)


def _saved_bytes(run: Any) -> int:
    """Bytes of the distinct tensors that autograd holds when the forward pass is over."""
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        out = run()
    del out
    return sum(kept.values())


def test_the_adjoint_keeps_the_fields_and_no_more() -> None:
    """Two fields a stage: (2, B, N, N) each, two stages a step; autograd keeps the spectra between the operations too, more than twice that."""
    w = random_fourier(PLANE, 2, bandlimit=4, seed=0).requires_grad_()
    steps, field_bytes = 6, 2 * 16 * 16 * 8
    ours = _saved_bytes(lambda: repeat(flow().at({}, w), w, steps, grad=True))
    plain = _saved_bytes(lambda: repeat(flow(gradient="autograd").at({}, w), w, steps, grad=True))
    assert ours <= steps * 2 * 2 * field_bytes + 4 * field_bytes
    assert plain > 2 * ours


@pytest.mark.parametrize("case", ["navier-stokes", "active"])
def test_gradients_over_twenty_steps_agree_with_differences(case: str) -> None:
    """State and every coefficient in float64: cosine above .9999 for the state's directions, relative error below 1e-5."""
    grid, random = Grid((16, 16)), torch.Generator().manual_seed(0)
    if case == "active":
        equation: Any = ActiveTurbulenceVorticity()
        stepper: Any = ETDRK(equation, grid, dt=0.02, order=4)
        start = random_fourier(grid, 1, 3, bandlimit=3, seed=1)
        names = {"lambda_0": 3.5, "alpha": -1.0, "beta": 0.5, "Gamma_0": -0.045, "Gamma_2": 0.045**3}
        fields: dict[str, Tensor] = {}
    else:
        equation = NavierStokesVorticity(forcing_mode=2)
        stepper = CrankNicolsonRK(equation, grid, dt=0.05)
        start = random_fourier(grid, 1, bandlimit=3, seed=1)
        names = {"viscosity": 0.05, "drag": 0.1, "forcing_amplitude": 1.0, "mean_u": 0.2, "hyperviscosity": 1e-6}
        fields = {"forcing": 0.3 * random_fourier(grid, 1, bandlimit=3, seed=2)}
    weight = torch.randn(start.shape, dtype=torch.float64, generator=random)
    values = {name: torch.tensor(v, dtype=torch.float64) for name, v in names.items()} | fields

    def loss(u: Tensor, params: dict[str, Tensor]) -> Tensor:
        return (repeat(stepper.at(params, u), u, 20, grad=True) * weight).mean()

    leaves = {"state": start.clone().requires_grad_()} | {name: v.clone().requires_grad_() for name, v in values.items()}
    exact = dict(zip(leaves, torch.autograd.grad(loss(leaves["state"], {n: v for n, v in leaves.items() if n != "state"}), list(leaves.values()))))

    def difference(name: str, toward: Tensor, eps: float) -> Tensor:
        ahead, behind = ({**values, "state": start, name: {**values, "state": start}[name] + e * toward} for e in (eps, -eps))
        return (loss(ahead.pop("state"), ahead) - loss(behind.pop("state"), behind)) / (2 * eps)

    for name, value in {**values, "state": start}.items():
        directions = [torch.randn(value.shape, dtype=torch.float64, generator=random) for _ in range(6)] if value.ndim else [value.clone()]
        eps = 1e-5
        ours = torch.stack([(exact[name] * d).sum() for d in directions])
        theirs = torch.stack([difference(name, d, eps) for d in directions])
        assert theirs.norm() > 0, name
        assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.9999, name
        assert (ours - theirs).norm() < 1e-5 * theirs.norm(), (name, ours, theirs)


def test_gradients_about_rest_decay_mode_by_mode() -> None:
    """Burgers about u = 0 is the heat equation: the norm after j steps is that of sum_k e^(-nu k^2 j dt) v_k, to round-off."""
    nu, dt, n, u = 0.3, 0.1, 10, torch.zeros(3, 1, 24, dtype=torch.float64)
    growth = gradient_growth(ETDRK(Burgers(viscosity=nu), Grid((24,)), dt=dt, dealias=None).at({}, u), u, n, seed=4)
    v_hat = torch.fft.fft(torch.randn(u.shape, dtype=torch.float64, generator=generator(4, "gradient growth")))
    k2 = torch.fft.fftfreq(24, 1 / 24, dtype=torch.float64) ** 2
    norms = torch.stack([(v_hat * torch.exp(-nu * k2 * j * dt)).abs().square().sum((-2, -1)).sqrt() for j in range(n + 1)])
    torch.testing.assert_close(growth.samples, norms / norms[0], rtol=1e-12, atol=0)
    assert growth.exponent < 0
    assert growth.horizon == n


def test_gradients_of_chaos_grow_by_the_lyapunov_exponent() -> None:
    """Kuramoto-Sivashinsky at D/8 = 1.4 has .096 a frame; over 60 frames the adjoint grows at that rate after a fast start."""
    u = repeat(scheme(2).at({"length": 1.4 * GRID.lengths[0]}, smooth(8)), smooth(8), 200)
    growth = gradient_growth(scheme(2).at({"length": 1.4 * GRID.lengths[0]}, u), u, 120)
    late = float((growth.norm[-1] / growth.norm[40]).log() / 80)
    assert late == pytest.approx(0.096, abs=0.03)
    assert 0 < growth.horizon <= 120
    assert growth.norm[growth.horizon] <= growth.limit


@pytest.mark.parametrize("n, limit", [(0, 10.0), (3, 1.0)])
def test_bad_settings_of_the_diagnosis(n: int, limit: float) -> None:
    u = smooth(1)
    with pytest.raises(ValueError, match="needs n >= 1 and a limit above 1"):
        gradient_growth(scheme().at({}, u), u, n, limit)


def test_adaptive_substeps_follow_the_speed() -> None:
    w = random_fourier(PLANE, 2, bandlimit=4, rms=4.0, seed=3)
    seen: dict[str, list[float]] = {"substeps": [], "courant": []}
    plan = AdaptiveSubsteps(flow(), courant=0.1)
    step = plan.at({}, w, observe=lambda name, value: seen[name].append(float(value)))
    end = repeat(step, w, 3)
    counts = [int(n) for n in seen["substeps"]]
    assert min(counts) > 1
    assert all(c <= 0.1 for c in seen["courant"])
    by_hand = w
    for n in counts:
        by_hand = flow(substeps=n).at({}, w)(by_hand)
    torch.testing.assert_close(end, by_hand, rtol=0, atol=1e-12)
    twice = AdaptiveSubsteps(flow(), courant=0.05).at({}, 2 * w, observe=lambda name, value: seen[name].append(float(value)))
    twice(2 * w)
    assert abs(seen["substeps"][-1] - 4 * counts[0]) <= 4
    with pytest.raises(ValueError, match=r"would need .* substeps, most is 4"):
        AdaptiveSubsteps(flow(), courant=0.01, most=4).at({}, w)(w)
    with pytest.raises(ValueError, match="not finite at step 0"):
        plan.at({}, w)(w * math.nan)


def test_a_checkpoint_around_a_batch_in_many_parts() -> None:
    """A checkpoint hands out what a step saved a single time."""
    w = torch.randn(3, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    step: Any = flow().at({}, w)
    step._kept = step.enter(w).shape, [Part(i, i + 1, step.bound.part(i, i + 1)) for i in range(3)]
    (expected,) = torch.autograd.grad(repeat(step, w, 4, grad=True).square().sum(), w)
    for keep in ("sqrt", 2):
        *_, last = unroll(step, w, 4, keep=keep)  # type: ignore[arg-type]
        torch.testing.assert_close(torch.autograd.grad(last.square().sum(), w)[0], expected, rtol=1e-12, atol=0)


def test_tangents_by_parameters_are_those_of_differences() -> None:
    w = torch.randn(2, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def loss(nu: Tensor) -> Tensor:
        return flow(gradient="autograd").at({"viscosity": nu}, w)(w).square().sum()

    nu, h = torch.tensor(0.01, dtype=torch.float64), 1e-6
    _, tangent = torch.func.jvp(loss, (nu,), (torch.ones_like(nu),))
    torch.testing.assert_close(tangent, (loss(nu + h) - loss(nu - h)) / (2 * h), rtol=1e-6, atol=0)
