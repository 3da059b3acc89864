"""Find viscosity and drag of a flow from two snapshots of its vorticity, by gradients through a hundred solver steps.

The gradient with respect to the parameters comes from the solver's hand-written adjoint. keep="sqrt" recomputes parts of the trajectory instead of
storing them. The example prints the relative error of the viscosity, which is small because both snapshots are exact.
"""

from __future__ import annotations

import torch

from eddygrad.solver.equations.navier_stokes import NavierStokesVorticity
from eddygrad.solver.grid import Grid
from eddygrad.solver.initial import random_fourier
from eddygrad.solver.schemes.spectral.etdrk import ETDRK
from eddygrad.solver.unroll import repeat

POINTS, STEPS, DT = 48, 100, 0.02  # on a box of side 2 pi
TRUTH = {"viscosity": 5e-3, "drag": 0.1}
GUESS = {"viscosity": 2e-2, "drag": 0.02}
ITERATIONS = 12  # of L-BFGS


def main() -> float:
    grid = Grid((POINTS, POINTS))
    solver = ETDRK(NavierStokesVorticity(), grid, dt=DT)
    start = random_fourier(grid, 1, bandlimit=6, rms=2.0, seed=0)
    observed = repeat(solver.at(TRUTH, start), start, STEPS)

    # Optimise the logarithms, so that both parameters stay positive and have the same scale.
    logarithms = {name: torch.tensor(value, dtype=torch.float64).log().requires_grad_() for name, value in GUESS.items()}
    optimiser = torch.optim.LBFGS(logarithms.values(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        step = solver.at({name: value.exp() for name, value in logarithms.items()}, start)
        error = (repeat(step, start, STEPS, grad=True, keep="sqrt") - observed).square().mean()
        error.backward()
        return error

    optimiser.step(loss)
    estimate = {name: float(value.detach().exp()) for name, value in logarithms.items()}
    for name, value in estimate.items():
        print(f"{name}: found {value:.6g}, truth {TRUTH[name]:.6g}")
    error = abs(estimate["viscosity"] / TRUTH["viscosity"] - 1)
    print(f"relative error of the viscosity: {error:.1e}")
    return error


if __name__ == "__main__":
    main()
