"""`eddygrad generate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from eddygrad.commands.command import Command, Outcome, Say, set_up_process

Recipe = Literal["kuramoto-sivashinsky", "kuramoto-sivashinsky/training", "kuramoto-sivashinsky/testing"]


@dataclass(kw_only=True)
class Generate(Command):
    """Make a data set of a paper's setting: one NetCDF file, or a folder of shards.

    Killed at any moment, the same command goes on where it stopped. States are computed in float64.

    example: eddygrad generate kuramoto-sivashinsky/training --frames 1000 --out data/ks
    """

    recipe: tyro.conf.Positional[Recipe] = "kuramoto-sivashinsky"
    """Setting and part: training unless said otherwise."""
    out: Path
    """Where to: a name that ends in .nc is one file, any other a folder of shards."""
    frames: int | None = None
    """Frames per trajectory, a frame is one time unit; by default the paper's: 5000 for training, 13 for testing."""
    domains: tuple[float, ...] = ()
    """Training: domain sizes D/8, L = 2 pi D; by default the paper's six."""
    warmup: int | None = None
    """Frames dropped first; by default 200 for training, 400 for testing."""
    starts: int = 10
    """Testing: random states per domain."""
    seed: int = 0
    """Testing: seed of the random states."""
    shard_samples: int | None = None
    """Trajectories per shard; by default about 256 MiB."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating point type on disk."""
    device: str = "cpu"
    """Where the states are computed: cpu, cuda, ..."""

    def run(self, say: Say) -> Outcome:
        import torch

        from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks

        set_up_process(self.threads, self.device)
        warmup: dict[str, Any] = {} if self.warmup is None else {"warmup": self.warmup}
        if self.recipe != "kuramoto-sivashinsky/testing":
            recipe = ks.training(5000 if self.frames is None else self.frames, self.domains or ks.TRAINING_DOMAINS, **warmup)
        else:
            recipe = ks.testing(self.starts, (13 if self.frames is None else self.frames) - 1, seed=self.seed, **warmup)
        data = recipe.generate(
            self.out, progress=not self.json, store_dtype=getattr(torch, self.dtype), shard_samples=self.shard_samples, device=self.device
        )
        say(f"{self.out}: {data!r}")
        return Outcome({"path": str(self.out), "samples": data.samples, "frames": data.frames, "dt": data.dt, "stepper": data.attrs["stepper"]})
