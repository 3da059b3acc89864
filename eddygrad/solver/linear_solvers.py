"""Iterative solvers of A x = y where A is a function: every sample of a batch ends by itself, and the gradient is one more solve."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from eddygrad.solver.step import Observer

Operator = Callable[[Tensor], Tensor]
# A run from x with residual r: (A, preconditioner, x, r, samples that run, length of r to reach, iterations left) -> x, iterations, ended by itself.
Run = Callable[[Operator, Operator, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
_CHOICES = {"method": ("cg", "bicgstab"), "gradient": ("implicit", "unrolled", "cut"), "on_failure": ("observe", "warn", "raise")}
# A restart goes on while it takes off half of the true residual; less is round-off.
_PROGRESS = 0.5
# Iterations between two looks at whether any sample runs: a look waits for the accelerator, an iteration of frozen samples changes nothing.
_LOOK = 8


class Solved(NamedTuple):
    """x (B, ...), and per sample (B,): iterations made, the true |y - A x| / |y|, and whether that is within the tolerance."""

    x: Tensor
    iterations: Tensor
    residual: Tensor
    converged: Tensor


class Options(TypedDict, total=False):
    """preconditioner: M, about A^-1 (default 1). start: the first x (0). tolerance: the relative residual |y - A x| / |y| at which a sample is frozen
    (1e-5). iterations: at most, per sample, restarts included (500). mean_free: constants are A's null space and left out of y and x (False)."""

    preconditioner: Operator | None
    start: Tensor | None
    tolerance: float
    iterations: int
    mean_free: bool


def conjugate_gradient(A: Operator, y: Tensor, **options: Unpack[Options]) -> Solved:
    """Solve A x = y for a symmetric A, definite of either sign, or semi-definite with y in its range.

        alpha = <r, M r> / <p, A p>,  x += alpha p,  r -= alpha A p,  p <- M r + p <r, M r> / <r, M r>_before        Hestenes, Stiefel 1952
    Args:    A: linear, (B, ...) -> (B, ...), sample by sample. y: right-hand sides (B, ...), real. options: see `Options`; M is symmetric and
             definite, of any sign and scale.
    Returns: `Solved`. Round-off parts the recursive r from y - A x; where only r has arrived the sample starts again from its x, until y - A x has
             arrived too or is not even halved.
    Raises:  ValueError for a y that is not a real batch, a start of another shape, an A x of another shape or dtype.
    """
    return _solved(_cg, A, y, options)


def bicgstab(A: Operator, y: Tensor, **options: Unpack[Options]) -> Solved:
    """Solve A x = y for any A that is not skew; an iteration applies A and the preconditioner twice.

        v = A M p,  s = r - alpha v,  t = A M s,  x += M (alpha p + omega s),  r = s - omega t                       van der Vorst 1992
        alpha = <r_0, r> / <r_0, v>,  omega = <t, s> / <t, t>,  p <- r + (p - omega v) (alpha / omega) <r_0, r> / <r_0, r>_before
    Arguments, result and errors as for `conjugate_gradient`, M being any linear function; `mean_free` solves on the fields without mean, which is the
    equation itself where A x has no mean either. An x that is worse than the start is not returned.
    """
    return _solved(_bicgstab, A, y, options)


@dataclass(frozen=True)
class Krylov:
    """An iterative solver and how its result is differentiated.

        implicit:   A^T lam = g,  dL/dy = lam,  dL/dp = -lam^T (dA/dp) x                 implicit function theorem; for PDEs Giles, Pierce 2000
        unrolled:   through every iteration made; tolerance=0 makes exactly `iterations`.        cut: x has no graph.
    Args:   method: "cg" for a symmetric definite A, "bicgstab" for others. tolerance, iterations, mean_free: see `Options`.
            adjoint_tolerance: of lam, by default that of x; `iterations` hold for it as well. gradient: "implicit", "unrolled" or "cut".
            on_failure: "warn" of samples that did not converge, "observe" tells only the observer, "raise" raises. Nobody is warned at tolerance 0.
    Raises: ValueError for another name, a negative tolerance, or no iteration.
    """

    method: Literal["cg", "bicgstab"] = "cg"
    tolerance: float = 1e-5
    iterations: int = 500
    adjoint_tolerance: float | None = None
    gradient: Literal["implicit", "unrolled", "cut"] = "implicit"
    on_failure: Literal["observe", "warn", "raise"] = "warn"
    mean_free: bool = False

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"Krylov: {name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not self.tolerance >= 0 or not (self.adjoint_tolerance or 0.0) >= 0 or self.iterations < 1 or self.iterations != int(self.iterations):
            got = f"{self.tolerance}, {self.adjoint_tolerance}, {self.iterations}"
            raise ValueError(f"Krylov: expected tolerances of at least 0 and a whole number of iterations of at least 1, got {got}")

    def __call__(
        self,
        A: Operator,
        y: Tensor,
        *,
        transpose: Operator | None = None,
        preconditioner: Operator | None = None,
        start: Tensor | None = None,
        parameters: Sequence[Tensor] = (),
        observe: Observer | None = None,
    ) -> Tensor:
        """Solve A x = y.

        Args:
            A, y, preconditioner, start: see `conjugate_gradient`; an implicit gradient uses the preconditioner for A^T too and goes to neither.
            transpose:  v -> A^T v. Without it A itself for "cg", for "bicgstab" the reverse of A by autograd.
            parameters: tensors that A depends on and that get an implicit gradient; A is then applied again in the backward pass. Without them the
                        graph of one application of A is kept, and all that A depends on gets its gradient.
            observe:    told "iterations", "residual" and "converged" (B,), see `Solved`; in the backward pass "adjoint_iterations" and so on.
        Returns: x, of y's shape; NaN in samples whose y is not finite.
        Raises:  ValueError as `conjugate_gradient`, and in the backward pass if autograd does not reach the input of A or one of the parameters.
                 RuntimeError for samples that did not converge if on_failure="raise", and for a second derivative of an implicit solve.
        """
        options: Options = {"preconditioner": preconditioner, "start": start, "tolerance": self.tolerance}
        if self.gradient == "unrolled":
            return self._solve(A, y, options, observe)
        with torch.no_grad():
            x = self._solve(A, y, options, observe)
        if self.gradient == "cut" or not torch.is_grad_enabled():
            return x
        options = {"preconditioner": preconditioner, "tolerance": self.tolerance if self.adjoint_tolerance is None else self.adjoint_tolerance}

        def adjoint(g: Tensor) -> Tensor:
            reverse = transpose or (A if self.method == "cg" else transposed(A, g))
            return self._solve(reverse, g, options, observe, "adjoint_")

        return _Implicit.apply(adjoint, A, x, y if parameters else y - A(x), *(p for p in parameters if p.requires_grad))

    def _solve(self, A: Operator, y: Tensor, options: Options, observe: Observer | None, of: str = "") -> Tensor:
        x, *found = _solved(_cg if self.method == "cg" else _bicgstab, A, y, {**options, "iterations": self.iterations, "mean_free": self.mean_free})
        if observe is not None:
            for name, value in zip(Solved._fields[1:], found):
                observe(of + name, value)
        if self.on_failure != "observe" and self.tolerance > 0 and not bool(found[-1].all()):
            count, residual, converged = (value.tolist() for value in found)
            failed = [f"sample {i} at {residual[i]:.2e} after {count[i]}" for i in range(len(count)) if not converged[i]]
            said = (
                f"Krylov: {self.method} leaves {of.replace('_', ' ')}residuals above the tolerance: {', '.join(failed[:8])}"
                f"{' and others' if len(failed) > 8 else ''}; allow more iterations or larger residuals, or give a better preconditioner"
            )
            if self.on_failure == "raise":
                raise RuntimeError(said)
            warnings.warn(said, stacklevel=4)
        return x


def transposed(A: Operator, like: Tensor) -> Operator:
    """v -> A^T v for arguments like `like`, by reverse differentiation of one application of A; ValueError if autograd does not reach its input."""
    with torch.enable_grad():
        dummy = torch.zeros_like(like, requires_grad=True)
        out = A(dummy)

    def reverse(v: Tensor) -> Tensor:
        back = torch.autograd.grad(out, dummy, v, retain_graph=True, allow_unused=True)[0] if out.requires_grad else None
        if back is None:
            raise ValueError("Krylov: autograd does not reach the input of A, so it has no transpose by itself; pass transpose=")
        return back

    return reverse


class _Implicit(torch.autograd.Function):
    """x as a function of y, or of y - A(x) with x held, and of the parameters: both have the gradient A^-T g by their first argument."""

    @staticmethod
    def forward(ctx: Any, adjoint: Operator, A: Operator, x: Tensor, equation: Tensor, *parameters: Tensor) -> Tensor:
        ctx.adjoint, ctx.A = adjoint, A
        ctx.save_for_backward(x, *parameters)
        return x.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError("Krylov: an implicit solve has no second derivative; use gradient='unrolled' for double backward")
        x, *parameters = ctx.saved_tensors
        multiplier = ctx.adjoint(grad)
        with torch.enable_grad():
            value = ctx.A(x) if parameters else x
        # What A was built from may serve other solves too: its graph stays.
        reached = parameters if value.requires_grad else []
        found = torch.autograd.grad(value, reached, -multiplier, retain_graph=True, allow_unused=True) if reached else [None for _ in parameters]
        if any(g is None for g in found):
            raise ValueError("Krylov: A does not depend on all parameters by autograd; build A from these very tensors or leave them out")
        return None, None, None, multiplier, *found


def _solved(run: Run, A: Operator, y: Tensor, options: Options) -> Solved:
    """Runs and restarts. Of each sample it is the residual b - A x of its x that is judged and told."""
    preconditioner, start, mean_free = options.get("preconditioner"), options.get("start"), options.get("mean_free", False)
    if y.ndim < 2 or not y.is_floating_point() or (start is not None and start.shape != y.shape):
        given = f"{tuple(y.shape)} of {y.dtype}" + ("" if start is None else f" and {tuple(start.shape)}")
        raise ValueError(f"Krylov: expected real right-hand sides (B, ...) and a start of their shape, got {given}; one sample is y[None]")

    def free(v: Tensor) -> Tensor:
        return v - v.mean(tuple(range(1, v.ndim)), keepdim=True) if mean_free else v

    def apply(v: Tensor) -> Tensor:
        out = A(v)
        if out.shape != v.shape or out.dtype != v.dtype:
            raise ValueError(f"Krylov: A must return {tuple(v.shape)} of {v.dtype} as it was given, got {tuple(out.shape)} of {out.dtype}")
        return free(out)

    precondition: Operator = free if preconditioner is None else (lambda v: free(preconditioner(v)))
    y = free(y)
    peak = _length(y, torch.inf)
    # Powers of two leave the digits alone; without them small right-hand sides lose <r, r> to underflow.
    scale = torch.ldexp(torch.ones_like(peak), torch.frexp(peak).exponent.clamp(-100, 100))
    b = y / scale
    unit = torch.where(peak == 0, 1.0, _length(b))
    goal = options.get("tolerance", 1e-5) * unit
    x = torch.zeros_like(b) if start is None else torch.where(peak == 0, 0.0, free(start) / scale)
    r = b if start is None else b - apply(x)
    size, count = _length(r), torch.zeros_like(peak, dtype=torch.long)
    # The residual may rise while CG lowers the error in A's norm: its first run is taken as it comes, every later one only if it is better.
    free_to_rise, active = run is _cg, size > goal
    while bool(active.any()):
        new, steps, ended = run(apply, precondition, x, r, active, goal, options.get("iterations", 500) - count)
        fresh = b - apply(new)
        now = _length(fresh)
        taken = active & (now.isfinite() if free_to_rise else now < size)
        active = taken & ended & (now > goal) & (now < _PROGRESS * size)
        x, r, size, count = torch.where(taken, new, x), torch.where(taken, fresh, r), torch.where(taken, now, size), count + steps
        free_to_rise = False
    x = torch.where(peak.isfinite(), scale * x, torch.nan)
    return Solved(x, count.flatten(), (size / unit).flatten(), (size <= goal).flatten())


def _cg(A: Operator, M: Operator, x: Tensor, r: Tensor, active: Tensor, goal: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    steps, p = torch.zeros_like(left), M(r)
    rz = _inner(r, p)
    running, sign = active & rz.isfinite() & (rz != 0), torch.zeros_like(rz)
    for k in range(int(left.max())):
        Ap = A(p)
        curvature = _inner(p, Ap)
        running = running & curvature.isfinite() & (curvature != 0) & (curvature.sign() != -sign)  # else A is indefinite
        sign = curvature.sign()
        alpha = _ratio(rz, curvature, running)
        x, r = torch.addcmul(x, alpha, p), torch.addcmul(r, alpha, Ap, value=-1)
        steps = steps + running
        running = running & (_length(r) > goal) & (steps < left)
        if _over(running, k):
            break
        z = M(r)
        new = _inner(r, z)
        running = running & new.isfinite() & (new.sign() == rz.sign())
        p = torch.where(running, torch.addcmul(z, _ratio(new, rz, running), p), p)
        rz = torch.where(running, new, rz)
    return x, steps, steps < left


def _bicgstab(A: Operator, M: Operator, x: Tensor, r: Tensor, active: Tensor, goal: Tensor, left: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    steps, running, shadow, p = torch.zeros_like(left), active, r, r
    rho, lost = _inner(shadow, r), torch.finfo(r.dtype).eps * _length(r)
    for k in range(int(left.max())):
        q = M(p)
        v = A(q)
        along = _inner(shadow, v)
        running = running & along.isfinite() & (along != 0)
        alpha = _ratio(rho, along, running)
        s = torch.addcmul(r, alpha, v, value=-1)
        w = M(s)
        t = A(w)
        square = _inner(t, t)
        omega = _ratio(_inner(t, s), square, running & (square > 0))
        x = torch.addcmul(torch.addcmul(x, alpha, q), omega, w)
        r = torch.addcmul(s, omega, t, value=-1)
        steps = steps + running
        running = running & (_length(r) > goal) & (steps < left)
        if _over(running, k):
            break
        new = _inner(shadow, r)
        running = running & (omega != 0) & (new.abs() > lost * _length(r))
        p = torch.where(running, torch.addcmul(r, _ratio(new * alpha, rho * omega, running), torch.addcmul(p, omega, v, value=-1)), p)
        rho = torch.where(running, new, rho)
    return x, steps, steps < left


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Per sample, (B, 1, ..) against (B, ...)."""
    return (a * b).flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))


def _length(a: Tensor, order: float = 2) -> Tensor:
    """For decisions: without gradient."""
    return torch.linalg.vector_norm(a.detach().flatten(1), order, dim=1).reshape(-1, *[1] * (a.ndim - 1))


def _ratio(a: Tensor, b: Tensor, where: Tensor) -> Tensor:
    """a / b, and 0 elsewhere, where neither it nor its gradient divides."""
    return torch.where(where, a, 0.0) / torch.where(where, b, 1.0)


def _over(running: Tensor, k: int) -> bool:
    return (running.device.type == "cpu" or k % _LOOK == _LOOK - 1) and not bool(running.any())
