"""A comparison of loss weightings, fixed before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from numbers import Integral
from pathlib import Path
from typing import Any

import torch

from eddygrad.pinn.adaptive_sampling import Resampled
from eddygrad.pinn.problems import OWN, Case, problem
from eddygrad.pinn.weighting_trial import tried
from eddygrad.runtime.specs import Spec
from eddygrad.studies.shared.presets import names, read
from eddygrad.studies.shared.run_files import slug
from eddygrad.training.optimizers import registry
from eddygrad.training.weighting.registry import weighting

PRESETS = Path(__file__).parent / "presets"
_SEVERAL = ("problem", "weighting", "optimizer")
_COUNTS = {**dict.fromkeys(("seeds", "seeds_per_run", "steps", "every", "polish", "validate_every", "checkpoint_every"), 1), "first_seed": 0}


@dataclass(frozen=True)
class WeightingConfiguration:
    """A comparison: every problem is trained with every weighting and every optimiser, its seeds stacked. `study.json` keeps it.

    Raises: ValueError, one line, for a value out of range.
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
    """The first of them; the others follow it."""
    seeds_per_run: int | None = None
    """Seeds trained in one run; by default all."""
    steps: int | None = None
    """Updates; by default the problem's own."""
    every: int | None = None
    """Updates between looks of a weighting at gradients; by default the problem's own."""
    polish: int | None = None
    """The last updates by L-BFGS, weights of the losses at rest; for runs of one seed (seeds_per_run 1)."""
    validate_every: int | None = None
    """Updates between errors; by default a 400th of the updates."""
    diagnose: bool = False
    """Write spreads, angles and histograms of the terms' gradients at every tenth error."""
    checkpoint_every: int = 500
    """Updates between checkpoints."""
    dtype: str = "float32"
    """Floating point type of the runs: float32 or float64."""
    device: str = "cpu"
    """Device of the runs, e.g. cpu or cuda."""

    def __post_init__(self) -> None:
        for field in _SEVERAL:
            value = getattr(self, field)
            value = (value,) if isinstance(value, str) else value
            if not isinstance(value, Sequence) or not all(isinstance(text, str) for text in value):
                raise ValueError(f"pinn: {field}: expected names such as NAME or NAME:OPTION=VALUE, which study.json keeps, got {value!r}")
            object.__setattr__(self, field, tuple(value))
            if not value:
                raise ValueError(f"pinn: {field}: expected at least one, got none")
        for field, least in _COUNTS.items():
            value = getattr(self, field)
            if value is None and type(self).__dataclass_fields__[field].default is None:
                continue
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise ValueError(f"pinn: {field} is a whole number, got {value!r}")
            object.__setattr__(self, field, int(value))  # numpy's are no JSON
            if value < least:
                raise ValueError(f"pinn: {field} must be at least {least}, got {value}")
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"pinn: dtype must be 'float32' or 'float64', got {self.dtype!r}")
        for text in self.optimizer:  # a wrong option shows before anything runs
            registry.named(*_parts(text, "optimizer"))
        for text in self.problem:
            case = self.case(text, (self.first_seed,), "cpu")
            self._check_searches(text, case)
            for other in self.weighting:
                tried(self.weighting_of(other, case), case.problem)
            self._check_phases(text, case)
        by_name: dict[str, PlannedWeightingRun] = {}
        for run in self.planned:
            first = by_name.setdefault(run.name, run)
            if first != run:
                pair = " and ".join(f"{r.problem}, {r.weighting}, {r.optimizer}" for r in (first, run))
                raise ValueError(f"pinn: {pair} would both be kept as {run.name}; compare them in studies of their own, or rename one")

    def _check_phases(self, text: str, case: Case) -> None:
        """Every term is there at some update of the training, and none comes or goes while it is polished."""
        steps = self.steps or case.steps
        if self.steps and "steps" in _parts(text, "problem")[1]:
            raise ValueError(f"pinn: the updates stand in {text!r} and in steps={self.steps}; leave out one")
        for name, term in case.problem.terms.items():
            if term.begins >= steps:
                raise ValueError(f"pinn: {text}: {name!r} joins at update {term.begins}, after the last of {steps}; train longer")
            for at, first in ((term.begins, 0), (term.ends, 1)):  # one may leave where the polish begins
                if self.polish and at is not None and steps - self.polish + first <= at < steps:
                    raise ValueError(f"pinn: {text}: {name!r} joins or leaves at update {at}, within the last {self.polish}, which polish one loss")

    def _check_searches(self, text: str, case: Case) -> None:
        """A search along lines goes along that of one loss and one seed."""
        searched = "polish" if self.polish else "lbfgs" if any(_parts(o, "optimizer")[0] == "lbfgs" for o in self.optimizer) else ""
        if searched and self.seeds > 1 and self.seeds_per_run != 1:
            got = self.seeds_per_run or self.seeds
            raise ValueError(f"pinn: {searched} searches along the line of one seed, got {got} in a run; set seeds_per_run to 1")
        drawn = isinstance(case.batches, Resampled)
        if drawn and searched == "lbfgs":
            raise ValueError(f"pinn: lbfgs searches along lines of one loss, the points of {text} are drawn anew; end with a polish instead")
        if searched and not drawn and any(size < len(case.batches.sets[name]) for name, size in case.batches.sizes.items()):
            raise ValueError(f"pinn: {searched} searches along lines of one loss, {text} has batches of {dict(case.batches.sizes)} points")
        for other in self.weighting:
            made = self.weighting_of(other, case)
            if searched and hasattr(made, "combine"):
                raise ValueError(f"pinn: {searched} searches along lines of one loss, the update of {other} is no loss's gradient")
            if searched == "lbfgs" and getattr(made, "gradual", False):
                raise ValueError(f"pinn: lbfgs searches along lines of one loss, {other} moves its weights from update to update; end with a polish")
        if self.polish and self.polish >= (self.steps or case.steps):
            raise ValueError(f"pinn: {self.polish} updates of polish leave none of {self.steps or case.steps}")

    def case(self, text: str, seeds: tuple[int, ...], device: str | None = None) -> Case:
        """A problem with its network's seeds, on the plan's device or another."""
        return problem(*_parts(text, "problem"), seeds, getattr(torch, self.dtype), self.steps).to(device or self.device)

    def weighting_of(self, text: str, case: Case) -> Any:
        """A new weighting as this problem wants it."""
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
    """A run of a plan: one problem, weighting and optimiser, some seeds."""

    plan: WeightingConfiguration
    problem: str
    weighting: str
    optimizer: str
    seeds: tuple[int, ...]

    @property
    def name(self) -> str:
        part = "" if self.plan.seeds_per_run is None else f"-s{self.seeds[0]}-{self.seeds[-1]}"
        return slug(f"{self.problem}-{self.weighting}-{self.optimizer}") + part


def _parts(text: str, what: str) -> tuple[str, dict[str, Any]]:
    spelled = Spec.parse(text, what)
    return spelled.name, spelled.options


def describe(plan: WeightingConfiguration) -> dict[str, Any]:
    """As JSON."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(plan).items()}
    own = {text: OWN[name] for text in plan.problem if (name := _parts(text, "problem")[0]) in OWN}
    return {"kind": "pinn", **values, **({"registered": own} if own else {})}


def preset_names() -> list[str]:
    """Plans that come with the package."""
    return names(PRESETS)


def preset(name: str) -> dict[str, Any]:
    """The fields of a plan that comes with the package. Raises ValueError for another name."""
    return read(PRESETS, name)
