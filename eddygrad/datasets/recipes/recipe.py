"""States and settings of a data set, by groups of trajectories that share their physical parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eddygrad.datasets.dataset import Dataset
from eddygrad.datasets.frame_diagnostics import Diagnose
from eddygrad.datasets.generate import generate
from eddygrad.datasets.kept_fields import Stored
from eddygrad.solver.step import Stepper


@dataclass(frozen=True)
class Group:
    """Trajectories with the same parameters; `kind` says what they are for, e.g. training, extrapolation, interpolation."""

    name: str
    kind: str
    params: Mapping[str, float]
    samples: int

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"{self.name}: needs at least one start, got {self.samples}")

    def describe(self) -> dict[str, Any]:
        """As it stands in files and reports."""
        return {"name": self.name, "kind": self.kind, "params": dict(self.params), "samples": self.samples}


@dataclass(frozen=True)
class Recipe:
    """A data set before it is computed; samples are ordered by group and stepped side by side.

    Args: state: (group, index in it, seed) -> first state (C, *grid), float64. frames: kept, `stride` steps apart. warmup: steps dropped;
          frame 0 of the data is step `warmup`. stored: what is kept of a state; None keeps it whole. diagnose: numbers per frame beside it.
    """

    name: str
    stepper: Stepper
    groups: tuple[Group, ...]
    state: Callable[[Group, int, int], Tensor]
    frames: int
    warmup: int = 0
    stride: int = 1
    seed: int = 0
    stored: Stored | None = None
    diagnose: Diagnose | None = None

    def __post_init__(self) -> None:
        if not self.groups or self.frames < 1 or self.warmup < 0:
            raise ValueError(f"{self.name}: needs groups, frames >= 1 and warmup >= 0, got {len(self.groups)}, {self.frames}, {self.warmup}")

    @property
    def samples(self) -> int:
        return sum(group.samples for group in self.groups)

    @property
    def params(self) -> dict[str, Tensor]:
        """Parameters per sample (samples, 1, *1), float64."""
        each = [group.params for group in self.groups for _ in range(group.samples)]
        ndim = self.initial_of(0).ndim - 1
        return {name: torch.tensor([p[name] for p in each], dtype=torch.float64).reshape(-1, *[1] * (ndim + 1)) for name in each[0]}

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each sample's group."""
        return tuple(group.name for group in self.groups for _ in range(group.samples))

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(group.kind for group in self.groups for _ in range(group.samples))

    @property
    def initial(self) -> Tensor:
        """First states (samples, C, *grid), float64."""
        return torch.stack([self.initial_of(i) for i in range(self.samples)])

    def initial_of(self, sample: int) -> Tensor:
        """First state of one sample, (C, *grid)."""
        for group in self.groups:
            if sample < group.samples:
                return self.state(group, sample, self.seed)
            sample -= group.samples
        raise IndexError(f"{self.name}: has {self.samples} samples")

    def generate(
        self,
        path: str | Path | None = None,
        progress: bool = True,
        store_dtype: torch.dtype = torch.float32,
        shard_samples: int | None = None,
        device: torch.device | str = "cpu",
        compute_dtype: torch.dtype = torch.float64,
    ) -> Dataset:
        """Compute in float64, store in float32: into a folder, a ".nc" file, or (None) memory.

        All samples step as one batch; `shard_samples` cuts them into batches and shards.
        """
        return generate(
            self.stepper,
            self.initial,
            self.params,
            path,
            frames=self.frames,
            stride=self.stride,
            warmup=self.warmup,
            seed=self.seed,
            shard_samples=shard_samples,
            store_dtype=store_dtype,
            compute_dtype=compute_dtype,
            attrs={"recipe": self.name, "sets": [group.describe() for group in self.groups]},
            stored=self.stored,
            diagnose=self.diagnose,
            device=device,
            progress=progress,
        )
