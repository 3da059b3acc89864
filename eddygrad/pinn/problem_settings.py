"""Settings of a problem that belong together: its points, its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """How many points a problem has, and when they are drawn.

    Args:
        points:   number of points inside.
        rim:      number of points on the rim.
        start:    number of points at the first time.
        batch:    number of points inside per update; None takes all of them.
        resample: residual -> number of updates after which the points inside are redrawn according to its size, see `Resampled`.
        seed:     seed of the points.
    """

    points: int = 2500
    rim: int = 400
    start: int = 400
    batch: int | None = None
    resample: Mapping[str, int] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Network:
    """Size and kind of a problem's network, see `CoordinateNetwork`.

    Args:
        width:      neurons per hidden layer.
        depth:      number of hidden layers.
        activation: "tanh", "sine", "silu" or "gelu".
        fourier:    number of Fourier features and standard deviation of their frequencies; None for none.
        gain:       factor of the initial weights.
    """

    width: int = 50
    depth: int = 4
    activation: str = "tanh"
    fourier: tuple[int, float] | None = None
    gain: float = 1.0


_GROUPS: dict[str, type[Sampling] | type[Network]] = {"sampling": Sampling, "network": Network}


def apply_groups(problem: Any, **groups: Sampling | Network | None) -> None:
    """Set a problem's options from `sampling` and `network`, where these are given.

    Args:
        problem: a `Problem` that is being made; its short options have their values already.
        groups:  group by name, or None.
    Raises: ValueError for another type of group, or an option that is also given by its short name.
    """
    usual = {option.name: option.default for option in fields(problem)}
    for name, group in groups.items():
        if group is None:
            continue
        kind = _GROUPS[name]
        if not isinstance(group, kind):
            raise ValueError(f"pinn.Problem: {name} expects eg.pinn.{kind.__name__}(...), got {group!r}")
        for option in fields(group):
            short = getattr(problem, option.name)
            if short != usual[option.name]:
                raise ValueError(f"pinn.Problem: got {option.name}={short!r} and {name}={group!r}; set {option.name} in one of them")
            object.__setattr__(problem, option.name, getattr(group, option.name))
