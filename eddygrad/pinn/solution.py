"""The solution of a problem: fields of a trained network, their partials, errors and plots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eddygrad.pinn.collocation import Collocation
from eddygrad.pinn.partials import Partials, partials
from eddygrad.pinn.points import Points
from eddygrad.pinn.problems.relative_error import relative
from eddygrad.training.loop import Fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from eddygrad.pinn.posed_problem import Known, Problem


class Solution:
    """Fields of a trained network.

        u = solution(x)["u"];   solution.error(exact);   solution.plot();   solution.plot_training()
    Shapes are (N,) for one network and (S, N) for a stack of S seeds.

    Args:
        problem:   the problem that was solved.
        objective: the module that was trained.
    """

    def __init__(self, problem: Problem, objective: Collocation) -> None:
        self.problem, self.objective = problem, objective
        self.fit: Fit | None = None

    def __call__(self, x: Tensor) -> dict[str, Tensor]:
        """Return the values of every output at points (N, inputs)."""
        return dict(self.partials(x, self.problem.outputs))

    @torch.no_grad()
    def partials(self, x: Tensor, needs: Iterable[str]) -> Partials:
        """Return partials by name, such as ("u_x", "u_lap"), at points (N, inputs), given as a tensor or an array."""
        like = next(self.objective.parameters())
        return partials(self.objective.network, torch.as_tensor(x).to(like), self.problem.names, tuple(needs))

    @property
    def coefficients(self) -> dict[str, Tensor]:
        """The unknown coefficients that the training found, (S,) each."""
        return {name: value.detach() for name, value in self.objective.values().items()}

    def error(self, exact: Known, count: int = 4000) -> Tensor:
        """Return the relative L2 error against a known solution at unseen points of the domain, (S,).

        Args:
            exact: known solution, points -> values, as for `Problem.boundary`.
            count: number of points.
        """
        x = self.problem.domain.interior(count, self.problem.seed + 1)
        truth = self.problem.known(exact, x)
        fields = self.partials(x, tuple(truth))
        return relative([fields[name] for name in truth], list(truth.values()))

    @torch.no_grad()
    def unseen_losses(self, count: int = 4000) -> dict[str, Tensor]:
        """Return the mean square residual of every equation at unseen points of the domain, (S,) each.

        Values far above the training losses mean that the network fits its points and is wrong between them: use more `points`, with a `batch`.
        """
        like = next(self.objective.parameters())
        points = Points(self.problem.domain.interior(count, self.problem.seed + 1).to(like))
        equations = (name for name, term in self.objective.terms.items() if term.at == "inside")
        return {name: self.objective.mean_square(name, points).reshape(-1) for name in equations}

    def plot(self, field: str | None = None, at: float | None = None, seed: int | None = None) -> Figure:
        """Plot a field over the plane, or over a line and time.

        Args:
            field: name of an output or partial; by default the first output.
            at:    time, for a plane that changes in time; by default the last.
            seed:  one of the trained seeds; by default the first.
        Raises: ValueError for an unknown field or seed, a time outside the domain, and a domain of three space axes.
        """
        from eddygrad.pinn.solution_plots import draw  # training needs no plots

        return draw(self, field or self.problem.outputs[0], at, seed)

    def plot_training(self) -> Figure:
        """Plot losses, weights and all other records of the training by term against updates; for a stack the median and range of the seeds.

        Raises: ValueError for a solution that was not trained.
        """
        from eddygrad.pinn.solution_plots import draw_training

        if self.fit is None:
            raise ValueError("plot_training: expected a trained solution, got one without a training; use the result of eg.fit")
        return draw_training(self.fit.curve)
