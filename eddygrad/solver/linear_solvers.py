"""Iterative solvers of A x = y for a function A: every sample of a batch stops by itself, and the gradient is one more solve."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict, Unpack

import torch
from torch import Tensor

from eddygrad.solver.krylov_methods import Operator, Run, bicgstab_run, conjugate_gradient_run, norm
from eddygrad.solver.step import Observer

_CHOICES = {"method": ("cg", "bicgstab"), "gradient": ("implicit", "unrolled", "cut"), "on_failure": ("observe", "warn", "raise")}
# Restarts continue as long as each halves the true residual; a smaller gain is round-off.
_PROGRESS = 0.5


class Solved(NamedTuple):
    """Solution x (B, ...), and per sample (B,): iterations, true residual |y - A x| / |y|, and whether that is within the tolerance."""

    x: Tensor
    iterations: Tensor
    residual: Tensor
    converged: Tensor


class Options(TypedDict, total=False):
    """Options of an iterative solve.

    Args:
        preconditioner: M, an approximation of A^-1; default the identity.
        start:          initial x; default 0.
        tolerance:      relative residual |y - A x| / |y| at which a sample stops; default 1e-5.
        iterations:     largest number of iterations per sample, restarts included; default 500.
        mean_free:      constants are the null space of A and are removed from y and x; default False.
    """

    preconditioner: Operator | None
    start: Tensor | None
    tolerance: float
    iterations: int
    mean_free: bool


def conjugate_gradient(A: Operator, y: Tensor, **options: Unpack[Options]) -> Solved:
    """Solve A x = y for a symmetric A, definite of either sign, or semi-definite with y in its range.

        alpha = <r, M r> / <p, A p>,  x += alpha p,  r -= alpha A p,  p <- M r + p <r, M r> / <r, M r>_before        Hestenes, Stiefel 1952
    Args:
        A:       linear function (B, ...) -> (B, ...) that treats samples independently.
        y:       right-hand sides (B, ...), real.
        options: see `Options`; M is symmetric and definite, of either sign and any scale.
    Returns: `Solved`. By round-off the recursive r departs from y - A x: if only r is within the tolerance, the sample restarts from its x, until
             y - A x is too or a restart does not halve it.
    Raises:  ValueError if y is not a real batch, or the start or A x has another shape or dtype.
    """
    return _solved(conjugate_gradient_run, A, y, options)


def bicgstab(A: Operator, y: Tensor, **options: Unpack[Options]) -> Solved:
    """Solve A x = y for an A that need not be symmetric (but not skew); an iteration applies A and the preconditioner twice.

        v = A M p,  s = r - alpha v,  t = A M s,  x += M (alpha p + omega s),  r = s - omega t                       van der Vorst 1992
        alpha = <r_0, r> / <r_0, v>,  omega = <t, s> / <t, t>,  p <- r + (p - omega v) (alpha / omega) <r_0, r> / <r_0, r>_before
    Args:
        A, y:    see `conjugate_gradient`.
        options: see `Options`; M is any linear function. With `mean_free` the system is solved among fields without mean, which is the given one if
                 A x has no mean either.
    Returns: `Solved`, as `conjugate_gradient`; an x that is worse than the start is not returned.
    Raises:  ValueError as `conjugate_gradient`.
    """
    return _solved(bicgstab_run, A, y, options)


@dataclass(frozen=True)
class Krylov:
    """An iterative solver and how its result is differentiated.

        implicit:   A^T lam = g,  dL/dy = lam,  dL/dp = -lam^T (dA/dp) x                 implicit function theorem; for PDEs Giles, Pierce 2000
        unrolled:   through every iteration; tolerance=0 makes exactly `iterations`.        cut: x has no graph.
    Args:
        method:                           "cg" for a symmetric definite A, "bicgstab" for others.
        tolerance, iterations, mean_free: see `Options`.
        adjoint_tolerance:                tolerance of lam; None takes that of x. `iterations` holds for both.
        gradient:                         "implicit", "unrolled" or "cut".
        on_failure:                       if samples do not converge: "warn", "raise", or "observe", which only informs the observer. With tolerance 0
                                          there is neither a warning nor an error.
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
            A, y, preconditioner, start: see `conjugate_gradient`; an implicit gradient uses the preconditioner for A^T too, and neither the
                        preconditioner nor the start gets a gradient.
            transpose:  v -> A^T v. None takes A itself for "cg", and for "bicgstab" the transpose of A by autograd.
            parameters: tensors that A depends on and that get an implicit gradient; A is then applied again in the backward pass. Without them the
                        graph of one application of A is stored, and everything that A depends on gets its gradient.
            observe:    receives "iterations", "residual" and "converged" (B,), see `Solved`; in the backward pass "adjoint_iterations" and so on.
        Returns: x, of y's shape; NaN in samples whose y is not finite.
        Raises:  ValueError as `conjugate_gradient`, and in the backward pass if A does not depend on its input or on a parameter by autograd.
                 RuntimeError if samples do not converge and on_failure="raise", and for a second derivative of an implicit solve.
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
        run = conjugate_gradient_run if self.method == "cg" else bicgstab_run
        x, *found = _solved(run, A, y, {**options, "iterations": self.iterations, "mean_free": self.mean_free})
        if observe is not None:
            for name, value in zip(Solved._fields[1:], found):
                observe(of + name, value)
        if self.on_failure != "observe" and self.tolerance > 0 and not bool(found[-1].all()):
            count, residual, converged = (value.tolist() for value in found)
            failed = [f"sample {i} at {residual[i]:.2e} after {count[i]}" for i in range(len(count)) if not converged[i]]
            message = (
                f"Krylov: {self.method} leaves {of.replace('_', ' ')}residuals above the tolerance: {', '.join(failed[:8])}"
                f"{' and others' if len(failed) > 8 else ''}; allow more iterations or larger residuals, or give a better preconditioner"
            )
            if self.on_failure == "raise":
                raise RuntimeError(message)
            warnings.warn(message, stacklevel=4)
        return x


def transposed(A: Operator, like: Tensor) -> Operator:
    """Return v -> A^T v for arguments of the shape of `like`, by reverse differentiation of one application of A.

    Raises: ValueError, at a call, if A does not depend on its input by autograd.
    """
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
    """x as a function of y, or of y - A(x) at a fixed x, and of the parameters; with respect to the first argument both have the gradient A^-T g."""

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
        # The graph is retained: the tensors that A was built from may belong to other solves too.
        reached = parameters if value.requires_grad else []
        found = torch.autograd.grad(value, reached, -multiplier, retain_graph=True, allow_unused=True) if reached else [None for _ in parameters]
        if any(g is None for g in found):
            raise ValueError("Krylov: A does not depend on all parameters by autograd; build A from these very tensors or leave them out")
        return None, None, None, multiplier, *found


def _solved(run: Run, A: Operator, y: Tensor, options: Options) -> Solved:
    """Run and restart a method. Every sample is judged by the true residual b - A x of its x."""
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
    peak = norm(y, torch.inf)
    # A power of two scales without round-off; unscaled, <r, r> of a small right-hand side would underflow.
    scale = torch.ldexp(torch.ones_like(peak), torch.frexp(peak).exponent.clamp(-100, 100))
    b = y / scale
    unit = torch.where(peak == 0, 1.0, norm(b))
    goal = options.get("tolerance", 1e-5) * unit
    x = torch.zeros_like(b) if start is None else torch.where(peak == 0, 0.0, free(start) / scale)
    r = b if start is None else b - apply(x)
    size, count = norm(r), torch.zeros_like(peak, dtype=torch.long)
    # CG lowers the error in A's norm, and the residual may rise: the first run is accepted anyway, every later one only if it lowers the residual.
    free_to_rise, active = run is conjugate_gradient_run, size > goal
    while bool(active.any()):
        new, steps, ended = run(apply, precondition, x, r, active, goal, options.get("iterations", 500) - count)
        fresh = b - apply(new)
        now = norm(fresh)
        taken = active & (now.isfinite() if free_to_rise else now < size)
        active = taken & ended & (now > goal) & (now < _PROGRESS * size)
        x, r, size, count = torch.where(taken, new, x), torch.where(taken, fresh, r), torch.where(taken, now, size), count + steps
        free_to_rise = False
    x = torch.where(peak.isfinite(), scale * x, torch.nan)
    return Solved(x, count.flatten(), (size / unit).flatten(), (size <= goal).flatten())
