"""Recipe of a data set: solver, initial states and settings, by groups of trajectories that share their physical parameters."""

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
    """Trajectories with the same physical parameters.

    Args:
        name:    e.g. "Re=300".
        kind:    purpose of the trajectories, e.g. "training", "interpolation" or "extrapolation".
        params:  physical parameters by name.
        samples: number of trajectories.
    Raises: ValueError for fewer than one trajectory.
    """

    name: str
    kind: str
    params: Mapping[str, float]
    samples: int

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"{self.name}: needs at least one start, got {self.samples}")

    def describe(self) -> dict[str, Any]:
        """Return this group as JSON values, for files and reports."""
        return {"name": self.name, "kind": self.kind, "params": dict(self.params), "samples": self.samples}


@dataclass(frozen=True)
class DatasetRecipe:
    """Recipe of a data set: everything that `generate` needs. Samples are ordered by group and stepped as one batch.

    Args:
        name:     of the recipe, kept in the file.
        stepper:  the solver that makes the trajectories.
        groups:   trajectories by physical parameters.
        state:    (group, index in the group, seed) -> initial state (C, *grid), float64.
        frames:   frames kept per trajectory, `stride` steps apart.
        warmup:   steps dropped; frame 0 of the data is the state after `warmup` steps.
        stride:   steps from one frame to the next.
        seed:     of the initial states.
        stored:   maps a state to the fields that are stored; None stores the whole state.
        diagnose: maps a state to numbers that are recorded per frame; None records none.
    Raises: ValueError without groups, or for frames or warmup out of range.
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
        """Number of trajectories of all groups."""
        return sum(group.samples for group in self.groups)

    @property
    def params(self) -> dict[str, Tensor]:
        """Physical parameters per sample: name -> (samples, 1, *1), float64."""
        per_sample = [group.params for group in self.groups for _ in range(group.samples)]
        ndim = self.initial_of(0).ndim - 1
        shape = (-1, *[1] * (ndim + 1))
        return {name: torch.tensor([p[name] for p in per_sample], dtype=torch.float64).reshape(shape) for name in per_sample[0]}

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the group of each sample."""
        return tuple(group.name for group in self.groups for _ in range(group.samples))

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kind of the group of each sample."""
        return tuple(group.kind for group in self.groups for _ in range(group.samples))

    @property
    def initial(self) -> Tensor:
        """Initial states of all samples: (samples, C, *grid), float64."""
        return torch.stack([self.initial_of(i) for i in range(self.samples)])

    def initial_of(self, sample: int) -> Tensor:
        """Return the initial state (C, *grid) of one sample.

        Raises: IndexError if there are fewer samples.
        """
        for group in self.groups:
            if sample < group.samples:
                return self.state(group, sample, self.seed)
            sample -= group.samples
        raise IndexError(f"{self.name}: expected a sample in 0 .. {self.samples - 1}, got a larger number")

    def generate(
        self,
        path: str | Path | None = None,
        progress: bool = True,
        store_dtype: torch.dtype = torch.float32,
        shard_samples: int | None = None,
        device: torch.device | str = "cpu",
        compute_dtype: torch.dtype = torch.float64,
    ) -> Dataset:
        """Generate the data set; see `generate`.

        Args:
            path:          a folder of shards, a name that ends in ".nc" for one file, or None to keep the data in memory.
            progress:      whether to show a progress bar.
            store_dtype:   dtype of the stored states.
            shard_samples: samples per batch and shard; None steps all samples as one batch where they fit.
            device:        where the states are computed.
            compute_dtype: dtype in which the solver steps.
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
