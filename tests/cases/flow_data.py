"""Decaying periodic flows that the tests of recorded numbers generate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import eddygrad.datasets as ds
from eddygrad.datasets import Dataset, FlowDiagnostics
from eddygrad.solver.equations.navier_stokes import NavierStokesVelocity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.adaptive import AdaptiveSubsteps
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.vector_calculus import leray

PLANE = Grid((16, 16))


def decaying_flows(samples: int = 5, rms: float = 3.0, grid: Grid = PLANE) -> Tensor:
    """Random divergence-free velocities (samples, 2, *grid)."""
    return rms * leray(random_fourier(grid, samples, 2, bandlimit=3, seed=0), grid)


def made(path: Path | None, **changes: Any) -> Dataset:
    """Five decaying flows, each batch stepped adaptively; four frames, two steps apart, from step 3 on."""
    stepper = AdaptiveSubsteps(ETDRK(NavierStokesVelocity(viscosity=0.05), PLANE, dt=0.1, order=4), courant=0.1)
    options: dict[str, Any] = {"frames": 4, "stride": 2, "warmup": 3, "shard_samples": 2, "store_dtype": torch.float64, "progress": False}
    options |= {"diagnose": FlowDiagnostics(PLANE), "stepper": stepper, "initial": decaying_flows(), "params": {}} | changes
    return ds.generate(options.pop("stepper"), options.pop("initial"), options.pop("params"), path, **options)
