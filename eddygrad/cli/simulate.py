"""`eddygrad simulate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from eddygrad.cli.base import Command, Outcome, Say, set_up_process


@dataclass(frozen=True, kw_only=True)
class Simulate(Command):
    """Run a solver from a random state and draw the result in space and time.

    example: eddygrad simulate --domain 1.2 --frames 300 --out ks.png
    """

    recipe: tyro.conf.Positional[Literal["kuramoto-sivashinsky"]] = "kuramoto-sivashinsky"
    """The equation, with the initial states of its paper."""
    domain: float = 1.0
    """Domain size D/8; the length is 2 pi D."""
    points: int = 48
    """Grid points."""
    frames: int = 200
    """Frames that are kept."""
    warmup: int = 200
    """Frames that are computed first and dropped."""
    dt: float = 1.0
    """Time between frames, in units of the equation's time."""
    order: Literal[1, 2, 3, 4] = 2
    """Order of the time integration (ETDRK)."""
    substeps: int = 2
    """Steps of the solver per frame."""
    seed: int = 0
    """Seed of the initial state."""
    out: Path = Path("simulation.png")
    """Picture to write: .png, .pdf or .svg."""
    data: Path | None = None
    """File to write the trajectory to, .nc."""
    dtype: Literal["float32", "float64"] = "float64"
    """Floating point type of the computation."""
    device: str = "cpu"
    """cpu, cuda, ..."""

    def run(self, say: Say) -> Outcome:
        """Run the solver, write the picture and, with --data, the trajectory. Raises: ValueError for a file name of another format."""
        import torch

        from eddygrad import presets
        from eddygrad.cli.pictures import check, save
        from eddygrad.datasets.generate import generate
        from eddygrad.plotting.space_time import space_time
        from eddygrad.runtime.randomness import generator
        from eddygrad.solver.initial import draw_test_amplitudes, kuramoto_sivashinsky_test

        set_up_process(self.threads, self.device)
        check(self.out)
        if self.data is not None and self.data.suffix != ".nc":
            raise ValueError(f"simulate: --data expects a name that ends in .nc, got {self.data}")
        D = 8 * self.domain
        stepper = presets.kuramoto_sivashinsky(D, self.points, self.order, self.substeps, self.dt)
        initial = kuramoto_sivashinsky_test(D, *draw_test_amplitudes(generator(self.seed, "simulate")), self.points).unsqueeze(0)
        length, dtype = stepper.grid.lengths[0], getattr(torch, self.dtype)
        data = generate(
            stepper, initial, {"length": length}, self.data, frames=self.frames, warmup=self.warmup, seed=self.seed,
            compute_dtype=dtype, store_dtype=dtype, device=self.device, progress=not self.json,
        )  # fmt: skip
        u = data.all()[0, :, 0]
        save(space_time(u.numpy(), data.dt, length, f"Kuramoto-Sivashinsky, L = {length:.4g}"), self.out)
        rms, mean = float(u.double().square().mean().sqrt()), float(u.double().mean())
        written = f"picture: {self.out}" + (f", data: {self.data}" if self.data else "")
        say(f"{stepper!r}\n{self.frames} frames: rms {rms:.4g}, mean {mean:.2g}; {written}")
        return Outcome({"stepper": repr(stepper), "frames": self.frames, "rms": rms, "mean": mean, "picture": self.out, "data": self.data})
