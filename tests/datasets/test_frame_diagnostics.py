"""Diagnostics of flows whose energy, enstrophy and greatest speed are known."""

from __future__ import annotations

import math

import pytest
import torch
from cases.flow_data import PLANE, decaying_flows, made
from torch import Tensor

from eddygrad.datasets.frame_diagnostics import FaceDiagnostics, FlowDiagnostics
from eddygrad.datasets.kept_fields import Downsampled
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.stream_function import face_velocities, periodic_stream_function
from eddygrad.solver.transforms import derivative
from eddygrad.solver.vector_calculus import vorticity

ROUND_OFF = 1e-13


def taylor_green(grid: Grid = PLANE) -> Tensor:
    """(sin x cos y, -cos x sin y), (1, 2, *grid)."""
    x, y = grid.points()
    return torch.stack([x.sin() * y.cos(), -x.cos() * y.sin()])[None]


def test_taylor_green_has_its_energy_and_decays_by_its_law() -> None:
    """E = 1/4 exp(-4 nu t), <w^2>/2 = 1/2 exp(-4 nu t), max |u| = exp(-2 nu t): the vortex has no nonlinear term, so ETDRK is exact."""
    nu, dt = torch.tensor([0.1, 0.02]), 0.5
    solver = ETDRK(NavierStokesVelocity(), PLANE, dt=dt)
    data = made(None, stepper=solver, initial=taylor_green().repeat(2, 1, 1, 1), params={"viscosity": nu}, warmup=0, stride=1)
    decay = torch.exp(-2 * nu.double()[:, None] * dt * torch.arange(4))
    expected = {"kinetic_energy": decay**2 / 4, "enstrophy": decay**2 / 2, "greatest_speed": decay}
    for name, value in expected.items():
        torch.testing.assert_close(data.diagnostics[name], value, rtol=ROUND_OFF, atol=0)


def test_a_beltrami_flow_has_as_much_enstrophy_as_energy() -> None:
    """curl u = u for the flow of Arnold, Beltrami and Childress: E = Z = (A^2 + B^2 + C^2) / 2."""
    grid, (a, b, c) = Grid((8, 9, 10)), (1.0, 0.5, 2.0)
    x, y, z = grid.points()
    u = torch.stack([a * z.sin() + c * y.cos(), b * x.sin() + a * z.cos(), c * y.sin() + b * x.cos()])[None]
    found = FlowDiagnostics(grid)(u)
    for name in ("kinetic_energy", "enstrophy"):
        torch.testing.assert_close(found[name], torch.tensor([(a * a + b * b + c * c) / 2], dtype=torch.float64), rtol=ROUND_OFF, atol=0)


@pytest.mark.parametrize("shape", [(8, 6), (7, 6), (6, 7), (6, 8, 5), (5, 6, 8)])
def test_flow_diagnostics_are_means_over_the_grid(shape: tuple[int, ...]) -> None:
    """White noise with a mean flow, on an oblong box: the sums over modes are the means of the squares of the fields."""
    grid = Grid(shape, (2.0, 5.0, 3.0)[: len(shape)])
    u = torch.randn(3, len(shape), *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.5

    def d(component: int, axis: int) -> Tensor:
        return derivative(u[:, component], grid, [int(a == axis) for a in range(grid.ndim)])

    pairs = [(0, 1)] if grid.ndim == 2 else [(0, 1), (0, 2), (1, 2)]
    curl = torch.stack([d(j, i) - d(i, j) for i, j in pairs], 1)
    if grid.ndim == 2:
        torch.testing.assert_close(curl, vorticity(u, grid), rtol=0, atol=1e-12)
    found = FlowDiagnostics(grid)(u)
    torch.testing.assert_close(found["enstrophy"], curl.square().sum(1).flatten(1).mean(1) / 2, rtol=ROUND_OFF, atol=0)
    torch.testing.assert_close(found["kinetic_energy"], u.square().sum(1).flatten(1).mean(1) / 2, rtol=ROUND_OFF, atol=0)
    torch.testing.assert_close(found["greatest_speed"], u.square().sum(1).flatten(1).amax(1).sqrt(), rtol=ROUND_OFF, atol=0)
    single = FlowDiagnostics(grid)(u.float())
    assert all(value.dtype == torch.float64 and torch.allclose(value, found[name], rtol=1e-6) for name, value in single.items())


def test_energy_decays_at_the_rate_of_the_enstrophy() -> None:
    """dE/dt = -2 nu Z without a force; Simpson's rule over two frames has an error of fourth order. Most modes are not stored."""
    nu, defect = 0.05, []
    for frames in (9, 17):
        dt = 1.6 / (frames - 1)
        solver = ETDRK(NavierStokesVelocity(viscosity=nu), PLANE, dt=dt, substeps=4, order=4)
        data = made(
            None, stepper=solver, frames=frames, stride=1, warmup=0, stored=Downsampled(PLANE, (4, 4), ("a", "b")), initial=decaying_flows(rms=1.0)
        )
        e, z = data.diagnostics["kinetic_energy"], data.diagnostics["enstrophy"]
        lost = 2 * nu * dt / 3 * (z[:, :-2:2] + 4 * z[:, 1::2] + z[:, 2::2]).sum(1)
        defect.append(float(((e[:, 0] - e[:, -1]) / lost - 1).abs().max()))
    assert defect[1] < 1e-5 and math.log2(defect[0] / defect[1]) > 3.5


def test_a_box_of_its_own_per_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="'length'"):
        made(None, params={"length": 1.0})
    with pytest.raises(ValueError, match="no curl"):
        FlowDiagnostics(Grid((16,)))
    with pytest.raises(ValueError, match="velocity components"):
        FlowDiagnostics(PLANE)(torch.zeros(1, 1, 16, 16))


def centred_spectral(w: Tensor, grid: Grid, axis: int) -> Tensor:
    """-d psi / d x_axis of -lap psi = w by plain sums over modes."""
    kx, ky = grid.wavenumbers()
    k2 = kx**2 + ky**2
    k2[0, 0] = 1
    return torch.fft.irfft2(-1j * (kx, ky)[axis] * torch.fft.rfft2(w) / k2, s=grid.shape)


def test_face_diagnostics_are_the_spectral_ones_of_a_smooth_flow() -> None:
    energies, speeds = [], []
    for n in (32, 64):
        grid = Grid((n, n))
        w = random_fourier(grid, 1, bandlimit=2, seed=2)[:, 0]
        u = face_velocities(periodic_stream_function(w, grid), grid)
        exact = FlowDiagnostics(grid)(torch.stack([-centred_spectral(w, grid, 1), centred_spectral(w, grid, 0)], 1))
        found = FaceDiagnostics(grid, (True, True))(torch.cat([u, 1e3 + u[:, :1]], 1))  # a further channel is left out
        energies.append(abs(float(found["kinetic_energy"] / exact["kinetic_energy"]) - 1))
        speeds.append(abs(float(found["greatest_speed"] / exact["greatest_speed"]) - 1))
    assert energies[0] / energies[1] == pytest.approx(4, rel=0.1) and speeds[1] < 0.02
    with pytest.raises(ValueError, match="a flag for each"):
        FaceDiagnostics(Grid((8, 8)), (True,))
