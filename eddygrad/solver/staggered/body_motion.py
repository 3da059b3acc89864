"""Positions, angles and velocities of bodies: numbers, parameters, or functions of time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from eddygrad.solver.staggered.boundary_conditions import call_user_function

# A coordinate of a body [m], or its angle [rad]: a number, the name of a parameter, or a function of (t, params).
Coordinate = float | str | Callable[[Tensor, Mapping[str, Any]], Any]


def time_of(t: Tensor | float) -> Tensor:
    """Return a time as a scalar in float64. Raises ValueError if samples differ."""
    return _one(torch.as_tensor(t, dtype=torch.float64), "t0")


def rotated(points: Tensor, angle: Tensor) -> Tensor:
    """Rotate points (M, 2) about the origin, anticlockwise."""
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack([c * points[:, 0] - s * points[:, 1], s * points[:, 0] + c * points[:, 1]], 1)


def coordinate_at(coordinate: Coordinate, t: Tensor, params: Mapping[str, Any]) -> Tensor:
    """Return a coordinate at a time, a scalar in float64.

    Args:
        coordinate: a number, the name of a parameter, or a function of (t, params).
        t:          time [s].
        params:     physical parameters.
    Raises: ValueError if its parameter is missing, not finite or differs between samples.
    """
    if isinstance(coordinate, str):
        if coordinate not in params:
            raise ValueError(f"params: a body's coordinate is named {coordinate!r}, got {sorted(params)}; pass it in the mapping")
        value: Any = params[coordinate]
    else:
        value = call_user_function("a body's coordinate", params, lambda: coordinate(t, params)) if callable(coordinate) else coordinate
    tensor = torch.as_tensor(value, dtype=torch.float64)
    if not bool(tensor.isfinite().all()):
        raise ValueError(f"params: a body's coordinate {coordinate!r} must be finite, got {tensor.detach().flatten()[0]:.3g}")
    return _one(tensor, coordinate)


def coordinate_and_rate(coordinate: Coordinate, t: Tensor, params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Return a coordinate and its rate of change at a time.

    Args:
        coordinate: a number, the name of a parameter, or a function of (t, params).
        t:          time [s].
        params:     physical parameters.
    Raises: ValueError as `coordinate_at`, and for a function of time that torch cannot differentiate.
    """
    if not callable(coordinate):
        value = coordinate_at(coordinate, t, params)
        return value, torch.zeros_like(value)
    wanted = torch.is_grad_enabled() and coordinate_at(coordinate, t, params).requires_grad
    # Identity hooks: the derivative is taken at once, which inside a checkpoint would otherwise start the recomputation.
    with torch.inference_mode(False), torch.enable_grad(), saved_tensors_hooks(lambda x: x, lambda x: x):
        time = t if t.requires_grad else t.detach().clone().requires_grad_()
        value = coordinate_at(coordinate, time, params)
        (rate,) = torch.autograd.grad(value, time, create_graph=True, allow_unused=True) if value.requires_grad else (None,)
    rate = torch.zeros_like(value) if rate is None else rate
    _check_rate(float(value.detach()), float(rate.detach()), lambda later: float(coordinate_at(coordinate, t.detach() + later, params).detach()))
    return (value, rate) if wanted else (value.detach(), rate.detach())


def _check_rate(value: float, rate: float, at: Callable[[float], float]) -> None:
    """Raise ValueError if torch's derivative equals neither one-sided difference quotient: math.sin(t), say, hides the velocity from torch."""
    h = 1e-6
    sides = ((at(h) - value) / h, (value - at(-h)) / h)
    off = min(abs(side - rate) for side in sides)
    if off > 1e-3 * max(abs(side) for side in sides) + 1e-6 * (1 + abs(value)):
        raise ValueError(
            f"bodies: a coordinate changes by {sides[0]:.3g} per second, but torch's derivative, which gives the velocity, is {rate:.3g}; "
            "write it with torch.sin, not math.sin"
        )


def _one(value: Tensor, name: object) -> Tensor:
    """Return the value that all samples share, on the CPU, where poses are computed. Raises ValueError if samples differ."""
    if value.numel() > 1 and bool((value != value.flatten()[0]).any()):
        raise ValueError(f"params: a body has one pose for the whole batch, got {tuple(value.shape)} values for {name!r} that differ")
    return (value.reshape(()) if value.numel() == 1 else value.mean()).cpu()
