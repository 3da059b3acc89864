"""`eddygrad evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process

if TYPE_CHECKING:
    from eddygrad.datasets.dataset import Dataset
    from eddygrad.evaluation.evaluate import Evaluation
    from eddygrad.solver.step import Stepper
    from eddygrad.studies.unrolling.settings import Setting


@dataclass(frozen=True, kw_only=True)
class Evaluate(Command):
    """Score a trained network and baselines on test data; without a folder, the baselines alone.

    The error is rellinf: the mean over frames of the mean squared error over the largest squared value of the reference, each frame clipped at 30.
    A trained folder keeps the scores, so that eddygrad report FOLDER draws them.

    example: eddygrad evaluate runs/mine --starts 20
    """

    folder: tyro.conf.Positional[Path | None] = None
    """Folder of eddygrad train."""
    recipe: str = "kuramoto-sivashinsky"
    """Without a folder: recipe of test data and solvers; eddygrad info lists them."""
    data: Path | None = None
    """Test on this data set instead of the recipe's."""
    baselines: tuple[str, ...] = ("persistence", "coarse", "coarse:dt/2", "reference")
    """persistence, coarse (the solver alone), coarse:dt/N (N times its substeps), reference."""
    starts: int = 10
    """Test states per test set."""
    horizon: int = 12
    """Frames of the error."""
    long_horizon: int | None = None
    """Frames for stability and spectra; by default 100 of the recipe's test data, all of --data up to 750."""
    seed: int = 0
    """Seed of the test states."""
    dtype: Literal["float32", "float64"] | None = None
    """Floating point type; by default that of the training, float32 without a folder."""
    device: str | None = None
    """cpu, cuda, ...; by default that of the training, cpu without a folder."""

    def run(self, say: Say) -> Outcome:
        """Score the network and the baselines. Raises: ValueError for an unknown baseline, a missing folder, or data that are too short."""
        from eddygrad.studies.unrolling.settings import setting

        self._check()
        set_up_process(self.threads, self.device)
        if self.folder is None:
            chosen = setting(self.recipe)
            return self._baselines_alone(self._baselines(chosen, self._data(chosen, self.dtype or "float32", self.device or "cpu"), say), say)
        from safetensors.torch import load_file

        from eddygrad.cli.train import load
        from eddygrad.evaluation.evaluate import evaluate
        from eddygrad.fitting.test_result import TestResult
        from eddygrad.runtime.devices import check_device
        from eddygrad.studies.unrolling.results import tables
        from eddygrad.studies.unrolling.results.load import load as load_results

        options, record = load(self.folder)
        options = replace(options, dtype=self.dtype or options.dtype, device=self.device or options.device)
        check_device(options.device)
        stepper = options.bench().stepper(options.task, record["seeds"])
        stepper.load_state_dict(load_file(self.folder / "weights.safetensors"))
        chosen = setting(options.recipe)
        data = self._data(chosen, options.dtype, options.device)
        scores = self._baselines(chosen, data, say)
        TestResult(evaluate(stepper, data, self.horizon, long_horizon=self.long_horizon), scores, record).write(self.folder)
        results = load_results(self.folder)
        say(tables.table(results, baselines=True))
        say(f"{self.folder}/runs: scores; next: eddygrad report {self.folder}")
        return Outcome({"folder": str(self.folder), "horizon": self.horizon, "runs": tables.rows(results)})

    def _check(self) -> None:
        from eddygrad.evaluation.baselines import is_baseline

        for name in self.baselines:
            if name != "reference" and not is_baseline(name):
                raise ValueError(f"evaluate: expected baselines among persistence, coarse, coarse:dt/N (N > 1) and reference, got {name!r}")
        if self.folder is not None and not self.folder.is_dir():
            raise ValueError(f"evaluate: expected a folder of eddygrad train, got {self.folder}, which does not exist")

    def _baselines(self, setting: Setting, data: Dataset, say: Say) -> dict[str, Evaluation]:
        """Score the baselines."""
        from eddygrad.evaluation.baselines import baseline
        from eddygrad.evaluation.evaluate import evaluate

        coarse, reference = setting.coarse, setting.reference
        steppers: dict[str, Stepper] = {}
        for name in self.baselines:
            if name != "reference":
                steppers[name] = baseline(name, coarse, coarse.dt)
            elif reference is not None:
                steppers[name] = reference
            else:
                say(f"reference: left out, because the reference of {setting.name} has a finer grid than its states")
        return {name: evaluate(stepper, data, self.horizon, long_horizon=self.long_horizon) for name, stepper in steppers.items()}

    def _baselines_alone(self, scores: Mapping[str, Evaluation], say: Say) -> Outcome:
        rows: list[dict[str, Any]] = []
        for name, score in scores.items():
            rows.append({"name": name, "error": float(score.metrics["rellinf"].mean()), "seconds_per_frame": score.seconds_per_frame})
            say(f"{name:14} rellinf {rows[-1]['error']:.3g}   {1e6 * score.seconds_per_frame:.3g} us/frame")
        return Outcome({"horizon": self.horizon, "runs": rows})

    def _data(self, setting: Setting, dtype: str, device: str) -> Dataset:
        """Return the test data, cut to the frames that are scored: a data set made for training may be long."""
        import torch

        from eddygrad.datasets.dataset import open
        from eddygrad.evaluation.evaluate import LONG_HORIZON

        if self.data is None:
            long = max(self.horizon, 100) if self.long_horizon is None else self.long_horizon
            data = setting.testing(self.starts, long, self.seed).generate(None, progress=setting.ndim > 1 and not self.json)
        else:
            data = open(self.data)
            frames = max(self.horizon, LONG_HORIZON if self.long_horizon is None else self.long_horizon) + 1
            data = data.take(frames / data.frames) if frames < data.frames else data
        if data.samples == 0 or data.frames < 2:
            raise ValueError(f"evaluate: expected trajectories of at least two frames, got {data!r}")
        return data.to(device, getattr(torch, dtype))
