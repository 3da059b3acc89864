"""Parseval, a known exponent, and frames that blow up."""

from __future__ import annotations

import math

import pytest
import torch
from cases.solver_cases import scheme, smooth
from torch import Tensor

from eddygrad.solver.diagnostics import blow_up_frame, energy_spectrum, frame_change, lyapunov_exponent, rms
from eddygrad.solver.grid import Grid
from eddygrad.solver.unroll import trajectory

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")  # raised inside torch.func
GRIDS = [Grid((16,), 3.0), Grid((15,), 3.0), Grid((12, 9), (2.0, 5.0)), Grid((8, 8)), Grid((6, 8, 7), (1.0, 2.0, 3.0))]


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: "x".join(map(str, g.shape)))
def test_the_spectrum_sums_to_the_mean_energy(grid: Grid) -> None:
    u = torch.randn(3, 2, *grid.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spectrum = energy_spectrum(u, grid)
    energy = 0.5 * u.square().sum(1).flatten(1).mean(1)
    torch.testing.assert_close(spectrum.energy.sum(-1), energy, rtol=1e-13, atol=0)
    assert spectrum.k.shape == spectrum.energy.shape[-1:]


@pytest.mark.parametrize("grid", GRIDS, ids=lambda g: "x".join(map(str, g.shape)))
def test_a_wave_stands_in_its_own_shell(grid: Grid) -> None:
    mode = tuple(2 if a == 0 else 1 for a in range(grid.ndim))
    k = [2 * math.pi * m / l for m, l in zip(mode, grid.lengths)]
    u = 3.0 * torch.cos(sum(a * x for a, x in zip(k, grid.points())))
    spectrum = energy_spectrum(u[None, None], grid)
    shell = round(math.hypot(*k) * max(grid.lengths) / (2 * math.pi))
    expected = torch.zeros_like(spectrum.energy[0])
    expected[shell] = 9 / 4
    torch.testing.assert_close(spectrum.energy[0], expected, rtol=0, atol=1e-13)
    assert float(spectrum.k[shell]) == pytest.approx(2 * math.pi * shell / max(grid.lengths))


def test_the_nyquist_wave_and_the_mean_count_once() -> None:
    grid = Grid((8,), 1.0)
    u = 2.0 + torch.cos(math.pi * torch.arange(8, dtype=torch.float64))[None, None]
    torch.testing.assert_close(energy_spectrum(u, grid).energy[0], torch.tensor([2.0, 0, 0, 0, 0.5]).double(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("method", ("trajectories", "tangent"))
def test_a_linear_maps_exponent_is_its_largest_growth_rate(method: str) -> None:
    rates = torch.tensor([0.3, -0.2, 0.1, -1.0], dtype=torch.float64)

    def step(u: Tensor, k: int = 0) -> Tensor:
        return u * torch.exp(0.5 * rates)

    u = torch.zeros(2, 1, 4, dtype=torch.float64)
    got = lyapunov_exponent(step, u, steps=60, dt=0.5, every=3, warmup=600, method=method)  # type: ignore[arg-type]
    assert got.exponent == pytest.approx(0.3, abs=1e-9)
    assert got.samples.shape == (2,) and got.standard_error < 1e-9


def test_two_trajectories_and_the_tangent_agree_on_chaos() -> None:
    u = trajectory(scheme().at({}, smooth(4)), smooth(4), 1, warmup=100)[:, 0]
    step = scheme().at({}, u)
    two, tangent = (lyapunov_exponent(step, u, 40, 1.0, every=4, warmup=20, method=m) for m in ("trajectories", "tangent"))  # type: ignore[arg-type]
    torch.testing.assert_close(two.samples, tangent.samples, rtol=0, atol=1e-5)  # size 1e-7 times the curvature of sixty frames
    assert 0.02 < tangent.exponent < 0.2


def test_the_first_perturbation_is_not_the_stream_that_users_draw_states_from() -> None:
    u, seen = torch.randn(1, 1, 500, dtype=torch.float64, generator=torch.Generator().manual_seed(3)), []

    def step(v: Tensor, k: int = 0) -> Tensor:
        seen.append(v)
        return v

    lyapunov_exponent(step, u, steps=1, dt=1.0, seed=3)
    cosine = torch.nn.functional.cosine_similarity((seen[0] - u).flatten(), u.flatten(), dim=0)
    assert cosine.abs() < 4 / 500**0.5  # four standard deviations for independent numbers


def test_the_exponent_refuses_what_would_mislead() -> None:
    u, step = smooth(1), scheme().at({}, smooth(1))
    with pytest.raises(ValueError, match="float64"):
        lyapunov_exponent(step, u.float(), 10, 1.0)
    for options in ({"steps": 10, "every": 3}, {"steps": 10, "every": 5, "warmup": 7}, {"steps": 0}):
        with pytest.raises(ValueError, match="must divide"):
            lyapunov_exponent(step, u, dt=1.0, **options)


def test_the_change_per_frame_is_a_root_mean_square() -> None:
    frames = torch.tensor([0.0, 3.0, -1.0], dtype=torch.float64).reshape(1, 3, 1, 1)
    assert frame_change(frames) == pytest.approx(math.sqrt((9 + 16) / 2))
    assert rms(frames) == pytest.approx(math.sqrt(10 / 3))


def test_the_blow_up_frame_is_the_first_bad_one() -> None:
    frames = torch.zeros(4, 5, 1, 3)
    frames[0, 2:, 0, 1] = 21.0
    frames[1, 3] = math.nan
    frames[2, 0, 0, 2] = -math.inf
    assert blow_up_frame(frames, 20.0).tolist() == [2, 3, 0, 5]
    assert blow_up_frame(frames[None], 20.0, time_axis=2).tolist() == [[2, 3, 0, 5]]
