"""`eddygrad info`."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from eddygrad.cli.base import Command, Outcome, Say


@dataclass(frozen=True, kw_only=True)
class Info(Command):
    """Print versions, machine, devices, recipes, problems, weightings, optimisers and presets, and the folders of the package.

    example: eddygrad info --json
    """

    def run(self, say: Say) -> Outcome:
        """Print versions, machine and the names that options take."""
        from importlib.metadata import version

        import torch

        import eddygrad
        from eddygrad.pinn.problems import PROBLEMS
        from eddygrad.runtime.devices import devices
        from eddygrad.runtime.provenance import environment
        from eddygrad.studies.unrolling.config import PRESETS, preset, preset_names
        from eddygrad.studies.unrolling.settings import SETTINGS
        from eddygrad.studies.weightings import config
        from eddygrad.training.optimizers.registry import OPTIMIZERS
        from eddygrad.training.weighting.registry import NAMES

        packages = {name: version(name) for name in ("numpy", "scipy", "xarray", "h5netcdf", "matplotlib", "tyro")}
        found = [f"{name} ({torch.cuda.get_device_name(name)})" if name.startswith("cuda") else name for name in devices()]
        presets = {name: _summary(preset(name)) for name in preset_names()}
        here = environment()
        say(f"eddygrad {here['eddygrad']}, torch {here['torch']}, python {here['python']}, " + ", ".join(f"{k} {v}" for k, v in packages.items()))
        say(f"machine     {here['cpu']}, {os.cpu_count()} cores, {here['threads']} threads, {platform.system()}; devices: {', '.join(found)}")
        say(f"package     {Path(eddygrad.__file__).parent}")
        say(f"presets     {PRESETS}")
        say(f"recipes     {', '.join(sorted(SETTINGS))} (generate: /training, /testing)")
        say("comparisons (eddygrad compare --preset NAME):")
        for name, summary in presets.items():
            say(f"  {name:18}{summary}")
        known = {"problems": list(PROBLEMS), "weightings": list(NAMES), "optimizers": list(OPTIMIZERS)}
        for what, names in known.items():
            say(f"{what:12}{', '.join(names)}")
        plans = {name: _plan_summary(config.preset(name)) for name in config.preset_names()}
        say("comparisons of weightings (eddygrad pinn --preset NAME):")
        for name, summary in plans.items():
            say(f"  {name:{max(map(len, plans)) + 2}}{summary}")
        places = {"package": str(Path(eddygrad.__file__).parent), "presets": str(PRESETS)}
        listed = {"recipes": sorted(SETTINGS), "comparisons": presets, "pinn": plans, **known}
        return Outcome({"environment": here, "packages": packages, "devices": found, **listed, **places})


def _summary(values: dict[str, object]) -> str:
    from eddygrad.studies.unrolling.config import UnrollingConfiguration
    from eddygrad.studies.unrolling.networks import network_summary

    c = UnrollingConfiguration(**values)  # type: ignore[arg-type]
    return f"{', '.join(c.tasks)} by {', '.join(c.unroll)}; network {network_summary(c)}, {c.seeds} seeds, {c.steps:,} updates"


def _plan_summary(values: dict[str, object]) -> str:
    """Summarise the fields of a plan without making it, which would make its problems."""
    from eddygrad.studies.weightings.config import WeightingConfiguration

    def listed(field: str) -> str:
        value = values.get(field, WeightingConfiguration.__dataclass_fields__[field].default)
        return ", ".join(value) if isinstance(value, list | tuple) else str(value)

    return f"{listed('problem')} by {listed('weighting')}; {listed('optimizer')}, {listed('seeds')} seeds"
