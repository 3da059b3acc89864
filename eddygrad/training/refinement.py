"""Refinement of an iterative solver while a network trains through it: few iterations first, more when the validation error stalls."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

from eddygrad.solver.linear_solvers import Krylov


@dataclass
class Refinement:
    """The number of solver iterations, decided after every epoch from the validation error e.

        m_n = m_{n-1} + 2 / (window + 1) (e_n - m_{n-1}),  m_0 = e_0                               PRDP: Bhatia, Koehler, Thuerey 2025
        plateau:  m_n / m_{n-window+1} > threshold
        then:     iterations += step,  c = m_n     if m_n / c < improvement or m_n / c > 1,     else the refinement ends for good
    c is infinite at first, so that the first plateau refines. Only averages since the last refinement count for a plateau, c is the first of them:
    with older ones the epoch after a refinement would be the same plateau and end the refinement.

        solver = dataclasses.replace(solver, iterations=refinement.iterations)

    Args:
        iterations:  initial iterations, K_0.
        step:        iterations that a refinement adds.
        threshold:   of a plateau; .98 in the paper, .95 for Navier-Stokes, .92 for Poisson.
        improvement: ratio of errors below which the last refinement was worth it.
        window:      epochs of the average and of the plateau.
        most:        maximum of iterations.
    Raises: ValueError for iterations or a step below one, a window below two, ratios that are not positive, or `most` below `iterations`.
    """

    iterations: int = 1
    step: int = 1
    threshold: float = 0.98
    improvement: float = 0.9
    window: int = 6
    most: int | None = None
    over: bool = field(default=False, init=False)
    checkpoint: float = field(default=math.inf, init=False, repr=False)
    averages: list[float] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.iterations < 1 or self.step < 1 or self.window < 2 or (self.most is not None and self.most < self.iterations):
            got = f"{self.iterations}, {self.step}, {self.window} and {self.most}"
            raise ValueError(f"refinement: expected iterations and a step of at least 1, a window of at least 2 and most >= iterations, got {got}")
        if not self.threshold > 0 or not self.improvement > 0:
            raise ValueError(f"refinement: threshold and improvement are ratios of errors above 0, got {self.threshold}, {self.improvement}")

    def observe(self, error: float) -> bool:
        """Take an epoch's validation error and return whether `iterations` changed; an error that is not finite is ignored."""
        if self.over or not math.isfinite(error):
            return False
        before = self.averages[-1] if self.averages else error
        self.averages = [*self.averages, before + 2 / (self.window + 1) * (error - before)][-self.window :]
        now = self.averages[-1]
        if len(self.averages) < self.window or not now > self.threshold * self.averages[0]:
            return False
        if self.improvement * self.checkpoint <= now <= self.checkpoint or self.iterations == self.most:
            self.over = True
            return False
        self.iterations = self.iterations + self.step if self.most is None else min(self.most, self.iterations + self.step)
        self.checkpoint, self.averages = now, [now]
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint: iterations, over, checkpoint, averages."""
        return {"iterations": self.iterations, "over": self.over, "checkpoint": self.checkpoint, "averages": list(self.averages)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state. Raises ValueError for a missing or unknown entry."""
        if set(state) != set(self.state_dict()):
            raise ValueError(f"refinement: expected a state of {sorted(self.state_dict())}, got {sorted(state)}")
        self.iterations, self.over = int(state["iterations"]), bool(state["over"])
        self.checkpoint, self.averages = float(state["checkpoint"]), [float(m) for m in state["averages"]]


@runtime_checkable
class HasSolver(Protocol):
    """A stepper that corrects a solver."""

    solver: Any


@runtime_checkable
class HasPressure(Protocol):
    """A solver with options of an iterative pressure solve; None if it solves directly."""

    pressure: Krylov | None


def refine_pressure(stepper: Any, iterations: int) -> None:
    """Set the pressure iterations of the solver that a stepper corrects.

    Raises: ValueError for a solver that does not solve for the pressure iteratively.
    """
    solver = stepper.solver if isinstance(stepper, HasSolver) else None
    if not isinstance(solver, HasPressure) or solver.pressure is None:
        raise ValueError(f"refinement: expected a solver with pressure=Krylov(..), got {solver!r}; a direct solve has nothing to refine")
    few = replace(solver.pressure, iterations=iterations, on_failure="observe")  # not to converge is what is meant
    stepper.solver = replace(solver, pressure=few)  # type: ignore[type-var]
