"""`eddygrad info`."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from eddygrad.commands.command import Command, Outcome, Say, devices


@dataclass(kw_only=True)
class Info(Command):
    """Versions, device, threads, recipes, presets, and where things are.

    example: eddygrad info --json
    """

    def run(self, say: Say) -> Outcome:
        from importlib.metadata import version

        import torch

        import eddygrad
        from eddygrad.studies.configuration import PRESETS, preset, preset_names
        from eddygrad.studies.records import environment
        from eddygrad.studies.settings import SETTINGS

        packages = {name: version(name) for name in ("numpy", "scipy", "xarray", "h5netcdf", "matplotlib", "tyro")}
        found = [f"{name} ({torch.cuda.get_device_name(name)})" if name.startswith("cuda") else name for name in devices()]
        presets = {name: _summary(preset(name)) for name in preset_names()}
        here = environment()
        say(f"eddygrad {here['eddygrad']}, torch {here['torch']}, python {here['python']}, " + ", ".join(f"{k} {v}" for k, v in packages.items()))
        say(f"machine   {here['cpu']}, {os.cpu_count()} cores, {here['threads']} threads, {platform.system()}; devices: {', '.join(found)}")
        say(f"package   {Path(eddygrad.__file__).parent}")
        say(f"presets   {PRESETS}")
        say(f"recipes   {', '.join(sorted(SETTINGS))} (generate: /training, /testing)")
        say("comparisons (eddygrad compare --preset NAME):")
        for name, summary in presets.items():
            say(f"  {name:14}{summary}")
        places = {"package": str(Path(eddygrad.__file__).parent), "presets": str(PRESETS)}
        return Outcome({"environment": here, "packages": packages, "devices": found, "recipes": sorted(SETTINGS), "comparisons": presets, **places})


def _summary(values: dict[str, object]) -> str:
    from eddygrad.studies.configuration import Configuration
    from eddygrad.studies.networks import network_summary

    c = Configuration(**values)  # type: ignore[arg-type]
    return f"{', '.join(c.tasks)} by {', '.join(c.unroll)}; network {network_summary(c)}, {c.seeds} seeds, {c.steps:,} updates"
