"""What a trained network of coordinates stands for: fields, their partials, errors, pictures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eddygrad.pinn.collocation import Collocation, Points
from eddygrad.pinn.partials import Partials, partials
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.training.loop import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eddygrad.pinn.problem import Known, Problem


class Solution:
    """Fields that a trained network stands for."""

    def __init__(self, problem: Problem, objective: Collocation) -> None:
        self.problem, self.objective = problem, objective
        self.fit: Fit | None = None

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Name -> values at points (N, inputs): (N,), of a stack (S, N)."""
        return dict(self.partials(x, self.problem.outputs))

    @torch.no_grad()
    def partials(self, x: Tensor, needs: Iterable[str]) -> Partials:
        """Any partials by name at points (N, inputs), a tensor or an array."""
        like = next(self.objective.parameters())
        return partials(self.objective.network, torch.as_tensor(x).to(like), self.problem.names, tuple(needs))

    @property
    def coefficients(self) -> dict[str, Tensor]:
        """What was found for the unknown ones, (S,)."""
        return {name: value.detach() for name, value in self.objective.values().items()}

    def error(self, exact: Known, count: int = 4000) -> Tensor:
        """Relative L2 norm of the difference to a known solution at points of the domain, (S,)."""
        x = self.problem.domain.interior(count, self.problem.seed + 1)
        truth = self.problem.known(exact, x)
        found = self.partials(x, tuple(truth))
        return relative([found[name] for name in truth], list(truth.values()))

    @torch.no_grad()
    def unseen_losses(self, count: int = 4000) -> dict[str, Tensor]:
        """Mean r^2 of every equation at points of the domain that no training has seen, name -> (S,).

        Far above the loss at the end of the training, the network fits points and is wrong between them: take more `points`, a `batch` at an update.
        """
        like = next(self.objective.parameters())
        points = Points(self.problem.domain.interior(count, self.problem.seed + 1).to(like))
        equations = (name for name, term in self.objective.terms.items() if term.at == "inside")
        return {name: self.objective.mean_square(name, points).reshape(-1) for name in equations}

    def plot(self, field: str | None = None, at: float | None = None, seed: int | None = None) -> Figure:
        """A field over the plane, or over a line and time.

        Args:   at: the moment, for a plane that changes in time (default: the last). seed: one of those that were trained (default: the first).
        Raises: ValueError for a moment, a seed or a field that is not there, and a domain that no plane shows.
        """
        from eddygrad.pinn.solution_plots import draw  # training draws nothing

        return draw(self, field or self.problem.outputs[0], at, seed)

    def plot_training(self) -> Figure:
        """Losses, weights and whatever else was looked at on the way, by term against updates; of a stack median, lowest and highest seed.

        Raises: ValueError where nothing was trained.
        """
        from eddygrad.pinn.solution_plots import draw_training

        if self.fit is None:
            raise ValueError("plot_training: expected a solution that was trained, got one that was not")
        return draw_training(self.fit.curve)
