"""The bound step of the schemes on a staggered grid: substeps, loads on bodies, stacked seeds, a warning of states that are too fast."""

from __future__ import annotations

import abc
import math
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import torch
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor

from eddygrad.runtime.memory import ordinary_tensors
from eddygrad.solver.schemes.stability import warn_of_courant, warn_of_diffusion
from eddygrad.solver.staggered.compiled_substep import Substep, compiled_substep, plain_substep
from eddygrad.solver.staggered.faces import Faces
from eddygrad.solver.staggered.momentum import Momentum
from eddygrad.solver.step import Observer, Step, merge_seeds

if TYPE_CHECKING:
    from eddygrad.solver.schemes.staggered_scheme import StaggeredScheme

_WARNED: WeakSet[StaggeredScheme] = WeakSet()  # schemes that have warned: a training binds its scheme at every update but is warned once


class StaggeredStep(abc.ABC):
    """A bound step of `substeps` substeps. Its only state is the number of calls, for its warning."""

    def __init__(self, scheme: StaggeredScheme, momentum: Momentum, observe: Observer | None) -> None:
        self.scheme, self.momentum, self.observe = scheme, momentum, observe
        self._calls = 0
        warn_of_diffusion(
            type(scheme).__name__, momentum.local.viscosity, momentum.local.stiffness, scheme.substep, scheme.grid, scheme.diffusion_limit
        )
        self._of_seeds: dict[int, Step] = {}
        self.programs: dict[tuple[Any, ...], Substep] = {}  # what `compiled_substep` uses by kind of state

    def __call__(self, u: Tensor, k: int = 0) -> Tensor:
        batch, rows = u.shape[: -self.scheme.grid.ndim - 1], self._rows
        if rows in (1, math.prod(batch)):
            return self._stepped(u, k)
        if len(batch) < 2 or rows != batch[-1]:
            raise ValueError(f"step: bound to parameters of {rows} samples, the state has {tuple(batch)}; bind it to those of this batch")
        return self._repeated(batch[0])(u, k)

    @cached_property
    def _rows(self) -> int:
        """Number of samples that have parameters of their own; 1 if all share them."""
        m = self.momentum
        return max((len(v) for v in m.params.values() if isinstance(v, Tensor) and v.ndim >= m.like.ndim), default=1)

    def _repeated(self, seeds: int) -> Step:
        """Return the step whose parameters are repeated for every seed; cached unless they carry a graph."""
        m = self.momentum

        def bound() -> Step:
            like = m.like.expand(seeds, *m.like.shape).flatten(0, 1)
            return self.scheme.at(merge_seeds(m.params, seeds, m.like), like, self.observe)

        if any(isinstance(v, Tensor) and v.requires_grad for v in m.params.values()):
            return bound()
        if seeds not in self._of_seeds:
            with ordinary_tensors():
                self._of_seeds = {seeds: bound()}
        return self._of_seeds[seeds]

    def _stepped(self, u: Tensor, k: int) -> Tensor:
        self._watch(u, k)
        scheme, t = self.scheme, self.momentum.start + k * self.scheme.dt
        state = list(u.reshape(-1, *u.shape[-scheme.grid.ndim - 1 :]).unbind(1))
        taken: list[Tensor] = []
        substep = compiled_substep if scheme.compiled else plain_substep
        for i in range(scheme.substeps):
            state, more = substep(self, state, t + i * scheme.substep)
            taken += more
        if self.observe is not None and taken:
            load = (torch.stack(taken).sum(0) / scheme.dt).unflatten(0, u.shape[: -scheme.grid.ndim - 1])
            self.observe("force", load[..., :2])
            self.observe("torque", load[..., 2])
        return torch.stack(state, 1).reshape(u.shape)

    def _watch(self, u: Tensor, k: int) -> None:
        """Warn, once per scheme, of a state too fast for it. Checked at calls 1, 2, 4, 8, ..., which costs little compared with the steps."""
        scheme = self.scheme
        if scheme.courant_limit == math.inf or torch.compiler.is_compiling() or is_functorch_wrapped_tensor(u):
            return
        self._calls += 1
        if self._calls & (self._calls - 1) or scheme in _WARNED:
            return
        if warn_of_courant(type(scheme).__name__, u, scheme.substep, scheme.grid, scheme.courant_limit, k):
            _WARNED.add(scheme)

    @abc.abstractmethod
    def substep(self, u: list[Tensor], t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """Return the channels of the state one substep later.

        Args:
            u:     channels (B, *grid).
            t:     time at the start [s].
            taken: list to which the impulses that bodies take from the flow are appended, see `Obstacles.held`.
        """

    def constrained(self, u: list[Tensor], faces: Faces, t: Tensor | float, taken: list[Tensor]) -> list[Tensor]:
        """Project a velocity: no divergence, and the bodies' velocities at time t.

        Args:
            u:     components (B, *grid) [m/s].
            faces: operators at time t.
            t:     time [s].
            taken: list to which the impulses that bodies take are appended.
        """
        held = self.momentum.constrained(u, faces, t)
        if held.impulse is not None:
            taken.append(held.impulse)
        return held.u
