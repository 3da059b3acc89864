"""Direct solvers of a + b lap + c lap^2 on a box by fast diagonalisation: the Laplacian is diagonalised axis by axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.boundary_conditions import Outflow, Periodic, Prescribed, Side, Sides

# The ghost value at an end of a line: "even" the last value (no gradient), "odd" minus it (zero half a cell away), "zero" zero (one cell away);
# "fixed": the last value is fixed itself.
End = Literal["even", "odd", "zero", "fixed"]
_CORNER = {"even": -1.0, "odd": -3.0, "zero": -2.0}
# Periodic axes of at least this many points use FFTs, shorter ones matrix products.
_FFT_POINTS = 192


@dataclass(frozen=True)
class Line:
    """The second difference along an axis, h^2 u'' = u[i+1] - 2 u[i] + u[i-1], with the ghost values at its ends; None for a periodic axis."""

    points: int
    spacing: float
    low: End | None
    high: End | None

    @property
    def periodic(self) -> bool:
        """Whether the axis is periodic."""
        return self.low is None

    def matrix(self) -> Tensor:
        """Return the matrix (n, n), float64 [1/m^2]."""
        n = self.points
        one = torch.ones(n, dtype=torch.float64)
        t = torch.diag(-2 * one) + torch.diag(one[1:], 1) + torch.diag(one[1:], -1)
        if self.low is None:
            t[0, -1] += 1
            t[-1, 0] += 1
        else:
            assert self.high is not None
            t[0, 0] = _CORNER[self.low]
            if self.high == "fixed":
                t[-1, :] = t[:, -1] = 0
            else:
                t[-1, -1] = _CORNER[self.high]
        return t / self.spacing**2


def pressure_lines(grid: Grid, sides: Sides) -> tuple[Line, ...]:
    """Return the lines of div grad for a cell-centred field: no gradient where the normal velocity is fixed, zero at a do-nothing side."""

    def high(side: Side) -> End:
        return "odd" if isinstance(side, Outflow) and side.kind == "do-nothing" else "even"

    return tuple(
        Line(n, h, None, None) if isinstance(low, Periodic) else Line(n, h, "even", high(up))
        for n, h, (low, up) in zip(grid.shape, grid.spacing, sides)
    )


def velocity_lines(grid: Grid, sides: Sides, d: int) -> tuple[Line, ...]:
    """Return the lines of the Laplacian for changes of a component, which are zero on the sides that prescribe it.

    Args:
        grid:  grid of the flow.
        sides: boundary conditions (low, high) per axis.
        d:     component.
    """

    def line(axis: int, n: int, h: float, low: Side, high: Side) -> Line:
        if isinstance(low, Periodic):
            return Line(n, h, None, None)
        if axis == d:
            return Line(n, h, "zero", "even" if isinstance(high, Outflow) and high.kind == "do-nothing" else "fixed")
        centre: list[End] = ["odd" if isinstance(side, Prescribed) else "even" for side in (low, high)]
        return Line(n, h, centre[0], centre[1])

    return tuple(line(axis, n, h, *pair) for axis, (n, h, pair) in enumerate(zip(grid.shape, grid.spacing, sides)))


class Separable:
    """Solver of (a + b lap + c lap^2) x = y by transforms along every axis and one division, to round-off.

        lap = sum_d Q_d diag(l_d) Q_d^T,   x = Q (Q^T y) / (a + b l + c l^2),  l = sum_d l_d       fast diagonalisation: Lynch, Rice, Thomas 1964
    If the operator has a null space (a = 0 and no fixed value) the constant is removed from y and x.

    Args:
        lines:        the Laplacian along every axis.
        coefficients: a, b[, c], numbers or one per sample (B, *1) in float64, with gradients by autograd.
        dtype:        dtype of y.
        device:       device of y.
    """

    def __init__(self, lines: Sequence[Line], coefficients: Sequence[Tensor | float], dtype: torch.dtype, device: torch.device | str = "cpu") -> None:
        self.ndim = len(lines)
        self.fourier = tuple(axis for axis, line in enumerate(lines) if line.periodic and line.points >= _FFT_POINTS)
        self.points = tuple(lines[axis].points for axis in self.fourier)
        self.matrices: dict[int, tuple[Tensor, Tensor]] = {}
        eigenvalues = torch.zeros((), dtype=torch.float64)
        for axis, line in enumerate(lines):
            if axis in self.fourier:
                values = _fourier_eigenvalues(line, halved=axis == self.fourier[-1])
            else:
                values, q = _eigen(line)
                q = q.to(dtype=dtype, device=device)
                self.matrices[axis] = (q.mT.contiguous(), q.contiguous())
            eigenvalues = eigenvalues + values.reshape([-1 if k == axis else 1 for k in range(self.ndim)])
        eigenvalues = eigenvalues.to(device)  # the device of coefficients that are tensors
        symbol = sum(c * eigenvalues**power for power, c in enumerate(coefficients))
        assert isinstance(symbol, Tensor)
        scale = symbol.abs().amax()
        inverse = torch.where(symbol.abs() > 1e-12 * scale, 1 / symbol, 0)
        self.inverse = inverse.to(dtype=dtype, device=device)

    def __call__(self, y: Tensor) -> Tensor:
        """Solve: (B, *grid) -> (B, *grid). The solve is self-adjoint and differentiated as such."""
        return _Solve.apply(y, self) if y.requires_grad and torch.is_grad_enabled() and not self.inverse.requires_grad else self.solved(y)

    def solved(self, y: Tensor) -> Tensor:
        """Solve: (B, *grid) -> (B, *grid), with the gradient of autograd."""
        for axis, (forward, _) in self.matrices.items():
            y = self._along(forward, y, axis)
        if self.fourier:
            dims = tuple(axis - self.ndim for axis in self.fourier)
            y = torch.fft.irfftn(torch.fft.rfftn(y, dim=dims) * self.inverse, s=self.points, dim=dims)
        else:
            y = y * self.inverse
        for axis, (_, backward) in self.matrices.items():
            y = self._along(backward, y, axis)
        return y

    def _along(self, matrix: Tensor, y: Tensor, axis: int) -> Tensor:
        if axis == self.ndim - 1:
            return y @ matrix.mT
        if axis == self.ndim - 2:
            return matrix @ y
        return (matrix @ y.movedim(axis - self.ndim, -2)).movedim(-2, axis - self.ndim)


class _Solve(torch.autograd.Function):
    """The gradient of a symmetric solve is the same solve."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, solver: Separable) -> Tensor:
        ctx.solver = solver
        return solver.solved(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return ctx.solver(grad), None


@lru_cache(maxsize=64)
def _eigen(line: Line) -> tuple[Tensor, Tensor]:
    """Return eigenvalues and orthonormal eigenvectors (columns), float64."""
    with torch.inference_mode(False), torch.no_grad():
        values, vectors = torch.linalg.eigh(line.matrix())
        return values, vectors


def _fourier_eigenvalues(line: Line, halved: bool) -> Tensor:
    n = line.points
    m = torch.arange(n // 2 + 1 if halved else n, dtype=torch.float64)
    return (2 * torch.cos(2 * torch.pi * m / n) - 2) / line.spacing**2
