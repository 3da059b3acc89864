"""`eg.fit`: train a stepper on data, or solve a problem of physics-informed networks.

The file is not called fit.py: a submodule `eddygrad.fit` would take the place of the function `eddygrad.fit` whenever it is imported by its path.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_overloads, overload

import torch

from eddygrad.correctors.compose import Corrected
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.fitting.corrector import fit_stepper
from eddygrad.fitting.recipe import TrainingRecipe
from eddygrad.fitting.trained import Trained
from eddygrad.pinn.posed_problem import Known, Problem
from eddygrad.pinn.solution import Solution
from eddygrad.pinn.solve import solve
from eddygrad.training.objectives.unrolled import LossTerm, Unrolling
from eddygrad.training.refinement import Refinement
from eddygrad.training.schedule import Schedule


@overload
def fit(
    stepper: Corrected,
    /,
    data: Split | Dataset,
    recipe: TrainingRecipe | None = None,
    *,
    unroll: str | Unrolling = "nog:3",
    steps: int = 2000,
    batch: int = 16,
    budget: int | None = None,
    lr: float = 1e-3,
    schedule: str | Schedule = "cosine",
    curriculum: tuple[int, ...] = (),
    curriculum_rates: tuple[float, ...] = (),
    clip: float | None = None,
    outlier: float | None = None,
    validate_every: int | None = None,
    validation_horizon: int = 12,
    checkpoint_every: int = 500,
    refinement: Refinement | None = None,
    terms: Mapping[str, LossTerm] | None = None,
    weighting: Any = "uniform",
    seeds: int | Sequence[int] | None = None,
    folder: str | Path | None = None,
    threads: int | None = 1,
    progress: bool = True,
) -> Trained: ...
@overload
def fit(
    problem: Problem,
    /,
    *,
    steps: int = 10_000,
    weighting: Any = "inverse-dirichlet-held",
    optimizer: str | Callable[[Any], torch.optim.Optimizer] = "adam",
    lr: float | None = None,
    schedule: str | Schedule | None = None,
    polish: int | None = None,
    select: Callable[[str], bool] | None = None,
    errors: Known | None = None,
    seeds: int | Sequence[int] | None = None,
    folder: str | Path | None = None,
    dtype: torch.dtype | str = torch.float32,
    device: torch.device | str = "cpu",
    threads: int | None = 1,
    compiled: bool = False,
    diagnose: bool = False,
    progress: bool = True,
) -> Solution: ...
def fit(stepper_or_problem: Any, /, data: Any = None, recipe: Any = None, **options: Any) -> Any:
    """Train a composed stepper on data, or solve a problem with a coordinate network. An argument that takes a name takes its object too.

        run      = eg.fit(eg.correct(solver, eg.nets.ResNet(26, 8)), data, unroll="nog:4", seeds=16, steps=20_000)     -> Trained
        solution = eg.fit(eg.pinn.Problem(residual, domain=eg.pinn.Box(0, 1), boundary=exact), steps=10_000)           -> Solution
    Args of both:
        steps:      number of updates.
        lr:         learning rate; by default 1e-3, of a problem that of its optimiser.
        weighting:  weighting of the losses: a name with options, "inverse-dirichlet:every=1", or an object; see `eg.weightings`.
        seeds:      a count n trains new networks of seeds 0 .. n - 1 side by side, a sequence those of its seeds; None trains the network as it is.
        folder:     where checkpoints go; a killed run in it is resumed, a run of another configuration is refused.
        threads:    threads of torch during the training; one is best for small networks, several mostly wait. None leaves torch's number.
        progress:   show a progress bar.
    Args of a stepper:
        data:       a `Split`, or a `Dataset` that is split here (.1 for validation, .2 for the test). A network made without `cin`, `cout` or `ndim`
                    gets them from it.
        recipe:     all settings of the training as a `TrainingRecipe`, in place of those by name.
        unroll:     'one', 'nog:M', 'wig:M', 'wig:M/J', 'push:M/W', or an `Unrolling`.
        batch, budget, schedule, curriculum, curriculum_rates, clip, outlier, validate_every, validation_horizon, checkpoint_every, refinement,
        terms:      see `TrainingRecipe`. Without `budget` ONE sees 1/m of the frames of nog:m, which is no fair comparison at equal updates.
    Args of a problem:
        optimizer:  a name with options, "adam:lr=1e-3", "soap", or a function parameter groups -> optimiser, such as torch.optim.Adam.
        schedule:   schedule of the learning rate; by default it falls to a tenth after half and three quarters of the steps left when the last
                    term joins.
        polish:     number of last updates, made by L-BFGS with fixed weights of the losses.
        select:     name of a parameter -> whether the weighting counts its gradient.
        errors:     exact solution, for an error during the training.
        dtype, device: of network and points.
        compiled:   fuse the loops of the network.
        diagnose:   record spreads of the terms' gradients, angles between them and their histograms.
    Returns: a `Trained` with `.test()` for a stepper, a `Solution` for a problem.
    Raises: ValueError for an unknown option or name, an impossible horizon, data that do not fit the stepper, seeds that would discard learned
            weights, or a solver without a gradient where one is needed. FloatingPointError if a single run diverges, or no seed can be updated.
    """
    if not isinstance(stepper_or_problem, Problem):
        return fit_stepper(stepper_or_problem, data, recipe, **options)
    if data is not None or recipe is not None:
        raise ValueError("fit: a problem contains its data; pass options by name: eg.fit(problem, steps=10_000)")
    return solve(stepper_or_problem, **options)


class _DefaultOfEach:
    """Shows in `help` the defaults of an argument that differ between a stepper and a problem."""

    def __init__(self, *defaults: object) -> None:
        self.defaults = defaults

    def __repr__(self) -> str:
        return "<{!r}, of a problem {!r}>".format(*self.defaults)


def _signature_of_both() -> inspect.Signature:
    """Return the signature that `help` and completion show: the arguments of both overloads."""
    stepper, problem = (inspect.signature(use).parameters for use in get_overloads(fit))
    shown = list(inspect.signature(fit).parameters.values())[:-1]
    for name, own in {**stepper, **{name: own for name, own in problem.items() if name not in stepper}}.items():
        if own.kind is own.KEYWORD_ONLY:
            defaults = [use[name].default for use in (stepper, problem) if name in use]
            differ = len(defaults) == 2 and defaults[0] != defaults[1]
            shown.append(own.replace(default=_DefaultOfEach(*defaults) if differ else defaults[0]))
    return inspect.Signature(shown, return_annotation="Trained | Solution")


fit.__signature__ = _signature_of_both()  # type: ignore[attr-defined]
