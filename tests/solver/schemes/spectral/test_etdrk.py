"""Laws of the exponential steps, for every order and both realisations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from cases.solver_cases import GRID, LENGTH, SCHEMES, scheme, smooth
from torch import Tensor

from eddygrad.solver.equations.equation import Table, Values, Wavenumbers
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.unroll import repeat

BOTH = pytest.mark.parametrize("order, realisation", SCHEMES)
# Round-off of a few hundred float64 operations on numbers of order one (growth of perturbations over a few frames is below ten).
ROUND_OFF = 1e-12


@BOTH
def test_observed_order_is_the_claimed_order(order: int, realisation: str) -> None:
    grid, time = Grid((32,), 60.0), 2.0  # |h L| <= 1: a stiffer grid meets its order later
    u = smooth(2, grid)
    reference = scheme(4, "spectral", dt=time, substeps=4096, grid=grid).at({}, u)(u)
    errors = []
    for substeps in (16, 32, 64, 128):
        got = scheme(order, realisation, dt=time, substeps=substeps, grid=grid).at({}, u)(u)
        errors.append((got - reference).square().mean().sqrt())
    orders = torch.log2(torch.stack(errors[:-1]) / torch.stack(errors[1:]))
    assert (orders - order).abs().max() < 0.15, orders


@BOTH
def test_linear_modes_are_exact(order: int, realisation: str) -> None:
    amplitude = 1e-15  # the relative size of the quadratic term
    x, t = GRID.points()[0], 3.0
    m = torch.arange(1, 24, dtype=torch.float64)
    k = 2 * torch.pi * m / LENGTH
    u = amplitude * torch.cos(k[:, None] * x)[:, None]
    got = scheme(order, realisation, dt=t, substeps=3).at({}, u)(u)
    exact = torch.exp((k**2 - k**4) * t)[:, None, None] * u
    assert (got - exact).abs().max() < 1e-12 * exact.abs().max()


@BOTH
def test_the_mean_is_conserved(order: int, realisation: str) -> None:
    u = smooth(4, mean=0.3)
    v = repeat(scheme(order, realisation, substeps=10).at({}, u), u, 4)
    assert (v - u).abs().max() > 0.5
    assert (v.mean(-1) - u.mean(-1)).abs().max() < 1e-13  # 40 substeps of a sum of 48 terms


@pytest.mark.parametrize("order", (1, 2, 3, 4))
@pytest.mark.parametrize("points", (47, 48))
def test_dense_and_spectral_are_the_same_map(order: int, points: int) -> None:
    grid = Grid((points,), LENGTH)
    u = smooth(3, grid, modes=20)
    dense, spectral = (scheme(order, r, grid=grid).at({}, u)(u) for r in ("dense", "spectral"))
    torch.testing.assert_close(dense, spectral, rtol=0, atol=ROUND_OFF)


@BOTH
@pytest.mark.parametrize("grad", (False, True))
def test_repeat_is_n_calls(order: int, realisation: str, grad: bool) -> None:
    u = smooth(3).requires_grad_(grad)
    before = u.detach().clone()
    step = scheme(order, realisation).at({}, u)
    called = step(step(step(u)))
    repeated = repeat(step, u, 3, grad=grad)
    assert repeated.requires_grad == grad
    assert torch.equal(u.detach(), before)
    torch.testing.assert_close(repeated, called.detach() if not grad else called, rtol=0, atol=ROUND_OFF)
    if grad:
        ours, hand = (torch.autograd.grad(out.square().sum(), u)[0] for out in (repeated, called))
        torch.testing.assert_close(ours, hand, rtol=1e-12, atol=ROUND_OFF)


@BOTH
def test_repeated_results_do_not_share_memory(order: int, realisation: str) -> None:
    u = smooth(2)
    step = scheme(order, realisation).at({}, u)
    first = repeat(step, u, 2)
    kept = first.clone()
    repeat(step, 2 * u, 5)
    assert torch.equal(first, kept)


@BOTH
def test_one_long_step_is_its_substeps(order: int, realisation: str) -> None:
    u = smooth(3)
    long = scheme(order, realisation, dt=1.0, substeps=4).at({}, u)
    short = scheme(order, realisation, dt=0.25, substeps=1).at({}, u)
    torch.testing.assert_close(long(u), short(short(short(short(u)))), rtol=0, atol=ROUND_OFF)


@BOTH
def test_a_batch_is_its_singles(order: int, realisation: str) -> None:
    lengths = LENGTH * torch.tensor([0.85, 1.4, 0.85, 1.15], dtype=torch.float64).reshape(4, 1, 1)
    u = smooth(4)
    stepper = scheme(order, realisation)
    together = stepper.at({"length": lengths}, u)(u)
    alone = torch.cat([stepper.at({"length": float(l)}, u[:1])(v[None]) for l, v in zip(lengths.flatten(), u)])
    torch.testing.assert_close(together, alone, rtol=0, atol=ROUND_OFF)
    assert (together[0] - stepper.at({}, u)(u)[0]).abs().max() > 1e-3


@BOTH
def test_stacked_seeds_are_single_runs(order: int, realisation: str) -> None:
    lengths = LENGTH * torch.tensor([0.9, 1.1, 1.3], dtype=torch.float64).reshape(3, 1, 1)
    u = smooth(6).reshape(2, 3, 1, 48)
    for params in ({}, {"length": lengths}, {"length": torch.stack([lengths, lengths.flip(0)])}):
        step = scheme(order, realisation).at(params, u[0])
        stacked = step(u)
        for s in range(2):
            own = {name: value[s] if value.ndim == 4 else value for name, value in params.items()}
            torch.testing.assert_close(stacked[s], scheme(order, realisation).at(own, u[s])(u[s]), rtol=0, atol=ROUND_OFF)


@BOTH
def test_translation_and_reflection_commute_with_the_step(order: int, realisation: str) -> None:
    u = smooth(3)
    step = scheme(order, realisation).at({}, u)
    torch.testing.assert_close(step(u.roll(7, -1)), step(u).roll(7, -1), rtol=0, atol=ROUND_OFF)
    torch.testing.assert_close(step(-u.flip(-1)), -step(u).flip(-1), rtol=0, atol=ROUND_OFF)


@BOTH
def test_gradients_agree_with_finite_differences(order: int, realisation: str) -> None:
    grid = Grid((12,), 22.0)
    u = smooth(2, grid, modes=3).requires_grad_()
    stepper = scheme(order, realisation, dt=0.5, substeps=2, grid=grid)
    shared = torch.tensor(22.0, dtype=torch.float64, requires_grad=True)
    each = torch.tensor([22.0, 18.0], dtype=torch.float64).reshape(2, 1, 1).requires_grad_()

    def run(u: Tensor, length: Tensor) -> Tensor:
        return stepper.at({"length": length}, u)(u)

    assert torch.autograd.gradcheck(run, (u, shared))
    assert torch.autograd.gradcheck(run, (u, each))


@BOTH
def test_coefficients_with_and_without_gradient_agree(order: int, realisation: str) -> None:
    u, length = smooth(2), torch.full((2, 1, 1), 1.1 * LENGTH, dtype=torch.float64)
    plain = scheme(order, realisation).at({"length": length}, u)(u)
    learnt = scheme(order, realisation).at({"length": length.clone().requires_grad_()}, u)(u)
    torch.testing.assert_close(learnt, plain, rtol=0, atol=ROUND_OFF, check_stride=False)


@BOTH
def test_single_precision_is_the_double_map_rounded(order: int, realisation: str) -> None:
    u = smooth(3)
    stepper = scheme(order, realisation)
    single = stepper.at({}, u.float())(u.float())
    assert single.dtype == torch.float32
    assert (single - stepper.at({}, u)(u)).abs().max() < 3e-6  # 2^-24 times some ten operations on numbers below 5


def test_dealiasing_removes_the_nonlinear_term_of_high_modes() -> None:
    x = GRID.points()[0]
    u = torch.cos(2 * torch.pi * 10 * x / LENGTH)[None, None]  # u^2 lives in modes 0 and 20, above two thirds of 24
    linear = math.exp((10 / 8) ** 2 - (10 / 8) ** 4) * u
    kept = ETDRK(KuramotoSivashinsky(), GRID, dt=1.0).at({}, u)(u)
    freed = ETDRK(KuramotoSivashinsky(), GRID, dt=1.0, dealias=2 / 3).at({}, u)(u)
    assert (freed - linear).abs().max() < 1e-12
    assert (kept - linear).abs().max() > 1e-3


def test_dealiasing_cuts_the_state_too() -> None:
    x = GRID.points()[0]
    u = torch.cos(2 * torch.pi * 16 * x / LENGTH)[None, None]  # two thirds of 24: the first mode that is not kept
    assert ETDRK(KuramotoSivashinsky(), GRID, dt=1.0, dealias=2 / 3).at({}, u)(u).abs().max() < 1e-12


@dataclass(frozen=True)
class _Plane(KuramotoSivashinsky):
    """u_t + (u^2/2)_x + (u^2/2)_y + lap u + lap^2 u = 0: the same along the diagonal with k^2 doubled."""

    ndim = 2  # type: ignore[misc]

    def symbol(self, k: Wavenumbers, params: Values) -> tuple[Tensor]:
        k2 = k[0] ** 2 + k[1] ** 2
        return (k2 - k2**2,)

    def analysis(self, k: Wavenumbers, params: Values) -> Table:
        return ((-0.5j * (k[0] + k[1]),),)


@pytest.mark.parametrize("order", (1, 2, 3, 4))
def test_a_plane_that_varies_along_one_axis_is_a_line(order: int) -> None:
    line, plane = Grid((24,), 22.0), Grid((24, 6), (22.0, 9.0))
    u = smooth(2, line)
    v = ETDRK(_Plane(), plane, dt=0.5, order=order, substeps=2)
    wide = v.at({}, u[..., None].expand(2, 1, 24, 6))(u[..., None].expand(2, 1, 24, 6))
    narrow = scheme(order, dt=0.5, grid=line).at({}, u)(u)
    torch.testing.assert_close(wide, narrow[..., None].expand_as(wide), rtol=0, atol=ROUND_OFF)


def test_the_nyquist_modes_of_a_plane_have_no_direction() -> None:
    """x and y are alike for rough states too; a k of one sign at N/2 would tell the halved axis from the full one."""
    u = torch.randn(2, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = ETDRK(_Plane(), Grid((8, 8), 60.0), dt=0.5, order=2).at({}, u)
    torch.testing.assert_close(step(u.mT), step(u).mT, rtol=0, atol=ROUND_OFF)
    torch.testing.assert_close(step(u.roll((1, 3), (-1, -2))), step(u).roll((1, 3), (-1, -2)), rtol=0, atol=ROUND_OFF)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"order": 5}, "order must be 1, 2, 3 or 4, got 5"),
        ({"dt": 0.0}, "dt must be positive"),
        ({"substeps": 0}, "substeps a whole number of at least 1"),
        ({"dealias": 1.5}, "fraction must be in"),
        ({"realisation": "quick"}, "realisation must be"),
        ({"grid": Grid((8, 8))}, "lives in 1-D, got a grid of shape"),
    ],
)
def test_bad_settings_are_named(change: dict[str, object], message: str) -> None:
    settings: dict[str, object] = {"equation": KuramotoSivashinsky(), "grid": GRID, "dt": 1.0} | change
    with pytest.raises(ValueError, match=message):
        ETDRK(**settings)  # type: ignore[arg-type]


def test_bad_states_and_lengths_are_named() -> None:
    u = smooth(2)
    with pytest.raises(ValueError, match=r"expected \(batch, channel, 48\), got \(2, 1, 47\)"):
        scheme().at({}, u[..., 1:])
    for length in (torch.ones(2, 1), torch.ones(2, 1, 48)):
        with pytest.raises(ValueError, match="'length' must be a number or"):
            scheme().at({"length": length.double()}, u)
        with pytest.raises(ValueError, match="'length' must be a number or"):
            scheme().at({"length": length.double().requires_grad_()}, u)


def test_names_that_the_equation_does_not_have_are_errors_unless_they_stand_beside_its_own() -> None:
    u, step = smooth(2), scheme()
    for params, message in (
        ({"L": 99.0}, r"has \['length'\], got \['L'\]; rename it"),
        ({"viscosity": 0.1, "t0": 0.0}, r"has \['length'\], got \['viscosity'\]"),
        ({"Length": 99.0}, "has no 'Length', got .*; did you mean 'length'"),
        ({"length": 50.0, "lenght": 99.0}, "did you mean 'length'"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            step.at(params, u)
        assert "\n" not in str(caught.value)
    assert torch.equal(step.at({"t0": 5.0}, u)(u), step.at({}, u)(u))
    beside = {"length": 1.1 * LENGTH, "viscosity": torch.ones(2, 1, 1), "strength": 2.0, "t0": 0.0}
    assert torch.equal(step.at(beside, u)(u), step.at({"length": 1.1 * LENGTH}, u)(u))


@pytest.mark.parametrize("lengths", (1, 2))
@pytest.mark.parametrize("realisation", ("dense", "spectral"))
def test_coefficients_first_used_in_inference_mode_serve_training(realisation: str, lengths: int) -> None:
    """Kept coefficients must be ordinary tensors: backward saves them."""
    length = LENGTH * (1 + torch.arange(lengths).double().reshape(-1, 1, 1) * 0.07).expand(2, 1, 1)
    u = smooth(2)
    stepper = scheme(2, realisation, dt=0.53 + 0.01 * lengths)  # a step of no other test, so that nothing is kept yet
    with torch.inference_mode():
        bound = stepper.at({"length": length}, u)
        expected = bound(u)
    for step in (bound, stepper.at({"length": length}, u)):
        leaf = u.clone().requires_grad_()
        v = step(leaf)
        (grad,) = torch.autograd.grad(v.square().sum(), leaf)
        assert torch.equal(v, expected) and grad.abs().max() > 0
