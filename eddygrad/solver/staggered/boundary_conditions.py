"""What stands at the sides of a box: periodic, wall, free slip, inflow, outflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.step import Params

# A velocity component at a side [m/s]: a number, the name of a parameter, or a function of (points, t, params), whose points are the coordinates
# per axis of the side's plane [m]; it returns what broadcasts to (B, *plane).
Value = float | str | Callable[[tuple[Tensor, ...], Tensor, Params], Any]
AXES = "xyz"


@dataclass(frozen=True)
class Periodic:
    """The other side follows."""


@dataclass(frozen=True)
class FreeSlip:
    """No flow through the side and no shear at it: u_n = 0, d u_t / d n = 0. Also a plane of symmetry."""


@dataclass(frozen=True)
class Outflow:
    """An open side, at the upper end of its axis.

    convective: u_t + U u_x = 0 with U the mean speed out of the side, then shifted so that as much leaves as enters; the pressure has no gradient.
    do-nothing: pressure zero at the side, no gradient of the velocity along the normal.            Heywood, Rannacher, Turek 1996
    """

    kind: Literal["convective", "do-nothing"] = "convective"

    def __post_init__(self) -> None:
        if self.kind not in ("convective", "do-nothing"):
            raise ValueError(f"Outflow: kind must be 'convective' or 'do-nothing', got {self.kind!r}")


@dataclass(frozen=True)
class Prescribed:
    """The fluid has this velocity at the side.

    Args: velocity: one `Value` per axis [m/s]; 0 for rest. steady: False if a function's values depend on time, else they are taken once.
    """

    velocity: Value | tuple[Value, ...] = 0.0
    steady: bool = True

    def component(self, d: int, ndim: int) -> Value:
        if not isinstance(self.velocity, tuple):
            return self.velocity
        if len(self.velocity) != ndim:
            raise ValueError(f"{type(self).__name__}: velocity needs one value per axis ({ndim}), got {self.velocity}")
        return self.velocity[d]


@dataclass(frozen=True)
class Wall(Prescribed):
    """No slip on a wall that rests or slides in its own plane; nothing goes through it.

    Args: velocity: 0, or one `Value` per axis [m/s] with 0 along the normal.
    """


@dataclass(frozen=True)
class Inflow(Prescribed):
    """Fluid enters with a given velocity: (1.0, 0.0), a profile of position, or of position and time with steady=False.

    The sum of all that enters through prescribed sides must leave through outflow, if there is one, or be zero.
    """


PERIODIC = Periodic()
Side = Periodic | FreeSlip | Outflow | Wall | Inflow
Sides = tuple[tuple[Side, Side], ...]


def periods(grid: Grid, sides: Sides) -> tuple[float | None, ...]:
    """Length of every periodic axis [m], None for the others."""
    return tuple(length if isinstance(low, Periodic) else None for length, (low, _) in zip(grid.lengths, sides))


def all_steady(sides: Sides) -> bool:
    """Whether no side's velocity depends on time."""
    return all(side.steady for pair in sides for side in pair if isinstance(side, Prescribed))


def sides_of(given: Side | Sequence[Side | Sequence[Side]], ndim: int) -> Sides:
    """(low, high) per axis from a side for all, one per axis, or a pair per axis.

    Raises: ValueError for a count other than the axes', a half-periodic axis, an outflow that is not at the upper end or not alone, and a wall that
            moves along its normal.
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
            raise ValueError(f"boundaries: axis {name} is periodic at one side only, got {low} and {high}; a period joins both")
        if isinstance(low, Outflow):
            way = "mirror the set-up: inflow at the lower side, Outflow at the upper"
            if isinstance(high, Outflow):
                way = "both sides open; two sides of one axis stand in brackets of their own, ((low, high), ...)"
            raise ValueError(f"boundaries: Outflow stands at the lower side of axis {name}, which stores no face; {way}")
        for side in pair:
            _check_wall(side, axis, ndim)
            if isinstance(side, Inflow) and not isinstance(side.velocity, tuple) and side.velocity != 0:
                raise ValueError(f"Inflow: velocity needs one value per axis ({ndim}), got {side.velocity!r}; write (1.0, 0.0), say")
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
    """Where component d is known, on the upper faces along d, or the cells' centres for None [m]: coordinates that broadcast to the grid, float64."""
    axes = [(torch.arange(n, dtype=torch.float64) + (1.0 if a == d else 0.5)) * h for a, (n, h) in enumerate(zip(grid.shape, grid.spacing))]
    return tuple(x.reshape([-1 if b == a else 1 for b in range(grid.ndim)]) for a, x in enumerate(axes))


def plane(grid: Grid, axis: int, end: int, d: int) -> tuple[Tensor, ...]:
    """Where component d is known on the side at `end` (0 low, 1 high) of `axis` [m]: coordinates that broadcast to the plane, float64."""
    side = torch.full([1] * grid.ndim, grid.lengths[axis] * end, dtype=torch.float64)
    return tuple(side if a == axis else x for a, x in enumerate(points_of(grid, d)))


def evaluate(value: Value, points: tuple[Tensor, ...], t: Tensor | float, params: Params, like: Tensor) -> Tensor:
    """A component at a side's points, (1 or B, *plane) in the dtype and on the device of `like`.

    Raises: ValueError for a parameter that is not given, and a number that is not finite.
    """
    ndim = len(points)
    shape = torch.broadcast_shapes(*(p.shape for p in points))
    if isinstance(value, str):
        if value not in params:
            raise ValueError(f"params: a side's velocity is named {value!r}, got {sorted(params)}; pass it in the mapping")
        found: Any = params[value]
    elif callable(value):
        time = torch.as_tensor(t, dtype=torch.float64, device=like.device)
        found = asked("a side's velocity", params, lambda: value(tuple(p.to(like.device) for p in points), time, params))
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
        raise ValueError(f"boundaries: a side's velocity {_told(value)} has the shape {tuple(v.shape)}, expected one for {tuple(shape)} points")
    return v.expand(*batch, *shape)


def _told(value: Value) -> str:
    return "by its function" if callable(value) else repr(value)


def asked(what: str, params: Params, value: Callable[[], Any]) -> Any:
    """What a user's function says; one that reads a parameter that is not given is named with it, by a ValueError."""
    try:
        return value()
    except KeyError as missing:
        if missing.args and missing.args[0] in params:
            raise
        raise ValueError(f"params: {what} is a function that reads {missing}, got {sorted(params)}; pass it in the mapping") from missing
