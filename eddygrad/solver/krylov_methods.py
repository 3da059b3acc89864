"""The iterations of the Krylov methods, for a batch whose samples stop one by one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Operator = Callable[[Tensor], Tensor]
# One run from x with residual r: (A, preconditioner, x, r, active samples, norm of r to reach, iterations left) -> x, iterations, stopped early.
Run = Callable[[Operator, Operator, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
# Iterations between two checks for active samples: a check waits for the accelerator, an iteration of frozen samples changes nothing.
_CHECK_EVERY = 8


def conjugate_gradient_run(
    A: Operator, M: Operator, x: Tensor, r: Tensor, active: Tensor, goal: Tensor, left: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Run conjugate gradients, see `linear_solvers.conjugate_gradient`.

    Args:
        A, M:   system and preconditioner, (B, ...) -> (B, ...).
        x, r:   start and its residual (B, ...).
        active: samples that run (B, 1, ...).
        goal:   norm of r at which a sample stops (B, 1, ...).
        left:   largest number of iterations per sample (B, 1, ...).
    Returns: x, the iterations made, and whether a sample stopped before `left`.
    """
    steps, p = torch.zeros_like(left), M(r)
    rz = inner_product(r, p)
    running, sign = active & rz.isfinite() & (rz != 0), torch.zeros_like(rz)
    for k in range(int(left.max())):
        Ap = A(p)
        curvature = inner_product(p, Ap)
        running = running & curvature.isfinite() & (curvature != 0) & (curvature.sign() != -sign)  # else A is indefinite
        sign = curvature.sign()
        alpha = _ratio(rz, curvature, running)
        x, r = torch.addcmul(x, alpha, p), torch.addcmul(r, alpha, Ap, value=-1)
        steps = steps + running
        running = running & (norm(r) > goal) & (steps < left)
        if _all_stopped(running, k):
            break
        z = M(r)
        new = inner_product(r, z)
        running = running & new.isfinite() & (new.sign() == rz.sign())
        p = torch.where(running, torch.addcmul(z, _ratio(new, rz, running), p), p)
        rz = torch.where(running, new, rz)
    return x, steps, steps < left


def bicgstab_run(A: Operator, M: Operator, x: Tensor, r: Tensor, active: Tensor, goal: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run BiCGSTAB, see `linear_solvers.bicgstab`.

    Args:
        A, M:   system and preconditioner, (B, ...) -> (B, ...).
        x, r:   start and its residual (B, ...).
        active: samples that run (B, 1, ...).
        goal:   norm of r at which a sample stops (B, 1, ...).
        left:   largest number of iterations per sample (B, 1, ...).
    Returns: x, the iterations made, and whether a sample stopped before `left`.
    """
    steps, running, shadow, p = torch.zeros_like(left), active, r, r
    rho, lost = inner_product(shadow, r), torch.finfo(r.dtype).eps * norm(r)
    for k in range(int(left.max())):
        q = M(p)
        v = A(q)
        along = inner_product(shadow, v)
        running = running & along.isfinite() & (along != 0)
        alpha = _ratio(rho, along, running)
        s = torch.addcmul(r, alpha, v, value=-1)
        w = M(s)
        t = A(w)
        square = inner_product(t, t)
        omega = _ratio(inner_product(t, s), square, running & (square > 0))
        x = torch.addcmul(torch.addcmul(x, alpha, q), omega, w)
        r = torch.addcmul(s, omega, t, value=-1)
        steps = steps + running
        running = running & (norm(r) > goal) & (steps < left)
        if _all_stopped(running, k):
            break
        new = inner_product(shadow, r)
        running = running & (omega != 0) & (new.abs() > lost * norm(r))
        p = torch.where(running, torch.addcmul(r, _ratio(new * alpha, rho * omega, running), torch.addcmul(p, omega, v, value=-1)), p)
        rho = torch.where(running, new, rho)
    return x, steps, steps < left


def inner_product(a: Tensor, b: Tensor) -> Tensor:
    """Return <a, b> per sample, shape (B, 1, ...)."""
    return (a * b).flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))


def norm(a: Tensor, order: float = 2) -> Tensor:
    """Return the norm per sample without gradient, for decisions."""
    return torch.linalg.vector_norm(a.detach().flatten(1), order, dim=1).reshape(-1, *[1] * (a.ndim - 1))


def _ratio(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """Return a / b at `where` and 0 elsewhere, without a division by b there in the value or its gradient."""
    return torch.where(where, a, 0.0) / torch.where(where, b, 1.0)


def _all_stopped(running: Tensor, k: int) -> bool:
    return (running.device.type == "cpu" or k % _CHECK_EVERY == _CHECK_EVERY - 1) and not bool(running.any())
