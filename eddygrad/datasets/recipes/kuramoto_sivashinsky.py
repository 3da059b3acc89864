"""The Kuramoto-Sivashinsky data of the unrolling paper: training and test set, reference and coarse solver.

List, Chen, Bali and Thuerey 2024 (arXiv 2402.12971), settings as in the authors' code: N = 48 points, no dealiasing, substep h = 0.5, a frame is two
substeps. Reference ETDRK2 and coarse ETD1 share grid and substep, so the difficulty is the temporal order alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset
from eddygrad.datasets.generate import generate
from eddygrad.solver.equations.kuramoto_sivashinsky import KuramotoSivashinsky
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import KS_TRAINING_AMPLITUDES, draw_test_amplitudes, kuramoto_sivashinsky_test, kuramoto_sivashinsky_training
from eddygrad.solver.randomness import generator
from eddygrad.solver.schemes.etdrk import ETDRK

POINTS = 48
UNIT = 8.0  # domains are given as D/8, L = 2 pi D
TRAINING_DOMAINS = (0.9, 0.95, 1.0, 1.1, 1.2, 1.3)
EXTRAPOLATION, INTERPOLATION = (1.40, 0.85), (1.15, 0.93)
Kind = Literal["training", "extrapolation", "interpolation"]


def grid() -> Grid:
    """48 points on L = 2 pi 8; params["length"] replaces the length."""
    return Grid((POINTS,), 2 * math.pi * UNIT)


def reference() -> ETDRK:
    """ETDRK2 with h = 0.5: the discrete map that counts as truth."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=2, substeps=2)


def coarse() -> ETDRK:
    """ETD1 with h = 0.5: the solver to be corrected."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=1, substeps=2)


def half_step() -> ETDRK:
    """ETD1 with h = 0.25: what the coarse solver's scheme gives for twice its cost."""
    return ETDRK(KuramotoSivashinsky(), grid(), dt=1.0, order=1, substeps=4)


@dataclass(frozen=True)
class Domain:
    """Trajectories on one domain: D = 8 * scale, L = 2 pi D."""

    scale: float
    kind: Kind
    samples: int

    @property
    def name(self) -> str:
        return f"D/8={self.scale:.2f}"

    @property
    def D(self) -> float:
        return UNIT * self.scale

    @property
    def length(self) -> float:
        return 2 * math.pi * self.D

    def describe(self) -> dict[str, Any]:
        """As it stands in files and reports."""
        return {"name": self.name, "kind": self.kind, "params": {"length": self.length}, "samples": self.samples}


@dataclass(frozen=True)
class Recipe:
    """States and settings of a data set; samples are ordered by domain and stepped side by side.

    Args: states: (samples, 1, 48), float64. warmup: frames dropped; frame 0 of the data is absolute frame `warmup`.
    """

    domains: tuple[Domain, ...]
    frames: int
    warmup: int
    seed: int
    name: str

    @property
    def samples(self) -> int:
        return sum(d.samples for d in self.domains)

    @property
    def stepper(self) -> ETDRK:
        return reference()

    @property
    def params(self) -> dict[str, Tensor]:
        """{"length": 2 pi D per sample (samples, 1, 1)}, float64."""
        lengths = [d.length for d in self.domains for _ in range(d.samples)]
        return {"length": torch.tensor(lengths, dtype=torch.float64).reshape(-1, 1, 1)}

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each sample's domain, e.g. "D/8=1.40"."""
        return tuple(d.name for d in self.domains for _ in range(d.samples))

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(d.kind for d in self.domains for _ in range(d.samples))

    @property
    def initial(self) -> Tensor:
        """Initial states (samples, 1, 48), float64."""
        return torch.stack([state for d in self.domains for state in self._states(d)])

    def _states(self, domain: Domain) -> list[Tensor]:
        if domain.kind == "training":
            return [kuramoto_sivashinsky_training(domain.D, a, b, POINTS) for a, b in KS_TRAINING_AMPLITUDES]
        purpose = f"kuramoto-sivashinsky test state {domain.name}"
        drawn = [draw_test_amplitudes(generator(self.seed, purpose, i)) for i in range(domain.samples)]
        return [kuramoto_sivashinsky_test(domain.D, c, s, POINTS) for c, s in drawn]

    def generate(
        self,
        path: str | Path | None = None,
        progress: bool = True,
        store_dtype: torch.dtype = torch.float32,
        shard_samples: int | None = None,
        device: torch.device | str = "cpu",
    ) -> Dataset:
        """Compute in float64, store in float32: into a folder, a ".nc" file, or (None) memory.

        All samples step as one batch, about four times as fast as domain by domain; `shard_samples` cuts them into batches and shards.
        """
        return generate(
            self.stepper,
            self.initial,
            self.params,
            path,
            frames=self.frames,
            warmup=self.warmup,
            seed=self.seed,
            shard_samples=shard_samples,
            store_dtype=store_dtype,
            attrs={"recipe": self.name, "sets": [d.describe() for d in self.domains]},
            device=device,
            progress=progress,
        )


def training(frames: int = 5000, domains: tuple[float, ...] = TRAINING_DOMAINS, warmup: int = 200) -> Recipe:
    """The paper's training set: six domains D = 8 {.9, .95, 1, 1.1, 1.2, 1.3} with six states each, 200 frames dropped, 5000 kept.

    The paper's runs use a fraction .1 to .25 of it, from the start: `Dataset.take`. At D/8 = .95 and now and then at 1 the chaos of the discrete
    map is transient: after some hundred to thousand frames trajectories settle on a regular state with rms 1.75 (the attractor's is 1.3).
    """
    count = len(KS_TRAINING_AMPLITUDES)
    return Recipe(tuple(Domain(scale, "training", count) for scale in domains), frames, warmup, 0, "kuramoto-sivashinsky/training")


def testing(
    starts_per_domain: int = 10,
    horizon: int = 12,
    kind: Literal["all", "extrapolation", "interpolation"] = "all",
    seed: int = 0,
    warmup: int = 400,
) -> Recipe:
    """The paper's test set: D = 8 {1.40, .85} (extrapolation) and 8 {1.15, .93} (interpolation), horizon + 1 frames from absolute frame 400.

    Args:    starts_per_domain: random states per domain, 10 or 20 in the paper; more keep the first ones.
    Raises:  ValueError for another kind, or no start.
    """
    if kind not in ("all", "extrapolation", "interpolation"):
        raise ValueError(f"testing: kind must be 'all', 'extrapolation' or 'interpolation', got {kind!r}")
    if starts_per_domain < 1 or horizon < 0:
        raise ValueError(f"testing: needs starts_per_domain >= 1 and horizon >= 0, got {starts_per_domain} and {horizon}")
    domains: list[Domain] = []
    if kind != "interpolation":
        domains += [Domain(scale, "extrapolation", starts_per_domain) for scale in EXTRAPOLATION]
    if kind != "extrapolation":
        domains += [Domain(scale, "interpolation", starts_per_domain) for scale in INTERPOLATION]
    return Recipe(tuple(domains), horizon + 1, warmup, seed, "kuramoto-sivashinsky/testing")
