"""Convert fields to PhiFlow's grids and back: face velocities with boundary conditions, and values at cell centres."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from eddygrad.solver.grid import Grid
from eddygrad.solver.staggered.boundary_conditions import AXES, PERIODIC, FreeSlip, Outflow, Periodic, Prescribed, Side, Sides, sides_of

Boundaries = Side | Sequence[Side | Sequence[Side]]
SAMPLE = "sample"  # name of the batch dimension in PhiFlow
# Relative tolerance of the spacing: PhiFlow may have stored its bounds in float32.
SAME = 1e-6


def to_phiflow(u: Tensor, grid: Grid, boundaries: Boundaries = PERIODIC) -> Any:
    """Convert face velocities into a PhiFlow StaggeredGrid, on torch, in the precision of `u` and with its gradients.

    Of the n + 1 faces at 0, h .. n h along its own axis, a component has:

        side                  ours (upper faces)    PhiFlow                     PhiFlow's boundary
        Periodic              h .. n h              0 .. (n-1) h                PERIODIC
        Wall, Inflow          h .. n h              without the side's own      the side's constant, or 0
        FreeSlip              h .. n h              without the side's own      normal 0, tangential ZERO_GRADIENT
        Outflow (upper end)   h .. n h              with the side's own         ZERO_GRADIENT
    PhiFlow places a constant one cell, not half a cell, beyond the outermost tangential velocities: at walls its diffusion differs from ours.
    ZERO_GRADIENT has the ghost velocities of both kinds of Outflow; PhiFlow's pressure is zero half a cell beyond that side, which converges to
    "do-nothing", not to "convective". Outside `phi.math.precision(64)` PhiFlow computes in float32 whatever the precision of the field. Its
    solves have gradients if they and the backward pass run inside `with phi.math.precision(64), field.values.default_backend`. If all sides are
    FreeSlip, give `make_incompressible` a start, `Solve(x0=to_phiflow_centred(zeros, ...))`; without one it recurses endlessly.

    Args:
        u:          face velocities (B, D, *grid) [m/s], component d at [i] on the upper face of cell i along d; faces that a side fixes are left out.
        grid:       grid of u; PhiFlow's axes are x, y, z and its bounds begin at 0 [m].
        boundaries: as for `Projection`.
    Returns: the field, its batch dimension named "sample"; `from_phiflow` returns `u` bitwise, with the sides' values on the faces that they fix.
    Raises:  ValueError for another shape or precision, or a side whose velocity is not a number (a function, a parameter's name); ImportError
             without PhiFlow.
    """
    phi, sides = _phi(), sides_of(boundaries, grid.ndim)
    _check(grid, u)
    if u.shape[1] != grid.ndim:
        raise ValueError(f"state: expected one face velocity per axis ({grid.ndim}), got {u.shape[1]} channels")
    boundary, axes = _velocity_boundary(phi, sides, u), AXES[: grid.ndim]
    with _precision(phi, u.dtype):
        parts = []
        for d, component in enumerate(u.unbind(1)):
            dim = d - grid.ndim
            if isinstance(sides[d][1], Periodic):  # the upper side's face is the lower one's
                component = component.roll(1, dim)
            elif not isinstance(sides[d][1], Outflow):
                component = component.narrow(dim, 0, grid.shape[d] - 1)
            parts.append(phi.math.wrap(component, phi.math.batch(SAMPLE), phi.math.spatial(",".join(axes))))
        values = phi.math.stack(parts, phi.math.dual(vector=",".join(axes)))
        return phi.StaggeredGrid(values, boundary, bounds=_box(phi, grid), **dict(zip(axes, grid.shape)))


def from_phiflow(velocity: Any, grid: Grid, boundaries: Boundaries = PERIODIC) -> Tensor:
    """Convert a PhiFlow StaggeredGrid into face velocities (B, D, *grid) [m/s], the inverse of `to_phiflow`.

    Args:
        velocity:   a StaggeredGrid on x[, y[, z]] with at most one batch dimension of any name.
        grid:       expected grid; PhiFlow's bounds may begin anywhere.
        boundaries: expected boundary conditions; they give the upper faces that PhiFlow does not store.
    Returns: a tensor in the field's precision and on its device, with its graph; B is 1 without a batch dimension.
    Raises:  ValueError for another kind of field, grid or boundary, and as `to_phiflow`; ImportError without PhiFlow.
    """
    phi, sides = _phi(), sides_of(boundaries, grid.ndim)
    if not velocity.is_grid or not velocity.is_staggered:
        raise ValueError(f"from_phiflow: expected a StaggeredGrid, got {velocity}; a CenteredGrid is for from_phiflow_centred")
    _check_place(velocity, grid)
    parts = [_native(phi, velocity.values[{"~vector": name}], ()) for name in AXES[: grid.ndim]]
    expected = _velocity_boundary(phi, sides, parts[0])
    if not _same(velocity.boundary, expected):
        raise ValueError(
            f"from_phiflow: the boundaries are {expected} in PhiFlow, the field has {velocity.boundary}; sums and products of fields change "
            "constant boundaries, use .with_boundary(...)"
        )
    batch = max(len(part) for part in parts)
    out = []
    for d, part in enumerate(parts):
        part, dim, side = part.expand(batch, *part.shape[1:]), d - grid.ndim, sides[d][1]
        if isinstance(side, Periodic):
            part = part.roll(-1, dim)
        elif not isinstance(side, Outflow):
            value = _numbers(side, d, 1, grid.ndim)[d] if isinstance(side, Prescribed) else 0.0
            part = torch.cat([part, torch.full_like(part.narrow(dim, 0, 1), value)], dim)
        out.append(part)
    return torch.stack(out, 1)


def to_phiflow_centred(c: Tensor, grid: Grid, boundaries: Boundaries = PERIODIC) -> Any:
    """Convert values at the cell centres into a PhiFlow CenteredGrid, on torch, in the precision of `c` and with its gradients.

        x_i = (i + 1/2) L / N
    The points of the spectral schemes, x_i = i L / N, are not centres: shift such a field by half a cell first, or it is displaced by L / 2N.

    Args:
        c:          (B, C, *grid), any unit. One channel has no channel dimension in PhiFlow; as many channels as axes become a vector.
        grid:       grid of c; PhiFlow's bounds begin at 0 [m].
        boundaries: as for `Projection`. The field gets the boundary of a pressure: PERIODIC, 0 beyond an Outflow, else ZERO_GRADIENT;
                    `.with_boundary(...)` sets another one for other quantities.
    Returns: the field; `from_phiflow_centred` returns `c` bitwise.
    Raises:  ValueError for another shape or precision; ImportError without PhiFlow.
    """
    phi, sides = _phi(), sides_of(boundaries, grid.ndim)
    _check(grid, c)
    ex, axes, channels = phi.math.extrapolation, AXES[: grid.ndim], c.shape[1]

    def beyond(side: Side) -> Any:
        return ex.PERIODIC if isinstance(side, Periodic) else ex.ZERO if isinstance(side, Outflow) else ex.ZERO_GRADIENT

    ends = {name + "-+"[end]: beyond(side) for name, pair in zip(axes, sides) for end, side in enumerate(pair)}
    # A vector needs the names of the axes: PhiFlow selects components by them.
    channel = phi.math.channel(vector=",".join(axes)) if channels == grid.ndim else phi.math.channel(c=channels)
    dims = [phi.math.batch(SAMPLE), *([] if channels == 1 else [channel]), phi.math.spatial(",".join(axes))]
    with _precision(phi, c.dtype):
        values = phi.math.wrap(c.squeeze(1) if channels == 1 else c, *dims)
        return phi.CenteredGrid(values, ex.combine_sides(ends), bounds=_box(phi, grid), **dict(zip(axes, grid.shape)))


def from_phiflow_centred(field: Any, grid: Grid) -> Tensor:
    """Convert a PhiFlow CenteredGrid into values at the cell centres (B, C, *grid), the inverse of `to_phiflow_centred`.

    Args:
        field: a CenteredGrid on x[, y[, z]] with at most one batch and one channel dimension of any name.
        grid:  expected grid; PhiFlow's bounds may begin anywhere.
    Returns: a tensor in the field's precision and on its device, with its graph; B and C are 1 without such a dimension.
    Raises:  ValueError for another kind of field or grid; ImportError without PhiFlow.
    """
    phi = _phi()
    if not field.is_grid or not field.is_centered:
        raise ValueError(f"from_phiflow_centred: expected a CenteredGrid, got {field}; a StaggeredGrid is for from_phiflow")
    _check_place(field, grid)
    channels = phi.math.channel(field.values).names
    if len(channels) > 1:
        raise ValueError(f"from_phiflow_centred: expected at most one channel dimension, got {', '.join(channels)}")
    c = _native(phi, field.values, channels)
    return c if channels else c.unsqueeze(1)


def _phi() -> Any:
    """Import the parts of PhiFlow that are used; not `phi.torch.flow`, which would change the default backend of the whole process."""
    try:
        from phi import math
        from phi.field import CenteredGrid, StaggeredGrid
        from phi.geom import Box
    except ImportError as error:
        raise ImportError("eddygrad.solver.phiflow needs PhiFlow 3.4 or newer: pip install eddygrad[phiflow]") from error
    return SimpleNamespace(math=math, CenteredGrid=CenteredGrid, StaggeredGrid=StaggeredGrid, Box=Box)


def _precision(phi: Any, dtype: torch.dtype) -> Any:
    """Return the context in which PhiFlow keeps `dtype`: it casts to its own precision when it stacks."""
    return phi.math.precision(64 if dtype == torch.float64 else 32)


def _box(phi: Any, grid: Grid) -> Any:
    return phi.Box(**dict(zip(AXES, grid.lengths)))


def _check(grid: Grid, u: Tensor) -> None:
    grid.check(u)
    if u.ndim != grid.ndim + 2:
        raise ValueError(f"state: expected one batch axis, got {tuple(u.shape)}")
    if u.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"state: expected float32 or float64, got {str(u.dtype).removeprefix('torch.')}")


def _check_place(field: Any, grid: Grid) -> None:
    axes, resolution = tuple(AXES[: grid.ndim]), field.resolution
    if set(resolution.names) != set(axes) or tuple(resolution.get_size(a) for a in axes) != grid.shape:
        raise ValueError(f"field: expected {dict(zip(axes, grid.shape))} cells, got {resolution}")
    spacing = [float(field.dx.vector[a]) for a in axes]
    if any(abs(own - h) > SAME * h for own, h in zip(spacing, grid.spacing)):
        raise ValueError(f"field: expected the spacing {grid.spacing} m, got {tuple(spacing)}; the bounds' size is not the grid's length")


def _native(phi: Any, values: Any, channels: Sequence[str]) -> Tensor:
    """Return the values as a tensor (B, [C,] *points)."""
    batch = phi.math.batch(values).names
    if len(batch) > 1:
        raise ValueError(f"field: expected at most one batch dimension, got {', '.join(batch)}")
    axes = [a for a in AXES if a in values.shape.spatial.names]
    with phi.math.precision(values.dtype.precision):
        native = torch.as_tensor(values.native([*batch, *channels, *axes]))
    return native if batch else native.unsqueeze(0)


def _velocity_boundary(phi: Any, sides: Sides, like: Tensor) -> Any:
    """Return PhiFlow's boundary, side by side: by the name of an axis alone PhiFlow would use the tangential condition for all components."""
    ex, ndim = phi.math.extrapolation, len(sides)
    # PhiFlow merges equal sides and then cannot select a component: the first axis gets SYMMETRIC, which has the same nearest ghost value.
    everywhere = all(isinstance(side, FreeSlip) for pair in sides for side in pair)
    ends = {}
    for axis, pair in enumerate(sides):
        for end, side in enumerate(pair):
            if isinstance(side, Periodic):
                boundary = ex.PERIODIC
            elif isinstance(side, Outflow):
                boundary = ex.ZERO_GRADIENT
            elif isinstance(side, Prescribed):
                boundary = _constant(phi, _numbers(side, axis, end, ndim), like)
            elif ndim == 1:
                boundary = ex.ZERO
            else:
                boundary = ex.combine_by_direction(normal=ex.ZERO, tangential=ex.SYMMETRIC if everywhere and axis == 0 else ex.ZERO_GRADIENT)
            ends[AXES[axis] + "-+"[end]] = boundary
    return ex.combine_sides(ends)


def _constant(phi: Any, velocity: Sequence[float], like: Tensor) -> Any:
    if not any(velocity):
        return phi.math.extrapolation.ZERO
    value = torch.tensor(velocity, dtype=like.dtype, device=like.device)
    with _precision(phi, like.dtype):
        return phi.math.extrapolation.ConstantExtrapolation(phi.math.wrap(value, phi.math.channel(vector=",".join(AXES[: len(velocity)]))))


def _numbers(side: Prescribed, axis: int, end: int, ndim: int) -> list[float]:
    values = [side.component(d, ndim) for d in range(ndim)]
    for value in values:
        if not isinstance(value, Real):
            what = f"the parameter {value!r}" if isinstance(value, str) else "a profile function" if callable(value) else f"{value!r}"
            raise ValueError(
                f"PhiFlow: {type(side).__name__} at the {('lower', 'upper')[end]} side of axis {AXES[axis]} has {what} for its velocity; "
                "only numbers become a PhiFlow boundary"
            )
    return [float(value) for value in values]  # type: ignore[arg-type]


def _same(got: Any, expected: Any) -> bool:
    """Return whether PhiFlow's boundaries are equal, with 'x' meaning 'x-' and 'x+'."""

    def by_side(boundary: Any) -> Any:
        ends = getattr(boundary, "ext", None)
        if not isinstance(ends, dict):
            return boundary
        return {key + end: ext for key, ext in ends.items() for end in ("-+" if key[-1] not in "-+" else ("",))}

    return bool(by_side(got) == by_side(expected))
