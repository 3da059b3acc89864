"""Boundary conditions at the sides of a box: periodic, wall, free slip, inflow, outflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Params

# A velocity component at a side [m/s]: a number, the name of a parameter, or a function of (points, t, params), where points are the coordinates
# per axis of the side's plane [m]; its result broadcasts to (B, *plane).
Value = float | str | Callable[[tuple[Tensor, ...], Tensor, Params], Any]
AXES = "xyz"


@dataclass(frozen=True)
class Periodic:
    """The flow continues at the opposite side."""


@dataclass(frozen=True)
class FreeSlip:
    """No flow through the side and no shear at it: u_n = 0, d u_t / d n = 0. Also for a plane of symmetry."""


@dataclass(frozen=True)
class Outflow:
    """An open side, at the upper end of its axis.

    convective: u_t + U u_x = 0 with U the mean outflow speed, then shifted so that outflow balances inflow; no normal gradient of the pressure.
    do-nothing: pressure zero at the side, no normal gradient of the velocity.            Heywood, Rannacher, Turek 1996
    """

    kind: Literal["convective", "do-nothing"] = "convective"

    def __post_init__(self) -> None:
        if self.kind not in ("convective", "do-nothing"):
            raise ValueError(f"Outflow: kind must be 'convective' or 'do-nothing', got {self.kind!r}")


@dataclass(frozen=True)
class Prescribed:
    """Base of the sides with a prescribed velocity.

    Args:
        velocity: one `Value` per axis [m/s]; 0 for rest.
        steady:   False if a function's values depend on time; otherwise they are evaluated once.
    """

    velocity: Value | tuple[Value, ...] = 0.0
    steady: bool = True

    def component(self, d: int, ndim: int) -> Value:
        """Return component d of the velocity in `ndim` dimensions.

        Raises: ValueError if the velocity has another number of components.
        """
        if not isinstance(self.velocity, tuple):
            return self.velocity
        if len(self.velocity) != ndim:
            raise ValueError(f"{type(self).__name__}: velocity needs one value per axis ({ndim}), got {self.velocity}")
        return self.velocity[d]


@dataclass(frozen=True)
class Wall(Prescribed):
    """A no-slip wall, at rest or sliding in its own plane.

    Args:
        velocity: 0, or one `Value` per axis [m/s] with 0 along the normal.
        steady:   False if the velocity depends on time.
    """


@dataclass(frozen=True)
class Inflow(Prescribed):
    """An inflow with a given velocity: numbers such as (1.0, 0.0), a profile of position, or of position and time with steady=False.

    Without an Outflow the fluxes through all prescribed sides must sum to zero.
    """


PERIODIC = Periodic()
Side = Periodic | FreeSlip | Outflow | Wall | Inflow
Sides = tuple[tuple[Side, Side], ...]


def periods(grid: Grid, sides: Sides) -> tuple[float | None, ...]:
    """Return the length of every periodic axis [m], None for the others."""
    return tuple(length if isinstance(low, Periodic) else None for length, (low, _) in zip(grid.lengths, sides))


def all_steady(sides: Sides) -> bool:
    """Return whether no side's velocity depends on time."""
    return all(side.steady for pair in sides for side in pair if isinstance(side, Prescribed))


def sides_of(given: Side | Sequence[Side | Sequence[Side]], ndim: int) -> Sides:
    """Return (low, high) per axis from one side for all axes, one per axis, or a pair per axis.

    Raises: ValueError for another number of axes, an axis that is periodic at one side only, an Outflow at a lower side or on more than one axis,
            and a wall that moves along its normal.
    """
    each = [given] * ndim if isinstance(given, Side) else list(given)
    if len(each) != ndim:
        raise ValueError(f"boundaries: expected a side or a pair (low, high) for each of the {ndim} axes, got {len(each)}")
    pairs: list[tuple[Side, Side]] = []
    for axis, own in enumerate(each):
        pair = (own, own) if isinstance(own, Side) else tuple(own)
        name = AXES[axis]
        if len(pair) != 2 or not all(isinstance(s, Side) for s in pair):
            raise ValueError(f"boundaries: expected a side or a pair (low, high) for axis {name}, got {own!r}")
        low, high = pair
        if isinstance(low, Periodic) != isinstance(high, Periodic):
            raise ValueError(f"boundaries: axis {name} is periodic at one side only, got {low} and {high}; make both sides Periodic")
        if isinstance(low, Outflow):
            fix = "mirror the set-up: inflow at the lower side, Outflow at the upper"
            if isinstance(high, Outflow):
                fix = "both sides are open; a pair for one axis needs brackets of its own, ((low, high), ...)"
            raise ValueError(f"boundaries: Outflow at the lower side of axis {name}, which stores no face, is not supported; {fix}")
        for side in pair:
            _check_wall(side, axis, ndim)
            if isinstance(side, Inflow) and not isinstance(side.velocity, tuple) and side.velocity != 0:
                raise ValueError(f"Inflow: velocity needs one value per axis ({ndim}), got {side.velocity!r}; write e.g. (1.0, 0.0)")
        pairs.append((low, high))
    if sum(isinstance(high, Outflow) for _, high in pairs) > 1:
        raise ValueError("boundaries: Outflow on more than one axis is not supported; close one of them")
    return tuple(pairs)


def _check_wall(side: Side, axis: int, ndim: int) -> None:
    if isinstance(side, Wall) and side.component(axis, ndim) != 0:
        raise ValueError(
            f"Wall: velocity needs one value per axis with 0 along its normal {AXES[axis]}, got {side.velocity}; Inflow lets fluid through"
        )


def points_of(grid: Grid, d: int | None) -> tuple[Tensor, ...]:
    """Return the points of component d, on the upper faces along d, or the cell centres for None [m]; coordinates broadcast to the grid, float64."""
    axes = [(torch.arange(n, dtype=torch.float64) + (1.0 if a == d else 0.5)) * h for a, (n, h) in enumerate(zip(grid.shape, grid.spacing))]
    return tuple(x.reshape([-1 if b == a else 1 for b in range(grid.ndim)]) for a, x in enumerate(axes))


def plane(grid: Grid, axis: int, end: int, d: int) -> tuple[Tensor, ...]:
    """Return the points of component d on a side [m]; coordinates broadcast to the plane, float64.

    Args:
        grid: grid of the flow.
        axis: axis of the side.
        end:  0 for the lower side, 1 for the upper.
        d:    component.
    """
    side = torch.full([1] * grid.ndim, grid.lengths[axis] * end, dtype=torch.float64)
    return tuple(side if a == axis else x for a, x in enumerate(points_of(grid, d)))


def evaluate(value: Value, points: tuple[Tensor, ...], t: Tensor | float, params: Params, like: Tensor) -> Tensor:
    """Evaluate a velocity component at a side.

    Args:
        value:  a number, the name of a parameter, or a function.
        points: points of the component on the side [m].
        t:      time [s].
        params: physical parameters.
        like:   gives dtype and device.
    Returns: (1 or B, *plane) [m/s].
    Raises:  ValueError for a missing parameter, a number that is not finite, or another shape.
    """
    ndim = len(points)
    shape = torch.broadcast_shapes(*(p.shape for p in points))
    if isinstance(value, str):
        if value not in params:
            raise ValueError(f"params: a side's velocity is named {value!r}, got {sorted(params)}; pass it in the mapping")
        found: Any = params[value]
    elif callable(value):
        time = torch.as_tensor(t, dtype=torch.float64, device=like.device)
        found = call_user_function("a side's velocity", params, lambda: value(tuple(p.to(like.device) for p in points), time, params))
    else:
        found = value
    v = found if isinstance(found, Tensor) else torch.as_tensor(found, dtype=torch.float64)
    if not callable(value) and v.device.type == "cpu" and not is_functorch_wrapped_tensor(v) and not bool(v.isfinite().all()):
        raise ValueError(f"boundaries: a side's velocity {value!r} must be finite, got {v.detach().flatten().tolist()[:4]}")
    v = v.to(like.device, like.dtype)
    if v.ndim == ndim + 2:  # (B, 1, *plane): the channel axis of a parameter
        v = v.squeeze(1)
    batch = v.shape[:1] if v.ndim == ndim + 1 else (1,)
    fits = v.ndim <= ndim + 1 and all(have in (1, want) for have, want in zip(reversed(v.shape), reversed((*batch, *shape))))
    if not fits:
        raise ValueError(f"boundaries: a side's velocity {_described(value)} has the shape {tuple(v.shape)}, expected one for {tuple(shape)} points")
    return v.expand(*batch, *shape)


def _described(value: Value) -> str:
    return "by its function" if callable(value) else repr(value)


def call_user_function(what: str, params: Params, call: Callable[[], Any]) -> Any:
    """Call a user's function of parameters.

    Args:
        what:   the quantity that it computes, for the error message.
        params: physical parameters.
        call:   the call.
    Raises: ValueError if the function reads a parameter that is missing.
    """
    try:
        return call()
    except KeyError as missing:
        if missing.args and missing.args[0] in params:
            raise
        raise ValueError(f"params: {what} is a function that reads {missing}, got {sorted(params)}; pass it in the mapping") from missing
