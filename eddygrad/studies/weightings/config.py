"""The configuration of a comparison of loss weightings, fixed before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from eddygrad.pinn.adaptive_sampling import Resampled
from eddygrad.pinn.points import PointBatches
from eddygrad.pinn.problems import OWN, Case, problem
from eddygrad.pinn.weighting_trial import tried
from eddygrad.runtime.specs import Spec
from eddygrad.studies.shared.presets import names, read
from eddygrad.studies.shared.run_files import slug
from eddygrad.training.optimizers import registry
from eddygrad.training.weighting.registry import weighting

PRESETS = Path(__file__).parent / "presets"
_COUNTS = {**dict.fromkeys(("seeds", "seeds_per_run", "steps", "every", "polish", "validate_every", "checkpoint_every"), 1), "first_seed": 0}
_OPTIONAL = ("seeds_per_run", "steps", "every", "polish", "validate_every")  # counts that may be None


@dataclass(frozen=True)
class WeightingConfiguration:
    """A comparison: every problem is trained with every weighting and every optimiser, all seeds of a run in one program. `study.json` keeps it.

    The constructor checks types and ranges; `check` builds every problem, weighting and optimiser once.

    Raises: ValueError, one line, for a value of another type or out of range.
    """

    name: str = "pinn"
    """Name of the study."""
    problem: tuple[str, ...] = ("poisson:k=6",)
    """Problems as NAME or NAME:OPTION=VALUE,...: see eddygrad info."""
    weighting: tuple[str, ...] = ("uniform", "inverse-dirichlet")
    """Weightings as NAME or NAME:OPTION=VALUE,...: see eddygrad info."""
    optimizer: tuple[str, ...] = ("adam",)
    """Optimisers as NAME or NAME:lr=1e-3,...: adam, rmsprop, adagrad, soap, lbfgs (runs of one seed)."""
    seeds: int = 5
    """Number of seeds."""
    first_seed: int = 1
    """The first seed; the others follow it."""
    seeds_per_run: int | None = None
    """Seeds trained in one run; by default all."""
    steps: int | None = None
    """Updates; by default the problem's own number."""
    every: int | None = None
    """Updates from one evaluation of the weights to the next; by default the problem's own number."""
    polish: int | None = None
    """Number of last updates made by L-BFGS, with frozen weights; for runs of one seed (seeds_per_run 1)."""
    validate_every: int | None = None
    """Updates between measurements of the errors; by default a 400th of the updates."""
    diagnose: bool = False
    """Write spreads, angles and histograms of the terms' gradients at every tenth measurement of the errors."""
    checkpoint_every: int = 500
    """Updates between checkpoints."""
    dtype: str = "float32"
    """Floating point type of the runs: float32 or float64."""
    device: str = "cpu"
    """Device of the runs, e.g. cpu or cuda."""

    def __post_init__(self) -> None:
        for field in ("problem", "weighting", "optimizer"):
            object.__setattr__(self, field, _names(field, getattr(self, field)))
        for field in _COUNTS:
            if not (field in _OPTIONAL and getattr(self, field) is None):
                object.__setattr__(self, field, _count(field, getattr(self, field)))
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"pinn: dtype must be 'float32' or 'float64', got {self.dtype!r}")

    def check(self) -> None:
        """Build every problem, weighting and optimiser once, so that an error shows before anything is trained or written.

        Raises: ValueError, one line, for an unknown name or option, a combination that cannot be trained, or two runs of one name.
        """
        for text in self.optimizer:
            registry.find_optimizer(text)
        for text in self.problem:
            case = self.case(text, (self.first_seed,), "cpu")
            self._check_searches(text, case)
            for other in self.weighting:
                tried(self.weighting_of(other, case), case.problem)
            self._check_phases(text, case)
        self._check_names()

    def _check_names(self) -> None:
        """Raise ValueError if two runs have the same file name."""
        by_name: dict[str, PlannedWeightingRun] = {}
        for run in self.planned:
            first = by_name.setdefault(run.name, run)
            if first != run:
                pair = " and ".join(f"{r.problem}, {r.weighting}, {r.optimizer}" for r in (first, run))
                raise ValueError(f"pinn: {pair} would both be kept as {run.name}; compare them in studies of their own, or rename one")

    def _check_phases(self, text: str, case: Case) -> None:
        """Raise ValueError if a term joins after the last update, or joins or leaves while one loss is polished."""
        steps = self.steps or case.steps
        if self.steps and "steps" in _parts(text, "problem")[1]:
            raise ValueError(f"pinn: the updates stand in {text!r} and in steps={self.steps}; leave out one")
        for name, term in case.problem.terms.items():
            if term.begins >= steps:
                raise ValueError(f"pinn: {text}: {name!r} joins at update {term.begins}, after the last of {steps}; train longer")
            for at, first in ((term.begins, 0), (term.ends, 1)):  # a term may leave at the update at which the polish begins
                if self.polish and at is not None and steps - self.polish + first <= at < steps:
                    raise ValueError(f"pinn: {text}: {name!r} joins or leaves at update {at}, within the last {self.polish}, which polish one loss")

    def _check_searches(self, text: str, case: Case) -> None:
        """Raise ValueError if a line search (lbfgs or polish) would meet several seeds, changing points, or no single loss."""
        searched = "polish" if self.polish else "lbfgs" if any(_parts(o, "optimizer")[0] == "lbfgs" for o in self.optimizer) else ""
        if not searched:
            return
        if self.seeds > 1 and self.seeds_per_run != 1:
            got = self.seeds_per_run or self.seeds
            raise ValueError(f"pinn: {searched} searches along the line of one seed, got {got} in a run; set seeds_per_run to 1")
        if isinstance(case.batches, Resampled) and searched == "lbfgs":
            raise ValueError(f"pinn: lbfgs searches along lines of one loss, the points of {text} are drawn anew; end with a polish instead")
        if isinstance(case.batches, PointBatches) and not case.batches.full:
            raise ValueError(f"pinn: {searched} searches along lines of one loss, {text} has batches of {dict(case.batches.sizes)} points")
        for other in self.weighting:
            made = self.weighting_of(other, case)
            if made.combines:
                raise ValueError(f"pinn: {searched} searches along lines of one loss, the update of {other} is no loss's gradient")
            if searched == "lbfgs" and made.gradual:
                raise ValueError(f"pinn: lbfgs searches along lines of one loss, {other} moves its weights from update to update; end with a polish")
        if self.polish and self.polish >= (self.steps or case.steps):
            raise ValueError(f"pinn: {self.polish} updates of polish leave none of {self.steps or case.steps}")

    def case(self, text: str, seeds: tuple[int, ...], device: str | None = None) -> Case:
        """Return a new problem.

        Args: text: NAME or NAME:OPTION=VALUE,... seeds: of its networks. device: by default that of the configuration.
        """
        return problem(*_parts(text, "problem"), seeds, getattr(torch, self.dtype), self.steps).to(device or self.device)

    def weighting_of(self, text: str, case: Case) -> Any:
        """Return a new weighting with the reference and the interval that a problem prescribes.

        Args: text: NAME or NAME:OPTION=VALUE,... case: the problem.
        """
        name, options = _parts(text, "weighting")
        return weighting(name, options, reference=case.reference, every=self.every or case.every, optimal=case.optimal)

    @property
    def planned(self) -> list[PlannedWeightingRun]:
        """The runs."""
        size = self.seeds_per_run or self.seeds
        all_seeds = tuple(range(self.first_seed, self.first_seed + self.seeds))
        parts = [all_seeds[a : a + size] for a in range(0, self.seeds, size)]
        return [PlannedWeightingRun(self, *setting) for setting in product(self.problem, self.weighting, self.optimizer, parts)]


@dataclass(frozen=True)
class PlannedWeightingRun:
    """One run of a comparison: a problem, a weighting and an optimiser, with some or all seeds."""

    configuration: WeightingConfiguration
    problem: str
    weighting: str
    optimizer: str
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the run and of its files."""
        part = "" if self.configuration.seeds_per_run is None else f"-s{self.seeds[0]}-{self.seeds[-1]}"
        return slug(f"{self.problem}-{self.weighting}-{self.optimizer}") + part


def _names(field: str, value: Any) -> tuple[str, ...]:
    """Return the names of a field; a single one may be given as a string."""
    value = (value,) if isinstance(value, str) else value
    if not isinstance(value, Sequence) or not all(isinstance(text, str) for text in value):
        raise ValueError(f"pinn: {field}: expected names such as NAME or NAME:OPTION=VALUE, which study.json keeps, got {value!r}")
    if not value:
        raise ValueError(f"pinn: {field}: expected at least one, got none")
    return tuple(value)


def _count(field: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError(f"pinn: {field} is a whole number, got {value!r}")
    if value < _COUNTS[field]:
        raise ValueError(f"pinn: {field} must be at least {_COUNTS[field]}, got {value}")
    return int(value)  # numpy's integers are no JSON


def _parts(text: str, what: str) -> tuple[str, dict[str, Any]]:
    spelled = Spec.parse(text, what)
    return spelled.name, spelled.options


def describe(configuration: WeightingConfiguration) -> dict[str, Any]:
    """Return the content of `study.json`."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(configuration).items()}
    own = {text: OWN[name] for text in configuration.problem if (name := _parts(text, "problem")[0]) in OWN}
    return {"kind": "pinn", **values, **({"registered": own} if own else {})}


def preset_names() -> list[str]:
    """Return the names of the comparisons that come with the package."""
    return names(PRESETS)


def preset(name: str) -> dict[str, Any]:
    """Return the fields of a comparison that comes with the package. Raises: ValueError for another name."""
    return read(PRESETS, name)
