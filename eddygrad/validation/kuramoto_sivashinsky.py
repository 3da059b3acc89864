"""Self-checks of the Kuramoto-Sivashinsky solver: order, exact modes, conservation, gradients, Lyapunov exponents, the paper's test domains."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.solver.diagnostics import blow_up_frame, frame_change, lyapunov_exponent, rms
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import draw_test_amplitudes, kuramoto_sivashinsky_test, random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.unroll import Cut, always, never, repeat, trajectory, unroll
from eddygrad.validation.check import Finding

# The setting of List et al. 2024: 48 points, a frame of two substeps of 0.5, ETDRK2 as reference, ETD1 as coarse solver.
PAPER = Grid((48,), 2 * math.pi * 8)


def _frame(order: int, grid: Grid = PAPER, substeps: int = 2, dt: float = 1.0) -> ETDRK:
    return ETDRK(KuramotoSivashinsky(), grid, dt=dt, order=order, substeps=substeps)


def observed_orders(seed: int) -> Iterator[Finding]:
    """Observed orders of ETDRK1 to ETDRK4 over three halvings of the time step; of the three, the one furthest from the claimed order."""
    # Every mode has |h L| <= 1 here; stiffer grids reach their order at smaller steps only.
    grid, halvings, span = Grid((32,), 60.0), (32, 64, 128, 256), 2.0
    u = random_fourier(grid, 2, seed=seed, purpose="order")
    exact = _frame(4, grid, 4096, span).at({}, u)(u)
    for order in (1, 2, 3, 4):
        errors = [rms(_frame(order, grid, n, span).at({}, u)(u) - exact) for n in halvings]
        orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
        yield Finding(f"observed order of ETDRK{order}", order, max(orders, key=lambda p: abs(p - order)), 0.15)


def linear_modes(seed: int) -> Iterator[Finding]:
    """Modes too small to interact grow and decay exactly by exp((k^2 - k^4) t)."""
    m = torch.arange(1, PAPER.shape[0] // 2, dtype=torch.float64)
    k = 2 * math.pi / PAPER.lengths[0] * m
    u = 1e-15 * torch.cos(k[:, None] * PAPER.points()[0])[:, None]
    exact = torch.exp((k**2 - k**4) * 3)[:, None, None] * u
    errors = [(_frame(order, dt=3.0, substeps=6).at({}, u)(u) - exact).abs().max() / exact.abs().max() for order in (1, 2, 3, 4)]
    yield Finding("relative error of linear modes, ETDRK1-4", 0.0, float(torch.stack(errors).max()), 1e-12)


def conserved_mean(seed: int) -> Iterator[Finding]:
    """The mean of u is conserved to round-off."""
    u = random_fourier(PAPER, 8, seed=seed, purpose="mean") + 0.1
    later = repeat(_frame(2).at({}, u), u, 100)
    yield Finding("drift of the mean of u in 100 frames", 0.0, float((later.mean(-1) - u.mean(-1)).abs().max()), 1e-12)


def realisations(seed: int) -> Iterator[Finding]:
    """Dense and spectral realisation agree, and so do a batch of mixed domain lengths and single samples."""
    u = random_fourier(PAPER, 4, bandlimit=20, seed=seed, purpose="realisations")
    dense, spectral = (ETDRK(KuramotoSivashinsky(), PAPER, 1.0, substeps=2, realisation=r).at({}, u)(u) for r in ("dense", "spectral"))
    yield Finding("dense against spectral step, one frame", 0.0, float((dense - spectral).abs().max()), 1e-12)
    lengths = PAPER.lengths[0] * torch.tensor([0.85, 0.93, 1.15, 1.4], dtype=torch.float64).reshape(4, 1, 1)
    together = _frame(2).at({"length": lengths}, u)(u)
    alone = torch.cat([_frame(2).at({"length": float(l)}, v[None])(v[None]) for l, v in zip(lengths, u)])
    yield Finding("mixed lengths in a batch against singles, one frame", 0.0, float((together - alone).abs().max()), 1e-12)


def gradients(seed: int) -> Iterator[Finding]:
    """Gradients through three frames agree with central differences, for the state and for the domain length."""
    start = random_fourier(PAPER, 2, seed=seed, purpose="gradient state")
    toward = random_fourier(PAPER, 2, seed=seed, purpose="gradient direction")
    side = torch.full((2, 1, 1), PAPER.lengths[0], dtype=torch.float64)
    for name, along in (("the state", (toward, torch.zeros_like(side))), ("the domain length", (torch.zeros_like(toward), side))):
        eps = 1e-5
        ahead, behind = (_loss(start + e * along[0], side + e * along[1], 3) for e in (eps, -eps))
        difference = float(ahead - behind) / (2 * eps)
        at = [start.clone().requires_grad_(), side.clone().requires_grad_()]
        exact = sum(float((g * d).sum()) for g, d in zip(torch.autograd.grad(_loss(at[0], at[1], 3), at), along))
        yield Finding(f"gradient by {name} against differences, relative", 0.0, (exact - difference) / abs(difference), 1e-6)


def _loss(u: Tensor, length: Tensor, n: int, cut: Cut = never) -> Tensor:
    step = _frame(1).at({"length": length}, u)
    return torch.stack([v.square().mean() for v in unroll(step, u, n, cut)]).mean()


def no_temporal_gradients(seed: int) -> Iterator[Finding]:
    """The NOG gradient is the mean of the one-step gradients at the visited states; over one step WIG and NOG agree."""
    u, n = random_fourier(PAPER, 2, seed=seed, purpose="nog"), 4
    length = torch.tensor(PAPER.lengths[0], dtype=torch.float64, requires_grad=True)

    def gradient(state: Tensor, steps: int, cut: Cut) -> float:
        return float(torch.autograd.grad(_loss(state, length, steps, cut), length)[0])

    step = _frame(1).at({"length": length.detach()}, u)
    single = sum(gradient(v, 1, never) for v in (u, *unroll(step, u, n - 1))) / n
    yield Finding("NOG against the mean of one-step gradients, relative", 0.0, (gradient(u, n, always) - single) / abs(single), 1e-10)
    yield Finding("one step: WIG against NOG, relative", 0.0, (gradient(u, 1, never) - gradient(u, 1, always)) / abs(single), 0.0)


def lyapunov_at_22(seed: int) -> Iterator[Finding]:
    """Leading Lyapunov exponent on L = 22, from 64 initial states over 2000 time units after a warm-up of 200."""
    grid = Grid((32,), 22.0)
    u = random_fourier(grid, 64, bandlimit=3, seed=seed, purpose="lyapunov")
    found = lyapunov_exponent(_frame(4, grid, substeps=4).at({}, u), u, steps=2000, dt=1.0, every=5, warmup=200, seed=seed)
    yield Finding(f"Lyapunov exponent at L = 22 (standard error {found.standard_error:.4f})", 0.049, found.exponent, 0.003)


class Probe(NamedTuple):
    """Expected statistics of a test domain of List et al. 2024: Lyapunov exponent, rms change and rms error of ETD1, each per frame, and the median
    frame at which ETD1 blows up."""

    exponent: float
    change: float
    error: float
    blow_up: float


# Measured over 400 initial states; the exponent over 20.
PROBES = {
    1.40: Probe(0.096, 0.330, 0.063, 15.0),
    0.85: Probe(0.062, 0.287, 0.051, 28.0),
    1.15: Probe(0.071, 0.304, 0.055, 22.5),
    0.93: Probe(0.075, 0.311, 0.057, 23.0),
}


def paper_probes(seed: int, starts: int = 400, window: int = 100) -> Iterator[Finding]:
    """Statistics of the paper's four test domains: 400 test states from frame 400 on, averaged over 100 frames, the exponent over 1000.

    Args:
        seed:   seed of the test states.
        starts: number of test states.
        window: number of frames that are averaged.
    """
    for scale, expected in PROBES.items():
        params = {"length": 2 * math.pi * 8 * scale}
        draws = [draw_test_amplitudes(generator(seed, "probe", i)) for i in range(starts)]
        u = torch.stack([kuramoto_sivashinsky_test(8 * scale, c, s) for c, s in draws])
        reference, coarse = _frame(2).at(params, u), _frame(1).at(params, u)
        u = repeat(reference, u, 400)
        frames = trajectory(reference, u, window + 1, include_start=True)
        label = f"D/8 = {scale:.2f}: "
        yield Finding(label + "rms of u", 1.31, rms(frames), 0.131)
        yield Finding(label + "rms change per frame", expected.change, frame_change(frames), 0.1 * expected.change)
        error = rms(coarse(frames[:, :-1].flatten(0, 1)) - frames[:, 1:].flatten(0, 1))
        yield Finding(label + "rms error of ETD1 per frame", expected.error, error, 0.1 * expected.error)
        exponent = lyapunov_exponent(reference, u, steps=1000, dt=1.0, every=5, warmup=50, seed=seed).exponent
        yield Finding(label + "Lyapunov exponent per frame", expected.exponent, exponent, 0.1 * expected.exponent)
        diverged = blow_up_frame(trajectory(coarse, u, 200, include_start=True), limit=20.0)
        yield Finding(
            label + "median frame at which ETD1 passes 20", expected.blow_up, float(diverged.double().quantile(0.5)), 0.2 * expected.blow_up
        )
