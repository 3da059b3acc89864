"""A trained stepper, the record of its training, and its test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eddygrad.correctors.compose import Corrected
from eddygrad.datasets.dataset import Dataset, Split
from eddygrad.evaluation.baselines import named_baselines
from eddygrad.evaluation.evaluate import evaluate
from eddygrad.fitting.recipe import TrainingRecipe
from eddygrad.fitting.test_result import TestResult, describe_network
from eddygrad.fitting.validation import without_overflow_warnings
from eddygrad.solver.step import Stepper
from eddygrad.training.loop import Fit


@dataclass
class Trained:
    """The result of `eg.fit` for a stepper.

    Args:
        stepper:   the trained stepper.
        fit:       curve of losses and validation errors, counters, seconds of training.
        recipe:    how it was trained.
        data:      training, validation and test data.
        megabytes: memory that an update's graph keeps for its backward pass [MB].
        seconds:   wall time of the training, validation included [s].
        threads:   threads that torch used.
    """

    stepper: Corrected
    fit: Fit
    recipe: TrainingRecipe
    data: Split
    megabytes: float
    seconds: float
    threads: int

    @without_overflow_warnings
    def test(self, data: Dataset | None = None, horizon: int = 12, baselines: Sequence[str] | Mapping[str, Stepper] = ()) -> TestResult:
        """Score every seed over `horizon` frames.

        Args:
            data:      test data; by default the test part of the data that the stepper was trained on.
            horizon:   frames after the first.
            baselines: "persistence", "coarse" (the solver alone), "coarse:dt/2" (the solver with twice its substeps), or name -> stepper.
        Returns: scores with `.table()` and `.report(path)`.
        Raises: ValueError for an unknown baseline, no test data, or data shorter than the horizon; before anything is computed.
        """
        data = self.data.test if data is None else data
        steppers = named_baselines(baselines, self.stepper.solver, self.stepper.dt)
        if data.samples == 0:
            raise ValueError("test: expected at least one trajectory, got an empty test part; split with test > 0 or pass data")
        if horizon + 1 > data.frames:
            raise ValueError(
                f"test: horizon {horizon} needs {horizon + 1} frames, got {data.frames} in a trajectory; "
                f"pass horizon={data.frames - 1} or less, or longer data"
            )
        scores = {name: evaluate(stepper, data, horizon, domain=self.stepper) for name, stepper in steppers.items()}
        return TestResult(evaluate(self.stepper, data, horizon), scores, {**self.describe(), **self.as_json()})

    def describe(self) -> dict[str, Any]:
        """Return the head of a run's JSON: name, kind, task, unroll, network, seeds."""
        task = "predict" if self.stepper.solver is None else "correct"
        return {
            "name": f"{task}-{str(self.recipe.unroll).replace(':', '').replace('/', '-')}",
            "kind": "model",
            "task": task,
            "unroll": self.recipe.unrolling.name,
            "network": describe_network(self.stepper.network),
            "seeds": list(self.stepper.seeds or (0,)),
        }

    def as_json(self) -> dict[str, Any]:
        """Return the `training` and `curve` parts of a run's JSON."""
        return {"training": self._training(), "curve": self._curve()}

    def _training(self) -> dict[str, Any]:
        recipe, fit = self.recipe, self.fit
        return {
            "updates": recipe.steps,
            **({} if fit.steps == recipe.steps else {"updates_until_all_diverged": fit.steps}),
            "batch": recipe.windows_per_update,
            "frames_per_update": recipe.frames_per_update,
            "learning_rate": recipe.lr,
            "schedule": recipe.schedule if isinstance(recipe.schedule, str) else repr(recipe.schedule),
            "seconds": fit.seconds,
            "seconds_per_update": fit.seconds / fit.steps,
            "peak_memory_mb": self.megabytes,
            "solver_calls_per_update": recipe.frames_per_update if self.stepper.solver is not None else 0,
            "threads": self.threads,
            "diverged": fit.diverged,
            "skipped_updates": fit.skipped,
            **({} if recipe.refinement is None else {"refinement": repr(recipe.refinement)}),
            **recipe.loss_description,
        }

    def _curve(self) -> dict[str, Any]:
        curve = self.fit.curve
        return {
            "step": [record["step"] for record in curve],
            "loss": [[x if math.isfinite(x) else None for x in record["loss"]] for record in curve],
            "validation": [record["validation"] for record in curve],
            **({} if self.recipe.refinement is None else {"iterations": [record["iterations"] for record in curve]}),
        }
