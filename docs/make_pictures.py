"""Make the pictures of README and site with the library itself: `python docs/make_pictures.py`, about two minutes on one core.

The picture: one trajectory of Kuramoto-Sivashinsky by the reference (ETDRK2), by the coarse solver (ETD1) and by the coarse solver with a trained
correction, from the same state of a trajectory that the training never used.
"""

from __future__ import annotations

from pathlib import Path

import torch

import eddygrad as eg
from eddygrad.datasets.recipes import kuramoto_sivashinsky as recipe

ASSETS = Path(__file__).parent / "assets"
FRAMES, UPDATES = 60, 2000


def main() -> None:
    data = recipe.training(frames=200).generate(None).split(val=0.1, test=0.1)
    coarse, reference = recipe.coarse(), recipe.reference()
    stepper = eg.correct(coarse, eg.nets.ResNet(16, 4, cin=1), "parallel")
    run = eg.fit(stepper, data, unroll="wig:3", steps=UPDATES, lr=5e-3, progress=False)
    u = data.test[0][:1]
    params = {"length": float(data.test.params["length"][0])}
    fields = {}
    for name, solver in (("reference: ETDRK2", reference), ("coarse: ETD1", coarse), ("coarse + network", run.stepper)):
        with torch.no_grad():
            frames = eg.trajectory(solver.at(params, u), u, frames=FRAMES, include_start=True, time_axis=1)
        fields[name] = frames.reshape(-1, frames.shape[-1])[: FRAMES + 1]
    figure = eg.space_time(fields, data.train.dt, params["length"])
    figure.savefig(ASSETS / "kuramoto-sivashinsky.png", dpi=110)


if __name__ == "__main__":
    main()
