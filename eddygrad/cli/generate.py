"""`eddygrad generate`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process

if TYPE_CHECKING:
    from eddygrad.datasets.recipes.recipe import DatasetRecipe

Recipe = Literal[
    "kuramoto-sivashinsky",
    "kuramoto-sivashinsky/training",
    "kuramoto-sivashinsky/testing",
    "kolmogorov/training",
    "kolmogorov/testing",
    "decaying-turbulence",
    "active-turbulence",
    "kolmogorov-piso/training",
    "kolmogorov-piso/testing",
    "wake/training",
    "wake/testing",
    "cavity",
    "channel-cylinder",
    "backward-step",
]


@dataclass(frozen=True, kw_only=True)
class Generate(Command):
    """Make a data set of a paper's setting, or of a flow between walls: one NetCDF file, or a folder of shards.

    After an interruption the same command resumes. States are computed in float64.

    example: eddygrad generate kuramoto-sivashinsky/training --frames 1000 --out data/ks

    example: eddygrad generate channel-cylinder --out channel.nc
    """

    recipe: tyro.conf.Positional[Recipe] = "kuramoto-sivashinsky"
    """Setting and part; kuramoto-sivashinsky alone is its training part."""
    out: Path
    """Path of the data set: a name that ends in .nc is one file, any other a folder of shards."""
    frames: int | None = None
    """Frames per trajectory; by default the paper's: 5000 and 13 for kuramoto-sivashinsky, 6000 and 251 for kolmogorov, 500 and 251 for wake, 50 for
    active-turbulence; 100, 120 or 240 for flows between walls."""
    warmup: int | None = None
    """Frames that are computed first and dropped; by default the recipe's."""
    domains: tuple[float, ...] = ()
    """kuramoto-sivashinsky/training: domain sizes D/8, L = 2 pi D; by default the paper's six."""
    reynolds: tuple[float, ...] = ()
    """Reynolds numbers of the training parts and of flows that have no parts; by default the recipe's."""
    starts: int | None = None
    """Random starts per domain or Reynolds number; by default 10 and 6 for the testing parts of kuramoto-sivashinsky and kolmogorov, 8 for
    decaying-turbulence, else 1."""
    seed: int = 0
    """Seed of the random starts."""
    shard_samples: int | None = None
    """Trajectories per shard; by default about 256 MiB."""
    dtype: Literal["float32", "float64"] = "float32"
    """Floating point type on disk."""
    device: str = "cpu"
    """Device of the computation: cpu, cuda, ..."""

    def run(self, say: Say) -> Outcome:
        """Generate the data set, or the missing part of it. Raises: ValueError for an option that the recipe does not have."""
        import torch

        set_up_process(self.threads, self.device)
        recipe = self._recipe()
        data = recipe.generate(
            self.out, progress=not self.json, store_dtype=getattr(torch, self.dtype), shard_samples=self.shard_samples, device=self.device
        )
        say(f"{self.out}: {data!r}")
        facts = {"path": str(self.out), "samples": data.samples, "frames": data.frames, "dt": data.dt, "stepper": data.attrs["stepper"]}
        return Outcome({**facts, "diagnostics": data.attrs.get("diagnostics", {})})

    def _recipe(self) -> DatasetRecipe:
        """Return the recipe with the given options. Raises: ValueError for an option that it does not have."""
        name = f"{self.recipe}/training" if self.recipe == "kuramoto-sivashinsky" else self.recipe
        make, options = _makers()[name]
        given = {option: getattr(self, option) for option in ("frames", "warmup", "domains", "reynolds", "starts")}
        given = {option: value for option, value in given.items() if value not in (None, ())} | ({"seed": self.seed} if self.seed else {})
        unknown = sorted(set(given) - set(options.values()))
        if unknown:
            raise ValueError(f"generate: {name} has no --{unknown[0]}; it takes {', '.join(sorted('--' + o for o in options.values()))}")
        if "horizon" in options and "frames" in given:  # a horizon counts the frames after the first
            given["frames"] -= 1
        return make(**{argument: given[option] for argument, option in options.items() if option in given})


def _makers() -> dict[str, tuple[Callable[..., DatasetRecipe], dict[str, str]]]:
    """Return name -> function that makes the recipe, and its arguments with the options that set them."""
    from eddygrad.datasets.recipes import active_turbulence, classic_flows, kolmogorov, kolmogorov_piso, wake
    from eddygrad.datasets.recipes import kuramoto_sivashinsky as ks

    whole = {"frames": "frames", "reynolds": "reynolds", "warmup": "warmup"}
    parts = {**whole, "samples": "starts", "seed": "seed"}
    tests = {"horizon": "frames", "starts": "starts", "warmup": "warmup", "seed": "seed"}
    return {
        "kuramoto-sivashinsky/training": (ks.training, {"frames": "frames", "domains": "domains", "warmup": "warmup"}),
        "kuramoto-sivashinsky/testing": (ks.testing, {"horizon": "frames", "starts_per_domain": "starts", "warmup": "warmup", "seed": "seed"}),
        "kolmogorov/training": (kolmogorov.training, parts),
        "kolmogorov/testing": (kolmogorov.testing, tests),
        "decaying-turbulence": (kolmogorov.decaying, parts),
        "active-turbulence": (active_turbulence.window, {"frames": "frames", "samples": "starts", "warmup": "warmup", "seed": "seed"}),
        "kolmogorov-piso/training": (kolmogorov_piso.training, parts),
        "kolmogorov-piso/testing": (kolmogorov_piso.testing, tests),
        "wake/training": (wake.training, parts),
        "wake/testing": (wake.testing, tests),
        "cavity": (classic_flows.cavity, whole),
        "channel-cylinder": (classic_flows.channel_cylinder, {**whole, "seed": "seed"}),
        "backward-step": (classic_flows.backward_step, whole),
    }
