"""Solve the problem `poisson` (k = 6) by finite differences and a sine transform, to compare with the networks. Prints one JSON line per grid.

The stencil has five points (second order) or nine points (Mehrstellen scheme, fourth order). The time is that of the right-hand side and one direct
solve by scipy's sine transform, float64, one thread. The error is |u - exact| / |exact| on the nodes of the grid, the same norm as for the networks.

python benchmarks/poisson_classical.py [--order 2] [--nodes 17 33 65 129 257]
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
import pinn_workload as given
from scipy.fft import dstn, idstn
from timing import arguments, emit, measure

ORDERS = {2: "five points", 4: "nine points"}


def options() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--order", type=int, default=2, choices=list(ORDERS))
    parser.add_argument("--nodes", type=int, nargs="+", default=[17, 33, 65, 129, 257], help="nodes per side, including the boundary")
    return parser.parse_args()


def solver(nodes: int, order: int) -> tuple[Callable[[], np.ndarray], np.ndarray]:
    """Return a function that solves from the boundary values and the source, and the exact values at the inner nodes."""
    line = np.linspace(0, 1, nodes)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2)
    exact, source = (f(grid).reshape(nodes, nodes) for f in (given.exact, given.source))
    boundary, h = exact.copy(), line[1]
    boundary[1:-1, 1:-1] = 0
    pair = 2 * np.cos(np.pi * np.arange(1, nodes - 1) / (nodes - 1))  # eigenvalues of the sum of the two neighbours on a line
    along, across = pair[:, None], pair[None, :]

    def five_points() -> np.ndarray:
        right = h**2 * source[1:-1, 1:-1] - _neighbours(boundary)
        return _solved_by_sines(right, along + across - 4)

    def nine_points() -> np.ndarray:
        right = h**2 / 2 * (8 * source[1:-1, 1:-1] + _neighbours(source)) - 4 * _neighbours(boundary) - _corners(boundary)
        return _solved_by_sines(right, 4 * (along + across) + along * across - 20)

    return five_points if order == 2 else nine_points, exact[1:-1, 1:-1]


def _solved_by_sines(right: np.ndarray, eigenvalues: np.ndarray) -> np.ndarray:
    solution: np.ndarray = idstn(dstn(right, type=1) / eigenvalues, type=1)
    return solution


def _neighbours(u: np.ndarray) -> np.ndarray:
    return u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]


def _corners(u: np.ndarray) -> np.ndarray:
    return u[2:, 2:] + u[2:, :-2] + u[:-2, 2:] + u[:-2, :-2]


def main() -> None:
    args = options()
    for nodes in args.nodes:
        solve, exact = solver(nodes, args.order)
        error = float(np.linalg.norm(solve() - exact) / np.linalg.norm(exact))
        repeats = max(1, math.ceil(2e5 / nodes**2))

        def block(solve: Callable[[], np.ndarray] = solve, repeats: int = repeats) -> None:
            for _ in range(repeats):
                solve()

        result = measure(block, repeats, args.repetitions, args.max_seconds)
        emit("pinn-poisson", f"classical: {ORDERS[args.order]}", result, scheme="k=6", nodes=nodes, error=error, threads=1)


if __name__ == "__main__":
    main()
