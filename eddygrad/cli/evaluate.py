"""`eddygrad evaluate`."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process

if TYPE_CHECKING:
    from eddygrad.datasets.dataset import Dataset
    from eddygrad.solver.step import Stepper


@dataclass(kw_only=True)
class Evaluate(Command):
    """Score a trained network beside baselines on test data; without a folder, the baselines alone.

    The error is rellinf: the mean over frames of the mean squared error over the largest squared value of the reference, each frame clipped at 30.
    A trained folder keeps the scores, so that eddygrad report FOLDER draws them.

    example: eddygrad evaluate runs/mine --starts 20
    """

    folder: tyro.conf.Positional[Path | None] = None
    """Folder of eddygrad train."""
    recipe: str = "kuramoto-sivashinsky"
    """Without a folder: whose test data and solvers; see eddygrad info."""
    data: Path | None = None
    """Test on this data set in place of the recipe's."""
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
        from eddygrad.evaluation.baselines import is_baseline
        from eddygrad.studies.unrolling.settings import setting

        for name in self.baselines:
            if name != "reference" and not is_baseline(name):
                raise ValueError(f"evaluate: expected baselines among persistence, coarse, coarse:dt/N (N > 1) and reference, got {name!r}")
        set_up_process(self.threads, self.device)
        if self.folder is not None and not self.folder.is_dir():
            raise ValueError(f"evaluate: expected a folder of eddygrad train, got {self.folder}, which does not exist")
        if self.folder is None:
            return self._score(setting(self.recipe), None, None, Path(tempfile.gettempdir()), self.dtype or "float32", self.device or "cpu", say)
        from safetensors.torch import load_file

        from eddygrad.cli.train import load
        from eddygrad.runtime.devices import check_device

        options, record = load(self.folder)
        options = replace(options, dtype=self.dtype or options.dtype, device=self.device or options.device)
        check_device(options.device)
        stepper = options.bench().stepper(options.task, record["seeds"])
        stepper.load_state_dict(load_file(self.folder / "weights.safetensors"))
        return self._score(setting(options.recipe), stepper, record, self.folder, options.dtype, options.device, say)

    def _score(self, setting: Any, stepper: Any, record: dict[str, Any] | None, folder: Path, dtype: str, device: str, say: Say) -> Outcome:
        from eddygrad.evaluation.baselines import baseline
        from eddygrad.evaluation.evaluate import evaluate
        from eddygrad.fitting.test_result import TestResult
        from eddygrad.studies.unrolling.results import tables

        data, horizon = self._data(setting, dtype, device), self.horizon
        coarse, truth = setting.coarse, setting.reference
        names = [name for name in self.baselines if name != "reference" or truth is not None]
        if len(names) < len(self.baselines):
            say(f"reference: left out, that of {setting.name} lives on a finer grid than its states")
        alone: dict[str, Stepper] = {n: truth if n == "reference" else baseline(n, coarse, coarse.dt) for n in names}
        scores = {name: evaluate(solver, data, horizon, long_horizon=self.long_horizon) for name, solver in alone.items()}
        if stepper is None:
            rows: list[dict[str, Any]] = [
                {"name": n, "error": float(s.metrics["rellinf"].mean()), "seconds_per_frame": s.seconds_per_frame} for n, s in scores.items()
            ]
            for row in rows:
                say(f"{row['name']:14} rellinf {row['error']:.3g}   {1e6 * row['seconds_per_frame']:.3g} us/frame")
            return Outcome({"horizon": horizon, "runs": rows})
        assert record is not None
        TestResult(evaluate(stepper, data, horizon, long_horizon=self.long_horizon), scores, record).write(folder)
        found = tables.load(folder)
        say(tables.table(found, baselines=True))
        say(f"{folder}/runs: scores; next: eddygrad report {folder}")
        return Outcome({"folder": str(folder), "horizon": horizon, "runs": tables.rows(found)})

    def _data(self, setting: Any, dtype: str, device: str) -> Dataset:
        """The frames that are looked at, no more: a data set made for training may be long."""
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
