"""Growth of the adjoint gradient with the number of unrolled steps, and the training horizon that it suggests."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from eddygrad.runtime.randomness import generator
from eddygrad.solver.step import Step


@dataclass(frozen=True)
class GradientGrowth:
    """Norms of d<v, u_n> / du_{n-j} for lags j = 0 .. n, relative to lag 0: `norm` is their median over the samples.

    `exponent` is the slope of log(norm) over the lags [1/step], the finite-time Lyapunov exponent of the adjoint. `horizon` is the longest lag up to
    which `norm` stays between 1 / `limit` and `limit`: beyond it the gradient of the oldest steps dominates the others, or vanishes beside them.
    """

    lag: Tensor  # (n + 1,)
    norm: Tensor  # (n + 1,)
    samples: Tensor  # (n + 1, B)
    exponent: float
    horizon: int
    limit: float


def gradient_growth(step: Step, u: Tensor, n: int, limit: float = 10.0, seed: int = 0) -> GradientGrowth:
    """Measure how a gradient grows on its way back through n steps of a trajectory, from a random direction v.

        g_0 = v,   g_{j+1} = (d step / du)^T at u_{n-j-1} g_j,   growth_j = |g_j| / |g_0|          Trevisan and Pancotti 1998
    Args:
        step:  bound, differentiable step.
        u:     initial states (B, C, *grid).
        n:     number of steps.
        limit: growth or decay that the suggested horizon allows.
        seed:  seed of v.
    Returns: see `GradientGrowth`. It needs memory for n states and the graph of one step.
    Raises:  ValueError for n < 1, a limit of at most one, a step whose result carries no gradient, or a trajectory that blows up.
    """
    if n < 1 or not limit > 1:
        raise ValueError(f"gradient_growth: needs n >= 1 and a limit above 1, got n={n}, limit={limit}")
    states = [u.detach()]
    with torch.no_grad():
        for k in range(n - 1):
            states.append(step(states[-1], k))
    if not bool(torch.isfinite(states[-1]).all()):
        raise ValueError(f"gradient_growth: the trajectory is not finite after {n - 1} steps; take a smaller dt or fewer steps")
    g = torch.randn(u.shape, dtype=u.dtype, generator=generator(seed, "gradient growth")).to(u.device)
    norms = [_norm(g)]
    for k in reversed(range(n)):
        leaf = states[k].requires_grad_()
        with torch.enable_grad():
            out = step(leaf, k)
        if not out.requires_grad:
            raise ValueError("gradient_growth: the step's result carries no gradient; it needs a differentiable solver")
        (g,) = torch.autograd.grad(out, leaf, g)
        norms.append(_norm(g))
    samples = torch.stack(norms) / norms[0]
    median = samples.quantile(0.5, dim=1)
    lag = torch.arange(n + 1, dtype=torch.float64)
    centred = lag - lag.mean()
    exponent = float((centred * median.log().cpu()).sum() / centred.square().sum())
    outside = (~((median <= limit) & (median >= 1 / limit))).nonzero().flatten()
    horizon = n if len(outside) == 0 else int(outside[0]) - 1
    return GradientGrowth(lag, median, samples, exponent, horizon, limit)


def _norm(g: Tensor) -> Tensor:
    return g.to(torch.float64).flatten(1).norm(dim=1)
