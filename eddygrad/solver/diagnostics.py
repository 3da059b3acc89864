"""Diagnostics of a flow: energy spectrum, Lyapunov exponent, change per frame, time of blow-up."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Step
from eddygrad.solver.transforms import fft
from eddygrad.solver.unroll import repeat


class Spectrum(NamedTuple):
    """Energy per shell of wavenumbers."""

    k: Tensor  # (shells,) middle of each shell [1/m]
    energy: Tensor  # (..., shells) [u^2]


class Lyapunov(NamedTuple):
    """A leading Lyapunov exponent [1/s], its standard error, and the exponent of each sample."""

    exponent: float
    standard_error: float
    samples: Tensor  # (B,)


def energy_spectrum(u: Tensor, grid: Grid) -> Spectrum:
    """Return the kinetic energy per shell of wavenumbers, summed over the channels; modes in the corners of the spectrum are included.

        E_s = sum over s - 1/2 <= |k| / k_0 < s + 1/2 of |u_hat(k)|^2 / (2 N^2),  k_0 = 2 pi / (longest side)
        sum_s E_s = <|u|^2> / 2                                                    Parseval
    Args:
        u:    (..., C, *grid), the C channels are velocity components or one scalar.
        grid: grid of u.
    Returns: `k` (shells,) and `energy` (..., shells). In 1-D shell s is mode s, so samples on domains of different length are comparable.
    """
    grid.check(u if u.ndim > grid.ndim + 1 else u.unsqueeze(0))
    spatial = tuple(range(-grid.ndim, 0))
    power = 0.5 * (fft(u, grid).abs() / math.prod(grid.shape)).square()
    last = grid.modes(u.device)[-1]
    alone = (last == 0) | (last == grid.shape[-1] / 2)  # every other mode of the half spectrum counts for both signs
    power = (power * torch.where(alone, 1.0, 2.0).to(power.dtype)).sum(dim=-grid.ndim - 1)
    k_0 = 2 * math.pi / max(grid.lengths)
    shell = torch.stack(torch.broadcast_tensors(*grid.wavenumbers(device=u.device))).square().sum(0).sqrt().div(k_0).add(0.5).floor().long()
    power = power.flatten(start_dim=power.ndim - len(spatial))
    energy = power.new_zeros(*power.shape[:-1], int(shell.max()) + 1).index_add(-1, shell.flatten(), power)
    return Spectrum(k_0 * torch.arange(energy.shape[-1], dtype=torch.float64, device=u.device), energy)


def lyapunov_exponent(
    step: Step,
    u: Tensor,
    steps: int,
    dt: float,
    every: int = 1,
    warmup: int = 0,
    method: Literal["trajectories", "tangent"] = "trajectories",
    size: float = 1e-7,
    seed: int = 0,
) -> Lyapunov:
    """Estimate the leading Lyapunov exponent from the growth of a small perturbation, which is renormalised every n steps.

        lambda = < log(|v(t + n dt)| / |v(t)|) > / (n dt)                         Benettin et al. 1980
    Args:
        step:   bound step.
        u:      initial states (B, C, *grid), float64; in float32 round-off would hide the perturbation.
        steps:  steps that are measured after the warm-up.
        dt:     time of one step [s].
        every:  steps n between two renormalisations; it divides `steps` and `warmup`.
        warmup: steps in which the state reaches the attractor and the perturbation turns into the direction of fastest growth.
        method: "trajectories" compares two trajectories a distance `size` apart and takes any step; "tangent" differentiates forward.
        size:   root mean square of the perturbation [u].
        seed:   seed of the initial perturbation.
    Returns: mean over the batch; its standard error from the scatter of the samples or, for one sample, of ten blocks in time.
    Raises:  ValueError if u is not float64, or `every` does not divide `steps` and `warmup`.
    """
    if u.dtype != torch.float64:
        raise ValueError(f"lyapunov_exponent: expected a float64 state, got {u.dtype}; pass u.double() and bind the step to it")
    if every < 1 or steps < every or steps % every or warmup % every:
        raise ValueError(f"lyapunov_exponent: every={every} must divide steps={steps} and warmup={warmup}; steps must be positive")
    axes = tuple(range(1, u.ndim))
    advance = _along_tangent if method == "tangent" else _along_trajectories
    v = torch.randn(u.shape, dtype=u.dtype, generator=generator(seed, "lyapunov perturbation")).to(u.device)
    growth = []
    for n in range(0, warmup + steps, every):
        u, v = advance(step, u, v / v.square().mean(dim=axes, keepdim=True).sqrt(), n, every, size)
        if n >= warmup:
            growth.append(v.square().mean(dim=axes).sqrt().log())
    return _mean_rate(torch.stack(growth) / (every * dt))


def _along_tangent(step: Step, u: Tensor, v: Tensor, first: int, count: int, size: float) -> tuple[Tensor, Tensor]:
    """Advance a state and a tangent vector by `count` steps."""
    for k in range(first, first + count):
        u, v = torch.func.jvp(lambda w, k=k: step(w, k), (u,), (v,))  # type: ignore[misc]
    return u, v


def _along_trajectories(step: Step, u: Tensor, v: Tensor, first: int, count: int, size: float) -> tuple[Tensor, Tensor]:
    """Advance a state and a second one at `size` v from it by `count` steps; return the state and the difference over `size`."""
    perturbed = repeat(step, u + size * v, count, first)
    u = repeat(step, u, count, first)
    return u, (perturbed - u) / size


def _mean_rate(rates: Tensor) -> Lyapunov:
    """Average the growth rates (times, B)."""
    scatter = rates.mean(0) if rates.shape[1] > 1 else torch.stack([block.mean() for block in rates[:, 0].chunk(10)])
    error = float(scatter.std() / math.sqrt(scatter.numel())) if scatter.numel() > 1 else math.nan
    return Lyapunov(float(rates.mean()), error, rates.mean(0))


def rms(u: Tensor) -> float:
    """Return the root mean square over all values, computed in float64."""
    return float(u.to(torch.float64).square().mean().sqrt())


def frame_change(frames: Tensor, time_axis: int = 1) -> float:
    """Return the root mean square of u(t + dt) - u(t), the error of persistence. `frames`: (B, T, C, *grid)."""
    return rms(frames.diff(dim=time_axis))


def blow_up_frame(frames: Tensor, limit: float, time_axis: int = 1) -> Tensor:
    """Return per sample the index of the first frame with |u| > `limit` or a NaN anywhere; the number of frames if there is none.

    Args:
        frames:    (B, T, C, *grid), or (S, B, T, C, *grid).
        limit:     largest |u| of a sound state [u].
        time_axis: axis of the time: 1, or 2 with stacked seeds.
    Returns: (B,) or (S, B), int64.
    """
    bad = ~(frames.abs() <= limit).flatten(start_dim=time_axis + 1).all(dim=-1)
    never = torch.ones_like(bad.narrow(time_axis, 0, 1))
    return torch.cat([bad, never], dim=time_axis).to(torch.uint8).argmax(dim=time_axis)
