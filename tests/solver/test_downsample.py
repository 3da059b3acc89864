"""Down-sampling: exact on modes, conservative, commuting with itself, with translation and (staggered) with the divergence; closed adjoints."""

import math
from itertools import product

import pytest
import torch

from eddygrad.solver.downsample import downsample
from eddygrad.solver.grid import Grid
from eddygrad.solver.transforms import derivative, resample

METHODS = ["spectral", "box", "staggered", "sample"]
FINE = {1: (12,), 2: (12, 16), 3: (8, 12, 6)}
COARSE = {1: (4,), 2: (4, 8), 3: (4, 3, 6)}
LENGTHS = (2.0, 3.0, 5.0)

every_method = pytest.mark.parametrize("method", METHODS)
every_dimension = pytest.mark.parametrize("ndim", [1, 2, 3])


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grids(ndim):
    return Grid(FINE[ndim], LENGTHS[:ndim]), Grid(COARSE[ndim], LENGTHS[:ndim])


def close(a, b, tolerance=1e-13):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def divergence(u, grid):
    """Sum over the directions of (upper face - lower face) / h: the flux out of each cell by its volume."""
    axes = range(-grid.ndim, 0)
    return sum((u[:, d] - u[:, d].roll(1, axis)) / h for d, (axis, h) in enumerate(zip(axes, grid.spacing)))


def definition(u, grid, shape, method):
    """The docstring's formulas point by point, for one sample of shape (C, *grid)."""
    out = torch.empty(u.shape[0], *shape, dtype=u.dtype)
    factors = [n // m for n, m in zip(grid.shape, shape)]
    for channel, cell in product(range(u.shape[0]), product(*map(range, shape))):
        ranges = [range(k * i, k * (i + 1)) for k, i in zip(factors, cell)]
        if method == "sample":
            ranges = [[r[0]] for r in ranges]
        if method == "staggered":
            ranges[channel] = [ranges[channel][-1]]
        out[(channel, *cell)] = torch.stack([u[(channel, *place)] for place in product(*ranges)]).mean()
    return out


@every_dimension
@pytest.mark.parametrize("method", ["box", "staggered", "sample"])
def test_the_formulas_by_hand(method, ndim):
    fine, coarse = grids(ndim)
    u = noise(2, ndim, *fine.shape)
    expected = torch.stack([definition(one, fine, coarse.shape, method) for one in u])
    close(downsample(u, fine, coarse.shape, method), expected, 1e-15)


def truncation(n, m):
    """The matrix of one axis: A[I, i] = 1/n sum_{|q| <= m/2} cos(q (X_I - x_i)), the identity where m = n."""
    if m == n:
        return torch.eye(n, dtype=torch.float64)
    q = torch.arange(-(m // 2), m // 2 + 1, dtype=torch.float64)
    apart = 2 * math.pi * (torch.arange(m, dtype=torch.float64)[:, None] / m - torch.arange(n, dtype=torch.float64) / n)
    return torch.cos(q * apart[..., None]).sum(-1) / n


def along_axes(u, matrices):
    for axis, matrix in enumerate(matrices):
        u = torch.tensordot(u, matrix, ([axis - len(matrices)], [1])).movedim(-1, axis - len(matrices))
    return u


@every_dimension
@pytest.mark.parametrize("shape", [(4, 8, 6), (5, 7, 3), (12, 2, 5), (8, 16, 4)])
def test_truncation_is_the_dirichlet_kernel(shape, ndim):
    fine, shape = Grid((12, 16, 6)[:ndim]), shape[:ndim]
    u = noise(2, *fine.shape)
    close(downsample(u, fine, shape, "spectral"), along_axes(u, [truncation(n, m) for n, m in zip(fine.shape, shape)]), 1e-12)


@every_dimension
def test_the_coarse_divergence_is_the_box_mean_of_the_fine_one(ndim):
    """Gauss: the fluxes through inner faces cancel. Rounding: differences of O(1) numbers by h > 0.1."""
    fine, coarse = grids(ndim)
    u = noise(3, ndim, *fine.shape)
    staggered = divergence(downsample(u, fine, coarse.shape, "staggered"), coarse)
    close(staggered, downsample(divergence(u, fine), fine, coarse.shape, "box"))
    boxed = divergence(downsample(u, fine, coarse.shape, "box"), coarse)
    assert (boxed - staggered).abs().max() > 0.1


def test_a_divergence_free_field_stays_divergence_free():
    """Face velocities that are differences of a stream function at the corners; the coarse ones are those of its corner samples."""
    fine, coarse = grids(2)
    psi = noise(2, *fine.shape)
    (hx, hy), corners = fine.spacing, psi[:, 2::3, 1::2]
    u = torch.stack([(psi - psi.roll(1, -1)) / hy, -(psi - psi.roll(1, -2)) / hx], 1)
    assert divergence(u, fine).abs().max() < 1e-12
    got = downsample(u, fine, coarse.shape, "staggered")
    (hx, hy) = coarse.spacing
    close(got, torch.stack([(corners - corners.roll(1, -1)) / hy, -(corners - corners.roll(1, -2)) / hx], 1))
    assert divergence(got, coarse).abs().max() < 1e-12


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("mode", range(7))
def test_exact_on_modes(factor, mode):
    """cos(m x + a): itself at the points; times sin(k m h/2) / (k sin(m h/2)) at the centres, the mean of k points h apart."""
    fine, coarse = Grid((24,), 2 * math.pi), Grid((24 // factor,), 2 * math.pi)
    (x,), (X,) = fine.points(), coarse.points()
    u = torch.cos(mode * x + 0.3)[None, None]
    (centre,), (Centre,) = fine.points(centred=True), coarse.points(centred=True)
    h = fine.spacing[0]
    damped = 1.0 if mode == 0 else math.sin(factor * mode * h / 2) / (factor * math.sin(mode * h / 2))
    close(downsample(torch.cos(mode * centre + 0.3)[None], fine, coarse.shape, "box")[0], damped * torch.cos(mode * Centre + 0.3))
    close(downsample(u, fine, coarse.shape, "sample")[0, 0], torch.cos(mode * X + 0.3))
    kept = 1.0 if 2 * mode <= coarse.shape[0] else 0.0
    close(downsample(u, fine, coarse.shape, "spectral")[0, 0], kept * torch.cos(mode * X + 0.3))
    faces, Faces = x + h, X + coarse.spacing[0]
    close(downsample(torch.cos(mode * faces + 0.3)[None, None], fine, coarse.shape, "staggered")[0, 0], torch.cos(mode * Faces + 0.3))


@every_method
@every_dimension
def test_constants_stay_and_so_do_the_means(method, ndim):
    fine, coarse = grids(ndim)
    value = noise(2, ndim).reshape(2, ndim, *[1] * ndim)
    close(downsample(value.expand(2, ndim, *fine.shape), fine, coarse.shape, method), value.expand(2, ndim, *coarse.shape))
    if method in ("spectral", "box"):
        u, axes = noise(2, ndim, *fine.shape), tuple(range(-ndim, 0))
        close(downsample(u, fine, coarse.shape, method).mean(axes), u.mean(axes))


@every_method
@every_dimension
def test_two_small_steps_are_one_large_one(method, ndim):
    fine = Grid((16, 12, 12)[:ndim], LENGTHS[:ndim])
    middle, coarse = Grid((8, 6, 12)[:ndim], LENGTHS[:ndim]), (4, 3, 4)[:ndim]
    u = noise(2, ndim, *fine.shape)
    twice = downsample(downsample(u, fine, middle.shape, method), middle, coarse, method)
    close(twice, downsample(u, fine, coarse, method))


@every_method
@every_dimension
def test_no_change_of_grid_is_no_change_at_all(method, ndim):
    fine, _ = grids(ndim)
    u = noise(2, ndim, *fine.shape)
    assert torch.equal(downsample(u, fine, fine.shape, method), u)


@every_method
@every_dimension
def test_going_up_and_down_again_is_no_change(method, ndim):
    """So up . down is a projection; up continues the series (spectral, sample) or repeats the coarse value (box, staggered)."""
    fine, coarse = grids(ndim)
    small = noise(2, ndim, *coarse.shape)
    large = resample(small, coarse, fine.shape) if method in ("spectral", "sample") else repeat(small, fine, coarse)
    close(downsample(large, fine, coarse.shape, method), small)


def repeat(v, fine, coarse):
    for axis, (n, m) in enumerate(zip(fine.shape, coarse.shape)):
        v = v.repeat_interleave(n // m, axis - fine.ndim)
    return v


@every_method
@every_dimension
def test_commutes_with_moving_by_whole_coarse_cells(method, ndim):
    fine, coarse = grids(ndim)
    u, shift, axes = noise(2, ndim, *fine.shape), (1, 3, 2)[:ndim], tuple(range(-ndim, 0))
    moved = u.roll([s * n // m for s, n, m in zip(shift, fine.shape, coarse.shape)], axes)
    close(downsample(moved, fine, coarse.shape, method), downsample(u, fine, coarse.shape, method).roll(shift, axes))


@every_dimension
def test_truncation_commutes_with_derivatives(ndim):
    """Odd coarse axes, which have no Nyquist mode; rounding grows with the largest wavenumber, about 25."""
    fine, coarse = Grid(FINE[ndim], LENGTHS[:ndim]), Grid((5, 7, 3)[:ndim], LENGTHS[:ndim])
    u, order = noise(2, *fine.shape), (1, 2, 1)[:ndim]
    after = derivative(downsample(u, fine, coarse.shape, "spectral"), coarse, order)
    close(after, downsample(derivative(u, fine, order), fine, coarse.shape, "spectral"), 1e-10)


def test_sampling_folds_what_the_coarse_grid_does_not_resolve():
    """Mode 9 on 8 points is mode 1; truncation drops it."""
    fine = Grid((24,), 2 * math.pi)
    (x,), (X,) = fine.points(), Grid((8,), 2 * math.pi).points()
    close(downsample(torch.cos(9 * x), fine, (8,), "sample"), torch.cos(X))
    close(downsample(torch.cos(9 * x), fine, (8,), "spectral"), torch.zeros(8, dtype=torch.float64))


def adjoint(v, fine, coarse, method):
    """Closed forms of A^T: spread a mean evenly over its cells or faces, put a sample back, the truncation's matrix transposed."""
    if method == "spectral":
        return along_axes(v, [truncation(n, m).T for n, m in zip(fine.shape, coarse.shape)])
    back = repeat(v, fine, coarse)
    for axis, (n, m) in enumerate(zip(fine.shape, coarse.shape)):
        place = torch.arange(n).reshape([-1 if a == axis else 1 for a in range(fine.ndim)]) % (n // m)
        spread = torch.full_like(place, m / n, dtype=torch.float64)
        if method == "sample":
            spread = (place == 0).double()
        if method == "staggered":
            spread = torch.stack([(place == n // m - 1).double() if d == axis else spread for d in range(fine.ndim)])
        back = back * spread
    return back


@every_method
@every_dimension
def test_adjoint_dot_product(method, ndim):
    """<A u, v> = <u, A^T v> with A^T in closed form, and A^T is what autograd computes."""
    fine, coarse = grids(ndim)
    u, v = noise(2, ndim, *fine.shape).requires_grad_(), noise(2, ndim, *coarse.shape, seed=1)
    forward = downsample(u, fine, coarse.shape, method)
    expected = adjoint(v, fine, coarse, method)
    close((forward * v).sum(), (u * expected).sum(), 1e-12)
    close(torch.autograd.grad((forward * v).sum(), u)[0], expected)


@every_method
def test_precision_is_kept_and_a_batch_is_its_samples(method):
    fine, coarse = grids(2)
    u = noise(3, 4, 2, *fine.shape)
    whole = downsample(u, fine, coarse.shape, method)
    assert downsample(u.float(), fine, coarse.shape, method).dtype == torch.float32 and whole.shape == (3, 4, 2, *coarse.shape)
    close(whole, torch.stack([torch.stack([downsample(one, fine, coarse.shape, method) for one in row]) for row in u]), 1e-15)


def test_errors_say_what_to_do():
    grid, u = Grid((12, 12)), noise(1, 2, 12, 12)
    for bad, told in (
        (lambda: downsample(u, grid, (6, 6), "cubic"), "spectral, box, staggered, sample"),
        (lambda: downsample(u, grid, (6,), "box"), "2 axes"),
        (lambda: downsample(u, grid, (24, 24), "spectral"), "resample refines"),
        (lambda: downsample(u, grid, (6, 1), "box"), "2 up to"),
        (lambda: downsample(u, grid, (5, 6), "box"), "whole factor"),
        (lambda: downsample(u, grid, (6, 8), "sample"), "'spectral' takes any"),
        (lambda: downsample(u, Grid((24, 24)), (6, 6), "box"), "pass the grid"),
        (lambda: downsample(noise(1, 3, 12, 12), grid, (6, 6), "staggered"), "one velocity per axis"),
        (lambda: downsample(noise(12, 12), grid, (6, 6), "staggered"), "one velocity per axis"),
    ):
        with pytest.raises(ValueError, match=told):
            bad()
    assert downsample(u, grid, (5, 7), "spectral").shape == (1, 2, 5, 7)
