"""Adaptive substeps: their number follows the Courant number."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from eddygrad.solver.schemes.parameters import per_sample
from eddygrad.solver.schemes.spectral.spectral_scheme import SpectralScheme
from eddygrad.solver.schemes.spectral.spectral_step import SpectralStep
from eddygrad.solver.schemes.wrapper import SchemeWrapper
from eddygrad.solver.step import Observer, Params, StayingStep, StepperInfo


@dataclass(frozen=True)
class AdaptiveSubsteps(SchemeWrapper[SpectralScheme]):
    """A spectral scheme whose number of substeps follows the Courant number; for generating data.

        substeps = ceil(dt max_x sum_i |u_i| / dx_i / courant)              Courant, Friedrichs and Lewy 1928
    One number for the batch, chosen before every step. The observer receives it as "substeps", and the resulting Courant number as "courant"; a data
    set records both per frame. Gradients treat the number as constant.

    Args:
        scheme:  a spectral scheme; its substeps are the smallest number.
        courant: largest Courant number.
        most:    largest number of substeps.
    Raises: ValueError for a Courant number that is not positive; at a step, if more than `most` would be needed or the state is not finite.
    """

    courant: float = 0.5
    most: int = 4096
    observed: ClassVar[Mapping[str, str]] = MappingProxyType({"substeps": "sum", "courant": "max"})
    observed_units: ClassVar[Mapping[str, str]] = MappingProxyType({"substeps": "1", "courant": "1"})

    def __post_init__(self) -> None:
        if not self.courant > 0 or self.most < self.scheme.substeps:
            raise ValueError(f"AdaptiveSubsteps: courant must be positive and most at least {self.scheme.substeps}, got {self.courant}, {self.most}")

    def info(self) -> StepperInfo:
        """Return the facts of the scheme, without a substep."""
        return replace(super().info(), substep=None)  # it varies

    def at(self, params: Params, like: Tensor, observe: Observer | None = None) -> AdaptiveStep:
        """Bind to physical parameters; `observe` receives "substeps" and "courant". Args: see `SpectralScheme.at`."""
        return AdaptiveStep(self, params, like, observe)


class AdaptiveStep(StayingStep):
    """The bound step; it holds one bound step of the scheme per number of substeps."""

    def __init__(self, plan: AdaptiveSubsteps, params: Params, like: Tensor, observe: Observer | None) -> None:
        self.plan, self.params, self.like, self.observe = plan, params, like, observe
        self._steps: dict[int, SpectralStep] = {}
        self._first = self._step(plan.scheme.substeps)

    def enter(self, u: Tensor) -> Tensor:
        """Transform a state, see `SpectralStep.enter`."""
        return self._first.enter(u)

    def inner(self, state: Tensor, k: int = 0) -> Tensor:
        """Make one step with as many substeps as the state needs.

        Raises: ValueError if the state is not finite or needs more than `most` substeps.
        """
        speed = self._speed(state)
        if not math.isfinite(speed):
            raise ValueError(f"AdaptiveSubsteps: the state is not finite at step {k}; take a smaller courant number")
        count = max(self.plan.scheme.substeps, math.ceil(self.plan.dt * speed / self.plan.courant))
        if count > self.plan.most:
            raise ValueError(f"AdaptiveSubsteps: step {k} would need {count} substeps, most is {self.plan.most}; raise it, or the flow blows up")
        if self.observe is not None:
            self.observe("substeps", torch.tensor(count))
            self.observe("courant", torch.tensor(self.plan.dt * speed / count, dtype=torch.float64))
        return self._step(count).inner(state, k)

    def leave(self, state: Tensor) -> Tensor:
        """Transform back, see `SpectralStep.leave`."""
        return self._first.leave(state)

    def _step(self, substeps: int) -> SpectralStep:
        """Bind once per number of substeps: with the graph of learnable parameters, whatever mode the first call is in, and unseen by checkpoints."""
        if substeps not in self._steps:
            with torch.inference_mode(False), torch.enable_grad(), saved_tensors_hooks(lambda t: t, lambda t: t):
                step = replace(self.plan.scheme, substeps=substeps).at(self.params, self.like)
            if not isinstance(step, SpectralStep):
                raise ValueError("AdaptiveSubsteps: needs a step that transforms; build the scheme with realisation='spectral'")
            self._steps[substeps] = step
        return self._steps[substeps]

    def _spacing(self, batch: int) -> Sequence[float | Tensor]:
        """Return the distance of points per axis, per sample if domain lengths differ [m]."""
        grid = self.plan.grid
        if "length" not in self.params:
            return list(grid.spacing)
        length = per_sample("length", self.params["length"], self.like, grid.ndim).detach()
        length = length if len(length) in (1, batch) else length.repeat(batch // len(length), *[1] * grid.ndim)
        return [length / n for n in grid.shape]

    @torch.no_grad()
    def _speed(self, state: Tensor) -> float:
        """Return max_x sum_i |u_i| / dx_i [1/s]; the first fields of an equation are the velocity."""
        grid = self.plan.grid
        h = state.reshape(-1, *state.shape[-grid.ndim - 1 :])
        term = self._first.bound.repeated(len(h)).term
        fields = term.fields(h)
        rate = sum(fields[i].abs() / dx for i, dx in enumerate(self._spacing(len(h))))
        assert isinstance(rate, Tensor)
        factor = term.coefficients.get("lambda_0")  # the advection coefficient of active turbulence
        return float((rate if factor is None else rate * factor.abs().max()).amax())
