"""Generate a data set on disk, in shards and with provenance; open it and draw training windows from it.

A killed run continues when it is repeated. The example prints the root mean square of u, which is 1.31 on the attractor of the Kuramoto-Sivashinsky
equation at these domain sizes (measured on 400 trajectories of 100 frames).
"""

from __future__ import annotations

import math

import torch

import eddygrad as eg
from eddygrad.solver.initial import random_fourier

# As in List et al. 2024: L = 2 pi D, 48 points, two substeps of .5 per frame, 400 frames of warm-up.
DOMAINS = (6.8, 7.44, 9.2, 11.2)
PER_DOMAIN = 16
FRAMES = 200
WARMUP = 400
FOLDER = "data/kuramoto-sivashinsky"


def main() -> float:
    solver = eg.presets.kuramoto_sivashinsky()
    samples = PER_DOMAIN * len(DOMAINS)
    # One length per trajectory: trajectories on different domains share a batch.
    length = 2 * math.pi * torch.tensor(DOMAINS, dtype=torch.float64).repeat_interleave(PER_DOMAIN)
    initial = random_fourier(solver.grid, samples, bandlimit=5, seed=0)

    eg.generate(solver, initial, {"length": length}, FOLDER, frames=FRAMES, warmup=WARMUP, seed=0, shard_samples=PER_DOMAIN)
    eg.validate(FOLDER)  # reads all states, compares checksums and checks for NaN

    data = eg.open(FOLDER)
    train, val, test = data.split(val=0.1, test=0.2)  # by trajectory
    print(data)
    print(f"made by {data.attrs['stepper']}")
    print(f"trajectories: {train.samples} for training, {val.samples} for validation, {test.samples} for tests")

    batch_at = train.batches(16, seeds=range(8))  # a pure function of (step, horizon); each seed draws its own windows
    window = batch_at(step=0, horizon=4)
    print(f"a batch of 8 seeds, 16 windows, 5 frames: {tuple(window.u.shape)}")

    rms = float(data.all().double().square().mean().sqrt())
    print(f"rms of u {rms:.3f} (known: 1.31)")
    return rms


if __name__ == "__main__":
    main()
